"""The credentials that ``docker login`` keeps, in Docker's configuration or in a helper program.

https://docs.docker.com/reference/cli/docker/login/#credential-stores
"""

from __future__ import annotations

import base64
import binascii
import os
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, model_validator

from archway.distribution.documents import read
from archway.distribution.trouble import printable
from archway.errors import AccessError, RegistryError
from archway.process import run

DOCKER_HUB = "docker.io"
_HUB_KEY = "https://index.docker.io/v1/"
_PATIENCE = 60
"""Seconds for a helper: some ask for a password on the screen."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Credentials:
    """A name and a password, or a token that stands for both. Never printed."""

    username: str = ""
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)
    registry_token: str = field(default="", repr=False)
    """What is shown to the registry as it is."""


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)


class _Entry(_Model):
    username: str = ""
    password: str = Field(default="", repr=False)
    auth: str = Field(default="", repr=False)
    identitytoken: str = Field(default="", repr=False)
    registrytoken: str = Field(default="", repr=False, pattern=r"^[!-~]*$")


class _File(_Model):
    auths: dict[str, _Entry] = {}
    helpers: dict[str, str] = Field(default={}, alias="credHelpers")
    store: str = Field(default="", alias="credsStore")

    @model_validator(mode="before")
    @classmethod
    def _absent(cls, data: object) -> object:
        return _without_nulls(data)


def _without_nulls(data: object) -> object:
    """What is null is as if absent, to Docker."""
    if not isinstance(data, dict):
        return data
    return {key: _without_nulls(value) for key, value in data.items() if value is not None}


class _Got(_Model):
    """What a helper prints."""

    username: str = Field(default="", alias="Username")
    secret: str = Field(default="", alias="Secret", repr=False)


def config_file() -> Path:
    """Docker's configuration, which need not be there."""
    folder = os.environ.get("DOCKER_CONFIG")
    return (Path(folder) if folder else Path.home() / ".docker") / "config.json"


def find(host: str) -> Credentials | None:
    """The credentials for a registry; None if nobody logged in.

    :raises AccessError: the configuration or its helper is broken
    """
    path = config_file()
    config = _read(path)
    names = _names(host)
    helper = next((config.helpers[name] for name in names if config.helpers.get(name)), config.store)
    if helper and (found := _ask(helper, names[0], path)):
        return found
    # Docker logs in to hosts; very old entries are URLs.
    entries = {_host(key): entry for key, entry in config.auths.items()} | config.auths
    entry = next((entries[name] for name in names if name in entries), None)
    return _of_entry(entry, path, host) if entry else None


def _names(host: str) -> tuple[str, ...]:
    """The names that a registry may have in the configuration; the first is the one that Docker itself uses."""
    return (_HUB_KEY, DOCKER_HUB, "index.docker.io") if host == DOCKER_HUB else (host,)


def _host(key: str) -> str:
    return key.removeprefix("https://").removeprefix("http://").partition("/")[0]


def _read(path: Path) -> _File:
    try:
        data = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return _File()
    except OSError as denied:
        raise AccessError("cannot be read", where=path, why=denied.strerror or "") from None
    try:
        return read(_File, data, str(path))
    except RegistryError as broken:
        hint = "correct it, or move it away and docker login again"
        raise AccessError("is no configuration of Docker", where=path, why=broken.why, hint=hint) from None


def _of_entry(entry: _Entry, path: Path, host: str) -> Credentials | None:
    username, password = entry.username, entry.password
    if entry.auth:
        try:
            username, colon, password = base64.b64decode(entry.auth, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            colon = ""
        if not colon:
            hint = f"docker login {host}"
            raise AccessError(f"the entry auth of {host} is not base64 of NAME:PASSWORD", where=path, hint=hint)
        password = password.rstrip("\0")
    if not (password or entry.identitytoken or entry.registrytoken):
        return None
    return Credentials(
        username=username, password=password, identity_token=entry.identitytoken, registry_token=entry.registrytoken
    )


def _ask(helper: str, name: str, path: Path) -> Credentials | None:
    program = f"docker-credential-{helper}"
    result = run([program, "get"], stdin=name, timeout=_PATIENCE)
    # Helpers tell on their stdout that they have none.
    if "credentials not found" in result.stdout + result.stderr:
        return None
    if result.exit_code == 127:
        hint = f"install it, or remove it from credsStore or credHelpers in {path}"
        raise AccessError(f"{program} is not on this machine", where=path, hint=hint)
    if not result.ok:
        why = _shown(result.stderr) or _shown(result.stdout)
        raise AccessError(f"{program} failed with exit code {result.exit_code}", where=path, why=why)
    try:
        got = read(_Got, result.stdout.encode(), program)
    except RegistryError as broken:
        raise AccessError(f"{program} gave no credentials", where=path, why=broken.why) from None
    if not got.secret:
        return None
    if got.username == "<token>":
        return Credentials(identity_token=got.secret)
    return Credentials(username=got.username, password=got.secret)


def _shown(words: str) -> str:
    """What a helper that failed says, if it can be no secret."""
    text = words.strip()
    return "" if text[:1] in ("{", "[") or "secret" in text.lower() else printable(text)
