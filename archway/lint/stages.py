"""Rules of the stages' platforms: final-platform, platform-constant, target-run."""

from __future__ import annotations

from collections.abc import Iterator

from archway.dockerfile import Stage
from archway.lint.layout import Kind, Layout
from archway.verify.findings import Finding


def check_final(layout: Layout) -> Iterator[Finding]:
    """A stage below what is shipped must not have another platform than the target's.

    BuildKit heeds the --platform of a stage that stands on an image only: one that stands on a stage has the platform
    of that, and one on scratch the target's. A builder image is for the machine's own platform anyway.
    """
    if layout.builder:
        return
    wrong = {
        root
        for world in layout.worlds
        if world.platforms[root := world.root(len(layout.stages) - 1)] not in (None, world.target)
    }
    for index in sorted(wrong):
        stage = layout.stages[index]
        what = "the final stage" if index == len(layout.stages) - 1 else "a stage that the final one stands on"
        yield Finding(
            rule="final-platform",
            found=f"--platform={_short(stage.platform)} in {what}",
            expected="FROM without --platform",
            source=layout.source,
            line=stage.line,
        )


def check_constant(layout: Layout) -> Iterator[Finding]:
    """Tools are for the machine that builds. Stages that are chosen by the platform's name may be for one platform.

    Of the stages that are shipped, final-platform tells.
    """
    final = frozenset() if layout.builder else layout.final
    for stage in _roots(layout):
        if layout.kinds[stage.index] is Kind.CONSTANT and stage.index not in final | layout.selected:
            yield Finding(
                rule="platform-constant",
                found=f"--platform={_short(stage.platform)}",
                expected="--platform=$BUILDPLATFORM, or no --platform",
                source=layout.source,
                line=stage.line,
            )


def check_runs(layout: Layout) -> Iterator[Finding]:
    """A RUN needs emulation where its stage has the target's platform and is needed for what is shipped.

    Of stages that are pinned to one platform other rules tell.
    """
    if layout.builder:
        return
    lines: dict[int, str] = {}
    for stage in layout.stages:
        pinned = layout.kinds[stage.index] is Kind.CONSTANT and stage.index not in layout.selected
        if pinned or not layout.ships(stage.index):
            continue
        for instruction in stage.instructions:
            if instruction.keyword == "RUN":
                lines[instruction.line] = stage.title
        for base in layout.bases(stage.index):
            for instruction in layout.stages[base].instructions:
                if instruction.trigger and instruction.trigger.keyword == "RUN":
                    lines.setdefault(instruction.line, stage.title)
    for line, title in sorted(lines.items()):
        yield Finding(
            rule="target-run",
            found=f"RUN in {title}, which has the target's platform",
            expected="RUN in a stage FROM --platform=$BUILDPLATFORM, and COPY --from",
            source=layout.source,
            line=line,
        )


def _roots(layout: Layout) -> Iterator[Stage]:
    return (stage for stage in layout.stages if stage.platform is not None and not layout.bases(stage.index))


def _short(word: str | None) -> str:
    return (word or "")[:80]
