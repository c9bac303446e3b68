"""Which texts are objects of Kubernetes, and what is said of those that are not."""

from __future__ import annotations

import math
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archway import kubernetes_documents
from archway.errors import MetadataError
from archway.kubernetes_documents import KubernetesObject, read_file, read_objects

HEAD = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"


def read(text: str | bytes) -> tuple[KubernetesObject, ...]:
    return read_objects(text if isinstance(text, bytes) else text.encode(), shown="x.yaml")


def refused(text: str | bytes) -> str:
    with pytest.raises(MetadataError) as refusal:
        read(text)
    return str(refusal.value)


def test_documents_are_objects() -> None:
    """Each document is one, with its line; empty ones are none, and the namespace is default where none is said."""
    text = f"---\n{HEAD}---\n# nothing\n---\napiVersion: a.b/v1beta1\nkind: B\nmetadata: {{name: b, namespace: c}}\n"

    one, two = read(text)

    assert (one.api_version, one.kind, one.namespace, one.name, str(one)) == (
        "v1",
        "ConfigMap",
        "default",
        "a",
        "ConfigMap a",
    )
    assert (str(one.where), str(two.where)) == ("x.yaml:2", "x.yaml:8")
    assert str(two) == "B c/b"
    assert two.body == {"apiVersion": "a.b/v1beta1", "kind": "B", "metadata": {"name": "b", "namespace": "c"}}


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("text", "text"),
        ("'1'", "1"),
        ("1", 1),
        ("-0x1F", -31),
        ("0o17", "0o17"),
        ("017", 15),
        ("1_000", 1000),
        ("1.5", 1.5),
        ("yes", True),
        ("off", False),
        ("~", None),
        ("", None),
        # What YAML 1.1 makes of these is a surprise, and nothing that JSON has.
        ("12:30", "12:30"),
        ("1:20.5", "1:20.5"),
        ("2025-01-31", "2025-01-31"),
        ("2025-01-31T10:00:00Z", "2025-01-31T10:00:00Z"),
        ("=", "="),
        ("[1, {a: b}]", [1, {"a": "b"}]),
        ("|\n  two\n  lines\n", "two\nlines\n"),
        ("grün", "grün"),
    ],
)
def test_values_are_those_of_json(written: str, value: object) -> None:
    """Scalars are what the command line of Kubernetes takes them for; times and dates are texts."""
    (made,) = read(f"{HEAD}data: {written}\n")

    assert made.body["data"] == value


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "x.yaml: holds no object"),
        ("---\n---\n", "x.yaml: holds no object"),
        ("- a\n", "x.yaml:1: a document is no mapping"),
        ("just words\n", "x.yaml:1: a document is no mapping"),
        ("a: b\n", "the object that begins here: apiVersion is missing"),
        (HEAD + "---\nkind: B\nmetadata: {name: b}\n", "x.yaml:5: the object that begins here: apiVersion is missing"),
        ("apiVersion: v1\nkind: B\n", "metadata.name is missing"),
        ("apiVersion: v1\nkind: B\nmetadata: [a]\n", "metadata.name is missing"),
        ("apiVersion: v1\nkind: B\nmetadata: {name: 1}\n", "metadata.name cannot be 1"),
        ("apiVersion: v1\nkind: B\nmetadata: {name: ../b}\n", 'metadata.name cannot be "../b"'),
        ("apiVersion: v1\nkind: B\nmetadata: {name: b, namespace: ''}\n", 'metadata.namespace cannot be ""'),
        ("apiVersion: 1\nkind: B\nmetadata: {name: b}\n", "apiVersion cannot be 1"),
        ("apiVersion: /v1\nkind: B\nmetadata: {name: b}\n", "apiVersion cannot be"),
        ("apiVersion: v1\nkind: b/c\nmetadata: {name: b}\n", "kind cannot be"),
        (HEAD + "---\n" + HEAD, "x.yaml:5: ConfigMap a stands twice: also in line 1"),
        (HEAD + "data: {a: 1, a: 2}\n", 'x.yaml:4: the key "a" stands twice'),
        (HEAD + "data: {1: a}\n", "x.yaml:4: the key 1 is no text"),
        (HEAD + "data:\n  ? [a]\n  : b\n", "x.yaml:5: the key"),
        (HEAD + "data: .inf\n", "x.yaml:4: is nothing that JSON has (float)"),
        (HEAD + "data: !!binary aGFsbG8=\n", "x.yaml:4: is nothing that JSON has (binary)"),
        (HEAD + "data: !!set {a}\n", "x.yaml:4: is nothing that JSON has (set)"),
        (HEAD + "data: !!python/object/apply:os.system [id]\n", "x.yaml:4: is nothing that JSON has"),
        (HEAD + f"data: {'9' * 5000}\n", "x.yaml:4: is nothing that JSON has (int)"),
        (HEAD + "data: [a\n", "is no valid YAML: "),
        (HEAD + "\tdata: a\n", "x.yaml:4: is no valid YAML: "),
        (HEAD + "data: @a\n", "x.yaml:4: is no valid YAML: "),
        (HEAD.encode() + b"data: \xff\n", "x.yaml: is not UTF-8 at byte"),
        (HEAD.encode() + b"data: \x00\n", "is no valid YAML: "),
        (HEAD + "data: [&a x, *a]\n", "x.yaml:4: *a: aliases are not taken here"),
        (HEAD + "data: " + "[" * 200 + "]" * 200 + "\n", "x.yaml:4: is more than 100 levels deep"),
        (HEAD + "data: " + "{a: " * 5000 + "}" * 5000 + "\n", "x.yaml:4: is more than 100 levels deep"),
        (HEAD + "data: " + "[" * 500_000, "x.yaml:4: is no valid YAML: exceeded maximum nesting depth"),
        (HEAD + "data: [" + "1," * 600_000 + "1]\n", "x.yaml:4: has more than 500000 values"),
        ("#" * (kubernetes_documents.LARGEST + 1), "x.yaml: is larger than 4 MiB"),
    ],
)  # fmt: skip
def test_what_is_no_object_is_told_with_its_line(text: str | bytes, words: str) -> None:
    """Mistakes and hostile files end with a message that names the place."""
    assert words in refused(text)


