"""The order in which hidden cells are filled."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Turns:
    """When each cell has its turn. turn: int64 (B, C), -1 for cells that are known; count: turns in all."""

    turn: torch.Tensor
    count: int

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """(known before, its turn now), bool (B, C), per turn."""
        for number in range(self.count):
            yield self.turn < number, self.turn == number


def take_turns(order: torch.Tensor, waiting: torch.Tensor, steps: int) -> Turns:
    """Cells by ascending `order`, one at a time, or a fair share per turn where a row has more cells than `steps`.

    Args: order: float (B, C). waiting: bool (B, C), the cells that have a turn. A row's turns depend on itself only.
    """
    rank = ranks(order, waiting)
    number = waiting.sum(1, keepdim=True)
    turn = torch.where(number > steps, rank * steps // number.clamp(min=1), rank)
    turn = turn.masked_fill(~waiting, -1)
    return Turns(turn, int(turn.max()) + 1 if turn.numel() else 0)


def ranks(order: torch.Tensor, among: torch.Tensor) -> torch.Tensor:
    """int64 (B, C): the place of each cell in the ascending order of its row's cells in `among`."""
    return order.masked_fill(~among, torch.inf).argsort(1).argsort(1)
