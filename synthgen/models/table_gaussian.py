"""The network of tables under Gaussian noise, and rows as the vectors that the noise is added to."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from synthgen.config.tables import TableModelConfig

TIME_FEATURES = 64

_EDGE = 1e-4
"""Normal scores stay within those of these quantiles, +-3.7."""


class RowSpace(nn.Module):
    """Rows of tokens as vectors (B, D) of about unit scale, and back.

    A column's ordered tokens are one number: the normal score of the place in the column's own distribution. Its other
    tokens (categories, missing) are a one-hot vector each, in which all ordered tokens together are one entry.

    Args: sizes: tokens K of each column. positions: per column float (K,) ranks of ordered tokens, NaN else, or None.
    """

    def __init__(self, sizes: Sequence[int], positions: Sequence[np.ndarray | None]) -> None:
        super().__init__()
        self.sizes = tuple(sizes)
        self.ordered: list[np.ndarray] = []  # per column its ordered tokens, ascending
        self.other: list[np.ndarray] = []
        for size, position in zip(sizes, positions, strict=True):
            rank = np.full(size, np.nan) if position is None else np.asarray(position, float)
            self.ordered.append(np.argsort(rank, kind="stable")[: int(np.isfinite(rank).sum())])
            self.other.append(np.flatnonzero(~np.isfinite(rank)))
        for column, tokens in enumerate(self.ordered):
            edges = torch.linspace(0.0, 1.0, len(tokens) + 1)
            self.register_buffer(f"edges_{column}", edges)
        self.dimensions = sum(self._width(column) for column in range(len(self.sizes)))

    def _states(self, column: int) -> int:
        """Entries of the one-hot part; none when all tokens are ordered."""
        others = len(self.other[column])
        return 0 if not others else others + self._numbers(column)

    def _width(self, column: int) -> int:
        return self._states(column) + self._numbers(column)

    def _numbers(self, column: int) -> int:
        return int(len(self.ordered[column]) > 0)

    def _edges(self, column: int) -> torch.Tensor:
        edges: torch.Tensor = getattr(self, f"edges_{column}")
        return edges

    @torch.no_grad()
    def start_from(self, tokens: torch.Tensor) -> None:
        """Take the columns' own distributions from `tokens`, int64 (N, C)."""
        for column, ordered in enumerate(self.ordered):
            if len(ordered):
                count = torch.bincount(tokens[:, column].long(), minlength=self.sizes[column])
                share = count[torch.from_numpy(ordered)].double() + 0.5
                self._edges(column)[1:] = (share / share.sum()).cumsum(0).float()

    def encode(self, tokens: torch.Tensor, fractions: torch.Tensor) -> torch.Tensor:
        """float32 (B, D) of tokens int64 (B, C) and their places inside bins, float32 (B, C) in [0, 1)."""
        parts = []
        for column, (ordered, other) in enumerate(zip(self.ordered, self.other, strict=True)):
            token = tokens[:, column]
            place = torch.full((self.sizes[column],), -1, device=token.device)
            if len(ordered):
                place[torch.from_numpy(ordered).to(token.device)] = torch.arange(len(ordered), device=token.device)
                edges, index = self._edges(column), place[token].clamp(min=0)
                quantile = edges[index] + fractions[:, column] * (edges[index + 1] - edges[index])
                score = torch.special.ndtri(quantile.clamp(_EDGE, 1 - _EDGE).double()).float()
                parts.append(score.masked_fill(place[token] < 0, 0.0)[:, None])
            if self._states(column):
                state = torch.zeros_like(place)  # the entry of the ordered tokens, if there are any
                order = torch.arange(len(other), device=token.device)
                state[torch.from_numpy(other).to(token.device)] = order + self._numbers(column)
                parts.append(torch.nn.functional.one_hot(state[token], self._states(column)).float())
        return torch.cat(parts, 1)

    def decode(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Tokens int64 (B, C) and fractions float32 (B, C) of vectors (B, D): the largest entry, the quantile."""
        tokens = torch.empty(len(x), len(self.sizes), dtype=torch.long, device=x.device)
        fractions = torch.full(tokens.shape, 0.5, device=x.device)
        at = 0
        for column, (ordered, other) in enumerate(zip(self.ordered, self.other, strict=True)):
            part = x[:, at : at + self._width(column)]
            at += self._width(column)
            numeric = torch.full((len(x),), len(ordered) > 0, device=x.device)
            if self._states(column):
                state = part[:, self._numbers(column) :].argmax(1) - self._numbers(column)
                numeric = state < 0
                tokens[:, column] = torch.from_numpy(other).to(x.device)[state.clamp(min=0)]
            if len(ordered):
                quantile = torch.special.ndtr(part[:, 0].double()).float().contiguous()
                edges = self._edges(column)
                index = (torch.searchsorted(edges, quantile, right=True) - 1).clamp(0, len(ordered) - 1)
                inside = (quantile - edges[index]) / (edges[index + 1] - edges[index])
                tokens[:, column] = torch.where(
                    numeric, torch.from_numpy(ordered).to(x.device)[index], tokens[:, column]
                )
                fractions[:, column] = torch.where(numeric, inside.clamp(0.0, 1.0 - 2.0**-24), 0.5)
        return tokens, fractions


class GaussianTableNetwork(nn.Module):
    """Residual perceptron on noisy rows whose layer norms are scaled and shifted by the noise level.

    `forward(x (B, D), time (B,), labels)` returns the raw prediction (B, D); labels are not used.
    """

    def __init__(self, config: TableModelConfig, space: RowSpace) -> None:
        super().__init__()
        self.space = space
        width = config.width
        self.time = nn.Sequential(nn.Linear(TIME_FEATURES, width), nn.SiLU())
        self.enter = nn.Linear(space.dimensions, width)
        self.norms = nn.ModuleList(nn.LayerNorm(width, elementwise_affine=False) for _ in range(config.blocks))
        self.adapt = nn.ModuleList(nn.Linear(width, 2 * width) for _ in range(config.blocks))
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Dropout(config.dropout), nn.Linear(width, width))
            for _ in range(config.blocks)
        )
        self.leave = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, space.dimensions))
        for layer in (*self.adapt, self.leave[1]):  # the identity at first, and no answer
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def start_from(self, tokens: torch.Tensor) -> None:
        """See `RowSpace.start_from`."""
        self.space.start_from(tokens)

    def forward(self, x: torch.Tensor, time: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        steps = torch.arange(TIME_FEATURES // 2, device=x.device)
        angle = time[:, None] * torch.exp(steps * (math.log(100.0) / (TIME_FEATURES // 2 - 1)))
        level = self.time(torch.cat([angle.sin(), angle.cos()], 1))
        h = self.enter(x)
        for norm, adapt, block in zip(self.norms, self.adapt, self.blocks, strict=True):
            scale, shift = adapt(level).chunk(2, 1)
            h = h + block(norm(h) * (1 + scale) + shift)
        out: torch.Tensor = self.leave(h)
        return out
