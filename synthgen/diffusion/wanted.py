"""Scores of the cells that are wanted, when each row wants a few of its columns."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import nn

from synthgen.models.tables import TableNetwork

WIDE = 128
"""Columns from which a table counts as wide: a part of them at a time is scored in training, and few rows in sampling.

The part is drawn anew for each step, so that the gradient keeps its mean.
"""

SLOTS = 32
"""Rows per column that are scored together when a wide table is sampled."""

CELLS = 2**24
"""Scores in memory at once while sampling."""

Score = Callable[[nn.Module, torch.Tensor, torch.Tensor | None], torch.Tensor]


class Wanted(NamedTuple):
    """columns: the members of a group; rows, place: int64 (M,), each cell's row and its place in `columns`; scores:
    float32 (M, K)."""

    columns: tuple[int, ...]
    rows: torch.Tensor
    place: torch.Tensor
    scores: torch.Tensor

    @property
    def cells(self) -> tuple[torch.Tensor, torch.Tensor]:
        """(rows, columns of the table), to index (B, C) with."""
        return self.rows, torch.tensor(self.columns, device=self.rows.device)[self.place]


def wanted_scores(network: TableNetwork, h: torch.Tensor, now: torch.Tensor, score: Score) -> Iterator[Wanted]:
    """Scores of the cells in `now`, bool (B, C), given the trunk's features h, float (B, width).

    The shape of a product never depends on what other rows hold, because its last bits depend on its shape.
    """
    sparse = now.shape[1] > WIDE
    for group, head in network.blocks_of_columns():
        chunk = max(1, CELLS // ((SLOTS if sparse else len(h)) * group.size))
        for start in range(0, len(group.columns), chunk):
            members = group.columns[start : start + chunk]
            cells = now[:, list(members)].nonzero()
            if not len(cells):
                continue
            part = torch.arange(start, start + len(members), device=h.device)
            if sparse:
                yield from (Wanted(members, *found) for found in _in_slots(head, h, part, cells, score))
            else:
                rows, index = cells.unbind(1)
                yield Wanted(members, rows, index, score(head, h, part)[rows, index])


def _in_slots(
    head: nn.Module, h: torch.Tensor, part: torch.Tensor, cells: torch.Tensor, score: Score
) -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
    """Some rows per column at a time, and no column that no row wants: of a thousand a turn asks for some sixteen."""
    cells = cells[cells[:, 1].argsort(stable=True)]
    present, column = torch.unique_consecutive(cells[:, 1], return_inverse=True)
    part = part[present]
    start = torch.searchsorted(column, torch.arange(len(part), device=h.device))
    slot = torch.arange(len(cells), device=h.device) - start[column]
    for first in range(0, int(slot.max()) + 1, SLOTS):
        mine = (slot >= first) & (slot < first + SLOTS)
        rows, index = cells[mine].unbind(1)
        features = h.new_zeros(len(part), SLOTS, h.shape[1])
        features[column[mine], slot[mine] - first] = h[rows]
        yield rows, index, score(head, features, part)[column[mine], slot[mine] - first]
