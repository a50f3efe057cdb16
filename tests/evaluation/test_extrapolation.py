"""FID for infinitely many images: near the closed form at an n where plain FID is far from it."""

from __future__ import annotations

import numpy as np
import pytest

from synthgen.evaluation import metrics
from synthgen.evaluation.extrapolation import fid_infinity


def _gaussian(count: int, seed: int, shift: float = 0.0, dimensions: int = 32) -> np.ndarray:
    deviations = np.linspace(0.2, 2.0, dimensions)
    return ((np.random.default_rng(seed).normal(size=(count, dimensions)) + shift) * deviations).astype(np.float32)


@pytest.mark.parametrize("shift", [0.0, 0.3])
def test_the_bias_of_fid_is_gone(shift: float) -> None:
    """Equal covariances: the distance of the Gaussians is that of their means."""
    truth = float(((shift * np.linspace(0.2, 2.0, 32)) ** 2).sum())
    pairs = [(_gaussian(256, seed), _gaussian(256, 100 + seed, shift)) for seed in range(8)]
    plain = np.array([metrics.frechet_distance(*pair) for pair in pairs])
    better = np.array([fid_infinity(*pair, interval=False).value for pair in pairs])
    assert (plain - truth).mean() > 1.5
    assert abs((better - truth).mean()) < 0.15 * (plain - truth).mean()


def test_the_interval_is_as_wide_as_repeated_draws_scatter() -> None:
    values = [fid_infinity(_gaussian(400, s), _gaussian(400, 50 + s, 0.3), interval=False).value for s in range(20)]
    found = fid_infinity(_gaussian(400, 0), _gaussian(400, 50, 0.3))
    assert found.interval is not None and found.value == values[0]
    low, high = found.interval
    assert 0.6 < (high - low) / 2 / 1.96 / np.std(values, ddof=1) < 2.5


def test_far_features_lose_no_digits() -> None:
    first, second = _gaussian(400, 1), _gaussian(300, 2, 0.3)
    moved = fid_infinity(first[:300] + 1000.0, second + 1000.0, interval=False).value
    assert moved == pytest.approx(fid_infinity(first[:300], second, interval=False).value, rel=1e-2)
