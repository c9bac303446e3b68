"""What Cargo's messages mean: tables of signs, the first that is found counts.

The texts are those of Cargo 1.96, and of older ones where they differ.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cargo_image.errors import CargoImageError

MESSAGE_LINES = 12
"""How much of Cargo's message is shown."""
DIAGNOSTIC_LINES = 15
"""How much of rustc's first error is shown."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sign:
    """A text in Cargo's output, and what to say about it. ``what`` and ``hint`` may name the pattern's groups."""

    pattern: str
    what: str
    hint: str
    where: str = ""
    network: bool = False
    """It means nothing where the network is not used."""


_LOCK = "on your machine, and commit Cargo.lock"
_TLS = "if a proxy signs with a certificate of its own, name its file in CARGO_HTTP_CAINFO"

_FULL, _ROOM = "the disk is full", "make room, and try again"
_EXEC_HINT = "let it work without running that program, or run it beforehand and commit what it makes"
NO_FIT = "no version of {crate} fits all that ask for it"

CARGO = (
    Sign(pattern=r"could not find `Cargo\.toml` in `(?P<folder>[^`]+)`", what="there is no Cargo.toml",
         hint="name the folder that holds it", where="{folder}"),
    Sign(pattern=r"cannot create the lock file (?P<lock>\S+) because --locked",
         what="there is no Cargo.lock, so that no two builds would be alike", where="{lock}",
         hint=f"run `cargo generate-lockfile` {_LOCK}"),
    Sign(pattern=r"(?:cannot update the lock file|the lock file) (?P<lock>\S+) "
                 r"(?:because --locked|needs to be updated but --locked)",
         what="Cargo.lock is not current: a Cargo.toml was changed since it was written", where="{lock}",
         hint=f"run `cargo update --workspace` {_LOCK}"),
    Sign(pattern=r"lock file version `?(?P<version>\d+)`? (?:was found, but|requires)",
         what="Cargo.lock is of version {version}, which is too new for this Cargo",
         hint="build with the Cargo that wrote it, or a newer one"),
    Sign(pattern=r"failed to parse lock file at: (?P<lock>\S+)", what="Cargo.lock is broken", where="{lock}",
         hint="look for the marks of a merge conflict; `cargo generate-lockfile` writes it anew"),
    Sign(pattern=r"checksum for `(?P<crate>[^`]+)` (?:changed between lock files|could not be calculated)",
         what="the checksum of {crate} in Cargo.lock is not the one that the crate registry names",
         hint="if nobody changed Cargo.lock by hand, a mirror gives out another archive: do not trust it"),
    Sign(pattern=r"failed to verify the checksum of `(?P<crate>[^`]+)`",
         what="what was downloaded is not {crate} as Cargo.lock names it", hint="try again; then suspect the mirror"),
    Sign(pattern=r"(?P<rustc>rustc [\d.]+\S*) is not supported by the following packages?:\s+"
                 r"(?P<crate>\S+) requires (?P<wanted>rustc [\d.]+)",
         what="{crate} requires {wanted}, and this is {rustc}",
         hint="build with a newer Rust, or lock an older version: cargo update PACKAGE --precise VERSION"),
    Sign(pattern=r"this version of Cargo is older than the `(?P<edition>\d+)` edition",
         what="this Cargo is older than edition {edition} of the Rust language", hint="build with a newer Rust"),
    Sign(pattern=r"package ID specification `(?P<package>[^`]+)` did not match any packages"
                 r"|package\(s\) `(?P<package2>[^`]+)` not found in workspace",
         what="the project has no package {package}", hint="name one of its packages"),
    Sign(pattern=r"does not contain (?:this feature|these features): (?P<feature>[^\n]+)",
         what="the package has no feature {feature}", hint="look at the table [features] of its Cargo.toml"),
    Sign(pattern=r"depends on `(?P<crate>[^`]+)` with feature `(?P<feature>[^`]+)` but `[^`]+` does not have",
         what="{crate} has no feature {feature}", hint="ask for one of those that it has"),
    Sign(pattern=r"no bin target named `(?P<binary>[^`]+)`", what="the package has no binary {binary}",
         hint="name one of its binaries, or none for all"),
    Sign(pattern=r"target `(?P<binary>[^`]+)` in package `[^`]+` requires the features: (?P<feature>[^\n]+)",
         what="{binary} requires the features {feature}", hint="ask for them: [cargo] features in image.toml"),
    Sign(pattern=r"could not find specification for target \"(?P<target>[^\"]+)\"",
         what="Rust knows no target {target}", hint="`rustc --print target-list` prints those that it knows"),
    Sign(pattern=r"unable to update (?P<url>\w+://\S+)",
         what="the git repository {url} of a dependency could not be fetched",
         hint="the build needs its address within reach, and credentials if it is not public",
         network=True),
    Sign(pattern=r"^\s+\[6\] |[Cc]ould(?: not|n't) resolve host",
         what="the crate registry is out of reach: its name is unknown here", hint="look at the network and the proxy",
         network=True),
    Sign(pattern=r"^\s+\[(?:35|51|58|60|77)\] |SSL certificate problem|SSL connect error",
         what="the crate registry is out of reach: its certificate was not accepted", hint=_TLS, network=True),
    Sign(pattern=r"^\s+\[(?:5|7|28|52|56)\] |failed to connect|Operation too slow|network failure"
                 r"|spurious network error",
         what="the crate registry is out of reach", hint="look at the network and the proxy, and try again",
         network=True),
    Sign(pattern=r"failed to get successful HTTP response from `(?P<url>[^`]+)`[^\n]*got (?P<code>\d+)",
         what="the crate registry answered {code} to {url}", hint="look at the registry's address and credentials",
         network=True),
    Sign(pattern=r"offline mode|--offline was specified|can't checkout from '[^']+': you are in the offline mode",
         what="a crate was not fetched before, and the network is not used here",
         hint="run `cargo fetch --locked` where there is a network"),
    Sign(pattern=r"no matching package named `(?P<crate>[^`]+)` found\s+location searched: (?P<source>[^\n]+)",
         what="there is no package {crate} in the {source}",
         hint="look at its name; vendored sources must hold it (`cargo vendor`)"),
    Sign(pattern=r"failed to read `(?P<file>[^`]+/Cargo\.toml)`\s+Caused by:\s+No such file",
         what="a dependency by path has no Cargo.toml", where="{file}",
         hint="copy that folder into the build as well, as far away as its path says"),
    Sign(pattern=r"could not parse TOML configuration in `(?P<file>[^`]+)`(?:.*?at line (?P<line>\d+))?",
         what="Cargo's configuration is broken", where="{file}:{line}", hint="mend it"),
    Sign(pattern=r"^error: [^\n]+\n\s*--> (?P<file>[^\n:]*\.toml):(?P<line>\d+):\d+",
         what="is not what Cargo understands", where="{file}:{line}", hint="mend it"),
    Sign(pattern=r"no targets specified in the manifest", what="the package has neither a program nor a library",
         hint="copy src/ into the build, or look at [[bin]] and [lib]"),
    Sign(pattern=r"failed to (?:parse|load) manifest (?:at|for [^\n]* at) `(?P<file>[^`]+)`",
         what="is not what Cargo understands", where="{file}", hint="mend it"),
    Sign(pattern=r"failed to select a version for (?:the requirement )?`(?P<crate>[^`=]+?)(?: = [^`]*)?`",
         what=NO_FIT,
         hint="look at the requirements that Cargo lists; `cargo update -p {crate}` may lock a newer one"),
    Sign(pattern=r"No space left on device \(os error 28\)", what=_FULL, hint=_ROOM),
)  # fmt: skip
"""What Cargo itself says."""

SCRIPTS = (
    Sign(pattern=r"Could not find (?:directory of OpenSSL installation|openssl via pkg-config)",
         what="openssl-sys found no OpenSSL for the target", hint="vendor it, or install libssl-dev of the target"),
    Sign(pattern=r"failed to run custom build command for `(?P<crate>[^`]+)`.*[Ee]xec format error",
         what="the build script of {crate} runs a program for the target platform, which this machine cannot",
         hint=_EXEC_HINT),
    Sign(pattern=r"No space left on device", what=_FULL, hint=_ROOM),
    Sign(pattern=r"failed to run custom build command for `(?P<crate>[^`]+)`",
         what="the build script of {crate} failed", hint="it says above what it lacks"),
)  # fmt: skip
"""What Cargo says of a build script that failed, with all that it printed.

