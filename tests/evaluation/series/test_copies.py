"""Planted copies are found: exact, nearly, moved in time; windows of one law are not called copies."""

from __future__ import annotations

import numpy as np
import pytest

from synthgen.evaluation.series.copies import COPIES, beyond_chance, equal_rows, nearest, pieces
from synthgen.evaluation.series.measure import Found
from tests.evaluation.series.conftest import MakeParts, autoregressive, recording_windows, window_set


def _shares(found: Found) -> dict[str, float]:
    return {one.name: one.value for one in found.metrics}


def test_the_nearest_is_the_nearest() -> None:
    random = np.random.default_rng(0)
    asked, among = random.standard_normal((30, 6)), random.standard_normal((70, 6))
    apart = np.sqrt(((asked[:, None] - among[None]) ** 2).mean(2))
    found = nearest(asked, among)
    np.testing.assert_array_equal(found.place, apart.argmin(1))
    np.testing.assert_allclose(found.distance, apart.min(1))


def test_equal_windows_are_equal_to_six_digits_and_in_their_gaps() -> None:
    real = np.array([[[1.0], [2.0]], [[3.0], [np.nan]]])
    fake = np.array([[[1.0], [2.0 + 1e-9]], [[1.0], [2.1]], [[3.0], [np.nan]], [[3.0], [0.0]]])
    assert equal_rows(real, fake).tolist() == [True, False, True, False]


def test_every_piece_of_a_recording_comes_once() -> None:
    windows = recording_windows(np.arange(20.0)[:, None], 6)
    found, owner = pieces(windows.values, windows.sequence, windows.start, 3)
    assert sorted(found[:, 0].tolist()) == list(range(18))
    assert (np.diff(found, axis=1) == 1).all()
    assert (windows.values[owner, 0, 0] <= found[:, 0]).all()


@pytest.fixture(scope="module")
def recording() -> np.ndarray:
    return autoregressive(np.random.default_rng(1), 1, 3000, 0.9, 2)[0]


def test_windows_of_one_law_are_no_copies(recording: np.ndarray, make_parts: MakeParts) -> None:
    fresh = window_set(autoregressive(np.random.default_rng(2), 1500, 12, 0.9, 2))
    found = COPIES.measure(make_parts(recording_windows(recording, 12), fresh))
    shares = _shares(found)
    assert shares["exact_copies"] == 0
    assert shares["copies"] < 0.03
    assert shares["shifted_copies"] < 0.03
    assert shares["nearest"] == pytest.approx(1.0, abs=0.1)
    assert not found.warnings


def test_all_planted_copies_are_found(recording: np.ndarray, make_parts: MakeParts) -> None:
    random = np.random.default_rng(3)
    real = recording_windows(recording, 12)
    fresh = autoregressive(random, 1000, 12, 0.9, 2)
    fresh[:200] = real.values[random.integers(0, len(real), 200)]
    fresh[200:300] = real.values[random.integers(0, len(real), 100)] + 0.01 * random.standard_normal((100, 12, 2))
    found = COPIES.measure(make_parts(real, window_set(fresh)))
    shares = _shares(found)
    assert shares["exact_copies"] == pytest.approx(0.2)
    assert shares["copies"] == pytest.approx(0.3, abs=0.02)
    assert len(found.warnings) >= 2
    assert found.details is not None
    assert found.details["pairs"][0]["distance"] == pytest.approx(0.0, abs=1e-5)


def test_copies_moved_in_time_are_found_in_sequences_that_stand_alone(make_parts: MakeParts) -> None:
    random = np.random.default_rng(4)
    real = window_set(autoregressive(random, 300, 12, 0.8, 2))
    fresh = autoregressive(random, 300, 12, 0.8, 2)
    moved = random.integers(0, 300, 100)
    fresh[:100, :-2] = real.values[moved][:, 2:]  # two steps earlier, two new ones at the end
    shares = _shares(COPIES.measure(make_parts(real, window_set(fresh))))
    assert shares["exact_copies"] == 0
    assert shares["copies"] < 0.05
    assert shares["shifted_copies"] == pytest.approx(1 / 3, abs=0.03)


def test_without_halves_only_exact_copies_are_told(make_parts: MakeParts) -> None:
    real = recording_windows(np.random.default_rng(5).standard_normal((30, 1)), 12)
    assert set(_shares(COPIES.measure(make_parts(real, real)))) == {"exact_copies"}


def test_what_repeats_by_itself_is_no_copy(make_parts: MakeParts) -> None:
    """Half of the windows are dry: all zeros, in real and in fresh ones."""
    random = np.random.default_rng(6)
    sides = [autoregressive(random, 400, 12, 0.9, 1) for _ in range(2)]
    for side in sides:
        side[::2] = 0.0
    found = COPIES.measure(make_parts(*(window_set(side) for side in sides)))
    assert _shares(found)["exact_copies"] == pytest.approx(0.5)
    assert not found.warnings
    for one in found.metrics[:2]:
        assert one.floor == pytest.approx(0.5, abs=0.05)
    assert all(beyond_chance(one) < 0.05 for one in found.metrics if one.share and one.name != "exact_copies")


def test_padding_is_no_copy(make_parts: MakeParts) -> None:
    """A fifth of the windows end before their middle begins: what is beyond the end is equal in all of them."""
    random = np.random.default_rng(7)
    sides = []
    for _ in range(2):
        values, lengths = autoregressive(random, 300, 16, 0.9, 1), np.full(300, 16)
        lengths[::5] = 3
        values[np.arange(16) >= lengths[:, None]] = np.nan
        sides.append(window_set(values, lengths=lengths))
    found = COPIES.measure(make_parts(*sides))
    moved = next(one for one in found.metrics if one.name == "shifted_copies")
    assert moved.n == 240
    assert moved.value < 0.04
    assert moved.floor == pytest.approx(0.01, abs=0.005)
