"""``image.toml``: what an image says of itself. docs/image-toml.md explains each key."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Self

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression
from pydantic import (
    BeforeValidator,
    Field,
    StringConstraints,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from archway.errors import Location, MetadataError, Mistakes, UsageError, did_you_mean
from archway.metadata_cargo import Cargo, Source
from archway.metadata_kubernetes import Kubernetes
from archway.platforms import Platform
from archway.references import tag
from archway.rules import EXEMPT, RULES
from archway.table import Port, Table, Text

VersionText = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._+-]{0,99}$")]
ArgumentName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
_GIVEN = re.compile(
    r"(TARGET|BUILD)(PLATFORM|OS|ARCH|VARIANT|_(UNAME|DEBIAN|RUST|MAVEN|NODE|QEMU))$|BUILDKIT_|SOURCE_DATE_EPOCH$"
)


class Release(Table):
    """One ``[[release]]``: a version of an image."""

    version: VersionText
    default: bool = False
    args: dict[ArgumentName, str] = Field(default_factory=dict)
    uses: dict[str, str] = Field(default_factory=dict)
    source: Source | None = None

    @field_validator("args")
    @classmethod
    def _not_ours(cls, value: dict[str, str]) -> dict[str, str]:
        if taken := [name for name in value if _GIVEN.match(name)]:
            raise ValueError(f"{taken[0]} is set by the build itself, for each platform; another value would be wrong")
        return value


class Http(Table):
    """``[smoke.http]``: a page that the container must serve."""

    path: str = "/"
    port: Port | None = None
    status: int = Field(default=200, ge=100, le=599)
    expect: str = ""

    @field_validator("path")
    @classmethod
    def _sendable(cls, value: str) -> str:
        if not re.fullmatch("/[!-~]*", value):
            raise ValueError("begins with / and holds neither spaces nor umlauts, such as /health")
        return value


class Smoke(Table):
    """``[smoke]``: what proves that the image does its work: a command that is run in it, and checks while it runs."""

    command: list[str] = Field(default=[], min_length=1)
    expect: str = ""
    ready: str = ""
    timeout: int = Field(default=120, ge=1, le=86_400)
    port: Port | None = None
    http: Http | None = None
    probe: list[str] = Field(default=[], min_length=1)
    env: dict[ArgumentName, str] = Field(default_factory=dict)

    @field_validator("http")
    @classmethod
    def _has_port(cls, value: Http | None, info: ValidationInfo) -> Http | None:
        # A wrong smoke.port is not in the data, and is told by itself.
        if value and value.port is None and info.data.get("port", 0) is None:
            raise ValueError("neither smoke.http.port nor smoke.port says which port is asked")
        return value

    @model_validator(mode="after")
    def _proves_something(self) -> Self:
        if not (self.command or self.served):
            raise ValueError("nothing is tested: say command, probe, port or [smoke.http]")
        return self

    @property
    def served(self) -> bool:
        """It is asked while it runs, and ended when it has answered."""
        return bool(self.ports or self.probe)

    @property
    def http_port(self) -> int:
        """The port that is asked for a page."""
        return (self.http and self.http.port) or self.port or 0

    @property
    def ports(self) -> tuple[int, ...]:
        """The container's ports that are asked."""
        found = (self.port, self.http_port if self.http else None)
        return tuple(dict.fromkeys(port for port in found if port))


def _platform(value: object) -> Platform:
    if isinstance(value, str):
        try:
            return Platform.parse(value)
        except UsageError as unknown:
            raise ValueError(f"{unknown.what} ({unknown.hint})") from None
    raise ValueError("a platform is a string such as 'linux/arm64'")


class Exempt(Table):
    """One ``[[verify.allow]]``: a finding that is known, and why it may stay."""

    path: Text
    reason: Text
    rule: str = ""
    platforms: list[Annotated[Platform, BeforeValidator(_platform)]] | None = Field(default=None, min_length=1)

    @field_validator("rule")
    @classmethod
    def _takes_exceptions(cls, value: str) -> str:
        if value and value not in EXEMPT:
            known = "cannot be allowed" if value in RULES else "is no rule"
            raise ValueError(f"{value} {known} ({did_you_mean(value, EXEMPT)})")
        return value


class Verify(Table):
    """``[verify]``: what the proof of the image's contents may pass over."""

    allow: list[Exempt] = Field(default_factory=list)


class Metadata(Table):
    """An ``image.toml``."""

    description: Text
    licenses: Text
    platforms: list[Annotated[Platform, BeforeValidator(_platform)]] | None = Field(default=None, min_length=1)
    builder: bool = False
    release: list[Release] = Field(min_length=1)
    smoke: Smoke | None = None
    cargo: Cargo | None = None
    kubernetes: Kubernetes | None = None
    verify: Verify = Verify()

    @field_validator("licenses")
    @classmethod
    def _spdx(cls, value: str) -> str:
        try:
            return str(canonicalize_license_expression(value))
        except InvalidLicenseExpression:
            raise ValueError("is no SPDX licence expression, such as Apache-2.0") from None


