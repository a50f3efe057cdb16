"""Waves of two shapes that a classifier tells apart."""

from __future__ import annotations

import numpy as np


def waves(count: int, seed: int = 0, noise: float = 0.6) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """values (count, 16, 2), NaN beyond the length; labels, text; lengths of 10 to 16.

    Class `slow` is a wave of period 12, `fast` one of period 5, in a random phase; the second channel is noise.
    """
    random = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    lengths = random.integers(10, 17, count)
    steps = np.arange(16)
    period = np.where(labels == 0, 12.0, 5.0)[:, None]
    wave = np.sin(2 * np.pi * (steps / period + random.random((count, 1))))
    values = np.stack([wave, np.zeros_like(wave)], axis=-1) + noise * random.normal(size=(count, 16, 2))
    values[steps >= lengths[:, None]] = np.nan
    return values, np.where(labels == 0, "slow", "fast"), lengths
