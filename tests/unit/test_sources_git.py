"""Sources that are commits of git repositories: local ones, served as files, by git's daemon and by http."""

from __future__ import annotations

import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from archway.catalog import Image
from archway.engine import Engine
from archway.errors import (
    ArchwayError,
    BuildError,
    ChecksumError,
    MachineError,
    MetadataError,
    NoSpaceError,
    PackageSourceError,
)
from archway.metadata_cargo import Source
from archway.process import descendants, end
from archway.settings import Settings
from archway.sources import fetch, git_command, identity
from archway.sources.git_command import GitError, cause
from archway.sources.place import Place
from tests.monorepo import Monorepo


class Upstream:
    """Somebody's repository: Cargo.toml, a program that may be run, a link, and version 1 in a file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        self.git("init", "--quiet", "--initial-branch=main")
        self.write("Cargo.toml", "[package]\n")
        self.write("run", "#!/bin/sh\r\n").chmod(0o755)
        (folder / "link").symlink_to("Cargo.toml")
        self.first = self.commit("1")

    @property
    def url(self) -> str:
        return f"file://{self.folder}"

    def git(self, *words: str) -> str:
        who = ("-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "protocol.file.allow=always")
        done = subprocess.run(["git", *who, *words], cwd=self.folder, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(text.encode())
        return path

    def commit(self, version: str) -> str:
        self.write("version", version)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", version)
        return self.git("rev-parse", "HEAD")


@pytest.fixture(autouse=True)
def _nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whoever runs the tests has configured nothing."""
    for name, value in {
        "HOME": tmp_path,
        "GIT_CONFIG_GLOBAL": tmp_path / "gitconfig",
        "GIT_CONFIG_NOSYSTEM": 1,
    }.items():
        monkeypatch.setenv(name, str(value))


@pytest.fixture
def upstream(tmp_path: Path) -> Upstream:
    return Upstream(tmp_path / "upstream")


Get = Callable[..., Path]


@pytest.fixture
def get(tmp_path: Path) -> Get:
    """Fetches a source as image.toml names it."""

    def get(**keys: str) -> Path:
        settings, image, source = declared(tmp_path / "monorepo", **keys)
        return fetch(Engine(), settings, source, image)

    return get


def declared(root: Path, **keys: str) -> tuple[Settings, Image, Source]:
    lines = "".join(f"{key} = '{value}'\n" for key, value in keys.items())
    monorepo = Monorepo(root)
    monorepo.image("products/x", "FROM base\n", releases=f'[[release]]\nversion = "1"\n[release.source]\n{lines}')
    image = monorepo.catalog.image("x")
    source = image.releases[0].source
    assert source is not None
    return monorepo.catalog.settings, image, source


def scratch(root: Path) -> list[Path]:
    return list((root / "monorepo/.archway/scratch").iterdir())


def test_commit_is_fetched_whole(upstream: Upstream, get: Get, tmp_path: Path) -> None:
    """The files of a commit come as they are in it, with their modes and links, without anything of git."""
    upstream.commit("2")

    found = get(git=upstream.url, commit=upstream.first)

    assert sorted(path.name for path in found.iterdir()) == ["Cargo.toml", "link", "run", "version"]
    assert (found / "version").read_text() == "1"
    assert (found / "run").read_bytes() == b"#!/bin/sh\r\n"
    assert (found / "run").stat().st_mode & 0o111
    assert str((found / "link").readlink()) == "Cargo.toml"
    assert scratch(tmp_path) == []


def test_user_configuration_changes_no_file(upstream: Upstream, get: Get, tmp_path: Path) -> None:
    """Line ends, filters and hooks that a user has configured change nothing."""
    (tmp_path / "hooks").mkdir()
    hook = tmp_path / "hooks/post-checkout"
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/hooked\n")
    hook.chmod(0o755)
    (tmp_path / "attributes").write_text("* text filter=loud\n")
    (tmp_path / "gitconfig").write_text(
        f"[core]\nautocrlf = true\nattributesFile = {tmp_path}/attributes\nhooksPath = {tmp_path}/hooks\n"
        '[filter "loud"]\nsmudge = tr a-z A-Z\n'
    )

    found = get(git=upstream.url, commit=upstream.first)

    assert (found / "Cargo.toml").read_bytes() == b"[package]\n"
    assert not (tmp_path / "hooked").exists()


