"""Facts about the credentials that docker login keeps."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path

import pytest

from archway.distribution.credentials import Credentials, config_file, find
from archway.errors import AccessError

HOST = "registry.example.org:5000"


@pytest.fixture(autouse=True)
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where Docker's configuration is expected."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    return tmp_path / "config.json"


def coded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def known(username: str, password: str, identity_token: str = "", registry_token: str = "") -> Credentials:
    return Credentials(
        username=username, password=password, identity_token=identity_token, registry_token=registry_token
    )


def helper(folder: Path, script: str) -> None:
    """A helper program named ``test``."""
    path = folder / "docker-credential-test"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_without_configuration(config: Path) -> None:
    """Who never logged in has no credentials, and that is no error."""
    assert config_file() == config
    assert find(HOST) is None


def test_default_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without DOCKER_CONFIG, the configuration is in the home folder."""
    monkeypatch.delenv("DOCKER_CONFIG")
    monkeypatch.setenv("HOME", str(tmp_path))

    assert config_file() == tmp_path / ".docker/config.json"


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"auth": coded("me:se:cret")}, known("me", "se:cret")),
        ({"auth": coded("me:secret\0\0")}, known("me", "secret")),
        ({"username": "me", "password": "secret"}, known("me", "secret")),
        ({"auth": coded("me:"), "identitytoken": "t"}, known("me", "", "t")),
        ({"registrytoken": "t"}, known("", "", "", "t")),
        ({}, None),
    ],
)
@pytest.mark.parametrize("key", [HOST, f"https://{HOST}", f"https://{HOST}/v1/"])
def test_entry(config: Path, key: str, entry: dict[str, str], expected: Credentials | None) -> None:
    """An entry of the configuration is read in each form that Docker has written it, under host or URL."""
    config.write_text(json.dumps({"auths": {key: entry, "other.example.org": {"auth": coded("you:other")}}}))

    assert expected == find(HOST)


def test_docker_hub(config: Path) -> None:
    """Docker Hub has a key that is unlike its name."""
    config.write_text(json.dumps({"auths": {"https://index.docker.io/v1/": {"auth": coded("me:secret")}}}))

    assert known("me", "secret") == find("docker.io")


@pytest.mark.parametrize("keys", [{"credsStore": "test"}, {"credHelpers": {HOST: "test"}, "credsStore": "other"}])
def test_helper(config: Path, keys: dict[str, object]) -> None:
    """A helper program is asked for the host, on its stdin; the one of the host before the one of all."""
    config.write_text(json.dumps({"auths": {HOST: {}}, **keys}))
    helper(config.parent, 'read host; echo "{\\"Username\\": \\"$1\\", \\"Secret\\": \\"$host\\"}"')

    assert known("get", HOST) == find(HOST)


def test_helper_is_asked_for_docker_hub_by_its_key(config: Path) -> None:
    """A helper knows Docker Hub by the same key."""
    config.write_text(json.dumps({"credsStore": "test"}))
    helper(config.parent, 'read host; echo "{\\"Username\\": \\"me\\", \\"Secret\\": \\"$host\\"}"')

    assert known("me", "https://index.docker.io/v1/") == find("docker.io")


def test_helper_with_identity_token(config: Path) -> None:
    """A helper gives a token that stands for name and password under a name of its own."""
    config.write_text(json.dumps({"credsStore": "test"}))
    helper(config.parent, 'echo \'{"Username": "<token>", "Secret": "t"}\'')

    assert known("", "", "t") == find(HOST)


def test_helper_without_credentials(config: Path) -> None:
    """A helper that has none for the host is no error; an entry in the file counts then."""
    config.write_text(json.dumps({"credsStore": "test"}))
    helper(config.parent, "echo credentials not found in native keychain; exit 1")

    assert find(HOST) is None
    config.write_text(json.dumps({"credsStore": "test", "auths": {HOST: {"auth": coded("me:secret")}}}))
    assert known("me", "secret") == find(HOST)


@pytest.mark.parametrize(
    ("script", "what"),
    [
        ("echo locked >&2; exit 1", "docker-credential-test failed with exit code 1\n  locked"),
        ("echo what", "docker-credential-test gave no credentials"),
    ],
)
def test_broken_helper(config: Path, script: str, what: str) -> None:
    """A helper that fails is told by name, with its words and the file that names it."""
    config.write_text(json.dumps({"credsStore": "test"}))
    helper(config.parent, script)

    with pytest.raises(AccessError, match=what) as raised:
        find(HOST)

    assert str(config) == raised.value.where


@pytest.mark.parametrize(
    "script", ["""echo '{"Username": "me", "x": "hush"}'""", "echo the Secret is hush", "echo >&2 '[\"hush\"]'"]
)
def test_broken_helper_keeps_its_secret(config: Path, script: str) -> None:
    """What a helper that fails prints is not shown where it may be the secret."""
    config.write_text(json.dumps({"credsStore": "test"}))
    helper(config.parent, f"{script}; exit 1")

    with pytest.raises(AccessError, match="failed with exit code 1") as raised:
        find(HOST)

    assert "hush" not in str(raised.value)


def test_words_of_a_helper_are_printable(config: Path) -> None:
    """The words of a helper that fails are on one line, bounded, and nothing that a terminal would obey."""
    config.write_text(json.dumps({"credsStore": "test"}))
    helper(config.parent, "printf 'locked \\033[31m %01000d' 7; exit 1")

    with pytest.raises(AccessError) as raised:
        find(HOST)

    assert raised.value.why.startswith("locked [31m 000")
    assert raised.value.why.isprintable()
    assert len(raised.value.why) == 300


@pytest.mark.parametrize(
    "text",
    [
        '{"auths": null}', '{"credsStore": null, "credHelpers": null}', f'{{"auths": {{"{HOST}": null}}}}',
        f'{{"auths": {{"{HOST}": {{"auth": null}}}}, "credHelpers": {{"{HOST}": null}}}}',
    ],
)  # fmt: skip
def test_null_is_nothing(config: Path, text: str) -> None:
    """What is null in the configuration is as if it were absent."""
    config.write_text(text)

    assert find(HOST) is None


def test_missing_helper(config: Path) -> None:
    """A helper that is not there is told by name, with the file to correct."""
    config.write_text(json.dumps({"credsStore": "nowhere"}))

    with pytest.raises(AccessError, match="docker-credential-nowhere is not on this machine"):
        find(HOST)


@pytest.mark.parametrize(
    "text", ['{"auths": ', "[]", '{"auths": {"registry.example.org:5000": {"auth": "hush?"}}}', '{"auths": ["hush"]}']
)
def test_broken_configuration(config: Path, text: str) -> None:
    """A broken configuration is an error that names the file, and has none of its secrets."""
    config.write_text(text)

    with pytest.raises(AccessError) as raised:
        find(HOST)

    assert str(config) == raised.value.where
    assert "hush" not in str(raised.value)


def test_credentials_are_not_printed() -> None:
    """Secrets have no place in a traceback or a log."""
    assert "hush" not in repr(known("me", "hush", "hush", "hush"))
