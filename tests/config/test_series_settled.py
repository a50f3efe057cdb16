"""What the settings of series become once the data are known."""

from __future__ import annotations

import pytest

from synthgen.config.series import SeriesConfig


@pytest.mark.parametrize(
    ("longest", "windows", "sequences", "batch", "steps"),
    [
        (3685, 3662, 1, 128, 7500),  # stocks: a recording
        (29, 270, 270, 105, 1500),  # utterances
        (24, 67, 67, 67, 1500),  # few windows are not seen a thousand times more
        (24, 10_000, 10_000, 128, 7500),
        (256, 40_000, 40_000, 32, 7500),  # four times 24 steps, and patches beyond 128
        (5, 3, 1, 16, 1500),
    ],
)
def test_batch_and_steps_follow_from_the_windows(
    longest: int, windows: int, sequences: int, batch: int, steps: int
) -> None:
    settled = SeriesConfig().for_lengths(longest, windows, sequences)
    assert (settled.training.batch_size, settled.training.steps) == (batch, steps)
    assert settled.for_lengths(longest, windows, sequences) == settled


@pytest.mark.parametrize(
    ("protocol", "windows", "apart", "steps", "dropout"),
    [
        ("honest", 13_913, 580, 1812, 0.2),  # ETTh1: overlapping windows of a recording
        ("leaky", 17_397, 725, 7500, 0.0),
        ("honest", 2925, 122, 1500, 0.2),
        ("honest", 10**6, 40_000, 7500, 0.0),
        ("honest", 8000, 8000, 7500, 0.0),  # windows that do not overlap
    ],
)
def test_overlapping_windows_count_for_less(
    protocol: str, windows: int, apart: int, steps: int, dropout: float
) -> None:
    config = SeriesConfig.model_validate({"data": {"protocol": protocol}})
    settled = config.for_lengths(24 * apart, windows, 1, apart)
    assert (settled.training.steps, settled.model.dropout) == (steps, dropout)
    assert settled.for_lengths(24 * apart, windows, 1, apart) == settled
    asked = SeriesConfig.model_validate({"data": {"protocol": protocol}, "model": {"dropout": 0.05}})
    assert asked.for_lengths(24 * apart, windows, 1, apart).model.dropout == 0.05


def test_what_was_asked_for_stays() -> None:
    config = SeriesConfig.model_validate({"training": {"batch_size": 100, "budget": "5m"}})
    settled = config.for_lengths(100, 10_000, 10_000)
    assert (settled.training.batch_size, settled.training.steps) == (100, None)