def test_second_time_nothing_is_fetched(upstream: Upstream, get: Get) -> None:
    """A commit that was fetched is there, also when its repository is not any more."""
    first = get(git=upstream.url, commit=upstream.first)
    upstream.folder.rename(upstream.folder.with_name("elsewhere"))

    assert get(git=upstream.url, commit=upstream.first) == first


def test_changed_files_are_fetched_again(upstream: Upstream, get: Get, capsys: pytest.CaptureFixture[str]) -> None:
    """What was kept and then changed by hand is not taken for what was fetched."""
    found = get(git=upstream.url, commit=upstream.first)
    (found / "version").write_text("mine")

    again = get(git=upstream.url, commit=upstream.first)

    assert (again / "version").read_text() == "1"
    assert "was changed since it was fetched" in capsys.readouterr().err


@pytest.mark.parametrize("annotated", [[], ["--annotate", "--message", "one"]], ids=["light", "annotated"])
def test_tag_and_commit_belong_together(upstream: Upstream, get: Get, annotated: list[str]) -> None:
    """A tag, with a message or without, is fetched when it leads to the commit."""
    upstream.git("tag", *annotated, "v1")
    upstream.commit("2")

    assert (get(git=upstream.url, tag="v1", commit=upstream.first) / "version").read_text() == "1"


def test_moved_tag_is_refused_with_both_commits(upstream: Upstream, get: Get, tmp_path: Path) -> None:
    """A tag that leads to another commit than the pinned one is told with both, and nothing is kept."""
    second = upstream.commit("2")
    upstream.git("tag", "v1")

    with pytest.raises(ChecksumError, match="leads to another commit") as refused:
        get(git=upstream.url, tag="v1", commit=upstream.first)

    assert f"image.toml has {upstream.first}" in refused.value.why
    assert f"the tag is now {second}" in refused.value.why
    assert refused.value.where == "products/x/image.toml:8"
    assert not (tmp_path / "monorepo/.archway/sources").exists()


def test_other_tag_is_proven_again(upstream: Upstream, get: Get) -> None:
    """A commit that was fetched under one tag says nothing about another tag."""
    upstream.git("tag", "v1")
    get(git=upstream.url, tag="v1", commit=upstream.first)
    upstream.commit("2")
    upstream.git("tag", "v2")

    with pytest.raises(ChecksumError):
        get(git=upstream.url, tag="v2", commit=upstream.first)


def test_id_of_the_tag_is_no_commit(upstream: Upstream, get: Get) -> None:
    """Who pins the id of an annotated tag is told the commit's."""
    upstream.git("tag", "--annotate", "--message", "one", "v1")
    own = upstream.git("rev-parse", "v1")

    with pytest.raises(MetadataError, match="tag's own id") as refused:
        get(git=upstream.url, tag="v1", commit=own)
    with pytest.raises(MetadataError, match="has no commit") as alone:
        get(git=upstream.url, commit=own)

    assert f'commit = "{upstream.first}"' in refused.value.hint
    assert alone.value.why == "it is a tag"


def test_missing_commit_is_told_to_paste(upstream: Upstream, get: Get) -> None:
    """Without a commit the message has the line to write, with the commit that the tag leads to."""
    upstream.git("tag", "--annotate", "--message", "one", "v1")

    with pytest.raises(MetadataError, match="not pinned") as refused:
        get(git=upstream.url, tag="v1")

    assert refused.value.hint.endswith(f'commit = "{upstream.first}"')


@pytest.mark.parametrize("commit", [{}, {"commit": "0" * 40}], ids=["without commit", "with commit"])
def test_tag_that_does_not_exist(upstream: Upstream, get: Get, commit: dict[str, str]) -> None:
    """A tag that is nearly right gets the right one told."""
    upstream.git("tag", "v1.0.0")

    with pytest.raises(MetadataError, match=r"has no tag v1\.0\n") as refused:
        get(git=upstream.url, tag="v1.0", **commit)

    assert refused.value.hint == "did you mean v1.0.0?"


def test_commit_that_does_not_exist(upstream: Upstream, get: Get) -> None:
    """A commit that no branch and no tag leads to is a mistake of image.toml."""
    with pytest.raises(MetadataError, match="has no commit 000") as refused:
        get(git=upstream.url, commit="0" * 39 + "1")

    assert refused.value.where == "products/x/image.toml:7"


