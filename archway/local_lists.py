"""``inv manifest --local``: a list in the engine's own store, for ``docker run --platform`` without a registry."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from archway import log
from archway.contexts import Names
from archway.distribution import Stored
from archway.distribution.layout import open_layout
from archway.engine import Engine
from archway.errors import ListError, MachineError, told, try_each
from archway.joining import Standing, Tagged
from archway.labels import INPUT_DIGEST
from archway.lists import Wanted, pairs
from archway.platforms import Platform
from archway.proof import prove_once
from archway.references import Reference
from archway.scratch import scratch
from archway.settings import Settings
from archway.targets import Step


@dataclass(frozen=True, kw_only=True)
class Found:
    """A list whose members the engine holds, all of them right, by the digests of their manifests."""

    wanted: Wanted
    members: Mapping[Platform, str]


def require_lists(engine: Engine) -> None:
    """:raises MachineError: the engine's store holds no lists"""
    if not engine.holds_lists:
        raise MachineError(
            "this engine cannot hold a manifest list",
            why="only the containerd image store keeps images of several platforms under one name",
            hint='turn it on ({"features": {"containerd-snapshotter": true}} in /etc/docker/daemon.json)\n'
            "or use the loopback registry: inv registry up, then inv publish --registry localhost:5000",
        )


def find_members(engine: Engine, settings: Settings, wanted: Wanted) -> Found:
    """The members of a list, as the engine holds them.

    :raises ListError: one is missing, stale, for another platform, or not what it should be; all are told
    """
    found, refused = try_each(
        wanted.steps, lambda step: (step.target.platform, _member(engine, settings, wanted, step))
    )
    if refused:
        build = f"inv build --image {wanted.image.name}={wanted.release.version} --arch all{settings.given}"
        raise ListError(f"{wanted.reference} cannot be made", why=told(refused), hint=f"run: {build}")
    return Found(wanted=wanted, members=dict(found))


def _member(engine: Engine, settings: Settings, wanted: Wanted, step: Step) -> str:
    """The digest of a member, which is proven."""
    name, platform = str(step.reference), step.target.platform
    image = engine.image(name)
    if image is None:
        raise ListError(f"{name} is not built")
    if image.platform != platform:
        raise ListError(f"{name} holds an image for {image.platform or 'another platform'}, not for {platform}")
    if image.labels.get(INPUT_DIGEST) not in wanted.inputs[platform]:
        raise ListError(f"{name} is stale: it was built from other files than this checkout has")
    digest = image.repo_digest or ""
    report = prove_once(engine, settings, step, digest)
    if report and not report.ok:
        raise ListError(report.text())
    return digest


def join_all_local(engine: Engine, settings: Settings, lists: Sequence[Wanted]) -> list[Tagged]:
    """Give one name to the members that the engine holds, for each list; then move the floating tags.

    :raises MachineError: the engine cannot hold a list
    :raises ListError: a member of a list is not there or not right; all are told, and nothing was changed
    """
    require_lists(engine)
    found = _find_all(engine, settings, lists)
    names = Names(engine)
    names.sweep()
    with ExitStack() as until_the_end:
        made: list[tuple[str, Found, Tagged]] = []
        for one in found:
            fresh = names.fresh(one.wanted.image.name)
            until_the_end.callback(engine.remove, fresh)
            made.append((fresh, one, _join(engine, settings, names, one, fresh)))
        moved = [_move(engine, tag, fresh, told) for fresh, one, told in made for tag in one.wanted.floating]
    return [told for _, _, told in made] + moved


def _find_all(engine: Engine, settings: Settings, lists: Sequence[Wanted]) -> list[Found]:
    found, refused = try_each(lists, lambda wanted: find_members(engine, settings, wanted))
    match refused:
        case []:
            return found
        case [only]:
            raise only
        case _:
            raise ListError(
                f"{len(refused)} of {len(lists)} lists cannot be made", why=told(refused),
                hint="nothing was changed",
            )  # fmt: skip


