"""The figures against independent formulas on the same features: scipy, scikit-learn, plain numpy, closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from pytorch_fid.fid_score import calculate_frechet_distance
from scipy.linalg import sqrtm
from scipy.stats import binomtest
from sklearn.metrics.pairwise import polynomial_kernel

from synthgen.evaluation import kernels, metrics


def _correlated(count: int, dimensions: int, seed: int, shift: float = 0.0) -> np.ndarray:
    random = np.random.default_rng(seed)
    mixing = np.random.default_rng(1).normal(size=(dimensions, dimensions)) / np.sqrt(dimensions)
    return (random.normal(size=(count, dimensions)) @ mixing + shift).astype(np.float32)


def test_fid_is_the_frechet_distance_by_a_matrix_square_root() -> None:
    first, second = _correlated(500, 12, 0), 1.3 * _correlated(400, 12, 2, shift=0.2)
    mean = first.mean(0, dtype=np.float64) - second.mean(0, dtype=np.float64)
    covariances = [np.cov(part.astype(np.float64), rowvar=False) for part in (first, second)]
    root = sqrtm(covariances[0] @ covariances[1]).real
    expected = mean @ mean + np.trace(covariances[0] + covariances[1] - 2 * root)
    assert metrics.frechet_distance(first, second) == pytest.approx(expected, rel=1e-6)
    assert metrics.fid(first, second).value == pytest.approx(expected, rel=1e-6)


def test_fid_is_pytorch_fids() -> None:
    first, second = (part.astype(np.float64) for part in (_correlated(300, 20, 0), _correlated(260, 20, 2, shift=0.3)))
    moments = [(part.mean(0), np.cov(part, rowvar=False)) for part in (first, second)]
    expected = calculate_frechet_distance(*moments[0], *moments[1])
    assert metrics.frechet_distance(first, second) == pytest.approx(expected, rel=1e-6)
    assert metrics.frechet_from_moments(*moments[0], *moments[1]) == pytest.approx(expected, rel=1e-6)


def test_fid_of_two_gaussians_is_the_closed_form() -> None:
    """Independent coordinates: |m1 - m2|^2 + sum (s1 - s2)^2 (Dowson and Landau 1982)."""
    random = np.random.default_rng(0)
    means, deviations = np.array([0.5, -1.0, 0.0]), np.array([2.0, 0.5, 1.0])
    first = random.normal(size=(200_000, 3))
    second = means + deviations * random.normal(size=(200_000, 3))
    expected = float((means**2).sum() + ((deviations - 1.0) ** 2).sum())
    assert metrics.frechet_distance(first, second) == pytest.approx(expected, rel=0.02)


def test_fid_of_a_set_against_itself_is_zero_to_rounding() -> None:
    features = 100 * _correlated(300, 64, 0)
    assert 0.0 <= metrics.fid(features, features, interval=False).value < 1e-7 * features.var(axis=0).sum()


def test_fid_shrinks_with_n_although_the_distribution_is_one_and_the_same() -> None:
    """The bias falls like 1 / n: figures at different n must not be compared, which is why the floor has the same n."""
    values = [metrics.frechet_distance(_correlated(n, 16, 3), _correlated(n, 16, 4)) for n in (100, 1000, 10_000)]
    assert values[0] > 4 * values[1] > 16 * values[2] > 0


def test_the_interval_of_fid_is_as_wide_as_repeated_draws_scatter() -> None:
    draws = [
        metrics.frechet_distance(_correlated(400, 6, 10 + seed), _correlated(400, 6, 500 + seed, shift=0.5))
        for seed in range(60)
    ]
    found = metrics.fid(_correlated(400, 6, 10), _correlated(400, 6, 500, shift=0.5))
    assert found.interval is not None
    low, high = found.interval
    deviation = (high - low) / 2 / 1.96
    assert 0.5 < deviation / np.std(draws, ddof=1) < 2.0
    assert low < float(np.mean(draws)) < high


def test_labels_keep_the_class_shares_out_of_the_interval() -> None:
    """Two far classes in exactly equal shares: resampling over both would add the scatter of their shares."""
    labels = np.arange(400) % 2
    sets = [_correlated(400, 6, seed) + 30 * labels[:, None].astype(np.float32) for seed in (1, 2)]
    loose = metrics.fid(*sets).interval
    strict = metrics.fid(*sets, reference_labels=labels, other_labels=labels).interval
    assert loose is not None and strict is not None
    assert loose[1] - loose[0] > 5 * (strict[1] - strict[0])


def test_fid_of_wide_features_has_no_interval_and_says_none() -> None:
    features = np.random.default_rng(0).normal(size=(40, 600)).astype(np.float32)
    assert metrics.fid(features, features + 1).interval is None


def test_kid_is_the_unbiased_mmd_of_the_cubic_kernel() -> None:
    """The same subsets, drawn anew here, through scikit-learn's kernel."""
    reference, other = _correlated(300, 8, 0), _correlated(240, 8, 2, shift=0.3)
    random = np.random.RandomState(7)
    size, values = 120, []
    for _ in range(100):
        x = other[random.choice(240, size, replace=False)].astype(np.float64)
        y = reference[random.choice(300, size, replace=False)].astype(np.float64)
        kernels = [polynomial_kernel(a, b, degree=3, gamma=1 / 8, coef0=1) for a, b in ((x, x), (y, y), (x, y))]
        inner = [(k.sum() - np.trace(k)) / (size * (size - 1)) for k in kernels[:2]]
        values.append(sum(inner) - 2 * kernels[2].mean())
    found = metrics.kid(reference, other, seed=7)
    assert found.value == pytest.approx(float(np.mean(values)), rel=1e-3)
    assert found.spread == pytest.approx(float(np.std(values)), rel=1e-3)


