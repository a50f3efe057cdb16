"""How windows become arrays, and how real windows are divided into parts that share no step."""

from __future__ import annotations

import numpy as np
import pytest

from synthgen.evaluation.series.dividing import cut, halves
from synthgen.evaluation.series.space import Space, fill
from tests.evaluation.series.conftest import recording_windows, window_set


def test_gaps_are_filled_on_the_line_between_their_neighbours() -> None:
    random = np.random.default_rng(0)
    values = random.standard_normal((50, 9))
    values[random.random(values.shape) < 0.5] = np.nan
    values[3] = np.nan
    steps = np.arange(9)
    for row, filled in zip(values, fill(values, 7.0), strict=True):
        known = ~np.isnan(row)
        np.testing.assert_allclose(filled, np.interp(steps, steps[known], row[known]) if known.any() else 7.0)


def test_networks_see_gaps_categories_and_ends_as_channels() -> None:
    values = np.array(
        [[[0.0, 1.0, 5.0], [np.nan, 2.0, 5.0], [4.0, 0.0, 5.0]], [[2.0, 1.0, 5.0], [3.0, 2.0, 5.0], [np.nan] * 3]]
    )
    windows = window_set(values, kinds=("number", "category", "number"), lengths=np.array([3, 2]))
    space = Space(windows)
    prepared = space.prepared(windows)
    assert space.dimensions == 1 + 1 + 3 + 1 + 1  # number, its gaps, three categories, constant, end
    assert space.numbers == [0]
    np.testing.assert_allclose(prepared.x[0, :, 0], [0.0, 0.5, 1.0])
    np.testing.assert_array_equal(prepared.x[0, :, 1], [0, 1, 0])
    np.testing.assert_array_equal(prepared.x[0, :, 2:5], [[0, 1, 0], [0, 0, 1], [1, 0, 0]])
    np.testing.assert_array_equal(prepared.x[:, :, 6], [[1, 1, 1], [1, 1, 0]])
    np.testing.assert_array_equal(prepared.x[1, 2], np.zeros(7))
    assert not np.isnan(prepared.x).any()
    assert np.isnan(space.scaled(windows)[0, 1, 0])
    assert len(space.notes) == 3


def test_halves_of_a_recording_share_no_step() -> None:
    windows = recording_windows(np.arange(1000.0)[:, None], 10)
    first, second = halves(windows)
    steps = [set(windows.values[side].ravel().tolist()) for side in (first, second)]
    assert not steps[0] & steps[1]
    assert min(len(first), len(second)) > 0.35 * len(windows)


def test_many_sequences_are_divided_as_wholes() -> None:
    sequence = np.repeat(np.arange(30), 7)
    windows = window_set(np.zeros((210, 4, 1)), sequence=sequence, start=np.tile(np.arange(7), 30))
    first, second = halves(windows)
    assert len(first) == len(second) == 105
    assert not set(sequence[first]) & set(sequence[second])


def test_a_short_recording_may_have_an_empty_half() -> None:
    first, second = halves(recording_windows(np.zeros((12, 1)), 8))
    assert len(first) == 5
    assert len(second) == 0


def test_cutting_keeps_the_order() -> None:
    windows = window_set(np.arange(50.0)[:, None, None] * np.ones((1, 2, 1)))
    chosen = cut(windows, 20, 1).values[:, 0, 0]
    assert len(chosen) == 20
    assert (np.diff(chosen) > 0).all()
    assert cut(windows, 50, 1) is windows


@pytest.mark.parametrize("kind", ["integer", "datetime"])
def test_whole_numbers_and_dates_are_numbers(kind: str) -> None:
    assert Space(window_set(np.arange(12.0).reshape(2, 6, 1), kinds=(kind,))).numbers == [0]
