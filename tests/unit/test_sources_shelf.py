"""Where sources are kept that were fetched."""

from __future__ import annotations

from pathlib import Path

import pytest

from archway.sources.shelf import keep
from tests.monorepo import Monorepo


def test_what_another_run_has_put_there_stays(monorepo: Monorepo) -> None:
    """The slower of two runs drops its own: the faster one copies from the folder by now."""
    settings = monorepo.catalog.settings
    inodes: list[int] = []

    def faster(files: Path, _: Path) -> None:
        (files / "file").write_text("x")

    def slower(files: Path, _: Path) -> None:
        (files / "file").write_text("x")
        inodes.append(keep(settings, "name", "a source", faster).stat().st_ino)

    assert keep(settings, "name", "a source", slower).stat().st_ino == inodes[0]
    assert list((settings.state / "scratch").iterdir()) == []


def test_broken_one_is_replaced(monorepo: Monorepo, capsys: pytest.CaptureFixture[str]) -> None:
    """What was changed since it was fetched, in a folder marked as a cache too, is fetched again."""
    settings = monorepo.catalog.settings

    def fetch(files: Path, _: Path) -> None:
        (files / "kept").mkdir()
        (files / "kept/CACHEDIR.TAG").write_text("Signature: 8a477f597d28d172789f06886806bc55")
        (files / "kept/file").write_text("x")

    found = keep(settings, "name", "a source", fetch)
    (found / "kept/file").write_text("y")

    assert (keep(settings, "name", "a source", fetch) / "kept/file").read_text() == "x"
    assert "was changed since" in capsys.readouterr().err
