"""From blocks to pieces on disk: writing happens beside the next blocks' arithmetic, one piece at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np

from synthgen.errors import StoppedError
from synthgen.stopping import ShouldStop

PIECE = 1024
"""Samples that are handed to a writer at once, at most."""
_PIECE_BYTES = 64 * 2**20


def piece_size(block_size: int, image_bytes: int, most: int = PIECE) -> int:
    """Whole blocks, at most `most` samples and 64 MB of pixels, at least one block."""
    size = min(most, _PIECE_BYTES // max(image_bytes, 1))
    return max(block_size, size // block_size * block_size)


def write_behind(
    blocks: Iterator[Any],
    total: int,
    size: int,
    write: Callable[[Any], None],
    *,
    report: Callable[[int], None],
    should_stop: ShouldStop,
    join: Callable[[list[Any]], Any] = np.concatenate,
) -> bool:
    """Gather `blocks` into pieces of exactly `size` samples and hand each to `write`, in order, in a thread of its own.

    blocks: arrays of samples, or anything else with a length and slices that `join` makes one of several of.
    total: samples in all blocks. report: called with the samples made so far. Returns False when `should_stop` cut it
    short, between blocks or within one that raised StoppedError: then all whole pieces are written and a begun one is
    dropped. What `write` raises is raised here.
    """
    parts: list[Any] = []
    held = made = 0
    pending: Future[None] | None = None
    with ThreadPoolExecutor(1, thread_name_prefix="writer") as pool:
        try:
            for block in blocks:
                parts.append(block)
                held, made = held + len(block), made + len(block)
                report(made)
                while held >= size:
                    _settle(pending)
                    whole = join(parts)
                    pending = pool.submit(write, whole[:size])
                    held -= size
                    parts = [whole[size:]] if held else []
                if made < total and should_stop():
                    _settle(pending)
                    return False
        except StoppedError:  # within a block, which may take hours
            _settle(pending)
            return False
        finally:
            close = getattr(blocks, "close", None)
            if close is not None:
                close()
        _settle(pending)
        if parts:
            write(join(parts))
    return True


def _settle(pending: Future[None] | None) -> None:
    if pending is not None:
        pending.result()
