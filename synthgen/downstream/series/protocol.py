"""The whole protocol on series: real ones, generator, samples, classifiers, for one number of real ones or several."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from synthgen.config.series import SeriesConfig, SeriesDataConfig
from synthgen.data.series.reading import read_series
from synthgen.data.series.schema import SeriesData, SeriesSchema
from synthgen.data.series.windows import WindowSet
from synthgen.data.subset import stratified_subset
from synthgen.downstream.generators import check_asked, is_finished
from synthgen.downstream.leaks import LeakCheck, Provenance
from synthgen.downstream.series.classifiers import CLASSIFIERS, ClassifierName
from synthgen.downstream.series.experiment import Sides, run_experiment
from synthgen.downstream.series.result import UNIT, SeriesAugmentation, SeriesDesign
from synthgen.downstream.series.sources import Source, draw, open_source
from synthgen.downstream.series.windows import TestSequences, labelled_windows, labels_of, window_length
from synthgen.downstream.store import Store
from synthgen.downstream.tables.leaks import check_table_leak, spread_rows
from synthgen.downstream.variants import Imbalance
from synthgen.errors import UsageError
from synthgen.outputs import MARKER, prepare_output
from synthgen.reporting import NullReporter, Reporter
from synthgen.runs import list_checkpoints
from synthgen.stopping import ShouldStop, never_stop

SAMPLES = 1_000
"""Sequences drawn from a generator when no count is given; as many as there are real ones if these are more."""


@dataclass(frozen=True)
class Request:
    """What the user asked for.

    synthetic: series or runs, one for all sizes or one for each. train_generator: a preset or config instead of them.
    real_sizes: None is all there are. out: the work folder, which keeps generators and answers.
    """

    real: str
    synthetic: tuple[str, ...] = ()
    train_generator: str | None = None
    budget: str | None = None
    overrides: tuple[str, ...] = ()
    test: str | None = None
    real_sizes: tuple[int | None, ...] = (None,)
    imbalance: Imbalance | None = None
    count: int | None = None
    classifiers: tuple[ClassifierName, ...] = tuple(CLASSIFIERS)
    design: SeriesDesign = field(default_factory=SeriesDesign)
    seed: int = 0
    device: str = "auto"
    out: Path | None = None

    def check(self) -> None:
        """Raise UsageError for what cannot work, before anything is loaded."""
        check_asked(self)


@dataclass(frozen=True)
class _Real:
    """given: the training part; test: sequences that no classifier is trained on. together: fingerprint of all there
    are in one source."""

    given: SeriesData
    test: SeriesData
    together: str | None


@dataclass
class _Trial:
    """One number of real sequences. used: what classifiers have, of `given`; rows: their places, None when thinned.

    samples: gives the synthetic sequences; asked for last, it may take long.
    """

    real: _Real
    used: SeriesData
    rows: np.ndarray | None
    rare: tuple[str, ...]
    generator: Provenance | None
    window: int | None
    samples: Callable[[], SeriesData]

    def leak(self) -> LeakCheck:
        """What the generator has seen."""
        return check_table_leak(
            self.generator,
            self.real.given,
            self.used,
            self.real.test,
            used_rows=self.rows,
            test_rows=np.empty(0, np.int64),
            with_test=self.real.together,
            unit=UNIT,
        )


def run_protocol(
    request: Request,
    *,
    force: bool = False,
    resume: bool = False,
    reporter: Reporter | None = None,
    should_stop: ShouldStop = never_stop,
) -> tuple[SeriesAugmentation, ...]:
    """Do what is asked, one result per number of real sequences. What `request.out` holds is taken up with `resume`.

    Raises: UsageError for a request that cannot work or a leak, before any training; StoppedError.
    """
    request.check()
    work = _Work(request, reporter or NullReporter(), should_stop)
    trials = [work.trial(number) for number in range(len(request.real_sizes))]
    leaks = [trial.leak() for trial in trials]
    for leak in leaks:
        leak.require(allow_leak=request.design.allow_leak)
    store = Store()
    if request.out is not None:
        prepare_output(request.out, force=force, resume=resume)
        store = Store(request.out / "trainings")
    results = []
    for trial, leak in zip(trials, leaks, strict=True):
        if len(trials) > 1:
            work.reporter.info(f"with {len(trial.used):,} real {UNIT}:")
        made = trial.samples()
        sides, synthetic = work.sides(trial, made)
        results.append(
            run_experiment(
                sides,
                synthetic,
                leak,
                request.design,
                request.classifiers,
                store=store,
                reporter=work.reporter,
                should_stop=should_stop,
            )
        )
    return tuple(results)


class _Work:
    """Loads what the trials share, once."""

    def __init__(self, request: Request, reporter: Reporter, should_stop: ShouldStop) -> None:
        self.request, self.reporter, self.should_stop = request, reporter, should_stop
        self.common: dict[str, Any] = {"reporter": reporter, "should_stop": should_stop}
        self.real: dict[str, _Real] = {}
        self.sources: dict[str, Source] = {}

    def trial(self, number: int) -> _Trial:
        request = self.request
        size = request.real_sizes[number]
        if request.train_generator:
            config = self.config()
            real = self.load_real(config.data, None)
            used, rows, rare = self.used(real, size)
            origin = Provenance(used.name, used.split, len(used), used.fingerprint)
            return _Trial(real, used, rows, rare, origin, None, partial(self.generate, config, used, size, rare))
        name = request.synthetic[number if len(request.synthetic) > 1 else 0]
        if name not in self.sources:
            self.sources[name] = open_source(name, device=request.device, **self.common)
        source = self.sources[name]
        real = self.load_real(source.config, source.schema)
        used, rows, rare = self.used(real, size)
        samples = partial(self.load, source, used, rare)
        return _Trial(real, used, rows, rare, source.generator, source.window, samples)

    def load_real(self, config: SeriesDataConfig | None, schema: SeriesSchema | None) -> _Real:
        """The real sequences as the generator's configuration reads them, in the terms of a schema."""
        key = repr((schema, config and config.model_dump()))
        if key not in self.real:
            self.real[key] = self._load_real(config, schema)
        return self.real[key]

    def _load_real(self, config: SeriesDataConfig | None, schema: SeriesSchema | None) -> _Real:
        request = self.request
        # What was trained on everything is compared with a part all the same: a test needs one.
        config = (config or SeriesDataConfig()).model_copy(update={"source": request.real, "protocol": "honest"})
        given = read_series(request.real, config, schema=schema, split="train", **self.common)
        if given.schema.label is None:
            raise UsageError(
                f"{request.real} has no classes: there is nothing for a classifier to learn",
                "a generator's configuration names the column: --train-generator series --set data.label=COLUMN",
            )
        quiet: dict[str, Any] = {"schema": given.schema, "should_stop": self.should_stop}
        if request.test is not None:
            return _Real(given, read_series(request.test, config, split="all", **quiet), None)
        whole = read_series(request.real, config, split="all", **quiet)
        if len(whole) == len(given) and whole.fingerprint == given.fingerprint:
            few = f"no class has enough for a share of {config.test:g}" if config.test else "data.test is 0"
            raise UsageError(
                f"{request.real} has no test {UNIT}: everything is trained on ({few})",
                "give --test SOURCE, or a generator that left some out (data.test)",
            )
        return _Real(given, read_series(request.real, config, split="test", **quiet), whole.fingerprint)

    def used(self, real: _Real, size: int | None) -> tuple[SeriesData, np.ndarray | None, tuple[str, ...]]:
        """What classifiers are trained on, its places in the training part (None when thinned), the rare classes."""
        given = real.given
        if size is not None and size > len(given):
            raise UsageError(f"{given.name} has {len(given):,} {UNIT} to train on, and {size:,} were asked for")
        rows = spread_rows(len(given), size)
        used = given if len(rows) == len(given) else given.select(rows)
        if self.request.imbalance is None:
            return used, rows, ()
        windows = labelled_windows(used, int(used.lengths.max(initial=1)))
        names = windows.class_names
        rare = tuple(names[label] for label in sorted(self.request.imbalance.rare(names)))
        return used.select(self.request.imbalance.kept(labels_of(windows), names)), None, rare

    def sides(self, trial: _Trial, made: SeriesData) -> tuple[Sides, WindowSet]:
        """Everything as windows."""
        real, test = trial.used, trial.real.test
        window = window_length(real, test, trial.window or int(made.lengths.max(initial=1)))
        train = labelled_windows(real, window)
        classes = train.class_names
        if window < int(real.lengths.max(initial=1)):
            self.reporter.info(
                f"{real.name}: classifiers read windows of {window:,} steps, as the generator makes them; the answers "
                "for all windows of a test sequence are brought together"
            )
        name = f"the test part of {self.request.real}" if self.request.test is None else self.request.test
        tested = TestSequences.of(labelled_windows(test, window, classes))
        return Sides(train, tested, len(real), name, trial.rare), labelled_windows(made, window, classes)

    def load(self, source: Source, used: SeriesData, rare: tuple[str, ...]) -> SeriesData:
        """Synthetic sequences: drawn from a run now, or `count` of those in a file."""
        if source.model is not None:
            return self.draw(source.model, used, rare)
        data = source.read(used.schema)
        count = self.request.count
        if count is not None and count > len(data):
            raise UsageError(f"--count {count:,}: {source.name} has {len(data):,} {UNIT}")
        return data if count is None else data.select(stratified_subset(None, len(data), count))

    def draw(self, model: Any, used: SeriesData, rare: tuple[str, ...]) -> SeriesData:
        """Sequences of a model: as the classes come, or exactly what rare ones lack."""
        if not rare:
            return draw(model, self.request.count or max(SAMPLES, len(used)), None, self.request.seed, **self.common)
        windows = labelled_windows(used, int(used.lengths.max(initial=1)))
        counts = np.bincount(labels_of(windows), minlength=len(windows.class_names))
        lacking = {name: int(counts.max() - counts[windows.class_names.index(name)]) for name in rare}
        labels = [name for name, amount in lacking.items() for _ in range(max(1, amount))]
        return draw(model, len(labels), labels, self.request.seed, **self.common)

    def config(self) -> SeriesConfig:
        """How the generator is trained: on the classifiers' real sequences, whatever the preset says."""
        from synthgen.training.choosing import choose_settings

        request = self.request
        flags = {
            "data.source": request.real,
            "training.budget": request.budget,
            "training.seed": request.seed or None,
        }
        found = choose_settings(config=request.train_generator, overrides=request.overrides, flags=flags).config
        if not isinstance(found, SeriesConfig):
            raise UsageError(f"{request.train_generator} describes a model of {found.modality}, and these are series")
        return found

    def generate(self, config: SeriesConfig, used: SeriesData, size: int | None, rare: tuple[str, ...]) -> SeriesData:
        """Train a generator on the classifiers' real sequences, or take up what is there, and draw from it."""
        from synthgen.training.run import train
        from synthgen.training.series import settled

        assert self.request.out is not None
        run = self.request.out / ("real-all" if size is None else f"real-{size}") / "generator"
        if is_finished(run, settled(config, used), used.fingerprint):
            self.reporter.info(f"{run} is trained already")
        else:
            resume = bool(list_checkpoints(run))
            options: dict[str, Any] = {"resume": resume, "force": not resume and (run / MARKER).exists()}
            train(config, run, device=self.request.device, data=replace(used, held_out=None), **options, **self.common)
        model = open_source(str(run), device=self.request.device, **self.common).model
        return self.draw(model, used, rare)
