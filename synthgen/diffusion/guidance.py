"""Guidance: a denoiser's answer, moved away from that of a weaker one, at the noise levels where that helps.

`D = D_weak + w (D_strong - D_weak)`. Classifier-free guidance (Ho and Salimans 2022, arXiv:2207.12598, eq. 6) has as
the weaker one the same network without the label; autoguidance (Karras et al. 2024, arXiv:2406.02507, eq. 3) has a
network that learned the same for a shorter time, or of which another average was kept, with the same label or none.
Both formulas are written for eps or D there; the two are linear in each other at a fixed level, hence one combination.
"""

from __future__ import annotations

import numpy as np
import torch

from synthgen.diffusion.tables import Float64Array, noise_to_signal


def guide(strong: torch.Tensor, weak: torch.Tensor, scale: float | torch.Tensor) -> torch.Tensor:
    """`weak + scale * (strong - weak)`, two estimates of x0 of one shape; scale 1 is `strong`, 0 is `weak`.

    scale: one number, or a tensor that broadcasts to their shape.
    """
    return weak + scale * (strong - weak)


def guided_levels(
    alphas: Float64Array, sigmas: Float64Array, scale: float, interval: tuple[float, float]
) -> tuple[bool, ...]:
    """At which of the levels 0 ... n - 1 a scale has an effect: where sigma / alpha lies in `interval`, ends included.

    alphas, sigmas: (n + 1,), the last level clean. None of them at scale 1. An interval of middle levels keeps the
    variety that guidance at high noise costs, and saves calls (Kynkaanniemi et al. 2024, arXiv:2404.07724).
    """
    ratios = noise_to_signal(alphas[:-1], sigmas[:-1])
    inside = (ratios >= interval[0]) & (ratios <= interval[1]) & (scale != 1.0)
    return tuple(np.asarray(inside, bool).tolist())
