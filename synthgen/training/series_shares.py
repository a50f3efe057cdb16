"""How much the two estimates of a completion count, measured when a model of series is finished.

Told what is known, the network knows all that it has learned to read from it; put right by known numbers, its estimate
holds the linear law exactly (`synthgen.models.series_known`). Both estimate one mean, so the best of their mixtures is
a regression: of what the second lacks on how they differ, at each noise level and in each dimension.
"""

from __future__ import annotations

import torch

from synthgen.diffusion.series import SeriesDenoiser
from synthgen.models.series_known import LEVELS, KnownNumbers
from synthgen.models.series_linear import Gather, place_of
from synthgen.training.series_known import draw_known

SETS = 32
"""Sets of known cells that are tried, each on `WINDOWS` windows."""
WINDOWS = 64
MOST_NUMBERS = 2_000_000
"""Numbers in a set's windows, at most: fewer windows are tried when they are large."""
_LOWEST, _HIGHEST = 0.01, 80.0
_CLOSE = 0.05
"""Shares this near to nothing or to all are that: one question less for each step of the sampler."""
_PRIOR = 0.25
"""How far shares of neighbouring noise levels are apart, as a deviation, before anything is measured: at the low levels
both estimates are nearly one, and say little."""


@torch.no_grad()
def measure_shares(denoiser: SeriesDenoiser, gather: Gather, count: int, seed: int = 0) -> None:
    """Fill in `denoiser.network.shares` from `count` windows that `gather` hands out.

    Shares stay 1 where nothing was measured, and everywhere when the model has no numbers.
    """
    network, parts = denoiser.network, denoiser.parts
    shares = network.shares.told
    shares.fill_(1.0)
    device = shares.device
    if not bool(denoiser.numbers.any()):
        return
    generator = torch.Generator().manual_seed(seed)
    rows = max(1, min(WINDOWS, MOST_NUMBERS // (network.window * network.dimensions)))
    sets = draw_known(parts, network.window, SETS, 1.0, generator, torch.device("cpu")).to(device)
    sums = torch.zeros(4, *shares.shape, dtype=torch.float64, device=device)
    for known in sets:
        x0, valid = gather(torch.randint(count, (rows,), generator=generator).to(device))
        spot = (torch.randperm(rows, generator=generator) + torch.rand(rows, generator=generator)) / rows
        sigma = _LOWEST * (_HIGHEST / _LOWEST) ** spot.to(device)
        noise = torch.randn(x0.shape, generator=generator).to(device)
        known = known & valid[..., None]
        right = KnownNumbers(network.linear, known, denoiser.numbers)
        if not right:
            continue
        time, alpha = sigma.log() / 4, torch.ones_like(sigma)
        at = (x0 + sigma[:, None, None] * noise, alpha, sigma, time)
        told, better = denoiser.estimates(at, x0, known, valid, right, torch.full((1,), 0.5, device=device))
        counted = denoiser.numbers & ~known & valid[..., None]
        apart = (told - better).masked_fill(~counted, 0.0).double()
        lacking = (x0 - better).masked_fill(~counted, 0.0).double()
        products = torch.stack([lacking * apart, apart.square(), lacking.square(), counted.double()]).sum(2)
        low, way = place_of(time, LEVELS)
        kind = known.any(1)
        for one, mine in enumerate((~kind, kind)):
            for level, weight in ((low, 1 - way), (low + 1, way)):
                sums[:, one].index_add_(1, level, products * mine * weight[:, None].double())
    shares.copy_(torch.where(denoiser.numbers, _regressed(*sums), shares))


def _regressed(above: torch.Tensor, below: torch.Tensor, errors: torch.Tensor, cells: torch.Tensor) -> torch.Tensor:
    """Shares float32 (2, LEVELS, D) from sums over windows, each drawn towards that of the next higher noise level."""
    weight = errors / cells.clamp(min=1e-12) / _PRIOR**2
    found, next_one = torch.ones_like(above), torch.ones_like(above[:, 0])
    for level in reversed(range(LEVELS)):
        total = below[:, level] + weight[:, level]
        best = (above[:, level] + weight[:, level] * next_one) / total.clamp(min=1e-12)
        next_one = found[:, level] = torch.where(total > 0, best.clamp(0.0, 1.0), next_one)
    return torch.where(found < _CLOSE, 0.0, torch.where(found > 1 - _CLOSE, 1.0, found)).float()
