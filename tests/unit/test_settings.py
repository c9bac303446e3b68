"""Settings of a monorepo."""

from __future__ import annotations

from pathlib import Path

import pytest
from invoke.config import Config

from archway.errors import ArchwayError, MetadataError, UsageError
from archway.platforms import Platform
from archway.settings import find_root, load, read


def write(folder: Path, text: str) -> Path:
    (folder / "pyproject.toml").write_text(text)
    return folder


def test_an_empty_table_is_enough(tmp_path: Path) -> None:
    """Every setting has a default."""
    settings = load(write(tmp_path, "[tool.archway]\n"))

    assert settings.registry == "localhost:5000"
    assert settings.platforms == (Platform("linux", "amd64"), Platform("linux", "arm64"))


def test_the_table_overrides_the_defaults(tmp_path: Path) -> None:
    """Keys may be written with dashes, lists as lists."""
    settings = load(
        write(tmp_path, '[tool.archway]\nplatforms = ["linux/arm64"]\napt-sources = "a"\norganization = "acme"\n')
    )

    assert settings.platforms == (Platform("linux", "arm64"),)
    assert settings.apt_sources == "a"
    assert settings.organization == "acme"


def test_invokes_configuration_overrides_the_table(tmp_path: Path) -> None:
    """What Invoke has from invoke.yaml or the environment wins."""
    root = write(tmp_path, '[tool.archway]\nregistry = "a.example.org"\n')

    settings = load(root, read(root) | {"registry": "b.example.org", "platforms": "arm64"})

    assert settings.registry == "b.example.org"
    assert settings.platforms == (Platform("linux", "arm64"),)


def test_lists_are_empty_unless_they_are_set(tmp_path: Path) -> None:
    """No tag floats, and no registry beyond this machine is spoken to in plain text, unless somebody said so."""
    settings = load(write(tmp_path, "[tool.archway]\n"))

    assert settings.floating_tags == ()
    assert settings.insecure_registries == ()


def test_lists_are_read(tmp_path: Path) -> None:
    """Lists are taken in their order, each word once."""
    settings = load(
        write(
            tmp_path,
            '[tool.archway]\nfloating-tags = ["latest", "minor", "latest"]\n'
            'insecure-registries = "r.lan, 10.0.0.7:5000,"\n',
        )
    )

    assert settings.floating_tags == ("latest", "minor")
    assert settings.insecure_registries == ("r.lan", "10.0.0.7:5000")


@pytest.mark.parametrize("empty", ["", " ", ",", []])
def test_a_list_can_be_overridden_by_an_empty_one(tmp_path: Path, empty: object) -> None:
    """The environment or invoke.yaml can say that no tag floats, where the table has some."""
    root = write(tmp_path, '[tool.archway]\nfloating-tags = ["latest"]\ninsecure-registries = ["r.lan"]\n')

    settings = load(root, read(root) | {"floating_tags": empty, "insecure_registries": empty})

    assert settings.floating_tags == ()
    assert settings.insecure_registries == ()