def _join(engine: Engine, settings: Settings, names: Names, one: Found, fresh: str) -> Tagged:
    """Let a list have its name, and a fresh one that no other run moves; it is read back before it gets its name."""
    reference = str(one.wanted.reference)
    standing = Standing.ALREADY
    with log.step(f"{reference}: joining"):
        if engine.image(reference):
            engine.tag(reference, fresh)
        if not _is_made(engine, settings, one, fresh):
            standing = Standing.WRITTEN
            names.join({step.target.platform: str(step.reference) for step in one.wanted.steps}, fresh)
            if not _is_made(engine, settings, one, fresh):
                raise ListError(
                    f"the engine made another list for {reference} than it was told",
                    hint="run it again; another run may have built its members anew meanwhile",
                )
            engine.tag(fresh, reference)
    digest = _digest(engine, fresh)
    log.done(f"{reference}: {'already so' if standing is Standing.ALREADY else 'joined'}, {digest}")
    return Tagged(reference=one.wanted.reference, standing=standing, digest=digest)


def _move(engine: Engine, tag: Reference, fresh: str, made: Tagged) -> Tagged:
    if _standing(engine, tag, made.digest) is Standing.ALREADY:
        return Tagged(reference=tag, standing=Standing.ALREADY, digest=made.digest)
    engine.tag(fresh, str(tag))
    log.done(f"{tag}: now {made.digest}")
    return Tagged(reference=tag, standing=Standing.WRITTEN, digest=made.digest)


def _standing(engine: Engine, tag: Reference, digest: str) -> Standing:
    """How a floating tag stands that should name the list of a digest."""
    return Standing.ALREADY if digest and _digest(engine, str(tag)) == digest else Standing.TO_WRITE


def _digest(engine: Engine, name: str) -> str:
    image = engine.image(name)
    return (image and image.repo_digest) or ""


def _is_made(engine: Engine, settings: Settings, one: Found, name: str) -> bool:
    """Whether what the engine's store has under a name is the list of exactly these members."""
    stored = _read(engine, settings, name)
    members = sorted((str(platform), digest) for platform, digest in one.members.items())
    # Attestations would make it another list: archway's members have none.
    return (
        stored is not None
        and stored.is_list
        and pairs(stored.manifest) == members
        and len(stored.manifest.manifests or ()) == len(members)
    )


def _read(engine: Engine, settings: Settings, name: str) -> Stored | None:
    """What the engine's store has under a name. To read it all of its layers must be saved, so it is kept by digest."""
    digest = _digest(engine, name)
    if not digest:
        return None
    kept = settings.state / "lists" / digest.replace(":", "-")
    if kept.is_file() and (stored := Stored(kept.read_bytes(), "")).digest == digest:
        return stored
    with scratch(settings.state, "list") as folder:
        archive = folder / "list.tar"
        engine.save(name, archive)
        with open_layout(archive) as layout:
            read = layout.get(layout.top)
        if read:
            (folder / "kept").write_bytes(read.data)
            kept.parent.mkdir(exist_ok=True)
            (folder / "kept").replace(kept)
    return read


def rehearse_all_local(engine: Engine, settings: Settings, lists: Sequence[Wanted]) -> list[Tagged]:
    """What :func:`join_all_local` would do; no name is changed.

    :raises MachineError: the engine cannot hold a list
    """
    require_lists(engine)
    return [tagged for wanted in lists for tagged in _rehearse(engine, settings, wanted)]


def _rehearse(engine: Engine, settings: Settings, wanted: Wanted) -> Iterator[Tagged]:
    try:
        found = find_members(engine, settings, wanted)
    except ListError as refused:
        for tag in (wanted.reference, *wanted.floating):
            yield Tagged(reference=tag, standing=Standing.MISSING, why=str(refused))
        return
    same = _is_made(engine, settings, found, str(wanted.reference))
    digest = _digest(engine, str(wanted.reference)) if same else ""
    yield Tagged(
        reference=wanted.reference, standing=Standing.ALREADY if same else Standing.TO_WRITE, digest=digest
    )  # fmt: skip
    for tag in wanted.floating:
        yield Tagged(reference=tag, standing=_standing(engine, tag, digest), digest=digest)