def test_bomb_is_refused_before_it_grows() -> None:
    """A few lines of aliases that stand for a billion texts."""
    lines = ["a: &a [x,x,x,x,x,x,x,x,x]"]
    lines += [f"{chr(98 + n)}: &{chr(98 + n)} [{','.join([f'*{chr(97 + n)}'] * 9)}]" for n in range(9)]

    assert "x.yaml:2: *a: aliases are not taken here" in refused("\n".join(lines))


def test_mistakes_are_told_together() -> None:
    """Two wrong documents are two messages."""
    told = refused("kind: A\nmetadata: {name: a}\n---\napiVersion: v1\nmetadata: {name: b}\n")

    assert "x.yaml:1: the object that begins here: apiVersion is missing" in told
    assert "x.yaml:4: the object that begins here: kind is missing" in told


@pytest.mark.parametrize("name", ["nothing", ""])
def test_unreadable_file_is_told(tmp_path: Path, name: str) -> None:
    """A missing file, and a folder."""
    with pytest.raises(MetadataError, match=r"x\.yaml: cannot be read: "):
        read_file(tmp_path / name, shown="x.yaml")


def test_file_is_read(tmp_path: Path) -> None:
    """Also with the mark that some editors put at the beginning."""
    path = tmp_path / "a.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + HEAD.encode())

    assert [str(one) for one in read_file(path, shown="a.yaml")] == ["ConfigMap a"]


@settings(max_examples=200, deadline=None)
@given(st.text() | st.binary() | st.text(alphabet="a:-[]{}&*!|>'\"\n ?,%@`#0.~"))
def test_any_text_is_read_or_refused(text: str | bytes) -> None:
    """No text ends with another error."""
    data = text if isinstance(text, bytes) else text.encode(errors="surrogatepass")
    with suppress(MetadataError):
        read(data)


def test_pure_python_reader_does_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where PyYAML has no libyaml, its own reader refuses the same depths."""
    import yaml

    monkeypatch.delattr(yaml, "CSafeLoader", raising=False)

    assert "is more than 100 levels deep" in refused(HEAD + "data: " + "[" * 2000)
    assert "aliases are not taken here" in refused(HEAD + "data: [&a x, *a]\n")
    assert "x.yaml:4: is no valid YAML: " in refused(HEAD + "data: @a\n")
    assert len(read(HEAD)) == 1
    assert "is no valid YAML" in refused(HEAD.encode() + b"data: \x00\n")


def test_long_values_are_cut() -> None:
    """A message shows the beginning of a long value."""
    assert kubernetes_documents.short("x" * 200) == '"' + "x" * 78 + "…"
    assert kubernetes_documents.short({"a": "ü"}) == '{"a": "ü"}'
    assert kubernetes_documents.short("\ud800") == '"?"'
    assert kubernetes_documents.short(math.pi).startswith("3.14")
