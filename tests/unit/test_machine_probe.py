"""What the probe reads of other programs' output."""

from __future__ import annotations

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from archway.machine.facts import RegistryPort, Source
from archway.machine.probe import _registry, is_static, probe, read_info, read_platforms, read_sources
from tests.unit.machines import Settings

CLIENT = {"Context": "default", "Plugins": [{"Name": "buildx", "Version": "0.13.1+ds1"}]}
NAMED = "Docker version 28.2.2, build e6534b4"


def test_info_of_an_engine() -> None:
    """An answer of the engine is read: versions, kernel, image store, folder."""
    info = {
        "ServerVersion": "26.1.5+dfsg1",
        "DriverStatus": [["driver-type", "io.containerd.snapshotter.v1"]],
        "OperatingSystem": "Debian GNU/Linux 12 (bookworm)",
        "KernelVersion": "6.12",
        "Architecture": "x86_64",
        "DockerRootDir": "/var/lib/docker",
        "ClientInfo": CLIENT,
    }
    engine = read_info(json.dumps(info), endpoint="unix:///var/run/docker.sock", named=NAMED, complaint="")

    assert (engine.client, engine.buildx, engine.server) == ("28.2.2", "0.13.1+ds1", "26.1.5+dfsg1")
    assert engine.containerd_store
    assert (engine.kernel, engine.architecture, engine.folder) == ("6.12", "x86_64", "/var/lib/docker")


def test_info_without_an_engine() -> None:
    """Without an engine the client still tells its plugins, and why there is no answer."""
    info = {"DriverStatus": None, "ServerVersion": "", "ServerErrors": ["permission denied"], "ClientInfo": CLIENT}
    engine = read_info(json.dumps(info), endpoint="e", named=NAMED, complaint="")

    assert (engine.buildx, engine.server, engine.complaint) == ("0.13.1+ds1", "", "permission denied")


@pytest.mark.parametrize("text", ["", "not json"])
def test_info_that_is_none(text: str) -> None:
    """What is no JSON (an old client, another program) is an engine that does not answer."""
    engine = read_info(text, endpoint="e", named="podman version 4.3.1", complaint="broken")

    assert (engine.client, engine.server, engine.complaint) == ("podman version 4.3.1", "", "broken")


def test_platforms() -> None:
    """The platforms are those of the line that lists them; a star marks the user's own."""
    text = "Name:  default\nStatus: running\nPlatforms:        linux/arm64, linux/amd64*, linux/arm/v7\nLabels:\n"

    assert read_platforms(text) == ("linux/arm64", "linux/amd64", "linux/arm/v7")


def test_sources() -> None:
    """Package sources are read once each, whatever lists apt has for them."""
    line = "http://mirror.example.org/debian/|/etc/apt/sources.list:1|bookworm|main|bookworm|Debian|Debian\n"
    expected = Source(
        uri="http://mirror.example.org/debian/", file="/etc/apt/sources.list", release="bookworm", component="main",
        codename="bookworm", origin="Debian", label="Debian",
    )  # fmt: skip

    assert (expected,) == read_sources(line * 2)


def test_sources_before_the_first_update() -> None:
    """Columns that apt does not know yet stay as they were asked for, and are read as empty."""
    text = "http://mirror.example.org/debian/|/etc/apt/sources.list:1|bookworm|main|$(CODENAME)|$(ORIGIN)|$(LABEL)\n"
    (source,) = read_sources(text)

    assert (source.release, source.codename, source.origin, source.label) == ("bookworm", "", "", "")


def test_is_static(tmp_path: Path) -> None:
    """A program that asks for a loader is not static, and what is no program neither."""
    text = tmp_path / "text"
    text.write_text("#!/bin/sh\n")

    assert not is_static(text)
    assert not is_static(tmp_path / "missing")
    if sys.platform == "linux":
        assert not is_static(Path("/bin/sh").resolve())


class _Handler(BaseHTTPRequestHandler):
    speaks: str

    def do_GET(self) -> None:
        self.send_response(401 if self.speaks else 404)
        self.send_header("Docker-Distribution-Api-Version", self.speaks)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@pytest.mark.parametrize(("speaks", "expected"), [("registry/2.0", RegistryPort.REGISTRY), ("", RegistryPort.OTHER)])
def test_registry(speaks: str, expected: RegistryPort) -> None:
    """A registry is known by its answer, even one that wants a login; another web server is not one."""
    with HTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"speaks": speaks})) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        found = _registry(server.server_address[1])

    assert expected == found


def test_no_registry() -> None:
    """A port where nothing listens is free for a registry."""
    with HTTPServer(("127.0.0.1", 0), _Handler) as server:
        port = server.server_address[1]

    assert _registry(port) == RegistryPort.NOTHING


def test_probe_changes_nothing_and_does_not_fail(tmp_path: Path) -> None:
    """On whatever machine this test runs, the probe gives facts."""
    facts = probe(Settings(root=tmp_path))

    assert sys.platform == facts.system
    assert list(tmp_path.iterdir()) == []
