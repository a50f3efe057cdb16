"""Correlations, autocorrelations and spectra against numpy, pandas, scipy and closed forms."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import scipy.signal

from synthgen.evaluation.series.correlation import correlational, correlations
from synthgen.evaluation.series.dynamics import (
    AUTOCORRELATION,
    CROSS,
    SPECTRUM,
    autocorrelations,
    cross_correlations,
    cross_sums,
    decibels_apart,
    lagged_sums,
    normalised,
    power,
)
from tests.evaluation.series.conftest import MakeParts, autoregressive, window_set


def test_correlations_are_those_of_numpy_and_with_gaps_those_of_pandas() -> None:
    random = np.random.default_rng(0)
    values = random.standard_normal((40, 5, 4)) @ random.standard_normal((4, 4))
    np.testing.assert_allclose(correlations(values), np.corrcoef(values.reshape(-1, 4), rowvar=False), atol=1e-12)
    values[random.random(values.shape) < 0.3] = np.nan
    expected = pd.DataFrame(values.reshape(-1, 4)).corr().to_numpy()
    np.testing.assert_allclose(correlations(values), expected, atol=1e-10)


def test_the_correlational_score_is_the_sum_of_the_lower_triangle_over_ten() -> None:
    random = np.random.default_rng(1)
    real, fake = random.standard_normal((2, 50, 6, 3))
    fake[:, :, 1] = fake[:, :, 0]
    drawn = np.random.default_rng([4, 1])
    sides = [side[drawn.integers(0, 50, 10)].reshape(-1, 3) for side in (real, fake)]
    first, second = (np.corrcoef(side, rowvar=False) for side in sides)
    expected = sum(abs(first[i, j] - second[i, j]) for i in range(3) for j in range(i)) / 10
    assert correlational(real, fake, [4])[0] == pytest.approx(expected)
    assert correlational(real, fake).shape == (5,)


def test_a_constant_channel_correlates_with_nothing() -> None:
    values = np.random.default_rng(2).random((10, 4, 2))
    values[:, :, 1] = 3.0
    np.testing.assert_array_equal(correlations(values), np.eye(2))


@pytest.mark.parametrize("phi", [0.9, -0.5])
def test_the_autocorrelation_of_an_autoregression_is_a_power(phi: float) -> None:
    x = autoregressive(np.random.default_rng(3), 20_000, 12, phi)
    found = autocorrelations(lagged_sums(x, 8))[0]
    np.testing.assert_allclose(found, phi ** np.arange(9), atol=0.02)


def test_gaps_leave_the_autocorrelation_as_it_is() -> None:
    random = np.random.default_rng(4)
    x = autoregressive(random, 20_000, 12, 0.8)
    x[random.random(x.shape) < 0.3] = np.nan
    np.testing.assert_allclose(autocorrelations(lagged_sums(x, 5))[0], 0.8 ** np.arange(6), atol=0.02)


def test_the_spectrum_is_scipys_periodogram() -> None:
    x = np.random.default_rng(5).standard_normal((7, 16, 2)).cumsum(1)
    taper = np.hanning(18)[1:-1]
    centred = x - np.einsum("nlc,l->nc", x, taper)[:, None] / taper.sum()
    _, expected = scipy.signal.periodogram(centred, window=taper, detrend=False, return_onesided=False, axis=1)
    shares = expected[:, 1:9].sum(0).T
    np.testing.assert_allclose(normalised(power(x)), shares / shares.sum(1, keepdims=True), rtol=1e-9)


def test_decibels_are_of_the_ratio() -> None:
    first, second = np.array([[1.0, 1.0], [1.0, 3.0]]), np.array([[1.0, 1.0], [3.0, 1.0]])
    np.testing.assert_allclose(decibels_apart(first, second), [0.0, 10 * np.log10(3)])


def test_cross_correlations_are_those_of_shifted_columns() -> None:
    values = np.random.default_rng(6).standard_normal((30, 8, 3)).cumsum(1)
    found = cross_correlations(cross_sums(values, (0, 2)))
    np.testing.assert_allclose(found[0], np.corrcoef(values.reshape(-1, 3), rowvar=False), atol=1e-12)
    first, later = values[:, :6].reshape(-1, 3), values[:, 2:].reshape(-1, 3)
    assert found[1, 0, 1] == pytest.approx(np.corrcoef(first[:, 0], later[:, 1])[0, 1])


def test_one_percent_of_white_noise_shows_in_the_spectrum_of_a_smooth_series(make_parts: MakeParts) -> None:
    random = np.random.default_rng(7)
    walks = random.standard_normal((2, 800, 24, 2)).cumsum(2)
    smooth = np.cumsum(walks, axis=2)
    real, other = (window_set(side) for side in smooth)
    noisy = window_set(smooth[1] + 0.01 * smooth[1].std((0, 1)) * random.standard_normal(smooth[1].shape))
    clean, found = (SPECTRUM.measure(make_parts(real, one)).metrics[0] for one in (other, noisy))
    assert clean.at("redrawn") is not None
    assert clean.value < 2.5 * clean.at("redrawn").value  # type: ignore[union-attr]
    assert found.value > 5 * found.at("redrawn").value  # type: ignore[union-attr]


def test_autocorrelations_of_another_law_are_apart_by_what_they_are(make_parts: MakeParts) -> None:
    random = np.random.default_rng(8)
    real, same = (window_set(autoregressive(random, 600, 16, 0.9, 2)) for _ in range(2))
    other = window_set(autoregressive(random, 600, 16, 0.6, 2))
    near, far = (AUTOCORRELATION.measure(make_parts(real, one)).metrics[0] for one in (same, other))
    assert near.floors[0].name == "halves"
    assert near.value < 3 * near.floors[0].value
    assert far.value == pytest.approx(np.mean(0.9 ** np.arange(1, 16) - 0.6 ** np.arange(1, 16)), abs=0.05)


def test_a_channel_that_no_longer_follows_another_is_named(make_parts: MakeParts) -> None:
    random = np.random.default_rng(9)
    leader = random.standard_normal((1500, 18, 1))
    follows = window_set(np.concatenate([leader[:, 2:], leader[:, :-2]], axis=2))  # c1 is c0, two steps later
    alone = window_set(random.standard_normal((1500, 16, 2)))
    found = CROSS.measure(make_parts(follows, alone))
    assert found.details is not None
    worst = found.details["pairs"][0]
    assert (worst["channels"], worst["lag"]) == (["c0", "c1"], 2)
    assert worst["real"] == pytest.approx(1.0, abs=0.01)
    assert worst["fake"] == pytest.approx(0.0, abs=0.03)
    assert found.metrics[0].value > 4 * (found.metrics[0].floor or 0.0)
