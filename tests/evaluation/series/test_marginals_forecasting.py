"""Values, gaps and lengths against scipy and closed forms; what forecasters learn."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
from sklearn.linear_model import Ridge

from synthgen.evaluation.series.agreement import AGREEMENT
from synthgen.evaluation.series.forecasting import FORECASTING, _ridge, known_steps
from synthgen.evaluation.series.marginals import MARGINALS, kolmogorov, persistence, wasserstein
from tests.evaluation.series.conftest import MakeParts, autoregressive, window_set


def test_distances_of_distributions_are_scipys() -> None:
    random = np.random.default_rng(0)
    first, second = np.sort(random.standard_normal(700)), np.sort(random.gamma(2.0, size=500))
    assert wasserstein(first, second) == pytest.approx(scipy.stats.wasserstein_distance(first, second), rel=0.01)
    assert kolmogorov(first, second) == pytest.approx(scipy.stats.ks_2samp(first, second).statistic)


def test_persistence_is_that_of_the_markov_chain_that_made_the_gaps() -> None:
    random = np.random.default_rng(1)
    gone = np.zeros((3000, 20, 1), bool)
    gone[:, 0] = random.random((3000, 1)) < 0.2
    for step in range(1, 20):
        again = np.where(gone[:, step - 1], 0.8, 0.05)
        gone[:, step] = random.random((3000, 1)) < again
    valid = np.ones((3000, 20), bool)
    assert persistence(gone, valid)[0] == pytest.approx(0.8, abs=0.01)
    assert np.isnan(persistence(np.zeros((2, 5, 1), bool), valid[:2, :5])[0])


def test_gaps_that_come_singly_are_told_from_gaps_that_last(make_parts: MakeParts) -> None:
    random = np.random.default_rng(2)
    values = random.standard_normal((2, 400, 20, 1))
    values[0, :, 5:9] = np.nan
    values[1][random.random((400, 20, 1)) < 0.2] = np.nan
    found = {
        one.name: one for one in MARGINALS.measure(make_parts(window_set(values[0]), window_set(values[1]))).metrics
    }
    assert found["missing_rate"].value < 0.01
    assert found["persistence"].value == pytest.approx(0.75 - 0.2, abs=0.03)
    assert found["persistence"].at("halves").value == 0.0  # type: ignore[union-attr]


def test_gaps_that_only_synthetic_windows_have_are_seen_wherever_they_lie(make_parts: MakeParts) -> None:
    random = np.random.default_rng(4)
    real, fake = random.standard_normal((2, 200, 10, 2))
    real[:, 3, 0] = np.nan
    fake[:, 3, 0] = np.nan
    fake[:, 6:8, 1] = np.nan
    found = {one.name: one for one in MARGINALS.measure(make_parts(window_set(real), window_set(fake))).metrics}
    assert found["missing_rate"].value == pytest.approx((0.0 + 0.2) / 2)
    real[:, 3, 0] = 0.0
    found = {one.name: one for one in MARGINALS.measure(make_parts(window_set(real), window_set(fake))).metrics}
    assert found["missing_rate"].value == pytest.approx((0.1 + 0.2) / 2)


def test_a_channel_left_out_altogether_is_as_far_as_can_be(make_parts: MakeParts) -> None:
    real, fake = np.random.default_rng(5).standard_normal((2, 200, 10, 1))
    found = MARGINALS.measure(make_parts(window_set(real), window_set(np.full_like(fake, np.nan))))
    figures = {one.name: one.value for one in found.metrics}
    assert figures["ks"] == 1.0
    assert figures["missing_rate"] == 1.0


def test_categories_and_lengths_are_compared(make_parts: MakeParts) -> None:
    random = np.random.default_rng(3)
    sides = []
    for share, longest in ((0.5, 6), (0.8, 5)):
        values = (random.random((500, 6, 1)) < share).astype(float)
        lengths = random.integers(longest - 2, longest + 1, 500)
        values[np.arange(6) >= lengths[:, None]] = np.nan
        sides.append(window_set(values, kinds=("category",), lengths=lengths))
    found = {one.name: one for one in MARGINALS.measure(make_parts(*sides)).metrics}
    assert found["categories"].value == pytest.approx(0.3, abs=0.03)
    assert found["lengths"].value == pytest.approx(1 / 3, abs=0.06)
    assert "wasserstein" not in found


def test_ridge_is_scikit_learns() -> None:
    random = np.random.default_rng(4)
    x, y = random.standard_normal((60, 5)), random.standard_normal((60, 2))
    centred = x - x.mean(0)
    penalty = 0.3 * np.linalg.eigvalsh(centred.T @ centred).mean()
    ((weights, shift, mean),) = _ridge(x, y, (0.3,))
    expected = Ridge(alpha=penalty).fit(x, y)
    np.testing.assert_allclose((x - mean) @ weights + shift, expected.predict(x), atol=1e-10)


def test_forecasts_learned_from_the_same_law_are_as_good_as_from_real_windows(make_parts: MakeParts) -> None:
    random = np.random.default_rng(5)
    real, same, later = (window_set(autoregressive(random, 800, 12, 0.8)) for _ in range(3))
    noise = window_set(random.standard_normal((800, 12, 1)))
    good = FORECASTING.measure(make_parts(real, same, later)).metrics[0]
    bad = FORECASTING.measure(make_parts(real, noise, later)).metrics[0]
    # E|error| of the best forecast k steps ahead over that of the last value: sqrt(1 - phi^2k) / sqrt(2 - 2 phi^k).
    ahead = 0.8 ** np.arange(1, 5)
    best = 1 - np.sqrt(1 - ahead**2).mean() / np.sqrt(2 - 2 * ahead).mean()
    assert known_steps(12) == 8
    assert good.value == pytest.approx(best, abs=0.03)
    assert good.floor == pytest.approx(good.value, abs=0.02)
    assert bad.value < good.value - 0.03


def test_labels_that_mean_nothing_are_read_by_chance(make_parts: MakeParts) -> None:
    random = np.random.default_rng(6)
    labels = random.integers(0, 2, 120)
    values = random.standard_normal((120, 16, 1)) + 3 * labels[:, None, None] * np.sin(np.arange(16))[:, None]
    named = {"class_names": ("a", "b")}
    real, fake = (window_set(values[part], labels=labels[part], **named) for part in (slice(60), slice(60, 120)))
    mixed = window_set(values[60:], labels=random.permutation(labels[60:]), **named)
    good, bad = (AGREEMENT.measure(make_parts(real, one)).metrics[0] for one in (fake, mixed))
    assert good.value > 0.95
    assert 0.25 < bad.value < 0.75
