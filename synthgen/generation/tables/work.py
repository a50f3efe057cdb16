"""A request for rows and its three ends: a file, shards, a stream. What commands and the API call."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from synthgen.errors import StoppedError, UsageError
from synthgen.generation.onefile import FileResult, write_file
from synthgen.generation.sharding import WHOLE, Part, shard_count
from synthgen.generation.tables.completing import KnownCells, read_known
from synthgen.generation.tables.contents import TableContents
from synthgen.generation.tables.manifest import origin_of
from synthgen.generation.tables.plan import TablePlan, plan_rows
from synthgen.generation.tables.requests import Where
from synthgen.generation.tables.writing import Encoder, RowEncoder, check_writable
from synthgen.generation.targets import target_of
from synthgen.reporting import NullReporter, Reporter
from synthgen.stopping import ShouldStop, never_stop

if TYPE_CHECKING:
    import pandas as pd

    from synthgen.generation.making import ShardsResult
    from synthgen.generation.tables.model import TableModel

SHARD_ROWS = 100_000
"""Rows of a shard, at most, unless it is said otherwise."""


@dataclass(frozen=True)
class TableRequest:
    """What somebody asks for. count: None with `complete`, which has as many rows as its file, times draws.

    part: given when the set is cut into shards, of which this process makes some.
    """

    count: int | None = None
    where: Where = ()
    balance: str | None = None
    complete: str | Path | None = None
    draws: int = 1
    allow_missing: bool = False
    seed: int = 0
    steps: int | None = None
    temperature: float | None = None
    format: str = "csv"
    packed: bool = False
    escape: bool = False
    shards: int | None = None
    shard_size: int | None = None
    part: Part | None = None


def table_work(model: TableModel, request: TableRequest, reporter: Reporter | None = None) -> TableWork:
    """Check a request against its model. Raises UsageError for all that cannot be done, before any of it is."""
    check_writable(request.format)
    recipe = model.recipe(steps=request.steps, temperature=request.temperature)
    known = None
    if request.complete is not None:
        known = read_known(model, request.complete, request.draws, request.allow_missing, reporter)
    elif request.count is None:
        raise UsageError("how many rows? Give --count")
    count = known.count if known is not None else request.count or 0
    shards = None
    if request.part is not None:
        size = request.shard_size
        if size is None and request.shards is None and request.part.total in (None, 1):
            size = max(SHARD_ROWS, recipe.block_size)
        shards = shard_count(count, recipe.block_size, 1, shards=request.shards, shard_size=size, part=request.part)
    plan = plan_rows(
        model,
        count,
        where=request.where,
        balance=request.balance,
        complete=None if known is None else known.described,
        seed=request.seed,
        recipe=recipe,
        format=request.format,
        packed=request.packed,
        escape=request.escape,
        shards=shards,
    )
    return TableWork(model, plan, known)


class TableWork:
    """A plan and the model that carries it out."""

    def __init__(self, model: TableModel, plan: TablePlan, known: KnownCells | None = None) -> None:
        self.model, self.plan, self.known = model, plan, known
        self.request = known or model.request(plan.where, plan.balance)

    @property
    def network_calls(self) -> int:
        """Network evaluations per row, of the first stage."""
        return self.model.engine(self.plan.recipe).network_calls

    def rows(self, start: int, stop: int) -> Iterator[pd.DataFrame]:
        """Rows start ... stop - 1 in their normal form, in frames of at most a block."""
        return self.model.frames(self.request, self.plan.recipe, self.plan.seed, start, stop)

    def encoder(self) -> Encoder:
        """What turns rows into the bytes of a file."""
        if self.known is not None:
            return self.known.encoder(self.plan, self.model.schema)
        return RowEncoder(self.plan, self.model.schema)

    def contents(self) -> TableContents:
        """The rows as the contents of files."""
        return TableContents(self.plan, origin_of(self.model), self.encoder())

    def to_file(
        self,
        out: str | Path,
        *,
        force: bool = False,
        resume: bool = False,
        reporter: Reporter | None = None,
        should_stop: ShouldStop = never_stop,
    ) -> FileResult:
        """Write all rows to a file, or to a table in the folder `out`; see `write_file`."""
        return write_file(
            target_of(out, self.plan.format, self.plan.packed),
            self.contents(),
            lambda start: self.rows(start, self.plan.count),
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

        target = FileShardSet(open_store(out), self.contents())
        return make_shards(
            target, self.rows, part, force=force, reporter=reporter, should_stop=should_stop, unit="rows"
        )

    def to_stream(
        self, stream: TextIO, *, reporter: Reporter | None = None, should_stop: ShouldStop = never_stop
    ) -> None:
        """Write all rows to a text stream, block by block. Raises StoppedError after a signal."""
        encode, done = self.encoder(), 0
        with (reporter or NullReporter()).progress("sampling", self.plan.count, "rows") as progress:
            for frame in self.rows(0, self.plan.count):
                stream.write(encode(frame, done, first=done == 0).decode())
                done += len(frame)
                progress.update(done)
                if should_stop() and done < self.plan.count:
                    raise StoppedError(f"stopped after {done:,} of {self.plan.count:,} rows")
        stream.flush()
