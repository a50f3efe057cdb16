"""The network of tables: a residual perceptron that reads the known cells of a row and scores every column's tokens."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from synthgen.config.tables import TableModelConfig

if TYPE_CHECKING:
    from synthgen.data.tables.codec import TableCodec

WAVES = 16
"""Cosines over the rank of an ordered token, from half a period to eight."""

OWN_WEIGHT = 0.1
"""Scale of what an ordered token has of its own beside its waves: so much slower it is learned.

Bins are many and rows per bin few: what neighbouring bins share is learned first, and less is learned by heart.
"""

LEVEL_EMBEDDING = 8
"""Features of a level inside a bin."""


class Group(NamedTuple):
    """Columns of similar size, whose outputs are one padded block. columns: their numbers; size: the largest K."""

    columns: tuple[int, ...]
    size: int


def group_columns(sizes: Sequence[int], waste: float = 0.75) -> tuple[Group, ...]:
    """Cut the columns, largest first, where a column has fewer than `waste` times the tokens of its group's largest."""
    groups: list[list[int]] = []
    for column in sorted(range(len(sizes)), key=lambda c: (-sizes[c], c)):
        if not groups or sizes[column] < waste * sizes[groups[-1][0]]:
            groups.append([])
        groups[-1].append(column)
    return tuple(Group(tuple(group), sizes[group[0]]) for group in groups)


def waves(position: torch.Tensor) -> torch.Tensor:
    """float (..., WAVES): sqrt(2 / k) cos(pi k rank), k = 1, 2, ... of ranks in [0, 1]; zeros where the rank is NaN."""
    number = torch.arange(1, WAVES + 1)
    return ((2.0 / number).sqrt() * (position[..., None] * math.pi * number).cos()).nan_to_num(0.0)


class Head(nn.Module):
    """Scores of the tokens of one group of columns: linear in the trunk's features.

    The weight of an ordered token is a smooth function of its rank plus a small part of its own, so that neighbouring
    bins share what is learned. Padding scores -inf.

    Args: sizes: tokens K of each column; positions: float (columns, K) ranks with NaN where there is none.
    """

    def __init__(self, width: int, sizes: Sequence[int], positions: torch.Tensor) -> None:
        super().__init__()
        count, size = positions.shape
        self.weight = nn.Parameter(torch.randn(count, size, width) * (0.1 / math.sqrt(width)))
        self.slope = nn.Parameter(torch.zeros(count, WAVES, width))
        self.bias = nn.Parameter(torch.zeros(count, size))
        self.register_buffer("waves", waves(positions), persistent=False)
        absent = torch.arange(size)[None] >= torch.tensor(list(sizes))[:, None]
        own = torch.where(positions.isnan(), 1.0, OWN_WEIGHT)[..., None]
        self.register_buffer("own", own, persistent=False)
        self.register_buffer("padding", torch.zeros(count, size).masked_fill(absent, -torch.inf), persistent=False)
        self.waves: torch.Tensor
        self.own: torch.Tensor
        self.padding: torch.Tensor

    def forward(self, h: torch.Tensor, columns: torch.Tensor | None = None) -> torch.Tensor:
        """Scores, float32: (B, columns, K) of features (B, width), or (columns, M, K) of features (columns, M, width).

        columns: which of the group's, in ascending order; None: all.
        """
        weight, bias = self._weights(columns)
        if h.ndim == 3:
            return (h.to(weight.dtype) @ weight.transpose(1, 2)).float() + bias[:, None]
        return F.linear(h, weight.flatten(0, 1)).float().view(len(h), *weight.shape[:2]) + bias

    def _weights(self, columns: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor]:
        if columns is None or len(columns) == len(self.bias):
            return self.weight * self.own + self.waves @ self.slope, self.bias + self.padding
        weight = self.weight[columns] * self.own[columns] + self.waves[columns] @ self.slope[columns]
        return weight, self.bias[columns] + self.padding[columns]


