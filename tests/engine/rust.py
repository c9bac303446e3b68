"""Rust programs for the engine tests: the operators, and those under ``tests/rust``."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from elftools.elf.dynamic import DynamicSection
from elftools.elf.elffile import ELFFile

from archway.platforms import Platform
from tests.engine.run import REPOSITORY, Inv, Ran

IMAGES = "*,products/*,operators/*,tests/rust/*"
"""The setting with which the programs under ``tests/rust`` are images of this monorepo."""


@dataclass(frozen=True, kw_only=True)
class Rust:
    """Runs ``inv`` on them."""

    inv: Inv

    def run(self, *words: str) -> Ran:
        return self.inv(REPOSITORY, *words, INVOKE_ARCHWAY_IMAGES=IMAGES)

    def __call__(self, *words: str) -> Any:
        """The data of a command that must go well."""
        ran = self.run(*words, "--json")

        assert ran.exit_code == 0, ran.stderr
        return json.loads(ran.stdout)

    def built(self, image: str, platform: Platform) -> str:
        """The name of an image; it is built unless it is up to date."""
        outcomes = self("build", "--image", image, "--arch", platform.tag)
        return str(next(outcome["reference"] for outcome in outcomes if outcome["requested"]))


def program(image: str, platform: Platform, path: str) -> bytes:
    """A file of an image."""
    made = ["docker", "create", "--platform", str(platform), image, "none"]
    container = subprocess.run(made, capture_output=True, text=True, check=True).stdout.strip()
    try:
        tar = subprocess.run(["docker", "cp", f"{container}:{path}", "-"], capture_output=True, check=True).stdout
    finally:
        subprocess.run(["docker", "rm", container], capture_output=True, check=True)
    size = int(tar[124:135], 8)
    return tar[512 : 512 + size]


def needed_by(content: bytes) -> tuple[str, ...]:
    """The shared libraries that a program asks for."""
    sections = (s for s in ELFFile(BytesIO(content)).iter_sections() if isinstance(s, DynamicSection))
    tags = (tag for section in sections for tag in section.iter_tags("DT_NEEDED"))
    return tuple(tag.needed for tag in tags)  # type: ignore[attr-defined]  # set for this kind of tag only
