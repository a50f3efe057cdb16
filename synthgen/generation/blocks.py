"""How many samples a GPU computes together: as many as fit into its memory, up to where more gain nothing.

Small blocks leave a GPU waiting for its next kernel. A CPU computes blocks side by side, one a thread, and keeps the
model's own size. The last digits of a sample depend on the size of its block, which is why that is part of the recipe.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from synthgen.training.guards import is_out_of_memory

if TYPE_CHECKING:
    from synthgen.generation.engine import Recipe
    from synthgen.generation.model import Model

MOST = 1024
"""Samples of a block; even small networks keep a GPU busy with fewer. Assumed, not measured."""

_SHARE = 0.5
"""Of the free memory, that a block may take: compiling and writing need some, too."""


def fitting_block(model: Model, recipe: Recipe, count: int) -> int:
    """The block size for `count` samples by `recipe`: on a CUDA device what its memory holds, else the recipe's own.

    count: of a shard, in a set of shards, because blocks do not straddle them.
    A block of the recipe's size is tried and its memory measured; where the larger one does not fit all the same, half
    of it is tried, and so on. Raises what a block of one sample raises.
    """
    if model.device.type != "cuda":
        return recipe.block_size

    def attempt(size: int) -> None:
        model.engine(replace(recipe, block_size=size)).seconds_per_call()

    own = halved_until_it_fits(recipe.block_size, attempt)
    if own < recipe.block_size:
        return own
    held = torch.cuda.memory_allocated(model.device)
    torch.cuda.reset_peak_memory_stats(model.device)
    attempt(own)
    needed = torch.cuda.max_memory_allocated(model.device) - held
    free = torch.cuda.mem_get_info(model.device)[0] + torch.cuda.memory_reserved(model.device) - held
    return halved_until_it_fits(largest_block(own, count, needed, int(_SHARE * free)), attempt)


def largest_block(own: int, count: int, needed: int, free: int) -> int:
    """`own` doubled while that fits: a block of `own` samples takes `needed` bytes of `free`. It becomes no larger than
    `count` or `MOST`."""
    size = own
    while 2 * size <= min(count, MOST) and 2 * size * needed <= free * own:
        size *= 2
    return size


def halved_until_it_fits(size: int, attempt: Callable[[int], object]) -> int:
    """`size`, halved until `attempt` does not run out of memory. Raises what it raises otherwise, or at size 1."""
    while True:
        try:
            attempt(size)
            return size
        except (RuntimeError, MemoryError) as error:
            if size == 1 or not is_out_of_memory(error):
                raise
        size //= 2  # outside the handler: inside, its traceback would keep alive what has to be freed
        if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
            torch.cuda.empty_cache()
