"""Rust programs for both platforms, compiled on this machine."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from archway.engine import Engine
from archway.platforms import Platform
from archway.verify.dynamic import Dynamic
from tests.engine.run import REPOSITORY, Inv
from tests.engine.rust import Rust, program

PLATFORMS = [Platform.parse("amd64"), Platform.parse("arm64")]


@pytest.mark.parametrize("platform", PLATFORMS, ids=lambda platform: platform.tag)
def test_native_code_of_every_kind_crosses(rust: Rust, platform: Platform) -> None:
    """C and C++ that is compiled, made by cmake, or linked to Debian's: each for its platform, and it runs there."""
    rust.built("natives", platform)
    (tested, *_) = [test for test in rust("test", "--image", "natives", "--arch", platform.tag) if test["test"] == "natives"]

    assert tested["passed"]
    assert tested["platform"] == str(platform)
