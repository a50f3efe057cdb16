"""The moving average of the weights that samples are drawn from."""

from __future__ import annotations

import copy

import torch
from torch import nn


class WeightAverage:
    """An exponential moving average whose half-life grows with the run.

    After n images the half-life is `share` * n images (a power-law profile, Karras et al. 2024, eq. 4-5): the first
    random weights are forgotten at once, and late weights are averaged over a fixed share of the run.
    """

    def __init__(self, model: nn.Module, share: float) -> None:
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        self.share = share
        # Buffers of this network family are constants; averaging floats and copying the rest covers any other.
        self._averages = [tensor for tensor in self.model.state_dict().values() if tensor.is_floating_point()]

    @torch.no_grad()
    def update(self, model: nn.Module, batch: int, images_seen: int) -> None:
        """Move towards `model` after a step of `batch` images that brought the total to `images_seen`."""
        decay = 0.5 ** (batch / (self.share * images_seen))
        live = [tensor for tensor in model.state_dict().values() if tensor.is_floating_point()]
        torch._foreach_lerp_(self._averages, live, 1 - decay)
