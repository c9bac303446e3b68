"""The tables of ``image.toml`` for images that are Rust programs: ``release.source`` and ``[cargo]``."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from archway.table import Sha256, Table, Text

CrateName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,63}$")]
CrateVersion = Annotated[str, StringConstraints(pattern=r"^\d+\.\d+\.\d+([-+][0-9A-Za-z.+-]+)?$")]
Commit = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}$")]
Word = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_/.?-]*$")]


class Source(Table):
    """``release.source``: where the Cargo project comes from. Exactly one of path, crate and git is named."""

    path: Text | None = None
    """A folder of the monorepo, relative to the image's."""
    crate: CrateName | None = None
    version: CrateVersion | None = None
    sha256: Sha256 | None = None
    """What the crate registry names as the checksum of the crate's archive."""
    git: Text | None = None
    tag: Text | None = None
    commit: Commit | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        kinds = {
            "path": (self.path, ()),
            "crate": (self.crate, ("version", "sha256")),
            "git": (self.git, ("tag", "commit")),
        }
        named = [kind for kind, (value, _) in kinds.items() if value is not None]
        if len(named) != 1:
            raise ValueError("name one of path, crate and git")
        kind = named[0]
        others = {key for other, (_, keys) in kinds.items() if other != kind for key in keys}
        if wrong := sorted(key for key in others if getattr(self, key) is not None):
            raise ValueError(f"{wrong[0]} does not go with {kind}")
        if kind == "crate" and self.version is None:
            raise ValueError(f'crate = "{self.crate}" needs a version')
        if kind == "git" and self.tag is None and self.commit is None:
            raise ValueError("git needs a commit, or a tag and the commit that it names")
        return self


class Cargo(Table):
    """``[cargo]``: what is built of a Cargo project, and how."""

    model_config = ConfigDict(alias_generator=lambda name: name.replace("_", "-"))

    package: Word | None = None
    """The package that owns the binaries; needed where a workspace has several with binaries."""
    binaries: list[Word] = Field(default_factory=list)
    """All of the package's, if none is named."""
    features: list[Word] = Field(default_factory=list)
    default_features: bool = True
    openssl: Literal["vendored", "system"] = "vendored"
    opt_level: Literal["0", "1", "2", "3", "s", "z"] | None = None
    """How much rustc optimizes, if not as the project's profile says."""
