"""Sines: the synthetic benchmark of TimeGAN, made from a seed."""

from __future__ import annotations

import numpy as np

COUNT, STEPS, CHANNELS = 10_000, 24, 5


def sines(count: int = COUNT, steps: int = STEPS, channels: int = CHANNELS, seed: int = 0) -> np.ndarray:
    """float64 (count, steps, channels) in [0, 1]: (sin(eta t + theta) + 1) / 2 with t = 0, 1, ...

    eta and theta are uniform on [0, 0.1], independent for each sequence and channel. Yoon, Jarrett, van der Schaar:
    Time-series Generative Adversarial Networks, NeurIPS 2019, section 6.1, with the ranges that the figures published
    for it go by; the paper's text writes 2 pi eta t.
    """
    generator = np.random.Generator(np.random.Philox(seed))
    eta, theta = generator.uniform(0.0, 0.1, (2, count, 1, channels))
    found: np.ndarray = (np.sin(eta * np.arange(steps)[None, :, None] + theta) + 1.0) / 2.0
    return found
