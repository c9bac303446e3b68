"""The labels of an image: those of the OCI image specification, and archway's own.

https://github.com/opencontainers/image-spec/blob/main/annotations.md
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from archway.engine import LocalImage
from archway.errors import MachineError, UsageError
from archway.process import run
from archway.published import LOCK
from archway.references import Reference
from archway.targets import PUBLISHED, Step, Target

OCI = "org.opencontainers.image."
REVISION = f"{OCI}revision"
PARENTS = "dev.archway.parents"
INPUT_DIGEST = "dev.archway.input-digest"
RELEASE = "dev.archway.release"
STRATEGY = "dev.archway.strategy"


@dataclass(frozen=True, kw_only=True, slots=True)
class Revision:
    """The state of the monorepo that images are built from."""

    commit: str
    epoch: int
    """Seconds since 1970: SOURCE_DATE_EPOCH, or the commit's time, or 0 outside of git."""
    source: str
    lock_changed: bool = False
    """Whether images.lock.toml has changes that are not committed. Publishing writes it, and only images that are
    handed it are made of it."""

    def of(self, folders: frozenset[str]) -> str:
        """The commit of an image that is handed these folders; ``-dirty`` if it is made of changes to it."""
        changed = self.lock_changed and PUBLISHED in folders and self.commit and not self.commit.endswith("-dirty")
        return f"{self.commit}-dirty" if changed else self.commit

    @classmethod
    def read(cls, root: Path, *, source: str) -> Revision:
        """Ask git; a monorepo that is no git checkout has no commit and the epoch 0.

        :raises UsageError: SOURCE_DATE_EPOCH is no time
        :raises MachineError: git refuses to read the checkout
        """
        asked = run(["git", "log", "-1", "--format=%H %ct"], cwd=root)
        if "dubious ownership" in asked.stderr:
            raise MachineError(
                "git does not read this checkout, so images would have no revision",
                why=asked.stderr.splitlines()[0],
                hint=f"if it is yours: git config --global --add safe.directory {root}",
            )
        commit, _, time = asked.stdout.strip().partition(" ")
        # Our own logs and proofs are no change.
        changed = commit and _changed(root, ".", ":(exclude).archway", f":(exclude){LOCK}")
        lock_changed = bool(commit and _changed(root, LOCK))
        origin = source or _public(run(["git", "remote", "get-url", "origin"], cwd=root).stdout.strip())
        wanted = os.environ.get("SOURCE_DATE_EPOCH", "") or time or "0"
        if not re.fullmatch(r"[0-9]{1,11}", wanted):
            raise UsageError(f"SOURCE_DATE_EPOCH={wanted!r} is no time in seconds", hint="unset it, or correct it")
        shown = f"{commit}-dirty" if changed else commit
        return cls(commit=shown, epoch=int(wanted), source=origin, lock_changed=lock_changed)


def _changed(root: Path, *paths: str) -> str:
    return run(["git", "status", "--porcelain", "--untracked-files=normal", "--", *paths], cwd=root).stdout


@dataclass(frozen=True, kw_only=True, slots=True)
class Parent:
    """An image that another one stands on."""

    reference: Reference
    digest: str
    """Of its manifest; empty where the engine does not know it."""


def recorded_parents(image: LocalImage) -> dict[str, str]:
    """The digests of what an image was built on, by target, as its label has them."""
    try:
        found = json.loads(image.labels.get(PARENTS, "{}"))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _public(url: str) -> str:
    """An address without the credentials that it may hold; nothing for a path of this machine."""
    return re.sub(r"//[^/@]*@", "//", url) if "://" in url and not url.startswith("file:") else ""


def labels(step: Step, revision: Revision, parents: Mapping[Target, Parent], *, release: str) -> Mapping[str, str]:
    """What the image of a step says of itself. Values that are not known are left out.

    :param release: the monorepo's
    """
    base = parents.get(step.base) if step.base else None
    metadata = step.image.metadata
    found = {
        f"{OCI}title": step.image.name,
        f"{OCI}description": metadata.description,
        f"{OCI}version": step.release.version,
        f"{OCI}licenses": metadata.licenses,
        REVISION: revision.of(step.folders),
        f"{OCI}source": revision.source,
        f"{OCI}created": datetime.fromtimestamp(revision.epoch, UTC).isoformat().replace("+00:00", "Z"),
        f"{OCI}base.name": str(base.reference) if base else "",
        f"{OCI}base.digest": base.digest if base else "",
        PARENTS: json.dumps({str(target): parent.digest for target, parent in parents.items() if parent.digest}),
        INPUT_DIGEST: step.input_digest,
        RELEASE: release,
        STRATEGY: step.strategy,
    }
    return {name: value for name, value in found.items() if value}
