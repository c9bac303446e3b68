"""What the names of images from elsewhere stand for: asked of their registries, or of the engine."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Thread

from archway.catalog import Catalog
from archway.distribution import PlatformWords, Repository, Stored
from archway.engine import Engine
from archway.errors import ArchwayError, ListError, RegistryError
from archway.inspection import inspect
from archway.lists import images_of
from archway.platforms import Platform
from archway.references import Reference, is_registry
from archway.remote import repository_of
from archway.settings import Settings

PATIENCE = 15.0
"""Seconds for all look-ups together: who is offline shall not wait for every retry, and a build asks again."""
_AT_ONCE = 8
_DEEPEST = 3
"""So many lists in lists are opened."""
_SHOWN = 12

# What others write for the same, and the variants that the platform of archway's can run.
_SAME = {"x86_64": ("amd64", ""), "x86-64": ("amd64", ""), "aarch64": ("arm64", ""), "armhf": ("arm", "v7"),
         "armel": ("arm", "v6")}  # fmt: skip
_VARIANTS = {"amd64": {"", "v1"}, "arm64": {"", "8", "v8"}, "arm": {"", "5", "6", "7", "v5", "v6", "v7"}}


def serves(words: PlatformWords, wanted: Platform) -> bool:
    """Whether BuildKit takes an image of some platform for a wanted one, and rightly so.

    It asks containerd's ``platforms.Only`` (https://github.com/containerd/platforms, compare.go and database.go), so
    that arm/v6 and arm/v5 do for arm/v7, and arm without a variant is v7. That also takes 386 for amd64, and arm for
    arm64: images of another architecture than their label will say, which are wrong here.
    """
    architecture, variant = words.architecture.lower(), words.variant.lower()
    architecture, variant = _SAME.get(architecture, (architecture, variant))
    fits = variant in _VARIANTS.get(wanted.architecture, {wanted.variant})
    return (words.os.lower() or "linux", architecture) == (wanted.os, wanted.architecture) and fits


@dataclass(frozen=True, kw_only=True, slots=True)
class Offer:
    """What a name stands for.

    :ivar members: the digests that a list names; None for a single image
    :ivar is_local: the engine has it, and not the registry
    """

    digest: str
    platforms: tuple[PlatformWords, ...]
    members: frozenset[str] | None = None
    is_local: bool = False

    def lacks(self, wanted: Sequence[Platform]) -> list[Platform]:
        """The wanted platforms that it is not for."""
        return [platform for platform in wanted if not any(serves(words, platform) for words in self.platforms)]

    def __str__(self) -> str:
        names = list(dict.fromkeys(filter(None, map(str, self.platforms))))
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        return (", ".join(names[:_SHOWN]) or "no platform") + more


@dataclass(frozen=True, kw_only=True, slots=True)
class Missing:
    """The registry does not have it, and perhaps not even the repository. ``near`` is a hint."""

    repository: bool
    near: str = ""


Answer = Offer | Missing | ArchwayError
Local = Callable[[Reference, Sequence[Platform]], Sequence[str]]
"""The platforms of the engine's own image; none if it has none. It need not look further than for those wanted."""


def read_name(text: str) -> tuple[Reference, Reference | None]:
    """The image of a name as Docker reads it: ``debian`` is Docker Hub's. Beside a digest, the tag is the second.

    :raises UsageError: it is no name
    """
    first, slash, rest = text.partition("/")
    host, path = (first, rest) if slash and is_registry(first) else ("docker.io", text)
    whole = f"{'docker.io' if host == 'index.docker.io' else host}/{path}"
    tag, digest, _ = whole.partition("@")
    both = digest and ":" in tag.rpartition("/")[2]
    return Reference.parse(whole), Reference.parse(tag) if both else None


