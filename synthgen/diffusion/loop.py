"""The one loop that runs every Gaussian sampler."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from itertools import islice

import torch
from torch import Tensor

from synthgen.diffusion.tables import SamplerTable

Denoise = Callable[[Tensor, int], Tensor]
"""(x, level) -> x0_hat: the mean of the clean data given x at that level of the table."""

Noise = Callable[[int], Tensor]
"""draw index (0, 1, ... table.draws - 1) -> standard normal noise of x's shape and dtype, on x's device."""

Callback = Callable[[int, Tensor, Tensor], None]
"""(row index, x as the denoiser saw it, x0_hat), before the row's update; must change neither tensor."""


def run_table(
    table: SamplerTable,
    denoise: Denoise,
    x: Tensor,
    noise: Noise,
    *,
    clip: float | None = None,
    callback: Callback | None = None,
) -> Tensor:
    """Take `x`, noisy data at level 0 of `table`, to clean data at its last level.

    x: any shape, float32 or float64; the state keeps its dtype and device, x0_hat is cast to it. `clip`
    bounds every x0_hat to [-clip, clip]. Nothing here waits for the device. Raises ValueError for
    half-precision x: twelve bits of state drift by a grey level.
    """
    if x.dtype not in (torch.float32, torch.float64):
        raise ValueError(f"the solver's state must be float32 or float64, not {x.dtype}")
    estimates: deque[Tensor] = deque(maxlen=table.order)
    draw = 0
    for index, row in enumerate(table.rows):
        x0_hat = denoise(x, row.level).to(x.dtype)
        if clip is not None:
            x0_hat = x0_hat.clamp(-clip, clip)
        if callback is not None:
            callback(index, x, x0_hat)
        estimates.appendleft(x0_hat)
        update = x0_hat * row.x0[0]
        for coefficient, estimate in zip(row.x0[1:], islice(estimates, 1, None), strict=False):
            update.add_(estimate, alpha=coefficient)
        if row.x != 0.0:  # the step to sigma 0 leaves exactly x0_hat, whatever x holds
            update.add_(x, alpha=row.x)
        if row.noise != 0.0:
            update.add_(noise(draw), alpha=row.noise)
            draw += 1
        x = update
    return x
