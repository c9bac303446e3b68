"""What an object lacks of what is expected of it."""

from __future__ import annotations

import pytest

from archway.kubernetes_differences import differences


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({}, {"a": 1}),
        ({"a": {"b": 1}}, {"a": {"b": 1, "c": 2}, "d": 3}),
        ({"a": [1, {"b": 2}]}, {"a": [1, {"b": 2, "c": 3}]}),
        ({"a": 1}, {"a": 1.0}),
        ({"a": None}, {}),
        ({"a": None}, {"a": None}),
        ({"a": []}, {"a": []}),
    ],
)
def test_more_than_wanted_is_no_difference(wanted: object, found: object) -> None:
    """Mappings may hold more, at any depth, also inside of lists."""
    assert list(differences(wanted, found)) == []


@pytest.mark.parametrize(
    ("wanted", "found", "told"),
    [
        ({"a": 1}, {"a": 2}, ["a: wanted 1, is 2"]),
        ({"a": {"b": "x"}}, {"a": {}}, ['a.b: wanted "x", is missing']),
        ({"a": {"b": {"c": 1}}}, {}, ['a: wanted {"b": {"c": 1}}, is missing']),
        ({"a": 1}, {"a": "1"}, ['a: wanted 1, is "1"']),
        ({"a": True}, {"a": 1}, ["a: wanted true, is 1"]),
        ({"a": 0}, {"a": False}, ["a: wanted 0, is false"]),
        ({"a": None}, {"a": 1}, ["a: wanted null, is 1"]),
        ({"a": [1]}, {"a": [1, 2]}, ["a: wanted 1 item, has 2 items: [1, 2]"]),
        ({"a": [1, 2]}, {"a": []}, ["a: wanted 2 items, has 0 items: []"]),
        ({"a": [{"b": 1}, 2]}, {"a": [{"b": 0}, 3]}, ["a[0].b: wanted 1, is 0", "a[1]: wanted 2, is 3"]),
        ({"a": {"b": 1}}, {"a": [1]}, ['a: wanted {"b": 1}, is [1]']),
        ({"a": [1]}, {"a": {"b": 1}}, ['a: wanted [1], is {"b": 1}']),
        ({"a": {"x.y/z": 1}}, {"a": {"x.y/z": 2}}, ['a["x.y/z"]: wanted 1, is 2']),
        ({"a": 1, "b": 2}, {}, ["a: wanted 1, is missing", "b: wanted 2, is missing"]),
        ({"a": 1}, None, ['the object: wanted {"a": 1}, is null']),
    ],
)
def test_each_difference_is_told_with_its_place(wanted: object, found: object, told: list[str]) -> None:
    """Where it is, what was wanted, and what is there."""
    assert told == list(differences(wanted, found))
