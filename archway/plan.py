"""Decides what has to be built, how, and in which order. No engine is asked here.

The graph is read from the Dockerfiles: an image name in ``FROM``, ``COPY --from`` or ``RUN --mount=from`` is an edge.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence

from archway import tags
from archway.catalog import Catalog, Image
from archway.dockerfile import ImageUse, Line, Resolution, resolve, split_stages
from archway.errors import Location, MachineError, MetadataError, UsageError, did_you_mean
from archway.inputs import platform_words
from archway.metadata import Release
from archway.platforms import Platform
from archway.provided import files_digest, products_of
from archway.references import Reference, member
from archway.selection import Request
from archway.settings import Settings
from archway.targets import FOLDERS, PROVIDED, ROOTFS, Step, Strategy, Target


def make_plan(
    catalog: Catalog,
    wanted: Sequence[Request],
    *,
    build_platform: Platform,
    strategy: Strategy | None = None,
) -> tuple[Step, ...]:
    """All targets that the wanted ones need, each after those that it stands on.

    :param strategy: ``EMULATED`` builds the wanted targets of foreign platforms under QEMU, also where that is not
        needed; any other is a promise that is checked
    :raises MetadataError: a Dockerfile or image.toml is wrong, images stand on each other in a circle, or an image
        does not support a platform
    :raises MachineError: the strategy asked for is impossible here
    """
    planner = _Planner(catalog, build_platform)
    for request in wanted:
        for platform in request.platforms:
            emulate = strategy is Strategy.EMULATED and platform != build_platform
            step = planner.add(request.image, request.release, platform, emulate=emulate, requested=True)
            if strategy not in (None, step.strategy):
                raise _impossible(step, strategy, build_platform)
    return _in_order(planner.steps)


def plan_image(catalog: Catalog, name: str, platform: Platform) -> tuple[Step, ...]:
    """The plan for the default release of one image of the monorepo, on the machine's own platform."""
    image = catalog.image(name)
    wanted = Request(image=image, release=image.release(), platforms=(platform,))
    return make_plan(catalog, [wanted], build_platform=platform)


def _in_order(steps: Mapping[Target, Step]) -> tuple[Step, ...]:
    """Each step after those that it stands on."""
    ordered: dict[Target, Step] = {}

    def visit(target: Target) -> None:
        if target not in ordered:
            for parent in steps[target].all_parents:
                visit(parent)
            ordered[target] = steps[target]

    for target in steps:
        visit(target)
    return tuple(ordered.values())


def _impossible(step: Step, strategy: Strategy, build_platform: Platform) -> MachineError:
    why = f"it is for {step.target.platform}, and this machine is {build_platform}"
    if step.foreign_runs:
        dockerfile = step.image.shown(step.image.dockerfile_path)
        lines = "\n".join(f"{dockerfile}:{run.number}: {run.text}" for run in step.foreign_runs)
        why += f"; these lines run its code:\n{lines}"
    return MachineError(
        f"{step.target} cannot be built {strategy} here", why=why, hint=f"without --strategy it is {step.strategy}"
    )