class TableNetwork(nn.Module):
    """Residual perceptron over the tokens of a row; unknown cells are a token of their own.

    Args:
        config: width, blocks, embedding, dropout, fine (levels inside a bin).
        sizes: tokens K of each column. positions: per column float (K,) ranks in [0, 1] of ordered tokens, NaN for the
            others, or None. spread: per column bool (K,), the tokens that stand for an interval.

    Weights are drawn from torch's global generator.
    """

    def __init__(
        self,
        config: TableModelConfig,
        sizes: Sequence[int],
        positions: Sequence[np.ndarray | None],
        spread: Sequence[np.ndarray],
    ) -> None:
        super().__init__()
        self.sizes, self.levels = tuple(sizes), config.fine
        columns, width, rows = len(self.sizes), config.width, sum(self.sizes) + len(self.sizes)
        first = np.cumsum([0, *(size + 1 for size in self.sizes[:-1])])
        rank, wide = torch.full((rows,), torch.nan), torch.zeros(rows, dtype=torch.bool)
        for column, size in enumerate(self.sizes):
            cells = slice(int(first[column]), int(first[column]) + size)
            wide[cells] = torch.from_numpy(np.asarray(spread[column], bool))
            if (position := positions[column]) is not None:
                rank[cells] = torch.from_numpy(np.asarray(position, np.float32))
        self._constant("first", torch.from_numpy(first))
        self._constant("unknown", torch.tensor(self.sizes))
        self._constant("token_waves", waves(rank))
        self._constant("wide", wide)
        self.embedding = nn.Embedding(rows, config.embedding)
        nn.init.normal_(self.embedding.weight, std=0.3)
        self.enter = nn.Linear(columns * (config.embedding + WAVES), width)
        self.blocks = nn.ModuleList(_block(width, config.dropout) for _ in range(config.blocks))
        self.leave = nn.LayerNorm(width)
        self.groups = group_columns(self.sizes)
        ranks = [rank[int(start) : int(start) + size] for start, size in zip(first, self.sizes, strict=True)]
        self.heads = nn.ModuleList(
            Head(width, [self.sizes[c] for c in group.columns], _stack([ranks[c] for c in group.columns], group.size))
            for group in self.groups
        )
        self.spread_columns = tuple(c for c in range(columns) if self.levels > 1 and np.asarray(spread[c]).any())
        if self.spread_columns:
            self._build_levels(width)

    first: torch.Tensor
    unknown: torch.Tensor
    token_waves: torch.Tensor
    wide: torch.Tensor
    level_columns: torch.Tensor

    def _constant(self, name: str, value: torch.Tensor) -> None:
        self.register_buffer(name, value, persistent=False)

    def _build_levels(self, width: int) -> None:
        """The second stage: levels inside the bins of the columns that have any."""
        count = len(self.spread_columns)
        self._constant("level_columns", torch.tensor(self.spread_columns))
        place = (torch.arange(self.levels) + 0.5) / self.levels
        self._constant("level_waves", waves(torch.cat([place, torch.tensor([torch.nan])])))
        self._constant("level_first", torch.arange(count) * (self.levels + 1))
        self.level_embedding = nn.Embedding(count * (self.levels + 1), LEVEL_EMBEDDING)
        nn.init.normal_(self.level_embedding.weight, std=0.3)
        self.level_enter = nn.Linear(count * (LEVEL_EMBEDDING + WAVES), width)
        self.level_head = Head(width, [self.levels] * count, place.expand(count, -1))

    level_waves: torch.Tensor
    level_first: torch.Tensor

    def trunk(
        self,
        tokens: torch.Tensor,
        known: torch.Tensor,
        levels: torch.Tensor | None = None,
        level_known: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Features of what is known of a row, (B, width).

        Args:
            tokens: int64 (B, C). known: bool (B, C). Tokens of unknown cells are not looked at.
            levels, level_known: int64, bool (B, spread columns): the second stage, in which all tokens are known.
        """
        index = torch.where(known, tokens, self.unknown) + self.first
        h = self.enter(torch.cat([self.embedding(index), self.token_waves[index]], -1).flatten(1))
        if levels is not None and level_known is not None:
            index = torch.where(level_known, levels, self.levels)
            features = [self.level_embedding(index + self.level_first), self.level_waves[index]]
            h = h + self.level_enter(torch.cat(features, -1).flatten(1))
        h = h.float()  # the sum of all blocks, and the scores, are worth more than eight bits
        for block in self.blocks:
            h = h + block(h)
        out: torch.Tensor = self.leave(h)
        return out

    def is_wide(self, tokens: torch.Tensor) -> torch.Tensor:
        """bool (B, C): the cells whose token stands for an interval."""
        return self.wide[tokens + self.first]

    def blocks_of_columns(self) -> Iterator[tuple[Group, Head]]:
        """The groups of columns, each with what scores it."""
        return zip(self.groups, cast(Iterable[Head], self.heads), strict=True)

    def forward(self, tokens: torch.Tensor, known: torch.Tensor) -> list[torch.Tensor]:
        """Scores of every column's tokens, float32 (B, K_c) each, given the known cells of the first stage."""
        return self.scores(self.trunk(tokens, known))

    def scores(self, h: torch.Tensor) -> list[torch.Tensor]:
        """Scores of every column's tokens, float32 (B, K_c) each, of the trunk's features (B, width)."""
        found: list[torch.Tensor] = [torch.empty(0)] * len(self.sizes)
        for group, head in self.blocks_of_columns():
            block = head(h)
            for place, column in enumerate(group.columns):
                found[column] = block[:, place, : self.sizes[column]]
        return found

    @torch.no_grad()
    def start_from(self, tokens: torch.Tensor) -> None:
        """Begin at the columns' own distributions: biases become log frequencies of `tokens`, int64 (N, C)."""
        for group, head in self.blocks_of_columns():
            for place, column in enumerate(group.columns):
                count = torch.bincount(tokens[:, column].long(), minlength=self.sizes[column]).float() + 0.5
                head.bias[place, : self.sizes[column]] = (count / count.sum()).log().to(head.bias.device)


def _block(width: int, dropout: float) -> nn.Sequential:
    drop = [nn.Dropout(dropout)] if dropout else []
    return nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.SiLU(), *drop, nn.Linear(width, width))


def _stack(ranks: Sequence[torch.Tensor], size: int) -> torch.Tensor:
    return torch.stack([F.pad(rank, (0, size - len(rank)), value=torch.nan) for rank in ranks])


def build_table_network(config: TableModelConfig, codec: TableCodec) -> TableNetwork:
    """The network of a codec's columns."""
    columns = codec.columns
    return TableNetwork(
        config, codec.sizes, [column.positions for column in columns], [column.spread for column in columns]
    )
