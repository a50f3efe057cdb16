"""The processes of a run as the training loop sees them. This file knows one process; distributed.py knows many."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import nn

Tensors = dict[str, torch.Tensor]


class World:
    """A run on one process: every agreement is its own word, and nothing waits.

    rank, size: this process's number and how many there are; strategy: none, ddp or fsdp; sharded: whether each process
    holds only a part of every weight.
    """

    rank = 0
    size = 1
    strategy = "none"
    sharded = False

    def __init__(self, device: torch.device) -> None:
        self.device = device

    @property
    def main(self) -> bool:
        """Whether this process writes files and speaks to the user."""
        return self.rank == 0

    def rows(self, batch_size: int) -> slice:
        """This process's share of a batch; shares differ by one row at most."""
        return slice(self.rank * batch_size // self.size, (self.rank + 1) * batch_size // self.size)

    def wrap(self, module: nn.Module) -> nn.Module:
        """The module whose backward pass leaves gradients averaged over the processes."""
        return module

    def unsynchronised(self, module: nn.Module, enabled: bool) -> AbstractContextManager[Any]:
        """A block in which backward passes only add to this process's own gradients."""
        return nullcontext()

    def agree(self, values: Sequence[float]) -> list[float]:
        """Element-wise sum over the processes; the same on each."""
        return list(values)

    def sum(self, tensor: torch.Tensor) -> torch.Tensor:
        """Sum over the processes of a tensor on the device."""
        return tensor

    def smallest(self, value: int) -> int:
        """The smallest of the processes' values."""
        return value

    def spread(self, header: dict[str, Any] | None, tensors: Tensors) -> tuple[dict[str, Any] | None, Tensors]:
        """What the main process holds, on every process."""
        return header, tensors

    def barrier(self) -> None:
        """Wait until every process is here."""
