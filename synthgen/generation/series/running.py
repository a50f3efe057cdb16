"""Sequences that are completed, in the order of their file; and what every run of sequences asks on its way."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from synthgen.errors import StoppedError, UsageError
from synthgen.generation.series.drawn import Drawn
from synthgen.stopping import ShouldStop

if TYPE_CHECKING:
    import pandas as pd

    from synthgen.generation.series.completing import KnownSeries
    from synthgen.generation.series.engine import SeriesEngine


def completed(
    engine: SeriesEngine, request: KnownSeries, seed: int, start: int, stop: int, arrays: bool
) -> Iterator[Drawn]:
    """Sequences start ... stop - 1, one when all of its draws are there."""

    def block(runs: np.ndarray) -> list[pd.DataFrame]:
        return request.frames(request.make(engine, runs, seed), runs, seed)

    draws, held = request.draws, []
    for first, last, frames in engine.span(start * draws, stop * draws, request.runs(engine), block):
        held += frames[first:last]
        whole = len(held) // draws
        if whole:
            items = [request.item(held[place * draws : (place + 1) * draws]) for place in range(whole)]
            held = held[whole * draws :]
            yield request.drawn(items, arrays=arrays)


def check_count(count: int, start: int) -> None:
    """Raises UsageError for no sequences."""
    if count < 1:
        raise UsageError(f"a count of 1 or more is needed, not {count}")
    if start < 0:
        raise UsageError(f"sequences are counted from 0: start cannot be {start}")


def poll(should_stop: ShouldStop, done: int, count: int) -> None:
    """Raises StoppedError when somebody asks to stop before the end."""
    if should_stop() and done < count:
        raise StoppedError(f"stopped after {done:,} of {count:,} sequences")