def test_server_that_gives_no_single_commit(
    upstream: Upstream, get: Get, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where a server gives away only branches and tags, they are fetched to find the commit."""
    upstream.commit("2")
    for name, value in {"COUNT": "1", "KEY_0": "protocol.version", "VALUE_0": "0"}.items():
        monkeypatch.setenv(f"GIT_CONFIG_{name}", value)

    assert (get(git=upstream.url, commit=upstream.first) / "version").read_text() == "1"
    assert "all branches and tags" in capsys.readouterr().err


def test_git_daemon(upstream: Upstream, get: Get, tmp_path: Path) -> None:
    """A real server over the network gives a commit, and a tag."""
    upstream.git("tag", "v1")
    upstream.commit("2")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    listen = ("--listen=127.0.0.1", f"--port={port}", "--reuseaddr")
    daemon = subprocess.Popen(
        ["git", "daemon", "--export-all", f"--base-path={tmp_path}", *listen], stderr=subprocess.DEVNULL
    )
    try:
        _wait_for(port)
        url = f"git://127.0.0.1:{port}/upstream"

        assert (get(git=url, commit=upstream.first) / "version").read_text() == "1"
        assert (get(git=url, tag="v1", commit=upstream.first) / "version").read_text() == "1"
        with pytest.raises(MetadataError, match="no such repository"):
            get(git=url + "s", commit=upstream.first)
    finally:
        end(descendants(daemon.pid))
        daemon.wait(timeout=10)


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        else:
            return


class Files(SimpleHTTPRequestHandler):
    """Plain files: git's dumb protocol."""

    def log_message(self, *_: object) -> None:
        pass


class Refusing(BaseHTTPRequestHandler):
    """Wants a login, or fails; the first part of the path says which."""

    def do_GET(self) -> None:
        status = int(self.path.split("/")[1])
        self.send_response(status)
        if status == 401:
            self.send_header("WWW-Authenticate", 'Basic realm="x"')
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def http(tmp_path: Path) -> Iterator[Callable[[Any], str]]:
    servers = []

    def serve(handler: Any) -> str:
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("tag", [{}, {"tag": "v1"}], ids=["commit", "tag"])
def test_plain_files_behind_http(
    upstream: Upstream, get: Get, http: Callable[[Any], str], tag: dict[str, str], tmp_path: Path
) -> None:
    """A repository of plain files on a web server, which cannot be fetched in part, works as well."""
    upstream.git("tag", "v1")
    upstream.git("update-server-info")
    url = http(partial(Files, directory=str(tmp_path)))

    found = get(git=f"{url}/upstream/.git", commit=upstream.first, **tag)

    assert (found / "version").read_text() == "1"


@pytest.mark.parametrize(
    ("status", "error", "words"),
    [
        (401, PackageSourceError, "does not let us in"),
        (403, PackageSourceError, "does not let us in"),
        (404, MetadataError, "no such repository"),
        (503, PackageSourceError, "could not be reached"),
    ],
)
def test_server_that_says_no(
    upstream: Upstream, get: Get, http: Callable[[Any], str], status: int, error: type[ArchwayError], words: str
) -> None:
    """What a server answers is told by its cause, and git asks nobody for a password."""
    url = f"{http(Refusing)}/{status}/x.git"

    with pytest.raises(error, match=words) as refused:
        get(git=url, commit=upstream.first)

    assert type(refused.value) is error
    assert refused.value.where.startswith("products/x/image.toml:")


def test_nobody_listens(get: Get) -> None:
    """A host that cannot be reached is the network's fault, not image.toml's."""
    with pytest.raises(PackageSourceError, match="could not be reached"):
        get(git="git://127.0.0.1:1/x", commit="0" * 40)


@pytest.mark.parametrize(
    "url",
    [
        "-upload-pack=touch /tmp/x",
        "--upload-pack=x",
        "ext::sh -c touch% /tmp/x",
        "ext::sh",
        "fd::17",
        "https://-oProxyCommand=x/y",
        "ssh://-oProxyCommand=x/y",
        "ssh://git@-oProxyCommand=x/y",
        "git@-oProxyCommand=x:y",
        "-oProxyCommand=x:y",
        "host:-x",
        "/srv/repository",
        "../repository",
        "file://host/x",
        "ftp://host/x",
        "https://host/x\ty",
        "https://host/x y",
        "https://",
        "https://user:secret@host/x",
        "https://secret@host/x",
        "ssh://user:secret@host/x",
    ],
)
def test_hostile_urls(get: Get, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What git or ssh could take for an option or a command, and credentials, never reach git."""
    monkeypatch.setattr(git_command, "run", lambda *_, **__: pytest.fail("git was run"))
    with pytest.raises(MetadataError) as refused:
        get(git=url, commit="0" * 40)

    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    "url", ["https://example.org/x.git", "ssh://git@example.org:22/x", "git@example.org:x/y.git", "git://[::1]/x"]
)
def test_urls_that_reach_git(get: Get, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The usual spellings are taken."""

    def run(command: list[str], **_: object) -> None:
        raise ConnectionAbortedError(command)

    monkeypatch.setattr(git_command, "run", run)
    with pytest.raises(ConnectionAbortedError):
        get(git=url, commit="0" * 40)


@pytest.mark.parametrize("tag", ["-x", "a b", "a..b", "a^{}", "a:b", "*", "x.lock", "/a", "a/", ".a", "a\\b", "a@{b"])
def test_hostile_tags(get: Get, upstream: Upstream, tag: str) -> None:
    """What git could take for more than one tag, or for an option, is refused."""
    with pytest.raises(MetadataError, match="cannot be a tag"):
        get(git=upstream.url, tag=tag, commit="0" * 40)


def test_helper_is_refused_by_git_itself(tmp_path: Path) -> None:
    """Also a URL that a user's configuration turns into a command is not run."""
    (tmp_path / "gitconfig").write_text(f'[url "ext::touch {tmp_path}/run ;"]\ninsteadOf = https://example.org/\n')
    settings, image, source = declared(tmp_path / "monorepo", git="https://example.org/x", commit="0" * 40)

    with pytest.raises(BuildError, match="git fetch failed") as refused:
        fetch(Engine(), settings, source, image)

    assert "transport 'ext' not allowed" in refused.value.why
    assert not (tmp_path / "run").exists()


def test_submodules_are_refused(upstream: Upstream, get: Get) -> None:
    """A project with submodules is refused with their names, not fetched with empty folders."""
    upstream.git("submodule", "--quiet", "add", upstream.url, "vendor/x")
    commit = upstream.commit("2")

    with pytest.raises(MetadataError, match="has submodules") as refused:
        get(git=upstream.url, commit=commit)

    assert refused.value.why == "vendor/x"


@pytest.mark.parametrize("target", ["/etc/passwd", "../../../secret"])
def test_links_to_this_machine_are_refused(upstream: Upstream, get: Get, target: str) -> None:
    """A link out of the project, which could bring a file of this machine into the build, is refused."""
    upstream.folder.joinpath("Cargo.lock").symlink_to(target)
    commit = upstream.commit("2")

    with pytest.raises(MetadataError, match=r"Cargo\.lock is a link"):
        get(git=upstream.url, commit=commit)


def test_files_in_lfs_are_told(upstream: Upstream, get: Get, capsys: pytest.CaptureFixture[str]) -> None:
    """Files that only stand for large ones elsewhere are told, with their number."""
    upstream.write("big.bin", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")

    get(git=upstream.url, commit=upstream.commit("2"))

    assert "1 files are in git LFS and were not fetched, such as big.bin" in capsys.readouterr().err


def test_project_without_manifest(upstream: Upstream, get: Get) -> None:
    """A repository whose Cargo.toml is not in the top folder is refused with the line of image.toml."""
    upstream.folder.joinpath("Cargo.toml").unlink()

    with pytest.raises(MetadataError, match=r"holds no Cargo\.toml"):
        get(git=upstream.url, commit=upstream.commit("2"))


def test_interrupted_fetch_keeps_nothing(
    upstream: Upstream, get: Get, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """An interruption in the middle of the checkout leaves nothing under the final name; the next run goes well."""

    def check_out(git: git_command.Git, commit: str, files: Path) -> None:
        (files / "Cargo.toml").write_text("half")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(git_command.Git, "check_out", check_out)
        with pytest.raises(KeyboardInterrupt):
            get(git=upstream.url, commit=upstream.first)
    left = scratch(tmp_path)
    kept = (tmp_path / "monorepo/.archway/sources").exists()

    assert (left, kept) == ([], False)
    assert (get(git=upstream.url, commit=upstream.first) / "version").read_text() == "1"


def test_two_runs_at_once(upstream: Upstream, get: Get, monkeypatch: pytest.MonkeyPatch) -> None:
    """The slower of two runs takes what the faster one has kept."""
    check_out = git_command.Git.check_out
    faster: list[Path] = []

    def overtaken(git: git_command.Git, commit: str, files: Path) -> None:
        check_out(git, commit, files)
        if not faster:
            faster.append(files)
            get(git=upstream.url, commit=upstream.first)

    monkeypatch.setattr(git_command.Git, "check_out", overtaken)

    assert (get(git=upstream.url, commit=upstream.first) / "version").read_text() == "1"


def test_environment_of_a_hook_is_forgotten(
    upstream: Upstream, get: Get, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """In a hook of git, whose variables name another repository, that one is not touched."""
    other = Upstream(tmp_path / "other")
    monkeypatch.setenv("GIT_DIR", str(other.folder / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(other.folder / ".git/index"))
    before = (other.folder / ".git/index").read_bytes()

    get(git=upstream.url, commit=upstream.first)

    assert (other.folder / ".git/index").read_bytes() == before


def test_ssh_never_asks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The user's own ssh is used, without questions."""
    settings, _, _ = declared(tmp_path / "monorepo", path=".")
    monkeypatch.setenv("SSH_ASKPASS", "window")
    by_default = git_command.environment(settings)
    (tmp_path / "gitconfig").write_text("[core]\nsshCommand = ssh -i key\n")
    configured = git_command.environment(settings)["GIT_SSH_COMMAND"]
    monkeypatch.setenv("GIT_SSH_COMMAND", "other")

    assert by_default["GIT_SSH_COMMAND"] == "ssh -o BatchMode=yes"
    assert by_default["GIT_TERMINAL_PROMPT"] == "0"
    assert "SSH_ASKPASS" not in by_default
    assert configured == "ssh -i key -o BatchMode=yes"
    assert git_command.environment(settings)["GIT_SSH_COMMAND"] == "other -o BatchMode=yes"


def test_machine_without_git(upstream: Upstream, get: Get, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without git the message says how to get it."""
    monkeypatch.setenv("PATH", str(upstream.folder))

    with pytest.raises(MachineError, match="no git command"):
        get(git=upstream.url, commit=upstream.first)


@pytest.mark.parametrize(
    ("exit_code", "said", "error"),
    [
        (124, "no answer within 600 s", PackageSourceError),
        (128, "fatal: unable to access 'https://h/': Could not resolve host: h", PackageSourceError),
        (128, "ssh: Could not resolve hostname h: Name or service not known", PackageSourceError),
        (128, "SSL certificate problem: unable to get local issuer certificate", PackageSourceError),
        (128, "fatal: could not read Username for 'https://h': terminal prompts disabled", PackageSourceError),
        (128, "git@h: Permission denied (publickey).", PackageSourceError),
        (128, "ERROR: Repository not found.", MetadataError),
        (128, "fatal: '/x' does not appear to be a git repository", MetadataError),
        (128, "fatal: write error: No space left on device", NoSpaceError),
        (128, "fatal: something else", BuildError),
    ],
)
def test_causes(tmp_path: Path, exit_code: int, said: str, error: type[ArchwayError]) -> None:
    """git's words are told by their cause, without credentials."""
    _, image, source = declared(tmp_path, git="https://example.org/x", commit="0" * 40)
    failed = GitError("fetch", exit_code, f"{said}\nhttps://user:secret@example.org/x")

    found = cause(Place(image=image, source=source), failed)

    assert type(found) is error
    assert "secret" not in str(found)


def test_identity_needs_no_network(tmp_path: Path) -> None:
    """What stands for a commit is the repository, the tag and the commit."""
    _, image, source = declared(tmp_path, git="https://example.org/x", tag="v1", commit="0" * 40)

    assert identity(source, image) == ["git", "https://example.org/x", "v1", "0" * 40]
