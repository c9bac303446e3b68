"""Sources and extractions for real: cargo in the image rust-builder, and the registry of crates that it knows.

The fixture ``rust_builder`` is the reference of that image.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from archway.catalog import Image
from archway.engine import Engine
from archway.errors import BuildError, MetadataError, PackageSourceError
from archway.extraction import extract
from archway.metadata_cargo import Source
from archway.sources import fetch
from tests.monorepo import Monorepo

# Two files of code, and no dependencies.
CRATE = {"crate": "itoa", "version": "1.0.0"}
SHA256 = "d2f3e61cf687687b30c9e6ddf0fc36cf15f035e66d491e6da968fa49ffa9a378"


def declared(monorepo: Monorepo, **keys: str) -> tuple[Source, Image]:
    lines = "".join(f"{key} = '{value}'\n" for key, value in keys.items())
    monorepo.image("test-x", "FROM base\n", releases=f'[[release]]\nversion = "1"\n[release.source]\n{lines}')
    image = monorepo.catalog.image("test-x")
    source = image.releases[0].source
    assert source is not None
    return source, image


def get(engine: Engine, monorepo: Monorepo, builder: str, **keys: str) -> Path:
    return fetch(engine, monorepo.catalog.settings, *declared(monorepo, **keys), builder=builder)


def test_crate_from_its_registry(engine: Engine, monorepo: Monorepo, rust_builder: str) -> None:
    """A crate is pinned by what the message says, fetched by cargo, unpacked, and there the next time."""
    with pytest.raises(MetadataError) as unpinned:
        get(engine, monorepo, rust_builder, **CRATE)
    found = get(engine, monorepo, rust_builder, **CRATE, sha256=SHA256)

    assert f'sha256 = "{SHA256}"' in unpinned.value.hint
    assert (found / "src/lib.rs").is_file()
    assert get(engine, monorepo, "not/there:1", **CRATE, sha256=SHA256) == found
    assert list((monorepo.root / ".archway/scratch").iterdir()) == []
    assert engine.names("localhost:1/run-*/archway-builder") == []


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"crate": "itoa", "version": "99.0.0"}, "itoa has no version 99.0.0"),
        ({"crate": "itoa-is-no-crate-of-anybody", "version": "1.0.0"}, "there is no crate itoa-is-no-crate-of-anybody"),
        ({"crate": "serde-json", "version": "1.0.100"}, "did you mean serde_json?"),
    ],
    ids=["version", "crate", "spelling"],
)
def test_crate_that_does_not_exist(
    engine: Engine, monorepo: Monorepo, rust_builder: str, keys: dict[str, str], words: str
) -> None:
    """What cargo says of a crate or a version that does not exist is a mistake of image.toml."""
    with pytest.raises(MetadataError) as refused:
        get(engine, monorepo, rust_builder, **keys, sha256=SHA256)

    assert words in str(refused.value)
    assert "test-x/image.toml:" in refused.value.where


def test_files_come_and_go(engine: Engine, monorepo: Monorepo, rust_builder: str) -> None:
    """A script reads the folders that it is given, and what it leaves comes home with modes and links."""
    source = monorepo.write("source/deep/name with blanks", "hello").parent.parent
    out = monorepo.root / "out,put"
    script = "cat '/given/deep/name with blanks'; echo; printf x > run; chmod 755 run; ln -s run link; pwd"

    said = extract(
        engine, monorepo.catalog.settings, image=rust_builder, script=script, contexts={"given": source}, out=out,
        what="test", network=False,
    )  # fmt: skip

    assert said == ["hello", "/out"]
    assert sorted(path.name for path in out.iterdir()) == ["link", "run"]
    assert (out / "run").stat().st_mode & 0o777 == 0o755
    assert str((out / "link").readlink()) == "run"


def test_script_that_fails(engine: Engine, monorepo: Monorepo, rust_builder: str) -> None:
    """A script that fails is told with its last words, and nothing comes home; also that it had no network."""
    settings, out = monorepo.catalog.settings, monorepo.root / "out"
    with pytest.raises(BuildError, match="test: a step failed") as failed:
        extract(engine, settings, image=rust_builder, script="touch x; echo why; false; touch y", contexts={}, out=out,
                what="test")  # fmt: skip
    with pytest.raises(PackageSourceError):
        extract(engine, settings, image=rust_builder, script="cargo info --quiet itoa", contexts={}, out=out,
                what="test", network=False)  # fmt: skip

    assert failed.value.why == "why"
    assert list(out.iterdir()) == []
