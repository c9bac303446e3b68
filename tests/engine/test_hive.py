"""What the README promises: Hive for both platforms, by one command, and nothing of the build machine in it.

The one build that all these tests look at is made behind a mirror and with a certificate authority that can be told
from all others, so that any trace of them can be found.
"""

from __future__ import annotations

import gzip
import json
import re
import subprocess
import tarfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import IO, Any
from urllib.parse import urlsplit

import pytest

from archway.engine import Engine
from archway.platforms import Platform
from archway.settings import load
from tests.engine.hive import Built
from tests.engine.run import REPOSITORY


def test_builds_for_both_platforms_and_says_how(hive: Built, engine: Engine, foreign: Platform) -> None:
    """One command builds hive natively and for the other platform, the other one without emulation."""
    for platform, strategy in ((engine.platform, "native"), (foreign, "cross")):
        image = engine.image(hive.name("hive", platform))

        assert image is not None
        assert image.platform == platform
        assert image.labels["dev.archway.strategy"] == strategy


def test_second_build_costs_nothing(hive: Built) -> None:
    """A second build of the same targets finds all up to date, in less than two seconds a target."""
    started = time.monotonic()
    outcomes = hive("build")

    assert [outcome["built"] for outcome in outcomes] == [False, False]
    assert time.monotonic() - started < 4


def test_verify_proves_both(hive: Built) -> None:
    """The images that were built hold ELF files and archives, and nothing that a rule forbids; nor do their
    Dockerfiles, and the list that they make."""
    reports = hive("verify")
    images = [report for report in reports if report["subject"] == "image"]

    assert [report for report in reports if not report["ok"]] == []
    assert {report["subject"] for report in reports} == {"Dockerfile", "image", "list"}
    assert sorted(report["platform"] for report in images) == ["linux/amd64", "linux/arm64"]
    assert all(report["elf_files"] > 100 and report["archives"] > 100 for report in images)


def test_metastore_works_on_both(hive: Built) -> None:
    """The metastore creates and lists a database on both platforms, one of them under QEMU; so do the tests of what
    it stands on."""
    results = hive("test")

    assert all(result["passed"] for result in results), results
    assert [result["test"] for result in results] == ["base", "java-base", "hive"] * 2
    assert all(result["ready"] > 0 for result in results if result["test"] == "hive")


def config_of(reference: str) -> dict[str, Any]:
    done = subprocess.run(["docker", "image", "inspect", reference], capture_output=True, text=True, check=True)
    config = json.loads(done.stdout)[0]["Config"]
    assert isinstance(config, dict)
    return config


def test_image_is_fit_to_be_shipped(hive: Built, foreign: Platform) -> None:
    """It has a user of its own, by number as Kubernetes wants it, an init process, and the OCI labels."""
    config = config_of(hive.name("hive", foreign))

    assert config["User"] == "10001:10001"
    assert config["Entrypoint"][0] == "tini"
    labels = config["Labels"]
    for key in ("title", "description", "version", "revision", "licenses", "created", "base.name"):
        assert labels.get(f"org.opencontainers.image.{key}"), key
    assert "java-base" in labels["org.opencontainers.image.base.name"]


@dataclass(frozen=True, kw_only=True)
class Content:
    """All that an image consists of: configuration, and each file of each layer, also those that a later one hides."""

    files: Mapping[str, bytes]

    @classmethod
    def of(cls, name: str) -> Content:
        with subprocess.Popen(["docker", "image", "save", name], stdout=subprocess.PIPE) as saving:
            assert saving.stdout
            files = dict(_members(saving.stdout))
        assert saving.returncode == 0
        inner = {}
        for blob, data in files.items():
            for path, content in _layer(data):
                inner[f"{blob}!{path}"] = content
        return cls(files={**{blob: data for blob, data in files.items() if not _is_layer(data)}, **inner})

    def below(self, folder: str) -> dict[str, bytes]:
        """The files of one folder, by path."""
        found = {name.partition("!")[2].removeprefix("./"): content for name, content in self.files.items()}
        return {path: content for path, content in found.items() if path.startswith(f"{folder}/")}

    def holding(self, trace: bytes) -> list[str]:
        """The files that hold something, in their names or in themselves."""
        return [name for name, content in self.files.items() if trace in content or trace in name.encode()]


def _is_layer(data: bytes) -> bool:
    return data[:2] == b"\x1f\x8b" or data[257:262] == b"ustar"


def _layer(data: bytes) -> Iterator[tuple[str, bytes]]:
    if data[:2] == b"\x1f\x8b":
        data = gzip.decompress(data)
    if _is_layer(data):
        yield from _members(BytesIO(data))


