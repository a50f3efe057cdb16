"""The settings themselves: each explained, each bounded; durations."""

from __future__ import annotations

import pytest

from synthgen.config.schema import Config, parse_duration
from synthgen.config.validation import fields, group_of


def test_every_setting_is_explained() -> None:
    missing = [key for key, field in fields() if not field.description]
    assert missing == []


def test_every_group_says_what_it_is() -> None:
    groups = [group_of(field) for _, field in fields()]
    assert all(group.__doc__ for group in groups if group is not None)


def test_every_number_is_bounded_below() -> None:
    """A number without a lower bound is one that somebody will set to -1 and wait for."""
    free = {"diffusion.noise_mean", "distill.noise_mean"}  # logarithms
    schema = Config.model_json_schema()["$defs"]
    for key, field in fields():
        if field.annotation in (int, float) and key not in free:
            assert any(hasattr(rule, "ge") or hasattr(rule, "gt") for rule in field.metadata), key
    assert schema


def test_settings_cannot_be_changed_afterwards() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Config().training.seed = 3  # type: ignore[misc]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("15m", 900), ("1h30m", 5400), ("2h", 7200), ("0.5h", 1800), ("1h1m1s", 3661)],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "15", "15 minutes", "m", "-3m", "0s", "1m1h", "1e3s"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match=r"duration|no time"):
        parse_duration(text)
