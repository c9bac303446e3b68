"""What the probe reads of other programs' output."""

from __future__ import annotations

import json
import platform as host
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from archway.machine import apt, probe_docker, remedies
from archway.machine import probe as probing
from archway.machine.facts import Facts, RegistryPort, Source
from archway.machine.probe import listening, probe, read_sources
from archway.machine.probe_docker import read_info, read_platforms
from tests.unit.machines import Settings, machine, program

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads what only Linux has")

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


@pytest.mark.parametrize(
    "text",
    [
        "", "not json", "null", "[]", "1", '{"ClientInfo": []}', '{"ClientInfo": {"Plugins": [null, 1]}}',
        '{"ServerErrors": 1, "DriverStatus": [1], "ServerVersion": null, "Architecture": 7}',
    ],
)  # fmt: skip
def test_info_that_is_none(text: str) -> None:
    """What is no JSON, or not what Docker prints (an old client, another program), is no answering engine."""
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


@pytest.mark.parametrize("line", ["", "a|b", "u|f:1|bookworm|main|bookworm|De|bian|Debian"])
def test_sources_that_cannot_be_read(line: str) -> None:
    """A line with another number of columns is passed over."""
    assert read_sources(f"{line}\n") == ()


class _Handler(BaseHTTPRequestHandler):
    status: int
    speaks: str
    body: bytes

    def do_GET(self) -> None:
        self.send_response(self.status)
        self.send_header("Docker-Distribution-Api-Version", self.speaks)
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@pytest.mark.parametrize(
    ("status", "speaks", "body", "expected"),
    [
        (200, "registry/2.0", b"{}", RegistryPort.REGISTRY),
        (401, "registry/2.0", b"", RegistryPort.REGISTRY),
        (200, "", b"{}", RegistryPort.REGISTRY),
        (401, "", b'{"errors": []}', RegistryPort.REGISTRY),
        (200, "", b"<html>welcome</html>", RegistryPort.OTHER),
        (404, "", b'{"detail": "not found"}', RegistryPort.OTHER),
        (404, "", b"", RegistryPort.OTHER),
    ],
)
def test_registry(status: int, speaks: str, body: bytes, expected: RegistryPort) -> None:
    """A registry is known by its answer, even one that wants a login; a web server that answers anything is none."""
    handler = type("Handler", (_Handler,), {"status": status, "speaks": speaks, "body": body})
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        found = listening(server.server_address[1])

    assert expected == found


def test_no_registry() -> None:
    """A port where nothing listens is free for a registry."""
    with HTTPServer(("127.0.0.1", 0), _Handler) as server:
        port = server.server_address[1]

    assert listening(port) == RegistryPort.NOTHING


def test_probe_changes_nothing_and_does_not_fail(tmp_path: Path) -> None:
    """On whatever machine this test runs, the probe gives facts."""
    facts = probe(Settings(root=tmp_path))

    assert sys.platform == facts.system
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def bin_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder on PATH: no program of this machine is asked."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr(probing, "which", lambda name: str(folder / name) if (folder / name).exists() else None)
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    return folder


def probed(tmp_path: Path, files: dict[str, str | bytes]) -> Facts:
    return probe(Settings(root=tmp_path, registry="registry.example.org"), machine(tmp_path / "root", files))


@linux
def test_probe_of_an_empty_machine(tmp_path: Path, bin_folder: Path) -> None:
    """A machine without a single file or program gives facts."""
    facts = probed(tmp_path, {})

    assert (facts.distribution, facts.programs, facts.git) == ("", frozenset(), "")
    assert (facts.systemd, facts.keyring, facts.policy, facts.daemon_json, facts.daemon_lives) == (False,) * 5
    assert (facts.binfmt.supported, facts.binfmt.mounted, facts.mtu, facts.left_over) == (False, False, None, ())


@linux
def test_probe_reads_the_files(tmp_path: Path, bin_folder: Path) -> None:
    """The distribution, and each file that decides something, are read where they are."""
    facts = probed(
        tmp_path,
        {
            "/etc/os-release": 'ID=debian\nVERSION_CODENAME="bookworm"\n',
            "/run/systemd/system/x": "",
            apt.KEYRING: "",
            apt.POLICY: "#!/bin/sh\nexit 101\n",
            remedies.DAEMON_JSON: "{}",
            remedies.PID_FILE: "42",
            "/proc/42/comm": "dockerd\n",
            "/proc/filesystems": "nodev\tbinfmt_misc\n",
        },
    )

    assert (facts.distribution, facts.codename) == ("debian", "bookworm")
    assert (facts.systemd, facts.keyring, facts.policy, facts.daemon_json, facts.daemon_lives) == (True,) * 5
    assert facts.binfmt.supported


@linux
def test_daemon_that_is_another_program(tmp_path: Path, bin_folder: Path) -> None:
    """A pid file whose process is another program by now names no engine."""
    files: dict[str, str | bytes] = {remedies.PID_FILE: "42", "/proc/42/comm": "sshd\n"}

    assert not probed(tmp_path, files).daemon_lives


