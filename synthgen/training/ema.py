"""The moving average of the weights that samples are drawn from."""

from __future__ import annotations

import copy

import torch
from torch import nn

from synthgen.training.shards import is_sharded, like, local
from synthgen.training.world import Tensors


class WeightAverage:
    """An exponential moving average whose half-life grows with the run.

    After n images the half-life is `share` * n images (a power-law profile, Karras et al. 2024, eq. 4-5): the first
    random weights are forgotten at once, and late weights are averaged over a fixed share of the run.
    """

    def __init__(self, model: nn.Module, share: float) -> None:
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        self.share = share
        # Buffers of this network family are constants; averaging floats and copying the rest covers any other.
        self._state: Tensors = dict(self.model.state_dict())

    def follow(self, model: nn.Module) -> None:
        """Keep the averages as parts where `model`'s weights have become parts; `self.model` then lags behind."""
        live = model.state_dict()
        if any(is_sharded(tensor) for tensor in live.values()):
            self._state = {name: like(tensor, live[name]).clone() for name, tensor in self._state.items()}

    def state(self, prefix: str) -> Tensors:
        """The averages whose names begin with `prefix`, by the rest of their names."""
        return {name.removeprefix(prefix): value for name, value in self._state.items() if name.startswith(prefix)}

    @torch.no_grad()
    def update(self, model: nn.Module, batch: int, images_seen: int, only_if: torch.Tensor | None = None) -> None:
        """Move towards `model` after a step of `batch` images that brought the total to `images_seen`.

        only_if: bool scalar on the device; where it is False nothing moves, and nobody waits to find out.
        """
        decay = 0.5 ** (batch / (self.share * images_seen))
        live = [local(tensor) for tensor in model.state_dict().values() if tensor.is_floating_point()]
        averages = [local(tensor) for tensor in self._state.values() if tensor.is_floating_point()]
        if only_if is None:
            torch._foreach_lerp_(averages, live, 1 - decay)
            return
        way = torch._foreach_sub(live, averages)
        torch._foreach_mul_(way, (1 - decay) * only_if)
        torch._foreach_add_(averages, way)
