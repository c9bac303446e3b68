"""The labels of an image: those of the OCI image specification, and archway's own.

https://github.com/opencontainers/image-spec/blob/main/annotations.md
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from archway.engine import LocalImage
from archway.errors import UsageError
from archway.plan import Step
from archway.process import run
from archway.references import Reference

OCI = "org.opencontainers.image."
INPUT_DIGEST = "dev.archway.input-digest"
STRATEGY = "dev.archway.strategy"
BASE_DIGEST = f"{OCI}base.digest"


@dataclass(frozen=True, kw_only=True, slots=True)
class Revision:
    """The state of the monorepo that images are built from."""

    commit: str
    epoch: int
    """Seconds since 1970: SOURCE_DATE_EPOCH, or the commit's time, or 0 outside of git."""
    source: str

    @classmethod
    def read(cls, root: Path, *, source: str) -> Revision:
        """Ask git; a monorepo that is no git checkout has no commit and the epoch 0.

        :raises UsageError: SOURCE_DATE_EPOCH is no number
        """
        commit, _, time = run(["git", "log", "-1", "--format=%H %ct"], cwd=root).stdout.strip().partition(" ")
        changed = commit and run(["git", "status", "--porcelain", "--untracked-files=normal"], cwd=root).stdout
        origin = source or _public(run(["git", "remote", "get-url", "origin"], cwd=root).stdout.strip())
        wanted = os.environ.get("SOURCE_DATE_EPOCH", "") or time or "0"
        if not wanted.isascii() or not wanted.isdigit():
            raise UsageError(f"SOURCE_DATE_EPOCH={wanted!r} is no number of seconds", hint="unset it, or correct it")
        return cls(commit=f"{commit}-dirty" if changed else commit, epoch=int(wanted), source=origin)


def _public(url: str) -> str:
    """An address without the credentials that it may hold; nothing for a path of this machine."""
    return re.sub(r"//[^/@]*@", "//", url) if "://" in url and not url.startswith("file:") else ""


def labels(step: Step, revision: Revision, base: tuple[Reference, LocalImage] | None) -> Mapping[str, str]:
    """What the image of a step says of itself. Values that are not known are left out."""
    metadata = step.image.metadata
    found = {
        f"{OCI}title": step.image.name,
        f"{OCI}description": metadata.description,
        f"{OCI}version": step.release.version,
        f"{OCI}licenses": metadata.licenses,
        f"{OCI}revision": revision.commit,
        f"{OCI}source": revision.source,
        f"{OCI}created": datetime.fromtimestamp(revision.epoch, UTC).isoformat().replace("+00:00", "Z"),
        f"{OCI}base.name": str(base[0]) if base else "",
        BASE_DIGEST: (base[1].repo_digest or "") if base else "",
        INPUT_DIGEST: step.input_digest,
        STRATEGY: step.strategy,
    }
    return {name: value for name, value in found.items() if value}
