"""What is asked of new sequences: classes, covariates, how long, from when on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from synthgen.data.series.framing import parse_start
from synthgen.data.tables.dates import zone_of
from synthgen.errors import UsageError
from synthgen.generation.series.covariates import Covariate, read_covariates
from synthgen.generation.series.drawn import Drawn
from synthgen.generation.series.filling import Canvas, fill, steps_needed
from synthgen.generation.series.packing import Packing
from synthgen.generation.series.plan import LONGEST
from synthgen.generation.tables.requests import Where, conditions_of
from synthgen.stopping import ShouldStop, never_stop

if TYPE_CHECKING:
    from synthgen.data.series.codec import SeriesCodec
    from synthgen.data.tables.schema import TableSchema
    from synthgen.generation.series.engine import SeriesEngine
    from synthgen.generation.series.model import SeriesModel

__all__ = ["FreeRequest", "Made", "Where", "conditions_text"]


@dataclass(frozen=True)
class Made:
    """Whole sequences, encoded. x: float32 (B, T, D). lengths: int64 (B,). starts: (B,), see `Frameworks`."""

    x: torch.Tensor
    lengths: np.ndarray
    starts: np.ndarray


class FreeRequest:
    """New sequences.

    labels: codes of the classes that take turns; () for the law of the data. length: steps; None: as the windows that
    were learned. start_time: of the first step; None: as that of a window. numbered: whether a column tells sequences
    apart where the data had none. should_stop: asked before every window; StoppedError when it says so.
    """

    described = None

    def __init__(
        self,
        model: SeriesModel,
        labels: Sequence[int | str] | int | str = (),
        where: Where = (),
        length: int | None = None,
        start_time: object | None = None,
        *,
        numbered: bool = True,
        should_stop: ShouldStop = never_stop,
    ) -> None:
        self.codec, self.length, self.should_stop = model.codec, length, should_stop
        self.labels = model.class_codes(labels)
        self.covariates: list[Covariate] = read_covariates(model.codec, where)
        self.start = None if start_time is None else parse_start(model.codec, in_zone(model.codec, start_time), 1)
        if length is not None and not 1 <= length <= LONGEST:
            raise UsageError(f"a sequence has between 1 and {LONGEST:,} steps, not {length:,}")
        self.packing = Packing(model.codec, numbered=numbered)

    @property
    def windows(self) -> int:
        """Windows of a sequence."""
        window = self.codec.window
        if self.length is None or self.length <= window:
            return 1
        return 1 + (steps_needed(self.length, window) - window) // (window - window // 2)

    @property
    def longest(self) -> int:
        """Steps of a sequence, at most."""
        return self.codec.window if self.length is None else self.length

    @property
    def lengths_text(self) -> str:
        """How long the sequences will be, in words."""
        least, most = (int(end(self.codec.beginnings.lengths)) for end in (np.min, np.max))
        if self.length is None:
            return f"{most:,}" if least == most else f"{least:,} to {most:,}, as in the data"
        return f"{self.length:,}" + (f", in {self.windows:,} overlapping windows" if self.windows > 1 else "")

    @property
    def columns(self) -> TableSchema:
        """The columns of a file."""
        return self.packing.columns

    @property
    def cells(self) -> int:
        """Cells of one sequence, at most."""
        return self.longest * len(self.columns.columns)

    def whole_arrays(self) -> dict[str, np.ndarray]:
        """What an npz file has once."""
        return self.packing.whole_arrays()

    def together(self, engine: SeriesEngine) -> int:
        """Sequences that are computed together."""
        return engine.size(self.windows)

    def canvas(self, keys: np.ndarray, seed: int) -> tuple[Canvas, np.ndarray]:
        """What is known of the sequences `keys`, and the times of their first steps."""
        codec, count = self.codec, len(keys)
        labels = np.array(self.labels)[keys % len(self.labels)] if self.labels else None
        frames = codec.draw(keys, seed, labels=labels)
        starts = frames.starts if self.start is None else np.repeat(self.start, count)
        lengths = frames.lengths if self.length is None else np.full(count, self.length, np.int64)
        size = steps_needed(self.longest, codec.window)
        given, known = (torch.zeros(count, size, codec.dimensions, dtype=kind) for kind in (torch.float32, torch.bool))
        for part in codec.parts:
            if part.role == "label":
                cells = slice(part.start, part.stop)
                hot = torch.nn.functional.one_hot(torch.from_numpy(frames.labels.copy()), part.stop - part.start)
                given[..., cells], known[..., cells] = (2.0 * hot - 1.0)[:, None], True
        lay_calendar(codec, given, known, starts)
        for covariate in self.covariates:
            covariate.lay(given, known, keys, seed)
        exists = torch.arange(size) < torch.from_numpy(network_lengths(codec, lengths, size))[:, None]
        return Canvas(given, known, lengths, exists, keys, np.zeros(count, np.int64)), starts

    def make(self, engine: SeriesEngine, keys: np.ndarray, seed: int) -> Made:
        """Draw the sequences `keys`, a whole block of them."""
        canvas, starts = self.canvas(keys, seed)
        fill(engine, canvas, seed, self.should_stop)
        return Made(canvas.given[:, : self.longest], canvas.lengths, starts)

    def drawn(self, made: Made, keys: np.ndarray, seed: int, *, arrays: bool) -> Drawn:
        """Sequences as they go into a file."""
        frame = self.codec.decode(made.x, made.lengths, keys, seed, made.starts, numbered=self.packing.numbered)
        rows = np.concatenate([[0], np.cumsum(made.lengths)]).astype(np.int64)
        return self.packing.pack(Drawn(rows, frame), self.longest) if arrays else Drawn(rows, frame)

    def values(self, drawn: Drawn, count: int) -> np.ndarray:
        """float64 (n, L, C): the first `count` of the sequences, to be looked at."""
        return self.packing.values(drawn[:count], self.longest)


def in_zone(codec: SeriesCodec, start: object) -> object:
    """A time without a zone is one of the clocks that the column of times goes by; anything else as it is."""
    name = codec.schema.time
    zone = None if name is None else codec.schema.table[name].format.get("zone")
    if not zone or isinstance(start, np.ndarray):
        return start
    import pandas as pd

    try:
        moment = pd.Timestamp(str(start))
        return moment if moment.tzinfo is not None else moment.tz_localize(zone_of(str(zone)))
    except (ValueError, OverflowError, TypeError):
        return start  # and parsing it says what is wrong


def lay_calendar(codec: SeriesCodec, given: torch.Tensor, known: torch.Tensor, starts: np.ndarray) -> None:
    """Write into (B, T, D) what the dates from `starts` (B,) on say."""
    for part, values in codec.calendar(starts, given.shape[1]).items():
        given[..., part.start : part.stop] = torch.from_numpy(np.ascontiguousarray(values))
        known[..., part.start : part.stop] = True


def network_lengths(codec: SeriesCodec, lengths: np.ndarray, size: int) -> np.ndarray:
    """int64 (B,): up to where the network is told that steps exist.

    A model whose windows were all full knows of no ends: it draws the whole window, of which the first steps are taken.
    So does a sequence that goes on from window to window.
    """
    window = codec.window
    variable = int(codec.beginnings.lengths.min()) < window
    ends = lengths if variable else np.maximum(lengths, window)
    return np.where(lengths > window, size, ends).astype(np.int64)


def conditions_text(where: Where) -> tuple[str, ...]:
    """Conditions as they are written."""
    return tuple(f"{name}{condition}" for name, condition in conditions_of(where))
