"""A request for sequences and its three ends: a file, shards, a stream. What commands and the API call."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import numpy as np
import torch

from synthgen.errors import StoppedError, UsageError
from synthgen.generation.numerics import numerics, table_versions
from synthgen.generation.onefile import FileResult, write_file
from synthgen.generation.plans import check_shards
from synthgen.generation.series.completing import KnownSeries, read_known
from synthgen.generation.series.contents import SeriesContents
from synthgen.generation.series.drawn import Drawn
from synthgen.generation.series.manifest import origin_of
from synthgen.generation.series.plan import FORMATS, SeriesPlan
from synthgen.generation.series.requests import FreeRequest, Where, conditions_text
from synthgen.generation.sharding import WHOLE, Part, shard_count
from synthgen.generation.tables.writing import check_writable
from synthgen.generation.targets import target_of
from synthgen.reporting import NullReporter, Reporter
from synthgen.stopping import ShouldStop, never_stop

if TYPE_CHECKING:
    from synthgen.generation.making import ShardsResult
    from synthgen.generation.series.engine import SeriesRecipe
    from synthgen.generation.series.model import SeriesModel

DEFAULT_COUNT = 1000
SHARD_SEQUENCES = 10_000
"""Sequences of a shard, at most, unless it is said otherwise."""
_SHOWN = 6


@dataclass(frozen=True)
class SeriesRequest:
    """What somebody asks for. count: None for `default_count`; with `complete`, as many as its file has.

    part: given when the set is cut into shards, of which this process makes some. See `SeriesModel.sample` and
    `SeriesModel.complete` for the rest.
    """

    count: int | None = None
    labels: Sequence[int | str] = ()
    where: Where = ()
    length: int | None = None
    start_time: str | None = None
    complete: str | Path | None = None
    draws: int = 1
    quantiles: tuple[float, ...] = ()
    allow_missing: bool = False
    seed: int = 0
    sampler: str | None = None
    steps: int | None = None
    eta: float | None = None
    guidance_scale: float | None = None
    format: str = "csv"
    packed: bool = False
    escape: bool = False
    shards: int | None = None
    shard_size: int | None = None
    part: Part | None = None


def series_work(model: SeriesModel, request: SeriesRequest, reporter: Reporter | None = None) -> SeriesWork:
    """Check a request against its model. Raises UsageError for all that cannot be done, before any of it is."""
    if request.format not in FORMATS:
        raise UsageError(f"series are not written as {request.format}", f"known formats: {', '.join(FORMATS)}")
    check_writable(request.format)
    recipe = model.recipe(
        sampler=request.sampler, steps=request.steps, eta=request.eta, guidance_scale=request.guidance_scale
    )
    asked: FreeRequest | KnownSeries
    if request.complete is not None:
        asked = read_known(
            model,
            request.complete,
            draws=request.draws,
            quantiles=request.quantiles,
            allow_missing=request.allow_missing,
            length=request.length,
            reporter=reporter,
        )
        count = asked.count
        if model.schema.time is not None and model.schema.time not in asked.data.frame and request.format != "npz":
            raise UsageError(
                f"{request.complete} has no times, and a file in the form of the data needs them", "give --out FILE.npz"
            )
    else:
        count = default_count(model, request) if request.count is None else request.count
        if count < 1:
            raise UsageError(f"--count must be 1 or more, not {count}")
        asked = FreeRequest(
            model, request.labels, request.where, request.length, request.start_time, numbered=count > 1
        )
    return SeriesWork(model, _plan(model, request, recipe, asked, count), asked)


def default_count(model: SeriesModel, request: SeriesRequest) -> int:
    """How many sequences, when nobody says so: a thousand windows, or one recording that goes on beyond a window."""
    return DEFAULT_COUNT if request.length is None or request.length <= model.window else 1


def _plan(
    model: SeriesModel, request: SeriesRequest, recipe: SeriesRecipe, asked: FreeRequest | KnownSeries, count: int
) -> SeriesPlan:
    together = asked.together(model.engine(recipe))
    shards = None
    if request.part is not None:
        size = request.shard_size
        if size is None and request.shards is None and request.part.total in (None, 1):
            size = max(SHARD_SEQUENCES, together)
        shards = shard_count(count, together, 1, shards=request.shards, shard_size=size, part=request.part)
    check_shards(count, together, shards, "sequences")
    return SeriesPlan(
        checkpoint_sha256=model.sha256,
        count=count,
        seed=request.seed,
        labels=tuple(model.class_names[label] for label in asked.labels),
        where=conditions_text(request.where),
        length=request.length,
        start=request.start_time,
        complete=asked.described,
        recipe=recipe,
        together=together,
        format=request.format,
        packed=request.packed,
        escape=request.escape,
        precision=model.precision,
        device=torch.device(model.device).type,
        versions=table_versions(request.format),
        numerics=numerics(model.device),
        shards=shards,
    )


class SeriesWork:
    """A plan and the model that carries it out. preview: float64 (n, L, C), the first sequences, once they are made.

    steps_made: rows that were made in this session.
    """

    def __init__(self, model: SeriesModel, plan: SeriesPlan, asked: FreeRequest | KnownSeries) -> None:
        self.model, self.plan, self.request = model, plan, asked
        self.preview: np.ndarray | None = None
        self.steps_made = 0

    @property
    def network_calls(self) -> int:
        """Network evaluations per window."""
        return self.model.engine(self.plan.recipe).network_calls

    @property
    def windows(self) -> int:
        """Windows of a sequence, at least."""
        return self.request.windows

    @property
    def lengths_text(self) -> str:
        """How long the sequences will be, in words."""
        return self.request.lengths_text

    @property
    def asked(self) -> str:
        """What all sequences have in common, in words; empty when nothing was asked for."""
        words = [f"class {', '.join(self.plan.labels)}"] if self.plan.labels else []
        words += list(self.plan.where)
        words += [f"from {self.plan.start} on"] if self.plan.start else []
        return f"all of them {'; '.join(words)}" if words else ""

    def sequences(self, start: int, stop: int) -> Iterator[Drawn]:
        """Sequences start ... stop - 1, a block at a time."""
        arrays = self.plan.format == "npz"
        for drawn in self.model.blocks(self.request, self.plan.recipe, self.plan.seed, start, stop, arrays=arrays):
            if start == 0 and self.preview is None:
                self.preview = self.request.values(drawn, _SHOWN)
            self.steps_made += int(drawn.rows[-1])
            yield drawn

    def contents(self) -> SeriesContents:
        """The sequences as the contents of files."""
        return SeriesContents(
            self.plan, origin_of(self.model), self.request.columns, self.request.cells, self.request.whole_arrays()
        )

    def to_file(
        self,
        out: str | Path,
        *,
        force: bool = False,
        resume: bool = False,
        reporter: Reporter | None = None,
        should_stop: ShouldStop = never_stop,
    ) -> FileResult:
        """Write all sequences to a file, or to one in the folder `out`; see `write_file`."""
        self.request.should_stop = should_stop  # a block of long sequences takes hundreds of windows
        return write_file(
            target_of(out, self.plan.format, self.plan.packed, SeriesContents.stem),
            self.contents(),
            lambda start: self.sequences(start, self.plan.count),
            force=force,
            resume=resume,
            reporter=reporter,
            should_stop=should_stop,
        )

    def to_shards(
        self,
        out: str,
        part: Part = WHOLE,
        *,
        force: bool = False,
        reporter: Reporter | None = None,
        should_stop: ShouldStop = never_stop,
    ) -> ShardsResult:
        """Write this part's shards to `out`, a folder or a URL; see `synthgen.generation.making.make_shards`."""
        from synthgen.generation.fileshards import FileShardSet
        from synthgen.generation.making import make_shards
        from synthgen.generation.storage import open_store

        self.request.should_stop = should_stop
        target = FileShardSet(open_store(out), self.contents())
        return make_shards(
            target, self.sequences, part, force=force, reporter=reporter, should_stop=should_stop, unit="sequences"
        )

    def to_stream(
        self, stream: TextIO, *, reporter: Reporter | None = None, should_stop: ShouldStop = never_stop
    ) -> None:
        """Write all sequences to a text stream, block by block. Raises StoppedError after a signal."""
        self.request.should_stop = should_stop
        encode, done = self.contents().encode, 0
        with (reporter or NullReporter()).progress("sampling", self.plan.count, "sequences") as progress:
            for drawn in self.sequences(0, self.plan.count):
                stream.write(encode(drawn, done, first=done == 0).decode())
                done += len(drawn)
                progress.update(done)
                if should_stop() and done < self.plan.count:
                    raise StoppedError(f"stopped after {done:,} of {self.plan.count:,} sequences")
        stream.flush()
