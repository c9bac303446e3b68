"""``inv manifest --local``: a list in the engine's own store, for ``docker run --platform`` without a registry."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from archway import log
from archway.contexts import Names
from archway.distribution.layout import open_layout
from archway.engine import Engine
from archway.errors import ListError, MachineError
from archway.joining import Standing, Tagged
from archway.labels import INPUT_DIGEST
from archway.lists import Wanted, images_of
from archway.platforms import Platform
from archway.proof import allowed, prove
from archway.records import Proofs
from archway.settings import Settings


def require_lists(engine: Engine) -> None:
    """:raises MachineError: the engine's store holds no lists"""
    if not engine.holds_lists:
        raise MachineError(
            "this engine cannot hold a manifest list",
            why="only the containerd image store keeps images of several platforms under one name",
            hint='turn it on ({"features": {"containerd-snapshotter": true}} in /etc/docker/daemon.json)\n'
            "or use the loopback registry: inv registry up, then inv publish --registry localhost:5000",
        )


def find_members(engine: Engine, settings: Settings, wanted: Wanted) -> dict[Platform, str]:
    """The digests of the members of a list that the engine holds.

    :raises ListError: one is missing, stale, for another platform, or not what it should be; all are told
    """
    found: dict[Platform, str] = {}
    wrong = []
    build = f"inv build --image {wanted.image.name}={wanted.release.version} --arch all"
    for step in wanted.steps:
        platform = step.target.platform
        image = engine.image(str(step.reference))
        if image is None:
            wrong.append(f"{step.reference} is not built")
        elif image.platform != platform:
            wrong.append(f"{step.reference} holds an image for {image.platform}, not for {platform}")
        elif image.labels.get(INPUT_DIGEST) not in wanted.inputs[platform]:
            wrong.append(f"{step.reference} is stale: it was built from other files than this checkout has")
        else:
            digest = found[platform] = image.repo_digest or ""
            if not Proofs(settings.state).holds(digest, platform, allowed(step.image)):
                report = prove(engine, settings, step, str(step.reference))
                wrong += [] if report.ok else [report.text()]
    if wrong:
        raise ListError(f"{wanted.reference} cannot be made", why="\n".join(wrong), hint=f"run: {build}")
    return found


def join_local(engine: Engine, settings: Settings, wanted: Wanted) -> Tagged:
    """Give one name to the members that the engine holds.

    :raises MachineError: the engine cannot hold a list
    :raises ListError: a member is not there or not right
    """
    require_lists(engine)
    members = find_members(engine, settings, wanted)
    names = Names(engine)
    names.sweep()
    fresh = names.fresh(wanted.image.name)
    reference = str(wanted.reference)
    try:
        with log.step(f"{reference}: joining"):
            names.join({step.target.platform: str(step.reference) for step in wanted.steps}, fresh)
            made, current = engine.image(fresh), engine.image(reference)
            digest = (made and made.repo_digest) or ""
            same = current is not None and current.repo_digest == digest
            if not same:
                _compare(engine, settings, fresh, members)
                engine.tag(fresh, reference)
    finally:
        engine.remove(fresh)
    log.done(f"{reference}: {'already so' if same else 'joined'}, {digest}")
    for tag in wanted.floating:
        engine.tag(reference, str(tag))
    return Tagged(reference=wanted.reference, standing=Standing.ALREADY if same else Standing.TO_WRITE, digest=digest)


def _compare(engine: Engine, settings: Settings, name: str, members: Mapping[Platform, str]) -> None:
    """Read the list back from the engine's store before it gets its name."""
    settings.state.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=settings.state, prefix="list-") as folder:
        archive = Path(folder) / "list.tar"
        engine.save(name, archive)
        with open_layout(archive) as layout:
            stored = layout.get(layout.top)
    entries = images_of(stored.manifest) if stored else ()
    if sorted((str(e.platform and e.platform.known), e.digest) for e in entries) != sorted(
        (str(platform), digest) for platform, digest in members.items()
    ):
        raise ListError(
            "the engine joined other images than it was told",
            why="\n".join(f"{entry.platform} {entry.digest}" for entry in entries),
            hint="run it again; another run may have built them anew meanwhile",
        )


def rehearse_local(engine: Engine, settings: Settings, wanted: Wanted) -> list[Tagged]:
    """What :func:`join_local` would do, as far as that can be told without joining."""
    require_lists(engine)
    try:
        find_members(engine, settings, wanted)
    except ListError as refused:
        return [Tagged(reference=wanted.reference, standing=Standing.MISSING, why=str(refused))]
    return [Tagged(reference=wanted.reference, standing=Standing.TO_WRITE)]