def ask(
    settings: Settings, wanted: Mapping[Reference, Sequence[Platform]], *, patience: float
) -> dict[Reference, Answer]:
    """Ask registries for images, several at once.

    :param wanted: with the platforms, for which it is looked no further than it has to be
    :param patience: seconds until those that are not answered count as not answering
    """
    end = time.monotonic() + patience
    waiting: SimpleQueue[tuple[Repository, Reference, Future[Answer]]] = SimpleQueue()
    futures: dict[Reference, Future[Answer]] = {}
    for reference in wanted:
        futures[reference] = Future()
        waiting.put((repository_of(settings, reference), reference, futures[reference]))

    def serve() -> None:
        while time.monotonic() < end:
            try:
                repository, reference, future = waiting.get_nowait()
            except Empty:
                return
            try:
                future.set_result(_look(repository, reference, wanted[reference]))
            except BaseException as bug:
                future.set_exception(bug)

    # Not a pool of the standard library: the program's end would wait for its threads.
    for _ in range(min(_AT_ONCE, len(futures))):
        Thread(target=serve, daemon=True).start()
    done, _ = wait(futures.values(), timeout=max(0.0, patience))
    late = RegistryError("the registry does not answer in time", why=f"not within {PATIENCE:g} s", passing=True)
    return {reference: future.result() if future in done else late for reference, future in futures.items()}


def _look(repository: Repository, reference: Reference, wanted: Sequence[Platform]) -> Answer:
    try:
        stored = repository.get(reference.tag)
        if stored is None:
            return _missing(repository, reference)
        entries = stored.manifest.manifests
        return Offer(
            digest=stored.digest,
            platforms=_platforms(repository, stored, wanted),
            members=frozenset(entry.digest for entry in entries) if entries is not None else None,
        )
    except RegistryError as failed:
        return failed


def _missing(repository: Repository, reference: Reference) -> Missing:
    near = "" if ":" in reference.tag else repository.nearest_tag(reference.tag)
    try:
        return Missing(repository=bool(near or repository.tags()), near=near)
    except RegistryError:
        return Missing(repository=True)


def _platforms(
    repository: Repository, stored: Stored, wanted: Sequence[Platform], depth: int = 0
) -> tuple[PlatformWords, ...]:
    """What it is for. Of entries that say nothing, BuildKit takes the first, if no other does, be it a list again."""
    where = f"{repository}@{stored.digest}"
    if not stored.is_list:
        config = repository.config(stored)
        if not config.architecture:
            raise RegistryError("is no image: its configuration names no platform", where=where)
        return (PlatformWords(os=config.os, architecture=config.architecture, variant=config.variant),)
    entries = images_of(stored.manifest)
    found = Offer(digest="", platforms=tuple(entry.platform for entry in entries if entry.platform))
    silent = next((entry for entry in entries if entry.platform is None), None)
    if silent is None or not found.lacks(wanted):
        return found.platforms
    if depth == _DEEPEST:
        raise RegistryError("lists in lists, without end", where=where)
    inner = repository.get(silent.digest)
    if inner is None:
        raise RegistryError(f"names {silent.digest}, which is not there", where=where)
    return (*found.platforms, *_platforms(repository, inner, wanted, depth + 1))


def in_engine(engine: Engine, catalog: Catalog) -> Local:
    """What the engine has. With the containerd image store that may be a list, which is read if it has to be."""

    def platforms(reference: Reference, wanted: Sequence[Platform]) -> Sequence[str]:
        found = engine.image(str(reference)) if engine.answers else None
        if found is None:
            return ()
        if list(wanted) == [found.platform] or not engine.holds_lists:
            return (str(found.platform or "unknown"),)
        try:
            rows = inspect(engine, catalog.settings, catalog, reference, local=True).rows
        except (ListError, RegistryError):  # removed meanwhile, or only parts of it are there
            return (str(found.platform or "unknown"),)
        return tuple(row.platform for row in rows)

    return platforms


def local_offer(platforms: Sequence[str]) -> Offer | None:
    """What the engine's own image is an offer of."""
    words = [dict(zip(("os", "architecture", "variant"), text.split("/"), strict=False)) for text in platforms]
    found = tuple(PlatformWords(**word) for word in words)
    return Offer(digest="", platforms=found, is_local=True) if found else None