ROUTES = "Iface\tDestination\tGateway\neth0\t0011AC00\t0\neth1\t00000000\t010011AC\n"


@linux
@pytest.mark.parametrize(("mtu", "expected"), [("1400\n", 1400), ("1500\n", None), ("9000\n", None), ("", None)])
def test_mtu(tmp_path: Path, bin_folder: Path, mtu: str, expected: int | None) -> None:
    """The size of packets counts on the network that leads out, where it is smaller than usual."""
    files: dict[str, str | bytes] = {"/proc/net/route": ROUTES, "/sys/class/net/eth1/mtu": mtu}

    assert expected == probed(tmp_path, files).mtu


OURS = (apt.SOURCES_FILE, apt.NOTHING_ELSE)


@linux
@pytest.mark.parametrize(
    ("codename", "apt_names", "left_over"),
    [("bookworm", "bookworm", ()), ("bookworm", "trixie", OURS), ("bookworm", "", ()), ("trixie", "trixie", OURS)],
)
def test_left_over(tmp_path: Path, bin_folder: Path, codename: str, apt_names: str, left_over: tuple[str, ...]) -> None:
    """The pins are left over once Debian is newer, or its sources are and the pins hold it back."""
    named = f"http://mirror.example.org/|/etc/apt/sources.list:1|{apt_names}|main|{apt_names}|Debian|Debian"
    program(bin_folder, "apt-get", f"echo '{named if apt_names else ''}'")
    files: dict[str, str | bytes] = dict.fromkeys(OURS, "")
    facts = probed(tmp_path, {**files, "/etc/os-release": f"ID=debian\nVERSION_CODENAME={codename}\n"})

    assert left_over == facts.left_over


@linux
def test_left_over_policy(tmp_path: Path, bin_folder: Path) -> None:
    """A policy with archway's mark was left by an installation that was killed, and is nobody's policy."""
    facts = probed(tmp_path, {apt.POLICY: f"#!/bin/sh\n{apt.MARK}\nexit 101\n"})

    assert facts.left_over == (apt.POLICY,)
    assert not facts.policy


@linux
def test_what_cannot_be_seen_counts_as_there(tmp_path: Path, bin_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that this user may not enter is no error, and its files are not written as if they were not there."""

    def denied(path: Path) -> None:
        raise PermissionError(path)

    monkeypatch.setattr(Path, "lstat", denied)
    facts = probed(tmp_path, {})

    assert facts.daemon_json
    assert facts.policy


def test_docker_that_hangs(bin_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that gets no answer from a dead network is not waited for."""
    monkeypatch.setattr(probe_docker, "PATIENCE", 0.3)
    program(
        bin_folder, "docker", "case $1 in --version) echo Docker version 28.2.2, build x;; *) exec /bin/sleep 20;; esac"
    )
    started = time.monotonic()
    engine = probe_docker.read_engine(client=True)

    assert time.monotonic() - started < 5
    assert (engine.client, engine.server) == ("28.2.2", "")
    assert "no answer" in engine.complaint


def test_docker_of_another_architecture(bin_folder: Path) -> None:
    """A docker on PATH that cannot be executed is a client that says nothing."""
    (bin_folder / "docker").write_bytes(b"\x7fELF\x02\x01\x01" + bytes(60))
    (bin_folder / "docker").chmod(0o755)

    assert probe_docker.read_engine(client=True).client == ""


@linux
@pytest.mark.parametrize(("told", "package"), [("docker-ce-cli: /usr/bin/docker", "docker-ce-cli"), ("", "")])
def test_whose_client(tmp_path: Path, bin_folder: Path, told: str, package: str) -> None:
    """Where no engine answers, the package of the client is asked for; a client may be of none."""
    program(bin_folder, "docker", "test $1 = --version && echo Docker version 28.2.2, build x")
    program(bin_folder, "apt-get", "")
    program(bin_folder, "dpkg-query", f"echo '{told}'")
    facts = probed(tmp_path, {"/etc/os-release": "ID=debian\nVERSION_CODENAME=trixie\n"})

    assert package == facts.client_package


@linux
def test_switched_off(tmp_path: Path, bin_folder: Path) -> None:
    """systemd's word for an engine that somebody switched off is kept."""
    program(bin_folder, "dockerd", "")
    program(bin_folder, "systemctl", "echo disabled; exit 1")

    assert probed(tmp_path, {"/run/systemd/system/x": ""}).switched_off == "disabled"


@linux
def test_disk_of_the_monorepo(tmp_path: Path, bin_folder: Path) -> None:
    """The monorepo's disk is measured, unless it is the engine's."""
    assert probed(tmp_path, {}).free
    info = {
        "ServerVersion": "28",
        "KernelVersion": host.release(),
        "DockerRootDir": str(tmp_path),
        "Architecture": "x86_64",
    }
    program(
        bin_folder,
        "docker",
        f"case $1 in info) echo '{json.dumps(info)}';; context) echo unix:///run/docker.sock;; esac",
    )
    facts = probed(tmp_path, {})

    assert facts.engine.free
    assert facts.free is None
