"""Sequences with some cells known: gaps filled, ends forecast, without touching a known cell."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np
import torch

from synthgen.data.series.schema import SeriesData
from synthgen.data.tables.schema import ColumnSchema
from synthgen.errors import UsageError
from synthgen.generation.series.drawn import Drawn, join_drawn
from synthgen.generation.series.filling import Canvas, fill
from synthgen.generation.series.merging import DRAW, QUANTILE, draws_of, quantiles_of
from synthgen.generation.series.packing import Packing
from synthgen.generation.series.partial import extended, from_frame, read_partial
from synthgen.generation.series.plan import SeriesCompletion, check_draws
from synthgen.generation.series.requests import Made, lay_calendar, network_lengths
from synthgen.generation.series.spreading import DRAWS, measure_spread
from synthgen.reporting import Reporter
from synthgen.stopping import ShouldStop, never_stop

if TYPE_CHECKING:
    import pandas as pd

    from synthgen.data.tables.schema import TableSchema
    from synthgen.generation.series.engine import SeriesEngine
    from synthgen.generation.series.model import SeriesModel


def read_known(
    model: SeriesModel,
    source: str | Path,
    *,
    draws: int = 1,
    quantiles: tuple[float, ...] = (),
    allow_missing: bool = False,
    length: int | None = None,
    reporter: Reporter | None = None,
) -> KnownSeries:
    """The sequences of a file to complete. Raises UsageError naming the line and column of what cannot be taken."""
    data, sha256 = read_partial(model, source, reporter)
    return KnownSeries(model, data, sha256, draws, quantiles, allow_missing, length)


def known_series(
    model: SeriesModel,
    frame: pd.DataFrame,
    draws: int = 1,
    quantiles: tuple[float, ...] = (),
    allow_missing: bool = False,
    length: int | None = None,
) -> KnownSeries:
    """The sequences of a DataFrame to complete. Raises UsageError naming the row and column."""
    data, sha256 = from_frame(model, frame)
    return KnownSeries(model, data, sha256, draws, quantiles, allow_missing, length)


class KnownSeries:
    """Sequences to complete: a request for `count` of them, each drawn `draws` times.

    data: the sequences as they are, with the steps that are to be forecast. Run r is draw r % draws of sequence
    r // draws. length: steps in all that each sequence is to have at least. should_stop: asked before every window;
    StoppedError when it says so.
    """

    labels: tuple[int, ...] = ()

    def __init__(
        self,
        model: SeriesModel,
        data: SeriesData,
        sha256: str,
        draws: int,
        quantiles: tuple[float, ...],
        allow_missing: bool,
        length: int | None,
    ) -> None:
        check_draws(draws, quantiles)
        self.codec, self.draws, self.quantiles = model.codec, draws, quantiles
        self.data = data if length is None else extended(data, length)
        self.count, self.longest = len(self.data), int(self.data.lengths.max())
        self.packing = Packing(model.codec, numbered=self.count > 1)
        self._check_names()
        self.given, self.known, _ = model.codec.encode_partial(self.data, allow_missing=allow_missing)
        self.starts = model.codec.starts_of(self.data)
        if model.schema.time is not None and model.schema.time not in self.data.frame:
            for part in model.codec.parts:
                if part.role == "calendar":
                    self.known[..., part.start : part.stop] = False
        self.described = SeriesCompletion(sha256, self.count, self.longest, draws, quantiles, allow_missing, draws > 1)
        self.should_stop: ShouldStop = never_stop
        self._spreads: dict[int, torch.Tensor | None] = {}
        self._measuring = Lock()

    def _check_names(self) -> None:
        added = QUANTILE if self.quantiles else DRAW if self.draws > 1 else None
        if added is not None and added in self.packing.columns.names:
            raise UsageError(
                f"the series have a column '{added}' of their own", "complete them with one draw at a time"
            )

    @property
    def windows(self) -> int:
        """Windows of a sequence, at least."""
        window = self.codec.window
        return 1 if self.longest <= window else -(-self.longest // window)

    @property
    def lengths_text(self) -> str:
        """How long the sequences are, in words."""
        least = int(self.data.lengths.min())
        return f"{self.longest:,}" if least == self.longest else f"{least:,} to {self.longest:,}"

    @property
    def each(self) -> int:
        """How often a sequence comes in the result."""
        return len(self.quantiles) or self.draws

    @property
    def columns(self) -> TableSchema:
        """The columns of a file."""
        table = self.packing.columns
        if self.each == 1 and not self.quantiles:
            return table
        name, kind = (QUANTILE, "number") if self.quantiles else (DRAW, "integer")
        form = table.format
        if "header" in form:
            form = {**form, "header": [*form["header"], name]}
        return replace(table, columns=(*table.columns, ColumnSchema(name, kind)), format=form)  # type: ignore[arg-type]

    @property
    def cells(self) -> int:
        """Cells of one sequence in the result, at most."""
        return self.longest * self.each * len(self.columns.columns)

    def whole_arrays(self) -> dict[str, np.ndarray]:
        """What an npz file has once."""
        return self.packing.whole_arrays()

    def runs(self, engine: SeriesEngine) -> int:
        """Runs that are computed together."""
        return engine.size_for(self.count * self.draws, self.windows)

    def together(self, engine: SeriesEngine) -> int:
        """Sequences that are computed together."""
        return max(1, self.runs(engine) // self.draws)

    def canvas(self, owner: np.ndarray, draws: np.ndarray) -> tuple[Canvas, np.ndarray]:
        """What is known of the sequences `owner`, for draws of these numbers, int64 (B,); and their first times."""
        codec = self.codec
        size = max(self.longest, codec.window)
        shape = (len(owner), size, codec.dimensions)
        given, known = torch.zeros(shape), torch.zeros(shape, dtype=torch.bool)
        starts = self.starts[owner]
        lengths = self.data.lengths[owner]
        if codec.schema.time in self.data.frame:  # dates go on behind the end of what is shorter than a window
            lay_calendar(codec, given, known, starts)
        index = torch.from_numpy(owner)
        inside = torch.arange(self.longest) < torch.from_numpy(lengths)[:, None]
        given[:, : self.longest] = torch.where(inside[..., None], self.given[index], given[:, : self.longest])
        known[:, : self.longest] = torch.where(inside[..., None], self.known[index], known[:, : self.longest])
        self._hold(given, known, lengths)
        exists = torch.arange(size) < torch.from_numpy(_told(codec, lengths, size))[:, None]
        return Canvas(given, known, lengths, exists, owner, draws, recorded=True), starts

    def _hold(self, given: torch.Tensor, known: torch.Tensor, lengths: np.ndarray) -> None:
        """Classes, covariates and the word that nothing is missing hold behind the end of a sequence, too."""
        cells = []
        for part in self.codec.parts:
            if part.role in ("label", "static"):
                cells += list(range(part.start, part.stop))
            if part.missing is not None and part.role == "static":
                cells.append(part.missing)
        for row, length in enumerate(lengths.tolist()):
            given[row, length:, cells] = given[row, length - 1, cells]
            known[row, length:, cells] = known[row, length - 1, cells]

    def make(self, engine: SeriesEngine, runs: np.ndarray, seed: int) -> Made:
        """Draw a whole block of runs; beyond the end, those of the last sequence."""
        owner = np.minimum(runs // self.draws, self.count - 1)
        canvas, starts = self.canvas(owner, runs % self.draws)
        if self.described.spread:
            canvas.spread = self._spread(engine, owner, canvas, seed)
        fill(engine, canvas, seed, self.should_stop)
        return Made(canvas.given[:, : self.longest], canvas.lengths, starts)

    def _spread(self, engine: SeriesEngine, owner: np.ndarray, canvas: Canvas, seed: int) -> torch.Tensor | None:
        """Of the runs of a block; measured once for each sequence."""
        for sequence in np.unique(owner).tolist():
            with self._measuring:  # blocks are made side by side
                if sequence not in self._spreads:
                    probe, _ = self.canvas(np.full(DRAWS, sequence), np.arange(DRAWS))
                    self._spreads[sequence] = measure_spread(engine, self.codec, probe, seed, self.should_stop)
        found = [self._spreads[sequence] for sequence in owner.tolist()]
        if all(one is None for one in found):
            return None
        return torch.stack([torch.ones(canvas.given.shape[1:]) if one is None else one for one in found])

    def frames(self, made: Made, runs: np.ndarray, seed: int) -> list[pd.DataFrame]:
        """Each run's sequence in the normal form of the columns, with what was known as it came."""
        frame = self.codec.decode(
            made.x, made.lengths, runs // self.draws, seed, made.starts, numbered=self.packing.numbered, clip=False
        )
        rows = np.concatenate([[0], np.cumsum(made.lengths)])
        found = []
        for place, run in enumerate(runs.tolist()):
            sequence = run // self.draws
            if sequence < self.count:
                part = frame.iloc[rows[place] : rows[place + 1]].reset_index(drop=True)
                found.append(self._kept(part, sequence))
        return found

    def _kept(self, drawn: pd.DataFrame, sequence: int) -> pd.DataFrame:
        """Drawn cells within the range of what is known or was learned; known cells unchanged."""
        place = slice(int(self.data.offsets[sequence]), int(self.data.offsets[sequence + 1]))
        known = self.data.frame.iloc[place].reset_index(drop=True)
        schema, columns = self.codec.schema, {}
        for name in drawn.columns:
            values = drawn[name]
            if name in known:
                if name in self._ranges:
                    values = values.clip(*self._ranges[name])
                fixed = name in (schema.id, schema.label, schema.time)
                values = known[name] if fixed else known[name].where(known[name].notna(), values)
            columns[name] = values
        return _frame_of(columns)

    @cached_property
    def _ranges(self) -> dict[str, tuple[float, float]]:
        """By column of numbers, the values between which drawn ones may lie."""
        found = {}
        for name, coding in self.codec.codings.items():
            if coding.scaler is not None and name in self.data.frame:
                values = self.data.frame[name].dropna().to_numpy(np.float64)
                low, high = values.min(initial=coding.scaler.low), values.max(initial=coding.scaler.high)
                found[name] = (float(low), float(high))
        return found

    def item(self, frames: list[pd.DataFrame]) -> Drawn:
        """One sequence of the result, from all of its draws."""
        if self.quantiles:
            frames = quantiles_of(frames, self.quantiles, self.codec.schema)
        elif self.draws > 1:
            frames = draws_of(frames)
        rows = np.cumsum([0, *(len(frame) for frame in frames)]).astype(np.int64)
        whole = join_drawn([Drawn(np.array([0, len(frame)]), frame) for frame in frames])
        return Drawn(rows, whole.frame)

    def drawn(self, items: list[Drawn], *, arrays: bool) -> Drawn:
        """Sequences as they go into a file: `each` entries in the arrays for one item."""
        whole = join_drawn(items)
        if arrays:
            packed = self.packing.pack(whole, self.longest)
            more = {}
            if self.quantiles:
                more["quantile"] = np.tile(np.array(self.quantiles), len(items))
            elif self.draws > 1:
                more["draw"] = np.tile(np.arange(self.draws), len(items))
            whole = Drawn(whole.rows, None, {**packed.arrays, **more})
        return Drawn(whole.rows[:: self.each], whole.frame, whole.arrays, self.each)

    def values(self, drawn: Drawn, count: int) -> np.ndarray:
        """float64 (n, L, C): the first `count` sequences or draws, to be looked at."""
        values = self.packing.values(drawn if drawn.frame is None else self._single(drawn), self.longest)
        return values[:count]

    def _single(self, drawn: Drawn) -> Drawn:
        lengths = np.repeat(np.diff(drawn.rows) // self.each, self.each)
        return Drawn(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64), drawn.frame)


def _told(codec: object, lengths: np.ndarray, size: int) -> np.ndarray:
    """As `network_lengths`; a recording that is longer than a window exists as far as it goes."""
    told = network_lengths(codec, lengths, size)  # type: ignore[arg-type]
    return np.where(lengths > codec.window, lengths, told)  # type: ignore[attr-defined]


def _frame_of(columns: dict[str, pd.Series]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(columns)
