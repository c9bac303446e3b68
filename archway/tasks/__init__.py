"""The tasks that Invoke runs. Each parses its options, calls one function and prints what that returns."""

from __future__ import annotations

from pathlib import Path

from invoke.collection import Collection

from archway.errors import ArchwayError
from archway.settings import defaults, find_root, read
from archway.tasks import build, images, inspect, manifest, openssl, promote, publish, registry, setup, test, verify


def namespace() -> Collection:
    """All tasks, with the monorepo's settings as Invoke's configuration under ``archway``."""
    collection = Collection(
        setup.setup, build.build, verify.verify, test.smoke, manifest.manifest, publish.publish, promote.promote,
        inspect.inspect, images.images, registry.registry,
        openssl.patch_openssl,
    )  # fmt: skip
    collection.configure({"archway": _configured()})
    return collection


def _configured() -> dict[str, str]:
    try:
        return read(find_root(Path.cwd()))
    except ArchwayError:
        # A task that needs them says what is wrong with the settings; the list of tasks does not need them.
        return defaults()