Where QEMU is registered for the target, a build script that runs the target's programs does so unnoticed.
"""

RUSTC = (
    Sign(pattern=r"\Aerror\[E0463\]: can't find crate for `(?:core|std)`",
         what="the standard library for the target is not installed", hint="install it in the image that compiles"),
    Sign(pattern=r"\Aerror: linker `(?P<linker>[^`]+)` not found", what="there is no linker {linker}",
         hint="install the cross compiler of the target"),
    Sign(pattern=r"\Aerror: (?:proc macro|proc-macro derive|custom attribute) panicked.*[Ee]xec format error",
         what="a macro runs a program for the target platform, which this machine cannot", hint=_EXEC_HINT),
    Sign(pattern=r"\Aerror: (?:linking with .*No space left on device|[^\n]*No space left on device \(os error 28\))",
         what=_FULL, hint=_ROOM),
)  # fmt: skip
"""What rustc says in its first error; anything else is a mistake in a crate."""


def explain(output: str, words: Sequence[str], folder: Path) -> CargoImageError:
    """The error that Cargo's output tells of.

    Only words that are sure to be Cargo's or rustc's own are looked at: in between stand lines of the source, and what
    build scripts print.
    """
    if failed := re.search(r"^error: could not compile `([^`]+)`", output, re.MULTILINE):
        return _not_compiled(output, failed, folder)
    own = _own_words(output)
    why = _shortened(own, MESSAGE_LINES)
    table = SCRIPTS if own.startswith("error: failed to run custom build command") else CARGO
    signs = [sign for sign in table if not (sign.network and "--offline" in words)]
    unknown = CargoImageError(f"`cargo {' '.join(words)}` failed", where=folder, why=why)
    return _found(signs, own, folder, why) or unknown


def _not_compiled(output: str, failed: re.Match[str], folder: Path) -> CargoImageError:
    """What rustc's first error means. Without one rustc itself was ended, and Cargo says how."""
    before = output[: failed.start()]
    first = re.search(r"^error(?:\[E\d+\])?: .*?(?=^\s*$|\Z)", before, re.MULTILINE | re.DOTALL)
    said = first[0] if first else _own_words(output)
    why = _shortened(said, DIAGNOSTIC_LINES)
    place = re.search(r"^\s*--> (?P<place>[^\n]+?:\d+):\d+$", said, re.MULTILINE)
    return _found(RUSTC, said, folder, why) or CargoImageError(
        f"{failed[1]} does not compile", where=place["place"] if place else folder, why=why, hint="mend it"
    )