class _Planner:
    """Walks from the wanted targets to what they stand on."""

    def __init__(self, catalog: Catalog, build_platform: Platform) -> None:
        self.catalog = catalog
        self.settings: Settings = catalog.settings
        self.build_platform = build_platform
        self.steps: dict[Target, Step] = {}
        self._products = products_of(catalog)
        self._checked: set[str] = set()
        self._open: list[tuple[Target, Location | None]] = []

    def add(
        self,
        image: Image,
        release: Release,
        platform: Platform,
        *,
        emulate: bool = False,
        requested: bool = False,
        used_at: Location | None = None,
    ) -> Step:
        target = Target(image=image.name, version=release.version, platform=platform)
        if (known := self.steps.get(target)) and (known.requested or not requested):
            return known
        self._refuse_circle(target, used_at)
        self._check_platform(image, platform, used_at)
        if image.name not in self._checked:
            tags.check(image, self.settings)
            self._checked.add(image.name)
        self._open.append((target, used_at))
        step = self._step(target, image, release, emulate=emulate, requested=requested)
        self._open.pop()
        self.steps[target] = step
        return step

    def _step(self, target: Target, image: Image, release: Release, *, emulate: bool, requested: bool) -> Step:
        # The same Dockerfile, emulated: every stage that is pinned to the build platform becomes the target's.
        build = target.platform if emulate else self.build_platform
        names = {**platform_words("TARGET", target.platform), **platform_words("BUILD", build)}
        forced = {"BUILDPLATFORM": str(build), "BUILDARCH": build.architecture} if emulate else {}
        found = resolve(
            image.dockerfile,
            arguments={**names, **release.args, **forced},
            target=target.platform,
            build=self.build_platform,
        )
        self._refuse_onbuild(image, found)
        self._refuse_hidden_stages(image, found)
        self._check_arguments(image, release, found)
        self._check_uses(image, release, found)
        parents = {
            (use.name, use.platform): parent.target
            for use in found.images
            if use.name not in PROVIDED and (parent := self._parent(image, release, use))
        }
        declared = {name: value for name, value in names.items() if name in found.declared_arguments}
        return Step(
            target=target,
            image=image,
            release=release,
            reference=self._reference(target),
            strategy=self._strategy(target.platform, found.foreign_runs),
            foreign_runs=found.foreign_runs,
            parents={
                name: tuple(parent for (used, _), parent in parents.items() if used == name)
                for name in dict.fromkeys(name for name, _ in parents)
            },
            base=parents.get(ground) if (ground := _ground(found)) else None,
            rootfs=frozenset(use.platform for use in found.images if use.name == ROOTFS),
            folders=(folders := frozenset(use.name for use in found.images) & FOLDERS),
            outside=tuple(use for use in found.images if use.name not in PROVIDED and use.name not in self.catalog),
            arguments={**declared, **release.args, **forced},
            context=(context := files_digest(image, release, folders, self._products)),
            input_digest=self._digest(image, release, target.platform, found, parents.values(), declared, context),
            requested=requested,
            doubts=tuple(self._doubts(image, found, emulate=emulate)),
        )

    def _doubts(self, image: Image, found: Resolution, *, emulate: bool) -> Iterator[str]:
        for use in found.images:
            where = Location(image.shown(image.dockerfile_path), use.line)
            near = did_you_mean(use.name, (self.catalog.names | FOLDERS) - {image.name})
            if use.name not in PROVIDED and use.name not in self.catalog and near.startswith("did you mean"):
                yield f"{where}: {use.name} is no image of this monorepo; {near}"
            foreign = use.platform != self.build_platform and not emulate
            if foreign and use.name in self.catalog and self.catalog.image(use.name).metadata.builder:
                yield (
                    f"{where}: the builder image {use.name} is made for {use.platform}, under QEMU; "
                    f"write FROM --platform=$BUILDPLATFORM {use.name}"
                )

    def _strategy(self, platform: Platform, foreign: Sequence[Line]) -> Strategy:
        if platform == self.build_platform:
            return Strategy.NATIVE
        return Strategy.EMULATED if foreign else Strategy.CROSS

    def _reference(self, target: Target) -> Reference:
        return member(
            registry=self.settings.registry, organization=self.settings.organization, image=target.image,
            version=target.version, release=self.settings.release, platform=target.platform,
        )  # fmt: skip

    def _parent(self, image: Image, release: Release, use: ImageUse) -> Step | None:
        where = Location(image.shown(image.dockerfile_path), use.line)
        name, colon, version = use.name.partition(":")
        if colon and name in self.catalog:
            raise MetadataError(
                f"{use.instruction} {use.name} names a version of this monorepo's {name}",
                where=where,
                hint=f'write {name} here, and in image.toml [release.uses] {name} = "{version}"',
            )
        if name not in self.catalog:
            return None
        parent = self.catalog.image(name)
        try:
            parent_release = parent.release(release.uses.get(name))
        except UsageError as unknown:
            raise MetadataError(
                f"[release.uses] of {release.version} names a version that {name} does not have",
                where=image.shown(image.metadata_path), why=str(unknown.hint),
            ) from None  # fmt: skip
        return self.add(parent, parent_release, use.platform, used_at=where)

    def _check_uses(self, image: Image, release: Release, found: Resolution) -> None:
        used = {use.name for use in found.images}
        for name in release.uses:
            if name not in used:
                raise MetadataError(
                    f"[release.uses] of {release.version} names {name!r}, which the Dockerfile does not use",
                    where=image.shown(image.metadata_path), hint=f"it uses: {', '.join(sorted(used)) or 'no image'}",
                )  # fmt: skip

    def _refuse_onbuild(self, image: Image, found: Resolution) -> None:
        if found.onbuild:
            raise MetadataError(
                "ONBUILD is not understood in images of this monorepo",
                where=Location(image.shown(image.dockerfile_path), found.onbuild[0].line),
                why="what it does to the images that stand on this one would be missing in their plans",
                hint="write its instruction into their Dockerfiles",
            )

    def _refuse_hidden_stages(self, image: Image, found: Resolution) -> None:
        """What is handed over by a name takes the place of a stage of that name, and its instructions are lost."""
        ours = {use.name for use in found.images if use.name in PROVIDED or use.name in self.catalog}
        for stage in split_stages(image.dockerfile):
            if stage.name in ours:
                raise MetadataError(
                    f"the stage {stage.name} is called like the image that it hides",
                    where=Location(image.shown(image.dockerfile_path), stage.line),
                    why="BuildKit would take the image for the stage, and skip the stage's instructions",
                    hint="call the stage otherwise",
                )

    def _check_arguments(self, image: Image, release: Release, found: Resolution) -> None:
        for name in release.args:
            if name not in found.declared_arguments:
                raise MetadataError(
                    f"[release.args] of {release.version} has {name}, for which the Dockerfile has no ARG",
                    where=image.shown(image.metadata_path), hint="remove it, or declare it in the stage that uses it",
                )  # fmt: skip

    def _check_platform(self, image: Image, platform: Platform, used_at: Location | None) -> None:
        supported = image.metadata.platforms
        if supported is not None and platform not in supported and not image.metadata.builder:
            raise MetadataError(
                f"{image.name} is not made for {platform}",
                where=used_at or image.shown(image.metadata_path),
                why=f"its platforms are {', '.join(map(str, supported))}",
            )

    def _refuse_circle(self, target: Target, used_at: Location | None) -> None:
        chain = [opened for opened, _ in self._open]
        if target not in chain:
            return
        circle = [*self._open[chain.index(target) + 1 :], (target, used_at)]
        raise MetadataError(
            f"{target.image} stands on itself",
            why="\n".join(f"{where}: uses {member.image}" for member, where in circle),
            hint="remove one of these lines",
        )

    def _digest(
        self,
        image: Image,
        release: Release,
        platform: Platform,
        found: Resolution,
        parents: Iterable[Target],
        declared: Mapping[str, str],
        context: str,
    ) -> str:
        """The identity of what goes into a target: the same on machines of every platform, for every strategy."""
        outside = {use.name for use in found.images} - self.catalog.names - FOLDERS
        inputs = {
            "image": [image.name, release.version, "" if image.metadata.builder else str(platform)],
            "labels": [image.metadata.description, image.metadata.licenses, self.settings.source],
            "arguments": {name: value for name, value in declared.items() if name.startswith("TARGET")} | release.args,
            "context": context,
            "outside": sorted(outside),
            "rootfs": self.settings.rootfs if ROOTFS in outside else "",
            "parents": sorted({self.steps[parent].input_digest for parent in parents}),
        }
        return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()


def _ground(found: Resolution) -> tuple[str, Platform] | None:
    """The image that the final stage starts from, through the stages in between; None for scratch."""
    stages = {resolved.stage.index: resolved for resolved in found.stages}
    resolved = found.final
    while isinstance(resolved.base, int):
        resolved = stages[resolved.base]
    return (resolved.base, resolved.platform) if resolved.base is not None else None
