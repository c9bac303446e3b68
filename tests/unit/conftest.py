"""Fixtures of the unit tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.monorepo import Monorepo


@pytest.fixture
def monorepo(tmp_path: Path) -> Monorepo:
    """A monorepo without images."""
    return Monorepo(tmp_path)
