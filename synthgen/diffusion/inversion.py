"""Outcomes of discrete and piecewise constant distributions at given uniforms."""

from __future__ import annotations

import torch
from torch.nn import functional as F


def invert(probability: torch.Tensor, uniform: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The outcome at `uniform` of each distribution, int64 (M,), and where in its share that lies, float64 (M,).

    probability: float (M, K), rows summing to one; an outcome of probability zero never comes.
    """
    steps = probability.double().cumsum(-1)
    aim = uniform.double()[:, None] * steps[:, -1:]
    index = torch.searchsorted(steps, aim, right=True).clamp(max=probability.shape[1] - 1)
    size = probability.double().gather(1, index)
    start = steps.gather(1, index) - size
    return index[:, 0], ((aim - start) / size.clamp(min=1e-300)).clamp(0.0, 1.0)[:, 0]


def between(probability: torch.Tensor, uniform: torch.Tensor, low: torch.Tensor, high: torch.Tensor) -> torch.Tensor:
    """Place in [low, high], float32 (M,), drawn from a density over [0, 1) that is constant on K equal levels.

    probability: float (M, K) of the levels. The density is cut to the interval: its distribution function, which is
    piecewise linear, is inverted between its values at low and high.
    """
    levels = probability.shape[1]
    steps = F.pad(probability.double().cumsum(-1), (1, 0))

    def below(place: torch.Tensor) -> torch.Tensor:
        level = (place.double() * levels).long().clamp(0, levels - 1)[:, None]
        share = place.double()[:, None] * levels - level
        return (steps.gather(1, level) + share * probability.double().gather(1, level))[:, 0]

    bottom, top = below(low), below(high)
    level, share = invert(probability, bottom / steps[:, -1] + uniform.double() * (top - bottom) / steps[:, -1])
    place = ((level + share) / levels).float()
    return torch.maximum(torch.minimum(place, high), low)
