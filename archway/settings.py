"""The settings of a monorepo: ``[tool.archway]`` of its ``pyproject.toml``, overridden by Invoke's configuration.

Invoke reads, each overriding the one before: our defaults and ``pyproject.toml``, ``invoke.yaml``, the environment
(``INVOKE_ARCHWAY_REGISTRY=…``), and the options of a task.
"""

from __future__ import annotations

import os
import ssl
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

from archway.errors import Location, MetadataError, UsageError, did_you_mean
from archway.platforms import Platform, parse_platforms
from archway.references import check_registry, check_repository, check_tag

DEBIAN_PACKAGES = "debian-packages"
DEBIAN_IMAGE = "debian:trixie-slim"
"""What the setting rootfs may name on a machine that is no Debian."""
FLOATING_TAGS = ("version", "minor", "major", "latest")
PLACES = "the settings (pyproject.toml, invoke.yaml or INVOKE_ARCHWAY_…)"


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """What a monorepo decides for all its images. docs/settings.md explains each."""

    root: Path = field(metadata={"internal": True})
    registry: str = "localhost:5000"
    organization: str = "archway"
    release: str = "0.1.0-dev"
    platforms: tuple[Platform, ...] = (Platform("linux", "amd64"), Platform("linux", "arm64"))
    images: tuple[str, ...] = ("*", "products/*", "operators/*")
    floating_tags: tuple[str, ...] = ()
    insecure_registries: tuple[str, ...] = ()
    rootfs: str = DEBIAN_PACKAGES
    source: str = ""
    ca: str = ""
    apt_sources: str = ""
    maven_settings: str = ""
    given: str = field(default="", metadata={"internal": True})
    """The options of the command line that changed them, as a command that is suggested must repeat them."""

    def with_options(self, **options: str | None) -> Settings:
        """The same settings with the options of a task that were given.

        :raises UsageError: a value cannot stand in an image reference
        """
        given = {name: value for name, value in options.items() if value is not None}
        if empty := [name for name, value in given.items() if not value]:
            raise UsageError(f"--{empty[0]} is empty", hint="give it a value, or leave it out for that of the settings")
        again = self.given + "".join(f" --{name} {value}" for name, value in given.items())
        try:
            return _checked(replace(self, given=again, **given), where="the command line")  # type: ignore[arg-type]
        except MetadataError as wrong:
            raise UsageError(wrong.what, hint=wrong.hint) from None

    @property
    def state(self) -> Path:
        """The folder of logs and other things that may be deleted at any time."""
        return self.root / ".archway"

    def secrets(self) -> dict[str, Path]:
        """The files that a build may read and that never reach a layer, by BuildKit secret id.

        :raises MetadataError: a setting names a file that does not exist
        """
        found = {
            "ca": self._file("ca", self.ca) or _trust_store(),
            "apt-sources": self._file("apt_sources", self.apt_sources),
            "maven-settings": self._file("maven_settings", self.maven_settings) or _existing("~/.m2/settings.xml"),
        }
        return {name: path for name, path in found.items() if path}

    def _file(self, name: str, value: str) -> Path | None:
        if not value:
            return None
        if path := _existing(str(self.root / Path(value).expanduser())):
            return path
        raise MetadataError(
            f"the setting {name} names {value!r}, which is no file",
            where=self.root / "pyproject.toml",
            hint="correct [tool.archway], or remove the setting",
        )


def _existing(path: str) -> Path | None:
    found = Path(path).expanduser()
    return found if found.is_file() else None


def _trust_store() -> Path | None:
    """The certificate authorities that this machine trusts, where it has them in a file (Linux; not macOS)."""
    places = (
        os.environ.get("SSL_CERT_FILE"),
        ssl.get_default_verify_paths().cafile,
        "/etc/ssl/certs/ca-certificates.crt",
    )
    return next((found for place in places if place and (found := _existing(place))), None)


def find_root(start: Path) -> Path:
    """The monorepo that a folder belongs to: the nearest folder upwards whose pyproject.toml has ``[tool.archway]``.

    :raises MetadataError: there is none
    """
    for folder in (start, *start.parents):
        if "archway" in _tool_tables(folder / "pyproject.toml"):
            return folder
    raise MetadataError(
        f"{start} is in no monorepo",
        why="no pyproject.toml here or above has a table [tool.archway]",
        hint="run this in the monorepo's folder, or add the table (it may be empty)",
    )


