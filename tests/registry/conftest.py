"""Fixtures of the tests against a real registry."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.registries import docker_registry


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[str]:
    """A real registry: its host and port."""
    with docker_registry(tmp_path / "registry") as host:
        yield host


@pytest.fixture
def other_registry(tmp_path: Path) -> Iterator[str]:
    """A second one."""
    with docker_registry(tmp_path / "other-registry") as host:
        yield host