def read_metadata(path: Path, *, shown: str) -> Metadata:
    """Read and check an image.toml. Every mistake is told with its line.

    :raises MetadataError: the file is missing, no TOML, or has mistakes
    """
    try:
        text = path.read_bytes().decode()
    except FileNotFoundError:
        raise MetadataError(
            "there is no image.toml", where=shown, hint="docs/image-toml.md shows a small one"
        ) from None
    except UnicodeDecodeError as broken:
        raise MetadataError(f"is not UTF-8 at byte {broken.start}", where=shown) from None
    except OSError as denied:
        raise MetadataError(f"cannot be read: {denied.strerror}", where=shown) from None
    tables = parse_toml(text, shown=shown)
    mistakes = Mistakes()
    try:
        metadata = Metadata.model_validate(tables)
    except ValidationError as invalid:
        for mistake in invalid.errors():
            loc = tuple(mistake["loc"])
            mistakes.add(_message(mistake["type"], mistake["msg"], loc), where=Location(shown, find_line(text, loc)),
                         hint=_hint(mistake["type"], loc))  # fmt: skip
        mistakes.check()
        raise
    _check_releases(metadata, text, shown, mistakes)
    mistakes.check()
    return metadata


def parse_toml(text: str, *, shown: str, hint: str = "") -> Mapping[str, object]:
    """The tables of a file.

    :raises MetadataError: it is no TOML; with the line where that is known
    """
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as broken:
        line = re.search(r"at line (\d+)", str(broken))
        where = Location(shown, int(line[1]) if line else None)
        raise MetadataError(f"is no valid TOML: {broken}", where=where, hint=hint) from None


def _message(kind: str, message: str, loc: tuple[int | str, ...]) -> str:
    key = ".".join(str(part) for part in loc if isinstance(part, str) and part != "[key]")
    match kind:
        case "missing":
            return f"{key} is missing"
        case "extra_forbidden":
            return f"unknown key {key}"
        case _:
            return f"{key}: {message.removeprefix('Value error, ')}"


_TABLES: dict[str, type[Table]] = {
    "": Metadata,
    "release": Release,
    "smoke": Smoke,
    "http": Http,
    "verify": Verify,
    "allow": Exempt,
    "source": Source,
    "cargo": Cargo,
    "kubernetes": Kubernetes,
}


def _hint(kind: str, loc: tuple[int | str, ...]) -> str:
    if kind != "extra_forbidden":
        return ""
    parents = [part for part in loc[:-1] if isinstance(part, str)]
    table = _TABLES.get(parents[-1] if parents else "")
    return (
        did_you_mean(str(loc[-1]), (field.alias or name for name, field in table.model_fields.items())) if table else ""
    )


def _check_releases(metadata: Metadata, text: str, shown: str, mistakes: Mistakes) -> None:
    tags: dict[str, str] = {}
    default: str | None = None
    for number, release in enumerate(metadata.release):
        where = Location(shown, find_line(text, ("release", number, "version")))
        if (other := tags.setdefault(tag(release.version), release.version)) != release.version:
            mistakes.add(f"versions {other} and {release.version} would have the same tag", where=where,
                         hint="+ becomes - in a tag: rename one")  # fmt: skip
        elif [r.version for r in metadata.release[:number]].count(release.version):
            mistakes.add(f"version {release.version} stands twice", where=where, hint="remove one [[release]]")
        if release.default and default is not None:
            mistakes.add(f"both {default} and {release.version} are the default", where=where, hint="keep one")
        default = release.version if release.default else default


def find_line(text: str, loc: Sequence[int | str]) -> int | None:
    """The line of a key that pydantic names by its path, or of the nearest table around it; None if it has none.

    tomllib keeps no positions, and a message without a line is half a message. Inline tables count as their key.
    """
    wanted: list[str] = []
    line: int | None = None
    start = 0
    lines = text.splitlines()
    for position, part in enumerate(loc):
        if isinstance(part, int):
            continue
        wanted.append(part)
        index = loc[position + 1] if position + 1 < len(loc) else None
        header = re.compile(r"\s*\[{1,2}\s*" + r"\s*\.\s*".join(re.escape(word) for word in wanted) + r"\s*\]{1,2}")
        headers = [number for number in range(start, len(lines)) if header.match(lines[number])]
        if headers:
            start = headers[min(index, len(headers) - 1)] if isinstance(index, int) else headers[0]
            line = start + 1
            start += 1
            continue
        key = re.compile(rf"""\s*["']?{re.escape(part)}["']?\s*[.=]""")
        for number in range(start, len(lines)):
            if key.match(lines[number]):
                return number + 1
            if lines[number].lstrip().startswith("["):
                break
    return line
