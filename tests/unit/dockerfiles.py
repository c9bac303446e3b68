"""What a build of a Dockerfile needs, and how a wrong one is refused: for tests."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from archway.dockerfile import Resolution, parse, resolve
from archway.errors import MetadataError
from archway.platforms import Platform

AMD64 = Platform("linux", "amd64")
ARM64 = Platform("linux", "arm64")
ARMV7 = Platform("linux", "arm", "v7")


def needs(
    text: str, *, arguments: Mapping[str, str] | None = None, target: Platform = ARM64, stage: str | None = None
) -> Resolution:
    dockerfile = parse(text, "hive/Dockerfile")
    return resolve(dockerfile, arguments=arguments or {}, target=target, build=AMD64, stage=stage)


def refusal(text: str, *, arguments: Mapping[str, str] | None = None, stage: str | None = None) -> str:
    with pytest.raises(MetadataError) as caught:
        needs(text, arguments=arguments, stage=stage)
    return str(caught.value)


def bases(found: Resolution) -> list[int | str | None]:
    return [stage.base for stage in found.stages]


def platforms(found: Resolution) -> list[str]:
    return [stage.platform.architecture for stage in found.stages]
