"""What known numbers say about the unknown cells of a window, by the linear law from which the network begins.

The network estimates a window from noisy cells, the known numbers among them made as noisy as the others; its errors at
those are seen. Under the linear law the errors of a window of covariance C at noise level sigma have the covariance
P = (Q + sigma^-2)^-1 with Q = C^-1, so that the errors e of the known cells K are carried to the unknown cells U by
regression, P_UK (P_KK)^-1 e = -(Q_UU + sigma^-2)^-1 Q_UK e: exact for Gaussian data. For other data it is guidance by
the pseudoinverse (Song, Vahdat, Mardani, Kautz 2023) with the data's covariance in the place of white noise (Peng et
al. 2024, arXiv:2402.02149).

A network that is told known numbers without noise knows more than the linear law, but has to learn the linear part for
every set of known cells anew: what it draws next to them sets in with a jump. So both are asked, and `Shares` says how
much each counts.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn

from synthgen.models.series_linear import LinearEstimate, place_of

LEVELS = 12
"""Noise levels at which shares are kept."""


class Shares(nn.Module):
    """How much the estimate that is told known numbers counts beside the one that they put right: all, until measured.

    told: float32 (2, LEVELS, D) from 0 to 1, for dimensions without and with a known cell in the window.
    """

    told: torch.Tensor

    def __init__(self, dimensions: int) -> None:
        super().__init__()
        self.register_buffer("told", torch.ones(2, LEVELS, dimensions))

    def forward(self, time: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
        """float32 (B, 1, D). time: float32 (B,), log(sigma) / 4. known: bool (B, L, D)."""
        low, way = place_of(time, LEVELS)
        found = self.told[:, low].lerp(self.told[:, low + 1], way[:, None])
        return torch.where(known.any(1), found[1], found[0])[:, None]


class _Pattern(NamedTuple):
    """Rows whose known cells are the same. unknown: their other cells, int64 (U,). vectors: float64 (U, M) and values:
    float64 (M,), of Q_UU; what is no vector has the value of the rest."""

    rows: torch.Tensor
    unknown: torch.Tensor
    vectors: torch.Tensor
    values: torch.Tensor


class KnownNumbers:
    """Puts estimates right for one set of known cells; made once for all noise levels.

    linear: the law. known: bool (B, L, D), cells that are known. numbers: bool (D,), dimensions whose cells the network
    sees under noise; of the others it is told what is known, and nothing is to be put right there.
    """

    def __init__(self, linear: LinearEstimate, known: torch.Tensor, numbers: torch.Tensor) -> None:
        # float64 where a device has it: the variances of a smooth series span nine orders of magnitude
        self.device = torch.device("cpu") if known.device.type == "mps" else known.device
        self.numbers = numbers
        generated, numbers = linear.generated.to(self.device), numbers.to(self.device)
        known = known.to(self.device) & generated
        self.known = known.flatten(1)
        self.open = bool((~known & generated & ~numbers).any())
        """Whether cells that are no numbers are to be generated."""
        asked = (known & numbers).flatten(1).any(1)
        self.patterns: list[_Pattern] = []
        if not bool(asked.any()):
            return
        self.rest, self.factor = linear.precision(self.device)
        cells = generated.repeat(linear.window)
        sets, place = torch.unique(self.known, dim=0, return_inverse=True)
        for number, own in enumerate(sets):
            rows, unknown = ((place == number) & asked).nonzero()[:, 0], (cells & ~own).nonzero()[:, 0]
            if len(rows) and len(unknown):
                self.patterns.append(_Pattern(rows, unknown, *self._principal(self.factor[unknown])))

    def __bool__(self) -> bool:
        """Whether there is anything to put right."""
        return bool(self.patterns)

    def __call__(self, estimate: torch.Tensor, given: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        """`estimate` float32 (B, L, D) with the errors of the known cells carried to the unknown ones.

        given: float32 (B, L, D), values of the known cells, anything elsewhere. sigma: noise level, a scalar or (B,).
        """
        error = (given - estimate).flatten(1).to(self.device).masked_fill(~self.known, 0.0).double()
        level = sigma.to(self.device).double().square().reciprocal().expand(len(error))[:, None]
        pulled = error @ self.factor @ self.factor.T  # -Q_UK e at the unknown cells
        step = torch.zeros_like(pulled)
        for rows, unknown, vectors, values in self.patterns:
            own, level_of = pulled[rows][:, unknown], level[rows]
            rest = 1 / (self.rest + level_of)
            along = (own @ vectors) * (1 / (values + level_of) - rest)
            step[rows[:, None], unknown] = own * rest + along @ vectors.T
        return estimate + step.view(estimate.shape).to(estimate)

    def _principal(self, factor: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Vectors and values of rest - factor factor^T, float64 (U, M) and (M,)."""
        if factor.shape[0] <= factor.shape[1]:
            squares, vectors = torch.linalg.eigh(factor @ factor.T)
        else:
            squares, inner = torch.linalg.eigh(factor.T @ factor)
            squares = squares.clamp(min=1e-12 * self.rest)
            vectors = factor @ (inner / squares.sqrt())
        return vectors, (self.rest - squares).clamp(min=0.0)
