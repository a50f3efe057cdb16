"""YAML 1.2 scalars, against the examples of the specification, and the places of keys and values."""

from __future__ import annotations

import math

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from synthgen.config.problems import ConfigError
from synthgen.config.yaml_reader import read_yaml, scalar


@pytest.mark.parametrize(
    ("text", "value"),
    [  # https://yaml.org/spec/1.2.2/#103-core-schema, and what YAML 1.1 would read otherwise
        ("null", None),
        ("~", None),
        ("", None),
        ("True", True),
        ("false", False),
        ("0", 0),
        ("0o7", 7),
        ("0x3A", 58),
        ("-19", -19),
        ("010", 10),
        ("0.", 0.0),
        ("-0.0", -0.0),
        (".5", 0.5),
        ("+12e03", 12000.0),
        ("-2E+05", -200000.0),
        ("1e-4", 0.0001),
        (".inf", math.inf),
        ("-.Inf", -math.inf),
        ("yes", "yes"),
        ("on", "on"),
        ("1:30", "1:30"),
        ("1_000", "1_000"),
        ("2024-01-01", "2024-01-01"),
        ("0o8", "0o8"),
        ("1e", "1e"),
        ("٣", "٣"),  # a digit, though not of YAML
    ],
)
def test_core_schema(text: str, value: object) -> None:
    assert scalar(text) == value
    assert type(scalar(text)) is type(value)


def test_not_a_number() -> None:
    assert math.isnan(float(scalar(".nan") or 0))


def test_quotes_make_text() -> None:
    assert read_yaml("a: '1e-4'\nb: \"true\"\nc: |\n  12\n", "x").value == {"a": "1e-4", "b": "true", "c": "12\n"}


def test_places_count_from_one_and_know_their_length() -> None:
    document = read_yaml("model:\n  channels: [8, 16]\n", "my.yaml")
    place = document.places["model", "channels", 1]
    assert (str(place), place.length) == ("my.yaml:2:17", 2)
    assert str(document.key_places["model", "channels"]) == "my.yaml:2:3"


def test_duplicates_are_named_and_the_first_one_stays() -> None:
    document = read_yaml("a: {b: 1, b: 2}\n", "x")
    assert document.value == {"a": {"b": 1}}
    assert [str(problem) for problem in document.problems] == ["x:1:11: duplicate key 'a.b' (first on line 1)"]


def test_a_bomb_of_aliases_does_not_grow() -> None:
    bomb = "a: &a [x]\n" + "".join(f"{after}: &{after} [*{name}]\n" for name, after in zip("ab", "bc", strict=True))
    with pytest.raises(ConfigError, match="aliases are not supported"):
        read_yaml(bomb, "x")


leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(st.characters(codec="utf-8"))


@given(st.dictionaries(st.text("abc", min_size=1), st.lists(leaves, max_size=4), max_size=4))
def test_what_pyyaml_writes_is_read_as_it_was(value: dict[str, list[object]]) -> None:
    quoted = yaml.safe_dump(value, default_style='"', allow_unicode=False)  # tags what is no text
    plain = yaml.safe_dump(
        {key: [entry for entry in entries if not isinstance(entry, str)] for key, entries in value.items()}
    )
    expected = {key: [entry for entry in entries if not isinstance(entry, str)] for key, entries in value.items()}
    assert read_yaml(plain, "x").value == expected
    texts = {key: [entry for entry in entries if isinstance(entry, str)] for key, entries in value.items()}
    quoted = yaml.safe_dump(texts, default_style='"')
    assert read_yaml(quoted, "x").value == texts
