"""What is read from ``cargo metadata``: packages, and which of them owns the binaries."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cargo_image.cargo import Metadata, parse_metadata, resolve
from cargo_image.errors import CargoImageError
from cargo_image.project import Project

ROOT = Path("/source")


def package(name: str, *binaries: str, folder: str = "", **more: Any) -> dict[str, Any]:
    """A package as Cargo prints it. A binary ``name:feature`` requires the feature."""
    targets = [
        {"name": word.partition(":")[0], "kind": ["bin"], "src_path": f"/source/{name}/src/main.rs",
         "required-features": list(filter(None, [word.partition(":")[2]]))}
        for word in binaries
    ]  # fmt: skip
    library = {"name": name, "kind": ["lib"], "src_path": f"/source/{name}/src/lib.rs"}
    return {
        "name": name, "version": "0.1.0", "id": f"path+file:///source/{name}#0.1.0", "source": None, "links": None,
        "manifest_path": f"/source/{folder or name}/Cargo.toml", "features": {}, "dependencies": [],
        "targets": targets or [library], **more,
    }  # fmt: skip


def found(*packages: dict[str, Any], chosen: tuple[str, ...] = (), **project: Any) -> Metadata:
    said = {
        "packages": packages,
        "workspace_root": "/source",
        "workspace_members": [one["id"] for one in packages],
        "workspace_default_members": [one["id"] for one in packages if not chosen or one["name"] in chosen],
    }
    return parse_metadata(json.dumps(said), Project(folder=project.pop("folder", ROOT), **project))


def test_the_only_package_with_binaries_owns_them() -> None:
    """Libraries of a workspace do not count."""
    assert found(package("client"), package("operator", "operator")).owner().name == "operator"


def test_several_packages_with_binaries_are_refused() -> None:
    """Where two could be meant, both are named."""
    with pytest.raises(CargoImageError, match="several packages have binaries\n  these have: operator, tool"):
        found(package("operator", "operator"), package("tool", "tool")).owner()


def test_a_named_package_owns_the_binaries() -> None:
    """The project's word decides."""
    packages = (package("operator", "operator"), package("tool", "tool"))

    assert found(*packages, package="tool").owner().name == "tool"
    assert found(*packages).owner("operator").name == "operator"


def test_a_package_that_is_not_there_gets_a_near_name() -> None:
    """A slip of the pen is met with what was meant."""
    with pytest.raises(CargoImageError, match=r"no package oprator\n  there is: operator$"):
        found(package("operator", "operator"), package("tool", "tool"), package="oprator").owner()


def test_named_binaries_tell_the_package() -> None:
    """Of several packages the one that has all the named binaries is meant."""
    packages = (package("operator", "operator", "crd"), package("tool", "tool"))

    assert found(*packages, binaries=("crd",)).owner().name == "operator"


def test_binaries_that_no_package_has_are_refused() -> None:
    """Their names are told."""
    with pytest.raises(CargoImageError, match="no package has the binaries nope"):
        found(package("operator", "operator"), binaries=("nope",)).owner()


def test_libraries_alone_are_refused() -> None:
    """A project without a program makes no image."""
    with pytest.raises(CargoImageError, match="no package has a binary"):
        found(package("client")).owner()


def test_the_folders_own_package_goes_before_others() -> None:
    """As with ``cargo build``, a package that is the workspace's root is meant before its members."""
    packages = (package("tool", "tool"), package("operator", "operator", folder="."))

    assert found(*packages).owner().name == "operator"


def test_default_members_go_before_others() -> None:
    """What the workspace names as ``default-members`` is meant before the rest."""
    packages = (package("tool", "tool"), package("operator", "operator"))

    assert found(*packages, chosen=("operator",)).owner().name == "operator"


def test_features_switch_others_on() -> None:
    """What the project asks for counts, also with the package before it, and what that asks for."""
    one = package("operator", "operator", features={"default": ["more"], "full": ["tracing"], "tracing": []})

    def enabled(**project: Any) -> set[str]:
        made = found(one, **project)
        return made.owner().enabled(made.project)

    assert enabled() == {"default", "more"}
    assert enabled(default_features=False) == set()
    assert enabled(features=("operator/full",)) == {"default", "more", "full", "tracing"}


def test_a_resolved_project_names_its_package() -> None:
    """All commands of Cargo then mean the same package."""
    metadata = found(package("client"), package("operator", "operator"), features=("x",))

    resolved = resolve(metadata.project, metadata)

    assert resolved == Project(folder=ROOT, package="operator", features=("x",))


def test_entries_tell_their_name_and_place() -> None:
    """A renamed entry keeps both names; kind and target are those of its table."""
    entry = {
        "name": "openssl-sys", "rename": "crypto", "kind": None, "target": "cfg(unix)", "features": ["vendored"],
        "source": None, "path": "/source/sys",
    }  # fmt: skip

    (read,) = found(package("operator", "operator", dependencies=[entry])).owner().dependencies

    assert (read.key, read.package, read.kind, read.target) == ("crypto", "openssl-sys", "normal", "cfg(unix)")
    assert (read.features, read.source, read.path) == (("vendored",), "", "/source/sys")