def _tool_tables(path: Path) -> Mapping[str, object]:
    if not path.is_file():
        return {}
    try:
        tools = tomllib.loads(path.read_text(encoding="utf-8")).get("tool", {})
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as broken:
        raise MetadataError(f"is no valid TOML: {broken}", where=path) from None
    return tools if isinstance(tools, dict) else {}


def defaults() -> dict[str, str]:
    """The settings of a monorepo that decides nothing itself, in the form that Invoke's configuration has.

    Lists become text with commas, because Invoke takes no list from the environment.
    """
    return {f.name: _text(f.default) for f in fields(Settings) if not f.metadata}


def read(root: Path) -> dict[str, str]:
    """The settings of a monorepo as its ``pyproject.toml`` gives them, over the defaults.

    :raises MetadataError: ``[tool.archway]`` is no table, or has an unknown key
    """
    table = _tool_tables(root / "pyproject.toml").get("archway", {})
    if not isinstance(table, dict):
        raise MetadataError("[tool.archway] is no table", where=root / "pyproject.toml")
    values = defaults()
    for key, value in table.items():
        name = key.replace("-", "_")
        if name not in values:
            raise MetadataError(
                f"[tool.archway] has an unknown key {key!r}",
                where=root / "pyproject.toml",
                hint=did_you_mean(name, values),
            )
        if not isinstance(value, str) and not (isinstance(value, list) and all(isinstance(v, str) for v in value)):
            raise MetadataError(
                f"[tool.archway] {key} is no text",
                where=root / "pyproject.toml",
                why=f"{value!r} may not be what was meant: 26.10 is the number 26.1",
                hint='write it in quotes: "…"',
            )
        values[name] = _text(value)
    return values


def _text(value: object) -> str:
    return ",".join(str(item) for item in value) if isinstance(value, (list, tuple)) else str(value)


def _words(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(filter(None, (word.strip() for word in text.split(",")))))


def load(root: Path, values: Mapping[str, object] | None = None) -> Settings:
    """Settings from Invoke's configuration (or from :func:`read`), checked.

    :raises MetadataError: a value is none that can be used
    """
    given = values if values is not None else read(root)
    if numbers := [name for name, value in given.items() if not isinstance(value, (str, list))]:
        raise MetadataError(
            f"the setting {numbers[0]} is no text", where=PLACES, hint=f'write it in quotes: "{given[numbers[0]]}"'
        )
    texts = {name: _text(value).strip() for name, value in given.items()}
    known = {f.name for f in fields(Settings) if not f.metadata}
    if unknown := sorted(texts.keys() - known):
        raise MetadataError(f"there is no setting {unknown[0]!r}", where=PLACES, hint=did_you_mean(unknown[0], known))
    platforms, images = texts.pop("platforms", ""), texts.pop("images", "")
    lists = {name: _words(texts.pop(name, "")) for name in ("floating_tags", "insecure_registries")}
    settings = Settings(root=root, **lists, **texts)  # type: ignore[arg-type]
    if platforms:
        try:
            settings = replace(settings, platforms=parse_platforms(platforms, default=settings.platforms))
        except UsageError as wrong:
            raise MetadataError(f"platforms: {wrong.what}", where=PLACES, hint=wrong.hint) from None
    if images:
        settings = replace(settings, images=_words(images))
    return _checked(settings, where=PLACES)


def _checked(settings: Settings, *, where: str) -> Settings:
    place = Location(where)
    if not settings.rootfs:
        raise MetadataError("the setting rootfs is empty", where=where, hint=f"{DEBIAN_PACKAGES}, or {DEBIAN_IMAGE}")
    if wrong := [glob for glob in settings.images if glob.startswith("/") or ".." in Path(glob).parts]:
        raise MetadataError(f"images: {wrong[0]!r} is not inside of the monorepo", where=where, hint="a relative path")
    if unknown := [word for word in settings.floating_tags if word not in FLOATING_TAGS]:
        hint = did_you_mean(unknown[0], FLOATING_TAGS)
        raise MetadataError(f"floating-tags: there is no {unknown[0]!r}", where=where, hint=hint)
    for host in settings.insecure_registries:
        check_registry(host, where=Location(f"{where}: insecure-registries"))
    check_registry(settings.registry, where=place)
    check_repository(settings.organization, where=place)
    check_tag(settings.release, where=place)
    return settings
