"""Small monorepos for tests."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

from archway.catalog import Catalog
from archway.settings import load


class Monorepo:
    """A monorepo in a folder, made of texts."""

    def __init__(self, root: Path, settings: str = "") -> None:
        self.root = root
        self.write("pyproject.toml", f"[tool.archway]\n{settings}")

    def write(self, path: str, text: str) -> Path:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(dedent(text))
        return file

    def image(self, folder: str, dockerfile: str, metadata: str = "", *, releases: str = "") -> None:
        """An image with a description, a licence and release 1; ``metadata`` and ``releases`` are added as they are."""
        self.write(f"{folder}/Dockerfile", dockerfile)
        head = 'description = "A test image"\nlicenses = "Apache-2.0"\n'
        self.write(
            f"{folder}/image.toml",
            head + dedent(metadata) + (dedent(releases) or '[[release]]\nversion = "1"\n'),
        )

    @property
    def catalog(self) -> Catalog:
        return Catalog(load(self.root))
