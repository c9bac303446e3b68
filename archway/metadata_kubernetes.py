"""The table of ``image.toml`` for operators: ``[kubernetes]``."""

from __future__ import annotations

from pydantic import Field

from archway.table import Table, Text


class Kubernetes(Table):
    """``[kubernetes]``: what an operator has to do with a real API server; the files are in the image's folder."""

    crds: list[Text] = Field(min_length=1)
    """A command of the image that prints its custom resource definitions as YAML."""
    command: list[str] = Field(default_factory=list)
    """How the operator is started; the image's own entry point and command if empty."""
    resources: Text
    """The file of the objects that are created for it (YAML)."""
    expect: Text
    """The file of the objects that must come to be, as far as they are written there (YAML)."""
    timeout: int = Field(default=120, ge=1, le=86_400)
