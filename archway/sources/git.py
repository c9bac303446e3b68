"""A source that is a commit of a git repository, fetched by the machine's own git with its user's own credentials.

A commit's name is the checksum of all that it holds, and git compares it with what it receives.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from archway import log
from archway.errors import ChecksumError, MetadataError, did_you_mean
from archway.settings import Settings
from archway.sources.git_command import Git, GitError, cause
from archway.sources.place import Place
from archway.sources.shelf import keep

# A host begins with a letter or digit, so that neither git nor ssh takes it for an option; `ext::sh -c …` is no URL.
_URL = re.compile(r"((https?|git)://|ssh://(\w[\w.-]*@)?)[A-Za-z0-9\[][^\s/@]*/\S+|file:///\S+")
_SCP = re.compile(r"(\w[\w.-]*@)?[A-Za-z0-9][A-Za-z0-9.-]*:(?!:|//)[^\s-]\S*")
_PASSWORD = re.compile(r"[a-z]+://[^/@]*:[^/@]*@|https?://[^/@]+@")
_HERE = "refs/archway/wanted"
# A server that gives away only what its branches and tags name says the first, or that it has no such object.
_ONLY_NAMED = re.compile(r"unadvertised object|not our ref|dumb http transport|couldn't find remote ref")
_LFS = b"version https://git-lfs"


def fetch_git(settings: Settings, place: Place, url: str) -> Path:
    """The folder of a commit, without ``.git``.

    :raises MetadataError: there is no such repository, tag or commit, or the commit is missing in image.toml
    :raises ChecksumError: the tag names another commit
    :raises PackageSourceError: the repository could not be reached, or lets nobody in
    """
    check_url(place, url)
    tag, commit = place.source.tag, place.source.commit
    if tag is not None:
        check_tag(place, tag)
    # Whether the tag leads to the commit was found out for this repository and this tag.
    of = hashlib.sha256(f"{url}\n{tag or ''}".encode()).hexdigest()[:16]
    try:
        if commit is None:
            raise _no_commit(Git(settings, None), place, url, tag or "")
        return keep(settings, f"git-{commit}-{of}", str(place), partial(_fetch, settings, place, url, commit))
    except GitError as failed:
        raise cause(place, failed) from None


def check_url(place: Place, url: str) -> None:
    """:raises MetadataError: it is no URL of a repository, or one that git would take for something else"""
    if _PASSWORD.match(url):
        raise MetadataError(
            "source.git holds credentials", where=place.line("git"),
            hint="take them out; git asks its credential helper, or ssh its keys",
        )  # fmt: skip
    if not url.isprintable() or not (_URL.fullmatch(url) or _SCP.fullmatch(url)):
        raise MetadataError(
            f"source.git = {url!r} is no URL of a repository", where=place.line("git"),
            hint="https://HOST/PATH, ssh://USER@HOST/PATH, USER@HOST:PATH or file:///PATH",
        )  # fmt: skip


def check_tag(place: Place, tag: str) -> None:
    """:raises MetadataError: no tag can have that name (git check-ref-format(1))"""
    parts = tag.split("/")
    bad = re.search(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{", tag) or tag.startswith("-") or tag.endswith(".")
    if bad or any(not part or part.startswith(".") or part.endswith(".lock") for part in parts):
        raise MetadataError(f"source.tag = {tag!r} cannot be a tag", where=place.line("tag"))


def _fetch(settings: Settings, place: Place, url: str, commit: str, files: Path, meanwhile: Path) -> None:
    git = Git(settings, meanwhile / "repository")
    with log.step(f"{place}: fetching"):
        git.call("init", "--quiet", "--bare", "--template=")
        if place.source.tag is not None:
            _fetch_tag(git, place, url, place.source.tag, commit)
        else:
            _fetch_commit(git, place, url, commit)
        _refuse_submodules(git, place, commit)
        git.check_out(commit, files)
    _refuse_links_outside(place, files)
    _tell_lfs(place, files)
    log.done(f"{place}: {commit[:12]}")


def _fetch_tag(git: Git, place: Place, url: str, tag: str, commit: str) -> None:
    try:
        git.fetch(url, f"+refs/tags/{tag}:{_HERE}", depth=1)
    except GitError as failed:
        if "couldn't find remote ref" in failed.said:
            raise _no_tag(place, url, tag, _tags(git, url)) from None
        if not _ONLY_NAMED.search(failed.said):
            raise
        git.fetch(url, f"+refs/tags/{tag}:{_HERE}")
    found = git.call("rev-parse", "--verify", f"{_HERE}^{{commit}}").strip()
    if found == commit:
        return
    if commit == git.call("rev-parse", "--verify", _HERE).strip():
        raise MetadataError(
            f"{place}: source.commit is the tag's own id", where=place.line("commit"),
            hint=f'write that of the commit: commit = "{found}"',
        )  # fmt: skip
    raise ChecksumError(
        f"{place}: the tag leads to another commit than image.toml has", where=place.line("commit"),
        why=f"image.toml has {commit}\nthe tag is now {found}",
        hint="what a moved tag leads to may be anything: find out why before you change the commit",
    )  # fmt: skip


def _fetch_commit(git: Git, place: Place, url: str, commit: str) -> None:
    try:
        git.fetch(url, f"+{commit}:{_HERE}", depth=1)
    except GitError as failed:
        if not _ONLY_NAMED.search(failed.said):
            raise
        log.note(f"{place}: fetching all branches and tags, to find the commit")
        git.fetch(url, "+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
    if (kind := git.kind(commit)) != "commit":
        why = f"it is a {kind}" if kind else "no branch and no tag leads to it"
        raise MetadataError(f"{url} has no commit {commit}", where=place.line("commit"), why=why)


def _tags(git: Git, url: str) -> dict[str, str]:
    """The tags of a repository, and the commit that each leads to."""
    found: dict[str, str] = {}
    for line in git.call("ls-remote", "--quiet", "--tags", "--", url).splitlines():
        # A tag with a message stands twice, the second time as what it leads to.
        commit, _, ref = line.partition("\t")
        found[ref.removeprefix("refs/tags/").removesuffix("^{}")] = commit
    return found


def _no_tag(place: Place, url: str, tag: str, tags: Iterable[str]) -> MetadataError:
    hint = did_you_mean(tag, tags)
    hint = hint if hint.startswith("did you mean") else ""
    return MetadataError(f"{url} has no tag {tag}", where=place.line("tag"), hint=hint)


def _no_commit(git: Git, place: Place, url: str, tag: str) -> MetadataError:
    tags = _tags(git, url)
    if tag not in tags:
        return _no_tag(place, url, tag, tags)
    return MetadataError(
        f"{place} is not pinned: commit is missing", where=place.line("commit"),
        why="a tag can be moved to another commit", hint=f'write what it leads to now:\ncommit = "{tags[tag]}"',
    )  # fmt: skip


def _refuse_submodules(git: Git, place: Place, commit: str) -> None:
    entries = git.call("ls-tree", "-r", "-z", "--full-tree", commit).split("\0")
    if found := [entry.partition("\t")[2] for entry in entries if entry.startswith("160000 ")]:
        raise MetadataError(
            f"{place} has submodules, which are not fetched", where=place.line("git"), why=", ".join(found[:5]),
            hint="copy the project with them into the monorepo, and name it by path",
        )  # fmt: skip


def _refuse_links_outside(place: Place, files: Path) -> None:
    """A link to a file of this machine would bring that into the build."""
    top = files.resolve()
    for path in files.rglob("*"):
        if path.is_symlink() and not _resolved(path).is_relative_to(top):
            name = path.relative_to(files).as_posix()
            raise MetadataError(
                f"{place}: {name} is a link to what is not in the project", where=place.line("git"),
                why=f"it leads to {path.readlink()}",
            )  # fmt: skip


def _resolved(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, RuntimeError):  # links in a circle lead nowhere
        return path.parent.resolve()


def _tell_lfs(place: Place, files: Path) -> None:
    """Files that only stand for large ones elsewhere."""
    found = []
    for path in files.rglob("*"):
        if path.is_file() and not path.is_symlink() and path.stat().st_size < 1024:
            with path.open("rb") as file:
                if file.read(len(_LFS)) == _LFS:
                    found.append(path.relative_to(files).as_posix())
    if found:
        log.warn(f"{place}: {len(found)} files are in git LFS and were not fetched, such as {min(found)}")