def _found(signs: Sequence[Sign], said: str, folder: Path, why: str) -> CargoImageError | None:
    for sign in signs:
        if found := re.search(sign.pattern, said, re.MULTILINE | re.DOTALL):
            groups = {name.rstrip("2"): value for name, value in found.groupdict(default="").items() if value}
            where = sign.where.format_map(_Blank(groups)).rstrip(":")
            return CargoImageError(
                sign.what.format_map(_Blank(groups)), where=where or folder, why=why,
                hint=sign.hint.format_map(_Blank(groups)),
            )  # fmt: skip
    return None


def _own_words(output: str) -> str:
    """Cargo's last error; and the one before it, where the last only says whose manifest that one is about."""
    errors = list(re.finditer(r"^error: ", output, re.MULTILINE))
    if not errors:
        return output.rstrip()
    about = len(errors) > 1 and output.startswith("error: failed to load manifest", errors[-1].start())
    return output[errors[-2 if about else -1].start() :].rstrip()


def _shortened(said: str, limit: int) -> str:
    """Without the middle if the lines are many: the beginning names the thing, the end the cause."""
    lines = [line for line in said.rstrip().splitlines() if line.strip()]
    if len(lines) <= limit:
        return "\n".join(lines)
    return "\n".join([*lines[: limit // 3], "…", *lines[-(limit - limit // 3 - 1) :]])


class _Blank(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return ""
