"""The best linear estimate of a window under noise, from which the network of series begins.

For data of mean m and covariance C the linear estimate of least error of x0 in x = x0 + sigma n is Wiener's,
m + C (C + sigma^2)^-1 (x - m); for Gaussian data it is the exact posterior mean. It holds every correlation between
steps and channels, which a small transformer would spend most of its training on (that networks first learn this
Gaussian part: Wang and Vastola 2024, arXiv:2412.09726). The covariance is kept as leading principal components.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import nn

MOST_ENTRIES = 2_000_000
"""Entries of the principal components: 8 MB in float32. All components of a window with up to 1,414 cells."""

FEWEST_COMPONENTS = 16

EXACT = 2048
"""Cells of a window up to which the whole covariance is decomposed, else its leading components are found by a
randomised method (Halko, Martinsson, Tropp 2011)."""

_MOST_WINDOWS = 20_000
_MOST_CELLS = 30_000_000
_CHUNK = 512
_ENOUGH = 4
_LEVELS = 48
_LOWEST, _HIGHEST = math.log(0.002), math.log(80.0)
_LEAST_DEVIATION = 0.01
_LEAST_VARIANCE = 1e-6

Gather = Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor]]
"""Numbers of windows int64 (B,) -> windows float32 (B, L, D) and the steps that exist, bool (B, L)."""


def place_of(time: torch.Tensor, levels: int) -> tuple[torch.Tensor, torch.Tensor]:
    """(the noise level of `levels` evenly spaced ones below `time`, int64 (B,), and how far it is to the next one).

    time: float32 (B,), log(sigma) / 4.
    """
    place = ((4 * time.float() - _LOWEST) / (_HIGHEST - _LOWEST) * (levels - 1)).clamp(0, levels - 1)
    low = place.long().clamp(max=levels - 2)
    return low, place - low


class LinearEstimate(nn.Module):
    """The linear estimate for windows of `window` steps; of unit white noise until `start_from` was called.

    generated: bool (D,), the dimensions it is about; the others are not looked at, and 0 in the answers. group: int64
    (D,), the number of the group that each belongs to: those of different groups have no covariance. None: one group.
    """

    generated: torch.Tensor
    group: torch.Tensor | None
    mean: torch.Tensor
    components: torch.Tensor
    variances: torch.Tensor
    deviations: torch.Tensor

    def __init__(self, window: int, generated: torch.Tensor, group: torch.Tensor | None = None) -> None:
        super().__init__()
        self.window, self.dimensions = window, len(generated)
        size = window * self.dimensions
        rank = min(size, max(FEWEST_COMPONENTS, MOST_ENTRIES // size))
        self.register_buffer("generated", generated, persistent=False)
        self.register_buffer("group", group, persistent=False)
        self.register_buffer("mean", torch.zeros(window, self.dimensions))
        self.register_buffer("components", torch.zeros(size, rank))
        self.register_buffer("variances", torch.ones(rank + 1))  # the last: of whatever is no component
        self.register_buffer("deviations", torch.ones(_LEVELS, self.dimensions))
        self._precision: tuple[torch.Tensor, torch.Tensor] | None = None  # components, and what they are in float64

    def forward(self, x: torch.Tensor, time: torch.Tensor, valid: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The raw answer (of EDM's preconditioning) that makes x0_hat the linear estimate, and that estimate.

        x: float32 (B, L, D), noisy windows divided by sqrt(1 + sigma^2). time: float32 (B,), log(sigma) / 4. valid:
        bool (B, L). With c = sqrt(1 + sigma^2): x0_hat = x / c + sigma / c * raw, so that a component of variance v has
        raw = sigma (v - 1) / (v + sigma^2) times its share of x - mean / c.
        """
        sigma = (4 * time.float()).exp()[:, None]
        scale = (1 + sigma.square()).sqrt()
        hidden = ~(valid[..., None] & self.generated)
        rest = (x.float() - self.mean / scale[..., None]).masked_fill(hidden, 0.0).flatten(1)
        gain = sigma * (self.variances - 1) / (self.variances + sigma.square())
        last = gain[:, -1:]
        raw = torch.addmm(rest * last, (rest @ self.components) * (gain[:, :-1] - last), self.components.T)
        raw = (raw.view_as(x) + self.mean * (sigma / scale)[..., None]).masked_fill(hidden, 0.0)
        return raw, (x * (1 / scale)[..., None] + raw * (sigma / scale)[..., None]).masked_fill(hidden, 0.0)

    def precision(self, device: torch.device) -> tuple[float, torch.Tensor]:
        """(c, F): the inverse of the covariance is c - F F^T; F float64 (L * D, components) on `device`.

        The components are kept in float32, whose rounding the largest variances would carry into the smallest: they are
        made orthonormal again.
        """
        kept = self._precision
        if kept is None or kept[0].device != self.components.device or not torch.equal(kept[0], self.components):
            vectors = torch.linalg.qr(self.components.to(device).double())[0]
            kept = self._precision = (self.components.clone(), vectors)
        inverse = self.variances.to(device).double().reciprocal()
        return float(inverse[-1]), kept[1].to(device) * (inverse[-1] - inverse[:-1]).clamp(min=0.0).sqrt()

    def deviation(self, time: torch.Tensor) -> torch.Tensor:
        """What the linear estimate leaves open, as deviation of the ideal raw answer, float32 (B, 1, D).

        time: float32 (B,), log(sigma) / 4. Over steps the root mean square; 1 for white noise and before `start_from`.
        """
        low, way = place_of(time, _LEVELS)
        found: torch.Tensor = self.deviations[low].lerp(self.deviations[low + 1], way[:, None])
        return found[:, None]

    @torch.no_grad()
    def start_from(self, gather: Gather, count: int) -> None:
        """Take mean and covariance from `count` windows, or from as many evenly spaced ones as memory allows.

        The covariance is drawn towards white noise where windows are few (Ledoit and Wolf 2004).
        """
        device = self.mean.device
        used = max(1, min(count, _MOST_WINDOWS, _MOST_CELLS // max(1, self.mean.numel())))
        index = torch.linspace(0, count - 1, used, device=device).long()
        chunks = [index[start : start + _CHUNK] for start in range(0, used, _CHUNK)]
        self.mean.copy_(self._mean(gather, chunks))
        if self.mean.numel() <= EXACT:
            values, vectors, fourth = self._all(gather, chunks)
        else:
            values, vectors, fourth = self._leading(gather, chunks, len(self.variances) - 1)
        self._fill(values, vectors, fourth, used)

    def _mean(self, gather: Gather, chunks: list[torch.Tensor]) -> torch.Tensor:
        total = torch.zeros_like(self.mean, dtype=torch.float64)
        seen = torch.zeros_like(total[:, :1])
        for chunk in chunks:
            x, valid = gather(chunk)
            total += x.masked_fill(~(valid[..., None] & self.generated), 0.0).double().sum(0)
            seen += valid.double().sum(0)[:, None]
        return (total / seen.clamp(min=1)).float()

    def _centred(self, x: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
        return (x - self.mean).masked_fill(~(valid[..., None] & self.generated), 0.0).flatten(1)

    def _all(self, gather: Gather, chunks: list[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor, float]:
        """All principal variances, falling, with their components, and the sum of the fourth powers of lengths."""
        size = self.mean.numel()
        covariance = torch.zeros(size, size, dtype=torch.float64, device=self.mean.device)
        fourth = 0.0
        for chunk in chunks:
            part = self._centred(*gather(chunk)).double()
            covariance += part.T @ part
            fourth += float(part.square().sum(1).square().sum())
        if self.group is not None:
            group = self.group.repeat(self.window)
            covariance *= group[:, None] == group
        values, vectors = torch.linalg.eigh(covariance / sum(map(len, chunks)))
        return values.flip(0), vectors.flip(1), fourth

    def _leading(
        self, gather: Gather, chunks: list[torch.Tensor], rank: int
    ) -> tuple[torch.Tensor, torch.Tensor, float]:
        """The same for the first `rank` or fewer components; the last variance is the mean of all others."""
        x = torch.cat([self._centred(*gather(chunk)) for chunk in chunks])
        squares = x.square().sum(1).double()
        with torch.random.fork_rng(devices=[x.device] if x.is_cuda else []):
            torch.manual_seed(0)
            _, singular, vectors = torch.svd_lowrank(x, q=min(rank, *x.shape))
        values = singular.double().square() / len(x)
        left = self.window * int(self.generated.sum()) - len(values)
        rest = (squares.sum() / len(x) - values.sum()).clamp(min=0) / max(1, left)
        return torch.cat([values, rest[None]]), vectors, float(squares.square().sum())

    def _fill(self, values: torch.Tensor, vectors: torch.Tensor, fourth: float, count: int) -> None:
        """Take over principal variances and components, shrunk as far as `count` windows make necessary.

        By equation 14 of Ledoit and Wolf 2004, faded out towards `_ENOUGH` windows for each cell: what little white
        noise it leaves there is loud beside the roughness of a smooth series.
        """
        cells = max(1, self.window * int(self.generated.sum()))
        rank = min(vectors.shape[1], len(self.variances) - 1)
        rest = values[rank] if len(values) > rank else values.new_zeros(())
        missing = cells - rank
        total = float(values[:rank].sum() + rest * missing)
        norm = float(values[:rank].square().sum() + rest.square() * missing)
        away = max(norm - total**2 / cells, 1e-12)
        share = min(max((fourth / count - norm) / count, 0.0), away) / away * max(0.0, 1 - count / (_ENOUGH * cells))
        shrunk = (1 - share) * values + share * total / cells
        self.variances.fill_(float((1 - share) * rest + share * total / cells))
        self.variances[:rank] = shrunk[:rank].to(self.variances)
        self.variances.clamp_(min=_LEAST_VARIANCE)
        self.components.zero_()
        self.components[:, :rank] = vectors[:, :rank].to(self.components)
        self.deviations.copy_(self._deviations())

    def _deviations(self) -> torch.Tensor:
        """A component of variance v has the error v sigma^2 / (v + sigma^2); EDM's unit is sigma^2 / (1 + sigma^2)."""
        sigma = torch.linspace(_LOWEST, _HIGHEST, _LEVELS, device=self.mean.device).exp()[:, None]
        error = (1 + sigma.square()) * self.variances / (self.variances + sigma.square())
        weight = self.components.square().view(self.window, self.dimensions, -1).mean(0).T
        found: torch.Tensor = (error[:, :-1] - error[:, -1:]) @ weight + error[:, -1:]
        return found.sqrt().clamp(min=_LEAST_DEVIATION)
