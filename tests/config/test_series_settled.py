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


def test_what_was_asked_for_stays() -> None:
    config = SeriesConfig.model_validate({"training": {"batch_size": 100, "budget": "5m"}})
    settled = config.for_lengths(100, 10_000, 10_000)
    assert (settled.training.batch_size, settled.training.steps) == (100, None)
