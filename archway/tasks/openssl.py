"""``inv patch-openssl``."""

from __future__ import annotations

from invoke.context import Context

from archway.tasks.common import task


@task(
    name="patch-openssl",
    iterable=["operator"],
    help={
        "operator": "an operator, NAME or NAME=VERSION; all Rust images if neither this nor --path is given",
        "path": "a folder with a Cargo.toml that is no image",
        "package": "with --path: the package of a workspace that owns the binaries",
        "arch": "platforms: arm64, amd64,arm64, native or all (the default)",
        "check": "end with exit code 1 if a project is not vendored by its own files",
        "diff": "print the change that would be made",
        "write": "make the change in the project's own Cargo.toml and Cargo.lock",
        "undo": "take the change back; with --diff or --write",
        "json": "print the verdicts as JSON",
    },
)
def patch_openssl(
    context: Context,
    operator: list[str],
    path: str = "",
    package: str = "",
    arch: str = "all",
    check: bool = False,
    diff: bool = False,
    write: bool = False,
    undo: bool = False,
    json: bool = False,
) -> None:
    """Tell whether OpenSSL has to be vendored in Rust programs, through which crate, and do it in their files.

    Builds do it by themselves in a copy. Example: inv patch-openssl --operator kafka --diff
    """
    from archway.openssl_request import OpensslRequest
    from archway.report_openssl import print_answers
    from archway.tasks.workplace import Workplace

    request = OpensslRequest(
        operators=tuple(operator), path=path, package=package, arch=arch, check=check, diff=diff, write=write,
        undo=undo, json=json,
    )  # fmt: skip
    place = Workplace.of(context)
    print_answers(request, request.answers(place.engine, place.settings, place.catalog))