def test_kid_of_one_distribution_scatters_around_zero() -> None:
    values = [metrics.kid(_correlated(300, 8, 2 * s), _correlated(300, 8, 2 * s + 1)).value for s in range(20)]
    assert abs(np.mean(values)) < 3 * np.std(values) / np.sqrt(20)
    assert min(values) < 0 < max(values)


@pytest.mark.parametrize("shift", [0.0, 0.4])
def test_the_interval_of_kid_is_as_wide_as_repeated_draws_scatter(shift: float) -> None:
    draws = [
        metrics.kid(_correlated(300, 8, s), _correlated(240, 8, 500 + s, shift=shift), interval=False).value
        for s in range(40)
    ]
    found = metrics.kid(_correlated(300, 8, 0), _correlated(240, 8, 500, shift=shift))
    assert found.interval is not None and found.method == "bootstrap"
    low, high = found.interval
    assert 0.6 < (high - low) / 2 / 1.96 / np.std(draws, ddof=1) < 2.5
    assert low < float(np.mean(draws)) < high


def test_the_groups_of_kids_interval_hold_the_kernels_of_scikit_learn() -> None:
    """One group a side: the mean kernels are those of the whole sets, without the images' own."""
    x, y = _correlated(30, 8, 0), _correlated(24, 8, 2)
    grouped = [torch.from_numpy(part)[None] for part in (x, y)]
    expected = polynomial_kernel(x, y, degree=3, gamma=1 / 8, coef0=1).mean()
    assert kernels._means(*grouped)[0, 0] == pytest.approx(expected, rel=1e-5)
    own = polynomial_kernel(x, degree=3, gamma=1 / 8, coef0=1)
    expected = (own.sum() - np.trace(own)) / (30 * 29)
    assert kernels._means(grouped[0], grouped[0])[0, 0] == pytest.approx(expected, rel=1e-5)


def test_the_interval_of_the_inception_score_is_as_wide_as_repeated_draws_scatter() -> None:
    def draw(seed: int) -> np.ndarray:
        return np.random.default_rng(seed).normal(size=(400, 5)).astype(np.float32) * 2

    draws = [metrics.inception_score(draw(seed), interval=False).value for seed in range(40)]
    found = metrics.inception_score(draw(0))
    assert found.interval is not None
    assert 0.6 < (found.interval[1] - found.interval[0]) / 2 / 1.96 / np.std(draws, ddof=1) < 1.7


def test_inception_score_is_the_exponential_of_the_mean_divergence() -> None:
    logits = np.random.default_rng(0).normal(size=(80, 5)).astype(np.float32) * 2
    p = np.exp(logits.astype(np.float64)) / np.exp(logits.astype(np.float64)).sum(1, keepdims=True)
    expected = np.exp((p * np.log(p / p.mean(0))).sum(1).mean())
    assert metrics.inception_score(logits).value == pytest.approx(expected, rel=1e-6)


def test_inception_score_of_clear_and_even_classes_is_their_number() -> None:
    logits = 50.0 * np.eye(4, dtype=np.float32)[np.arange(4000) % 4]
    found = metrics.inception_score(logits)
    assert found.value == pytest.approx(4.0, rel=0.01)
    one_class = metrics.inception_score(np.tile(logits[:1], (200, 1)))
    assert one_class.value == pytest.approx(1.0)


@pytest.mark.parametrize(("hits", "count"), [(0, 20), (17, 20), (250, 250), (9871, 10_000)])
def test_the_interval_of_a_share_is_wilsons(hits: int, count: int) -> None:
    found = metrics.share(np.arange(count) < hits)
    expected = binomtest(hits, count).proportion_ci(method="wilson")
    assert found.value == hits / count
    assert found.interval == pytest.approx((expected.low, expected.high), abs=1e-4)
    crossed = metrics.share(np.arange(count) < hits, against=count)
    half = binomtest(hits // 2, count // 2).proportion_ci(method="wilson")
    if hits % 2 == 0:
        assert crossed.interval == pytest.approx((half.low, half.high), abs=1e-4)