def test_the_environment_can_empty_a_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Invoke hands an empty variable on, and does not take it for one that is not set."""
    root = write(tmp_path, '[tool.archway]\nfloating-tags = ["latest"]\n')
    monkeypatch.setenv("INVOKE_ARCHWAY_FLOATING_TAGS", "")
    config = Config(overrides={}, defaults=Config.global_defaults() | {"archway": read(root)}, lazy=True)
    config.load_shell_env()

    assert load(root, dict(config["archway"])).floating_tags == ()


def test_options_override_all(tmp_path: Path) -> None:
    """An option that was given wins; one that was not changes nothing."""
    settings = load(write(tmp_path, "[tool.archway]\n")).with_options(release="27.1", registry=None)

    assert settings.release == "27.1"
    assert settings.registry == "localhost:5000"


def test_options_are_known_as_they_were_given(tmp_path: Path) -> None:
    """What is suggested to the user can repeat the options that were given, and only those."""
    settings = load(write(tmp_path, "[tool.archway]\n"))

    assert settings.given == ""
    assert settings.with_options(organization="team", release=None).given == " --organization team"


def test_empty_option_is_a_mistake(tmp_path: Path) -> None:
    """An option with an empty value (a variable that is not set) is refused, not taken for the default."""
    with pytest.raises(UsageError, match="--organization is empty"):
        load(write(tmp_path, "[tool.archway]\n")).with_options(organization="")


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ('registy = "x"', "did you mean registry"),
        ('registry = "http://x"', "no registry"),
        ('organization = "Acme"', "repository"),
        ('release = "a b"', "tag"),
        ('platforms = ["linux/armm"]', "no platform"),
        ("release = 26.10", "26.10 is the number 26.1"),
        ("ca = true", "ca is no text"),
        ('rootfs = ""', "rootfs is empty"),
        ('images = ["/etc/*"]', "not inside of the monorepo"),
        ('images = ["../*"]', "not inside of the monorepo"),
        ('floating-tags = ["lates"]', "floating-tags: there is no 'lates'\n  did you mean latest?"),
        ('floating-tags = ["Latest"]', "there is no 'Latest'"),
        ('floating-tags = ["4.0"]', "there is: latest, major, minor, version"),
        ("floating-tags = [4]", "floating-tags is no text"),
        ('floating-tag = "latest"', "did you mean floating_tags"),
        ('insecure-registries = ["http://r.lan"]', "insecure-registries: 'http://r.lan' is no registry"),
        ('insecure-registries = ["r.lan", "lan"]', "insecure-registries: 'lan' is no registry"),
    ],
)
def test_wrong_settings_are_refused(tmp_path: Path, table: str, words: str) -> None:
    """A wrong key or value is told before anything is done."""
    with pytest.raises(ArchwayError) as caught:
        load(write(tmp_path, f"[tool.archway]\n{table}\n"))

    assert words in str(caught.value)


def test_numbers_of_invokes_configuration_are_refused(tmp_path: Path) -> None:
    """A YAML number would lose its zeros, as a TOML number would."""
    root = write(tmp_path, "[tool.archway]\n")

    with pytest.raises(MetadataError, match="release is no text"):
        load(root, read(root) | {"release": 26.1})


def test_wrong_options_are_usage_errors(tmp_path: Path) -> None:
    """An option that cannot stand in a name is the command line's fault, not the repository's."""
    with pytest.raises(UsageError, match="no registry"):
        load(write(tmp_path, "[tool.archway]\n")).with_options(registry="x")


def test_root_is_found_from_a_folder_below(tmp_path: Path) -> None:
    """A command works in every folder of the monorepo."""
    below = write(tmp_path, "[tool.archway]\n") / "products" / "hive"
    below.mkdir(parents=True)

    assert find_root(below) == tmp_path


def test_no_monorepo_is_an_error(tmp_path: Path) -> None:
    """Outside of a monorepo the message says what makes one."""
    with pytest.raises(MetadataError, match="is in no monorepo"):
        find_root(tmp_path)


def test_broken_pyproject_is_an_error(tmp_path: Path) -> None:
    """TOML that cannot be read is told with its place."""
    with pytest.raises(MetadataError, match="no valid TOML"):
        find_root(write(tmp_path, "[tool.archway\n"))


def test_missing_secret_file_is_an_error(tmp_path: Path) -> None:
    """A setting that names a file which is not there is told, not passed over."""
    settings = load(write(tmp_path, '[tool.archway]\nca = "nowhere.pem"\n'))

    with pytest.raises(MetadataError, match=r"setting ca names 'nowhere\.pem'"):
        settings.secrets()


def test_secrets_are_files_of_the_monorepo(tmp_path: Path) -> None:
    """A relative path counts from the monorepo."""
    settings = load(write(tmp_path, '[tool.archway]\nca = "ca.pem"\n'))
    (tmp_path / "ca.pem").write_text("x")

    assert settings.secrets()["ca"] == tmp_path / "ca.pem"