def _members(stream: IO[bytes]) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(fileobj=stream, mode="r|") as archive:
        for member in archive:
            file = archive.extractfile(member) if member.isreg() else None
            yield member.name, file.read() if file else b""


@pytest.fixture(scope="session")
def contents(hive: Built, engine: Engine, foreign: Platform) -> Mapping[str, Content]:
    """What base and hive consist of, for both platforms."""
    names = [hive.name(image, platform) for image in ("base", "hive") for platform in (engine.platform, foreign)]
    return {name: Content.of(name) for name in names}


def test_contents_are_really_read(contents: Mapping[str, Content]) -> None:
    """What the next tests do not find would be found if it were there: they look into layers, and at every file."""
    for name, content in contents.items():
        assert content.holding(b"PRETTY_NAME="), name
        assert len(content.below("usr/bin")) > 100, name
        assert content.holding(b"-----BEGIN CERTIFICATE-----"), name


def test_mirror_and_authority_of_the_build_machine_are_not_shipped(
    hive: Built, contents: Mapping[str, Content]
) -> None:
    """Neither the build machine's mirror nor its certificate authority is in any layer, label or instruction."""
    found = {
        (name, meaning): paths
        for name, content in contents.items()
        for meaning, trace in hive.markers.traces.items()
        if (paths := content.holding(trace))
    }

    assert found == {}


def test_package_sources_are_those_of_debian(hive: Built, contents: Mapping[str, Content]) -> None:
    """apt in the images knows Debian's own sources and nothing else, and has no setting of the build machine."""
    for name, content in contents.items():
        apt = content.below("etc/apt")
        sources = [path for path in apt if "sources" in path and apt[path]]
        assert sources == ["etc/apt/sources.list.d/debian.sources"], name
        hosts = {urlsplit(uri).hostname for uri in re.findall(rb"^URIs: (\S+)", apt[sources[0]], re.MULTILINE)}
        if hive.markers.mirror.encode() not in hosts:
            assert content.holding(f"//{hive.markers.mirror}/".encode()) == [], name
        settings = b"".join(text for path, text in apt.items() if path.startswith("etc/apt/apt.conf"))
        assert not re.search(rb"(?i)acquire|proxy|/run/secrets|/tmp/", settings), name


def test_nothing_of_the_build_is_shipped(contents: Mapping[str, Content]) -> None:
    """No package lists, packages, caches, logs, secrets or traces of Java are in any layer."""
    for name, content in contents.items():
        for folder in ("var/lib/apt/lists", "var/cache/apt", "root/.m2", "run/secrets", "var/log", "tmp", "var/tmp",
                       "usr/local/share/ca-certificates"):  # fmt: skip
            assert [path for path, data in content.below(folder).items() if data] == [], (name, folder)
        assert [path for path in content.files if path.endswith(".deb") or "hsperfdata" in path] == [], name


def test_trusted_authorities_are_those_of_debian(hive: Built, engine: Engine) -> None:
    """The bundle of certificate authorities, and Java's key store, hold as many as Debian has, and no more."""
    script = """
        find /usr/share/ca-certificates -name '*.crt' | wc -l
        grep -c 'BEGIN CERTIFICATE' /etc/ssl/certs/ca-certificates.crt
        keytool -list -cacerts -storepass changeit | grep -c trustedCertEntry
        """
    done = subprocess.run(
        ["docker", "run", "--rm", "--entrypoint", "sh", hive.name("hive", engine.platform), "-c", script],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    debian, bundle, java = done.stdout.split()

    assert int(debian) > 100
    assert bundle == debian
    assert java == debian


def test_jars_do_not_depend_on_the_machine_that_builds(hive: Built, engine: Engine, foreign: Platform) -> None:
    """Maven chooses the same jars on a machine of the other kind, although Hadoop's POM asks for the processor."""
    processor = {"amd64": "amd64", "arm64": "aarch64"}[foreign.architecture]
    store = load(REPOSITORY).secrets().get("ca")
    authorities = ["--volume", f"{store}:/run/secrets/ca:ro"] if store else []
    done = subprocess.run(
        ["docker", "run", "--rm", "--volume", f"{REPOSITORY}/products/hive:/hive:ro", *authorities,
         "--env", f"JAVA_TOOL_OPTIONS=-Dos.arch={processor}", "--env", "HIVE_VERSION=4.0.1",
         "--env", "HADOOP_VERSION=3.4.3", hive.name("java-builder", engine.platform),
         "maven-fetch", "/hive/pom.xml", "/hive/maven-4.0.1.sha256", "/tmp/jars"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
