"""The ``git`` command: it never asks, speaks no other protocols than those that image.toml may name, and does not
depend on what its user has configured where that would change files."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from archway.distribution.trouble import printable
from archway.errors import ArchwayError, BuildError, MachineError, MetadataError, PackageSourceError
from archway.process import run
from archway.settings import Settings
from archway.sources.place import Place
from archway.sources.shelf import full, is_full

LIMIT = 600.0
"""Seconds that one command may take: of a host that is silent git would wait for ever."""
# Set where archway runs in a hook of git, and then meant for another repository.
_OF_ANOTHER = re.compile(r"GIT_(DIR|WORK_TREE|INDEX_FILE|OBJECT_DIRECTORY|ALTERNATE\w+|COMMON_DIR|NAMESPACE|PREFIX)")
# What git would do in the background when it has fetched, in a folder that is removed then.
_QUIET = ("-c", "gc.auto=0", "-c", "maintenance.auto=false")
_NOBODY = {
    "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1", "GIT_ATTR_NOSYSTEM": "1",
    "GIT_CONFIG_COUNT": "0", "GIT_CONFIG_PARAMETERS": "",
}  # fmt: skip


class GitError(Exception):
    """A command of git failed; ``said`` is what it printed."""

    def __init__(self, command: str, exit_code: int, said: str) -> None:
        super().__init__(f"git {command} failed")
        self.command = command
        self.exit_code = exit_code
        self.said = said


@dataclass(frozen=True, slots=True)
class Git:
    """Runs git.

    :ivar bare: the repository, which may not be there yet; None where none is needed
    """

    settings: Settings
    bare: Path | None

    def call(self, *words: str, options: Sequence[str] = (), env: Mapping[str, str] | None = None) -> str:
        """:raises GitError: it failed"""
        where = [f"--git-dir={self.bare}"] if self.bare else []
        command = ["git", *where, *_QUIET, *options, *words]
        done = run(command, env=environment(self.settings) | dict(env or {}), timeout=LIMIT)
        if not done.ok:
            raise GitError(words[0], done.exit_code, done.stderr)
        return done.stdout

    def fetch(self, url: str, *refs: str, depth: int | None = None) -> None:
        """:raises GitError: it failed"""
        self.call("fetch", "--quiet", "--no-tags", *([f"--depth={depth}"] if depth else []), "--", url, *refs)

    def kind(self, id_: str) -> str:
        """Whether an object is a commit, a tag …; empty if there is none."""
        try:
            return self.call("cat-file", "-t", id_).strip()
        except GitError:
            return ""

    def check_out(self, commit: str, files: Path) -> None:
        """Write the files of a commit as they are in it, whatever filters and line ends the user has configured."""
        options = ("-c", "core.attributesFile=/dev/null", f"--work-tree={files}")
        self.call("checkout", "--quiet", "--force", "--detach", commit, options=options, env=_NOBODY)


def environment(settings: Settings) -> dict[str, str]:
    """The environment of git: it asks nobody, and takes no helper that runs a command of the URL."""
    found = {name: value for name, value in os.environ.items() if not _OF_ANOTHER.fullmatch(name)}
    found.pop("SSH_ASKPASS", None)
    found |= {"GIT_TERMINAL_PROMPT": "0", "GCM_INTERACTIVE": "never", "GIT_ALLOW_PROTOCOL": "https:http:ssh:git:file"}
    if "GIT_SSH" not in found:
        ssh = found.get("GIT_SSH_COMMAND") or run(["git", "config", "core.sshCommand"]).stdout.strip() or "ssh"
        found["GIT_SSH_COMMAND"] = f"{ssh} -o BatchMode=yes"
    if settings.ca and "ca" in (secrets := settings.secrets()):
        found.setdefault("GIT_SSL_CAINFO", str(secrets["ca"]))
    return found


# The first that fits wins.
_REFUSED = re.compile(
    r"Authentication failed|could not read (Username|Password)|terminal prompts disabled|Permission denied|"
    r"error: 40[13]|Host key verification failed|Invalid username or password",
    re.IGNORECASE,
)
_NO_REPOSITORY = re.compile(
    r"repository .*not found|not appear to be a git repository|error: 404|access denied or repository not exported|"
    r"does not exist|is not a git command|no such file or directory",
    re.IGNORECASE,
)
_UNREACHABLE = re.compile(
    r"Could not resolve|Name or service not known|Temporary failure in name resolution|unable to (connect|look up)|"
    r"Failed to connect|Couldn't connect|Connection (refused|reset|timed out|closed)|Network is unreachable|"
    r"No route to host|certificate|early EOF|RPC failed|hung up unexpectedly|error: (408|429|5\d\d)|timed out|SSL|"
    r"unable to access|protocol error|Operation timed out|invalid index-pack output",
    re.IGNORECASE,
)


def cause(place: Place, failed: GitError) -> ArchwayError:
    """What git's words mean."""
    said = "\n".join(filter(None, map(printable, failed.said.splitlines()[-8:])))
    if failed.exit_code in (126, 127):
        return MachineError("there is no git command", why=said, hint="run: apt-get install git")
    if failed.exit_code == 124:
        return PackageSourceError(
            f"{place}: no answer within {LIMIT / 60:g} minutes", where=place.line("git"), hint="try again later"
        )
    if is_full(failed.said):
        return full(str(place), said)
    if "dubious ownership" in failed.said:
        return MachineError(f"{place}: git does not read a repository of another user", why=said)
    if _REFUSED.search(failed.said):
        return PackageSourceError(
            f"{place}: the repository does not let us in, or does not exist", where=place.line("git"), why=said,
            hint="git must get in without asking: with its credential helper, or a key that ssh has",
        )  # fmt: skip
    if _NO_REPOSITORY.search(failed.said):
        return MetadataError(f"{place}: there is no such repository", where=place.line("git"), why=said)
    if _UNREACHABLE.search(failed.said):
        return PackageSourceError(
            f"{place}: the repository could not be reached", where=place.line("git"), why=said,
            hint="check the network and proxy; for a company's certificate authority see docs/settings.md",
        )  # fmt: skip
    return BuildError(f"{place}: git {failed.command} failed", where=place.line("git"), why=said)
