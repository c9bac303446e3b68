"""What is to be done about OpenSSL, for somebody who decides about their own tree."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

from cargo_image.manifest import plan_edit, plan_undo
from cargo_image.openssl import State, Verdict, decide
from cargo_image.project import read_wishes


def report(folder: Path, targets: Sequence[str], *, undo: bool = False) -> str:
    """The verdicts for some targets, and the files that would change, as JSON.

    :raises CargoImageError: the project is not fit
    """
    wishes = read_wishes(folder)
    if wishes.openssl == "system":
        why = 'Debian\'s library is linked: openssl = "system"'
        verdicts = [Verdict(target=target, state=State.NOT_NEEDED, why=why) for target in targets]
    else:
        verdicts = decide(wishes.project, targets, dict(os.environ))
    edits = plan_undo(wishes.project) if undo else plan_edit(wishes.project, verdicts)
    return json.dumps(
        {
            "openssl": wishes.openssl,
            "verdicts": [
                {
                    "target": verdict.target, "state": verdict.state, "why": verdict.why,
                    "chain": list(verdict.chain), "version": verdict.version,
                } for verdict in verdicts
            ],
            "edits": {
                path.relative_to(folder).as_posix(): {"before": before.decode(), "after": after.decode()}
                for path, (before, after) in edits.items()
            },
        },
        indent=2,
    )  # fmt: skip
