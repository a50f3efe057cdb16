"""Tensors of which each process may hold a part (torch's DTensor), handled without asking everywhere.

Their class is imported only where a sharded tensor is at hand: the import costs a second, and most runs have none.
"""

from __future__ import annotations

from typing import Any

import torch


def is_sharded(tensor: torch.Tensor) -> bool:
    """Whether this process holds only a part."""
    return hasattr(tensor, "full_tensor")


def local(tensor: torch.Tensor) -> torch.Tensor:
    """The part that this process holds; the tensor itself when it is not sharded."""
    sharded: Any = tensor
    return sharded.to_local() if is_sharded(tensor) else tensor


def full(tensor: torch.Tensor) -> torch.Tensor:
    """The whole tensor; every process must ask for it at the same time."""
    sharded: Any = tensor
    return sharded.full_tensor() if is_sharded(tensor) else tensor


def like(whole: torch.Tensor, pattern: torch.Tensor) -> torch.Tensor:
    """`whole`, the same on every process, cut and placed as `pattern` is."""
    whole = whole.to(pattern.device)
    if not is_sharded(pattern):
        return whole
    from torch.distributed.tensor import distribute_tensor

    sharded: Any = pattern
    return distribute_tensor(whole, sharded.device_mesh, sharded.placements, src_data_rank=None)
