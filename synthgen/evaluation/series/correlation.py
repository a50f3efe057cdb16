"""How channels hang together: Pearson's correlations, at the same time and at lags."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

DRAWS = 5
"""The field draws a fifth of the windows, five times."""


def correlations(values: np.ndarray) -> np.ndarray:
    """Pearson's correlation of every two channels over all steps of all windows (N, L, C): (C, C).

    Of each pair the steps count at which both are there (not NaN). A channel that does not change has 0 with others.
    """
    flat = values.reshape(-1, values.shape[-1])
    seen = ~np.isnan(flat)
    centred = np.where(seen, flat - _mean(flat, seen), 0.0)
    scale = np.sqrt((centred**2).sum(0))
    centred = centred / np.where(scale > 0, scale, 1.0)  # before products: no overflow
    if seen.all():
        found = centred.T @ centred
    else:
        there = seen.astype(np.float64)
        sums, squares, counts = centred.T @ there, (centred**2).T @ there, there.T @ there
        count = np.maximum(counts, 1)
        joint = centred.T @ centred - sums * sums.T / count
        spread = np.maximum(squares - sums**2 / count, 0.0)
        both = np.sqrt(spread * spread.T)
        found = np.where(both > 1e-12, joint / np.where(both > 1e-12, both, 1.0), 0.0)
    found = np.clip(found, -1.0, 1.0)
    np.fill_diagonal(found, 1.0)
    return np.asarray(found)


def correlational(real: np.ndarray, fake: np.ndarray, seeds: Sequence[int] = range(DRAWS)) -> np.ndarray:
    """The correlational score, float64 (S,): the summed differences of the correlation matrices' lower triangles, / 10.

    real, fake: (N, L, C), NaN where missing. For each seed a fifth of the windows of each side is drawn with
    replacement (Liao et al. 2020 in the form of Yuan and Qiao 2024).
    """
    found = []
    lower = np.tril_indices(real.shape[2])
    for seed in seeds:
        random = np.random.default_rng([seed, 1])
        matrices = [
            correlations(side[random.integers(0, len(side), max(len(side) // DRAWS, 1))]) for side in (real, fake)
        ]
        found.append(float(np.abs(matrices[0] - matrices[1])[lower].sum() / 10))
    return np.array(found)


def _mean(flat: np.ndarray, seen: np.ndarray) -> np.ndarray:
    total = np.where(seen, flat, 0.0).sum(0)
    return np.asarray(total / np.maximum(seen.sum(0), 1))
