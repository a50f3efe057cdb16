"""Make the shards that are this process's part of a set, one after the other; finished ones are kept."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from synthgen.errors import StoppedError, UsageError
from synthgen.generation.manifest import origin_of
from synthgen.generation.model import Model
from synthgen.generation.plan import SamplePlan
from synthgen.generation.sharding import WHOLE, Part
from synthgen.generation.shards import ShardSet
from synthgen.generation.shardset import MISSING, ShardedSet
from synthgen.generation.storage import open_store
from synthgen.reporting import NullReporter, Progress, Reporter
from synthgen.stopping import ShouldStop, never_stop

Source = Callable[[int, int], Iterator[Any]]
"""(start, stop) -> blocks of samples start ... stop - 1."""


@dataclass(frozen=True)
class ShardsResult:
    """What this process did. made, kept: shards; missing: shards that nobody has made yet. count: samples made.

    counts: samples by class name in the whole set. images_per_second counts writing and is of this session.
    """

    out: str
    made: list[int]
    kept: int
    missing: int
    count: int
    counts: dict[str, int]
    seconds: float
    images_per_second: float

    @property
    def finished(self) -> bool:
        return self.missing == 0


def sample_to_shards(
    model: Model,
    out: str,
    plan: SamplePlan,
    part: Part = WHOLE,
    *,
    force: bool = False,
    reporter: Reporter | None = None,
    should_stop: ShouldStop = never_stop,
) -> ShardsResult:
    """Make this part's shards of `plan` at `out`, a folder or a URL. Any number of processes may do so at once.

    A shard whose manifest and files agree is never made again; a damaged one is named and made again. Who finishes
    the last shard also writes the manifest of the whole and the card. Raises UsageError for a set of another plan,
    StoppedError after a signal: whole shards are kept.
    """
    target = ShardSet(open_store(out), plan, origin_of(model))

    def source(start: int, stop: int) -> Iterator[Any]:
        return model.engine(plan.recipe).span(start, stop, target.labels, plan.seed)

    return make_shards(target, source, part, force=force, reporter=reporter, should_stop=should_stop)


def make_shards(
    target: ShardedSet[Any],
    source: Source,
    part: Part = WHOLE,
    *,
    force: bool = False,
    reporter: Reporter | None = None,
    should_stop: ShouldStop = never_stop,
    unit: str = "images",
) -> ShardsResult:
    """`sample_to_shards` with samples from anywhere. unit: what to call them."""
    shards = target.plan.shards
    if shards is None:
        raise ValueError("the plan has no shards")
    mine = part.of(shards)
    if force and len(mine) != shards:
        raise UsageError(
            "--force would delete what the other parts made",
            "remove the set yourself before the parts begin, or give another --out",
        )
    target.begin(force=force)
    work = _Work(target, source, mine, reporter or NullReporter(), should_stop)
    work.run(unit)
    return work.result()


class _Work:
    """The state of one session over one part."""

    def __init__(
        self,
        target: ShardedSet[Any],
        source: Source,
        mine: range,
        reporter: Reporter,
        should_stop: ShouldStop,
    ) -> None:
        self.target, self.source, self.mine = target, source, mine
        self.reporter, self.should_stop = reporter, should_stop
        self.made: list[int] = []
        self.kept = self.count = 0
        self.started = time.monotonic()
        self.missing = target.total

    def run(self, unit: str) -> None:
        bounds = (self.target.plan.bounds(shard) for shard in self.mine)
        total = sum(stop - start for start, stop in bounds)
        done = 0
        with self.reporter.progress("sampling", total, unit) as progress:
            for shard in self.mine:
                progress.update(done)
                start, stop = self.target.plan.bounds(shard)
                self._one(shard, progress, done)
                done += stop - start
            progress.update(done)
        self._finish()

    def _one(self, shard: int, progress: Progress, done: int) -> None:
        self._poll()
        state = self.target.state(shard)
        if state.problem is None:
            self.kept += 1
            return
        if state.foreign:
            name = self.target.manifest_name(shard)
            raise UsageError(f"{name}: {state.problem}", f"remove it and its data from {self.target.store.url}")
        if state.problem != MISSING:
            self.reporter.warn(f"shard {shard} of {self.target.total} is made again: {state.problem}")
            self.target.forget(shard)
        start, stop = self.target.plan.bounds(shard)
        try:
            whole = self.target.write(
                shard,
                self.source(start, stop),
                report=lambda made: progress.update(done + made),
                should_stop=self.should_stop,
            )
        except FileNotFoundError:
            if self.target.state(shard).problem is not None:
                raise
            self.kept += 1  # another process made the same shard, and cleared up
            return
        if not whole:
            self._stopped()
        self.made.append(shard)
        self.count += stop - start

    def _poll(self) -> None:
        if self.should_stop():
            self._stopped()

    def _stopped(self) -> None:
        there = len(self.made) + self.kept
        raise StoppedError(f"stopped after {there:,} of {len(self.mine):,} shards; they are kept")

    def _finish(self) -> None:
        """Whoever sees all shards there describes the whole; two who do so at once write the same."""
        self.missing = self.target.missing()
        if self.missing or (not self.made and self._described()):
            return
        self.target.finish(self._records())

    def _described(self) -> bool:
        return bool(self.target.document().get("finished"))

    def _records(self) -> Iterator[dict[str, Any]]:
        for shard in range(self.target.total):
            yield self.target.record(shard)

    def result(self) -> ShardsResult:
        seconds = time.monotonic() - self.started
        return ShardsResult(
            self.target.store.url,
            self.made,
            self.kept,
            self.missing,
            self.count,
            self.target.counts(),
            round(seconds, 2),
            round(self.count / seconds, 1) if self.count else 0.0,
        )
