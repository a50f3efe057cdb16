"""The whole protocol on tables: real rows, generator, samples, models, for one number of real rows or for several."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from synthgen.config.tables import TableConfig, TableDataConfig
from synthgen.data.subset import stratified_subset
from synthgen.data.tables.reading import read_table, table_from_frame
from synthgen.data.tables.schema import TableData, TableSchema
from synthgen.downstream.generators import check_asked, is_finished
from synthgen.downstream.leaks import Provenance
from synthgen.downstream.tables.experiment import Sides, run_experiment
from synthgen.downstream.tables.leaks import check_table_leak, spread_rows
from synthgen.downstream.tables.problem import Problem, pose
from synthgen.downstream.tables.result import Design, TableAugmentation
from synthgen.downstream.tables.variants import join
from synthgen.downstream.variants import Imbalance
from synthgen.errors import UsageError
from synthgen.evaluation.tables.sources import Origin, open_synthetic, read_holdout
from synthgen.outputs import MARKER, prepare_output
from synthgen.reporting import NullReporter, Reporter
from synthgen.runs import list_checkpoints
from synthgen.stopping import ShouldStop, never_stop

SAMPLES = 10_000
"""Rows drawn from a generator at least when no count is given; as many as there are real rows if these are more."""

CUT = 5
"""One of so many rows becomes a test row where the table has none."""


@dataclass(frozen=True)
class Request:
    """What the user asked for.

    synthetic: tables or runs, one for all sizes or one for each. train_generator: a preset or config instead of them.
    target: the column to predict; None: the one that the configuration of the generator names, else the last.
    real_sizes: None is all rows there are. out: the work folder, which keeps the generators.
    """

    real: str
    synthetic: tuple[str, ...] = ()
    train_generator: str | None = None
    budget: str | None = None
    overrides: tuple[str, ...] = ()
    test: str | None = None
    target: str | None = None
    real_sizes: tuple[int | None, ...] = (None,)
    imbalance: Imbalance | None = None
    count: int | None = None
    design: Design = field(default_factory=Design)
    seed: int = 0
    device: str = "auto"
    out: Path | None = None

    def check(self) -> None:
        """Raise UsageError for what cannot work, before anything is loaded."""
        check_asked(self)


@dataclass(frozen=True)
class _Real:
    """Real rows in the terms of one schema. given: all that are not test rows of their own; cut: rows of `given` that
    were made test rows. with_test: fingerprint of training and test rows in one file."""

    given: TableData
    test: TableData
    cut: np.ndarray
    with_test: str | None


@dataclass
class _Trial:
    """One number of real rows. samples: gives the synthetic rows; asked for last, it may take long."""

    sides: Sides
    real: _Real
    rows: np.ndarray | None
    generator: Provenance | None
    samples: Callable[[], TableData]


def run_protocol(
    request: Request,
    *,
    force: bool = False,
    resume: bool = False,
    reporter: Reporter | None = None,
    should_stop: ShouldStop = never_stop,
) -> tuple[TableAugmentation, ...]:
    """Do what is asked, one result per number of real rows. Finished generators in `request.out` are taken up.

    Raises: UsageError for a request that cannot work or a leak, before any training; StoppedError.
    """
    request.check()
    work = _Work(request, reporter or NullReporter(), should_stop)
    trials = [work.trial(number) for number in range(len(request.real_sizes))]
    leaks = []
    for trial in trials:
        real = trial.real
        leak = check_table_leak(
            trial.generator,
            real.given,
            trial.sides.train,
            trial.sides.test,
            used_rows=trial.rows,
            test_rows=real.cut,
            with_test=real.with_test,
        )
        leak.require(allow_leak=request.design.allow_leak)
        leaks.append(leak)
    if request.out is not None:
        prepare_output(request.out, force=force, resume=resume)
    results = []
    for trial, leak in zip(trials, leaks, strict=True):
        if len(trials) > 1:
            work.reporter.info(f"with {len(trial.sides.train):,} real rows:")
        found = run_experiment(
            trial.sides, trial.samples(), leak, request.design, reporter=work.reporter, should_stop=should_stop
        )
        results.append(found)
    return tuple(results)


class _Work:
    """Loads what the trials share, once."""

    def __init__(self, request: Request, reporter: Reporter, should_stop: ShouldStop) -> None:
        self.request, self.reporter, self.should_stop = request, reporter, should_stop
        self.common: dict[str, Any] = {"reporter": reporter, "should_stop": should_stop}
        self.real: dict[str, _Real] = {}
        self.origins: dict[str, Origin] = {}

    def trial(self, number: int) -> _Trial:
        request = self.request
        size = request.real_sizes[number]
        if request.train_generator:
            config = self.config(size)
            real = self.load_real(None, config.data)
            sides, rows = self.sides(real, size, request.target or config.data.target)
            origin = Provenance(sides.train.name, sides.train.split, len(sides.train), sides.train.fingerprint)
            return _Trial(sides, real, rows, origin, partial(self.generate, config, sides, size))
        source = request.synthetic[number if len(request.synthetic) > 1 else 0]
        if source not in self.origins:
            self.origins[source] = open_synthetic(
                source, count=request.count, seed=request.seed, device=request.device, **self.common
            )
        found = self.origins[source]
        real = self.load_real(found.schema, None)
        sides, rows = self.sides(real, size, request.target or found.target)
        return _Trial(sides, real, rows, found.generator, partial(self.load, source, found, sides))

    def load_real(self, schema: TableSchema | None, config: TableDataConfig | None) -> _Real:
        """The real table in the terms of a schema, or as a generator's configuration reads it; its test rows."""
        key = repr((schema, config and config.model_dump()))
        if key not in self.real:
            self.real[key] = self._load_real(schema, config)
        return self.real[key]

    def _load_real(self, schema: TableSchema | None, config: TableDataConfig | None) -> _Real:
        request = self.request
        settings = None if config is None else config.model_copy(update={"limit": None})
        given = read_table(request.real, settings, schema=schema, split="train", **self.common)
        test = read_holdout(request.real, request.test, given.schema, **self.common)
        if test is None:
            self.reporter.info(f"{request.real} has no test rows: a fifth of it is cut off and only tested on")
            cut = stratified_subset(None, len(given), max(1, len(given) // CUT))
            return _Real(given, given.select(cut), cut, None)
        with_test = None
        if request.test is None:
            both = read_table(request.real, settings, schema=given.schema, split="all", should_stop=self.should_stop)
            with_test = both.fingerprint if len(both) > len(given) else None
        return _Real(given, test, np.zeros(0, np.int64), with_test)

    def sides(self, real: _Real, size: int | None, target: str | None) -> tuple[Sides, np.ndarray | None]:
        """Who is trained on and tested, and the rows of `given` that are trained on (None when thinned)."""
        if target is None:
            target = [column.name for column in real.given.schema.modelled][-1]
            self.reporter.info(f"models are trained to predict the last column, {target}: --target names another one")
        problem = pose(real.given, target)
        left = np.setdiff1d(np.arange(len(real.given)), real.cut)
        if size is not None and size > len(left):
            raise UsageError(f"--real-size {size:,}: {self.request.real} has {len(left):,} rows to train on")
        rows = left[spread_rows(len(left), size)]
        train = real.given if len(rows) == len(real.given) else real.given.select(rows)
        test = problem.known(real.test)
        whole = problem.known(train)
        if self.request.imbalance is None:
            return Sides(problem, real.given, whole, test, bool(len(real.cut))), rows
        if problem.regression:
            raise UsageError(f"--imbalance is for classes; the target '{target}' is a number")
        rare = self.request.imbalance.rare(problem.classes)
        thin = _thin(problem, whole, rare)
        return Sides(problem, real.given, thin, test, bool(len(real.cut)), tuple(sorted(rare))), None

    def load(self, source: str, found: Origin, sides: Sides) -> TableData:
        """Synthetic rows: drawn from a run now, or `count` of those of a table."""
        count = self.request.count
        if found.likelihood is not None:
            return self.draw(source, sides)
        data = found.read(sides.train.schema)
        if count is None or count >= len(data):
            if count is not None and count > len(data):
                raise UsageError(f"--count {count:,}: {source} has {len(data):,} rows")
            return data
        return data.select(stratified_subset(None, len(data), count))

    def draw(self, run: str, sides: Sides) -> TableData:
        """Rows of a run. Of rare classes exactly what they lack: under the condition that the target has that value."""
        from synthgen.generation.tables.model import load_table_model

        model = load_table_model(run, device=self.request.device, reporter=self.reporter)
        schema, seed = sides.train.schema, self.request.seed
        if not sides.rare:
            count = self.request.count or max(SAMPLES, len(sides.train))
            self.reporter.info(f"drawing {count:,} rows from {run}")
            return table_from_frame(model.sample(count, seed=seed, **self.common), name=run, schema=schema)
        counts = np.bincount(sides.problem.labels(sides.train), minlength=len(sides.problem.classes))
        parts = []
        for label in sides.rare:
            name, lacking = sides.problem.classes[label], int(counts.max() - counts[label])
            self.reporter.info(f"drawing {lacking:,} rows with {sides.problem.target} = {name} from {run}")
            frame = model.sample(max(1, lacking), seed=seed, where={sides.problem.target: [name]}, **self.common)
            parts.append(table_from_frame(frame, name=run, schema=schema))
        return join(parts)

    def config(self, size: int | None) -> TableConfig:
        """How the generator is trained: on the model's real rows, whatever the preset says."""
        from synthgen.training.choosing import choose_settings

        request = self.request
        flags = {
            "data.source": request.real,
            "data.limit": size,
            "training.budget": request.budget,
            "training.seed": request.seed or None,
        }
        found = choose_settings(config=request.train_generator, overrides=request.overrides, flags=flags).config
        if not isinstance(found, TableConfig):
            raise UsageError(f"{request.train_generator} trains on images, and {request.real} is a table")
        return found

    def generate(self, config: TableConfig, sides: Sides, size: int | None) -> TableData:
        """Train a generator on the model's real rows, or take up what is there, and draw its rows."""
        from synthgen.training.run import train

        assert self.request.out is not None
        run = self.request.out / ("real-all" if size is None else f"real-{size}") / "generator"
        if is_finished(run, config.for_rows(len(sides.train)), sides.train.fingerprint):
            self.reporter.info(f"{run} is trained already")
        else:
            resume = bool(list_checkpoints(run))
            options: dict[str, Any] = {"resume": resume, "force": not resume and (run / MARKER).exists()}
            train(config, run, device=self.request.device, data=sides.train, **options, **self.common)
        return self.draw(str(run), sides)


def _thin(problem: Problem, data: TableData, rare: dict[int, float]) -> TableData:
    """`data` with its rare classes cut down; one row of each remains at least, the first of the nested order."""
    labels = problem.labels(data)
    keep = np.ones(len(data), bool)
    for label, share in rare.items():
        members = np.flatnonzero(labels == label)
        if len(members):
            kept = stratified_subset(None, len(members), max(1, round(share * len(members))))
            keep[np.delete(members, kept)] = False
    return data.select(np.flatnonzero(keep))
