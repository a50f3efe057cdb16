"""The experiment at one number of real rows: every learner on every variant and seed, judged on the same test rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from synthgen.data.subset import stratified_subset
from synthgen.data.tables.hashing import row_hashes
from synthgen.data.tables.schema import TableData
from synthgen.downstream.leaks import LeakCheck
from synthgen.downstream.statistics import deviation
from synthgen.downstream.tables.learners import LEARNERS, LearnerName, Recipe, Rows, fit, predict, tune
from synthgen.downstream.tables.measures import Judge, Score, paired_scores
from synthgen.downstream.tables.problem import Encoder, Problem
from synthgen.downstream.tables.result import Comparison, Design, Figure, TableAugmentation, Trained, Variant
from synthgen.downstream.tables.variants import TrainingSet, training_sets
from synthgen.errors import StoppedError, UsageError
from synthgen.reporting import NullReporter, Reporter
from synthgen.stopping import ShouldStop, never_stop

VALIDATION = 5
"""One of so many real training rows is put aside while settings are chosen."""

LEAST_ROWS = 20


@dataclass(frozen=True)
class Sides:
    """The real rows. whole: all of them, without the test rows; train: what the models get; cut: the test rows were
    taken from the given table; rare: classes that were cut down, by place."""

    problem: Problem
    whole: TableData
    train: TableData
    test: TableData
    cut: bool = False
    rare: tuple[int, ...] = ()

    @property
    def rare_names(self) -> tuple[str, ...]:
        return tuple(self.problem.classes[label] for label in self.rare)


@dataclass
class Lab:
    """What all trainings share."""

    sides: Sides
    synthetic: TableData
    design: Design
    reporter: Reporter = field(default_factory=NullReporter)
    should_stop: ShouldStop = never_stop

    def __post_init__(self) -> None:
        self.problem, self.encoder = self.sides.problem, Encoder(self.sides.train, self.sides.problem.target)
        self.kept, self.held_out = _split(self.problem, self.sides.train)
        truth = self.problem.labels(self.sides.test)
        self.judge = Judge(self.problem, truth, self.sides.rare)

    def rows(self, learner: LearnerName, data: TableData) -> Rows:
        """Training rows as the learner takes them."""
        data = self.problem.known(data)
        x = self.encoder.cells(data) if learner == "boosting" else self.encoder.features(data)
        return Rows(x, self.problem.labels(data))

    def check(self) -> None:
        """Raise StoppedError when asked to stop."""
        if self.should_stop():
            raise StoppedError("stopped while training models; with --out, --resume goes on")

    def choose(self, learner: LearnerName) -> Recipe:
        """Settings, the same for all variants, found with real training rows alone.

        Each variant by itself would be unfair: synthetic rows know the validation rows, as their generator was trained
        on these as well, and a long training that learns them by heart would look best.
        """
        train, validation = (self.rows(learner, part) for part in (self.kept, self.held_out))
        categorical, seed = self.encoder.categorical, self.design.seeds[0]
        return tune(learner, self.problem, train, validation, categorical, seed=seed, check=self.check)

    def answers(self, learner: LearnerName, variant: TrainingSet, recipe: Recipe, seed: int) -> np.ndarray:
        """What a model trained on the whole variant says about the test rows."""
        self.check()
        train = self.rows(learner, variant.rows(self.sides.train, seed))
        model = fit(learner, self.problem, train, self.encoder.categorical, recipe, seed=seed)
        return predict(model, self.problem, self.rows(learner, self.sides.test).x)


def _split(problem: Problem, train: TableData) -> tuple[TableData, TableData]:
    """Training rows, and a fifth of them for choosing settings; the same share of every class."""
    labels = None if problem.regression else problem.labels(train)
    held = stratified_subset(labels, len(train), max(1, len(train) // VALIDATION))
    return train.select(np.setdiff1d(np.arange(len(train)), held)), train.select(held)


def run_experiment(
    sides: Sides,
    synthetic: TableData,
    leak: LeakCheck,
    design: Design,
    *,
    reporter: Reporter | None = None,
    should_stop: ShouldStop = never_stop,
) -> TableAugmentation:
    """Train, test and compare. Raises UsageError for rows that nothing can be learned from; StoppedError."""
    problem, reporter = sides.problem, reporter or NullReporter()
    synthetic = problem.known(synthetic)
    for what, data in (("real training", sides.train), ("synthetic", synthetic), ("test", sides.test)):
        if len(data) < LEAST_ROWS:
            raise UsageError(f"{len(data)} {what} rows with a known '{problem.target}': {LEAST_ROWS} are the least")
    lab = Lab(sides, synthetic, design, reporter, should_stop)
    trained, comparisons = [], []
    for learner in design.learners:
        found, scores = _train_all(lab, learner)
        trained.append(found)
        comparisons += list(_compare(lab, learner, found.variants, scores))
    counts = () if problem.regression else np.bincount(problem.labels(sides.train), minlength=len(problem.classes))
    return TableAugmentation(
        problem,
        len(sides.train),
        len(synthetic),
        "a fifth of the real rows, cut off before anything else" if sides.cut else sides.test.name,
        len(sides.test),
        tuple(int(count) for count in counts),
        design,
        lab.judge.measures,
        tuple(trained),
        tuple(comparisons),
        leak,
        tuple(_warnings(sides, synthetic, leak, design)),
        sides.rare_names,
        () if problem.regression else tuple(problem.classes[label] for label in lab.judge.positives),
    )


Scores = dict[str, dict[str, list[Score]]]
"""Variant -> measure -> one score per seed."""


def _train_all(lab: Lab, learner: LearnerName) -> tuple[Trained, Scores]:
    sides = lab.sides
    sets = list(
        training_sets(
            lab.problem,
            sides.train,
            lab.synthetic,
            rare=sides.rare,
            ratios=lab.design.ratios,
            should_stop=lab.should_stop,
        )
    )
    recipe = lab.choose(learner)
    variants, scores = {}, {}
    for one in sets:
        lab.reporter.info(f"{LEARNERS[learner]} on {one.label}: {one.size:,} rows, {len(lab.design.seeds)} seeds")
        answers = [lab.answers(learner, one, recipe, seed) for seed in lab.design.seeds]
        found = {name: [lab.judge.score(name, answer) for answer in answers] for name in lab.judge.measures}
        scores[one.name] = found
        figures = {name: _figure(values) for name, values in found.items()}
        variants[one.name] = Variant(one.name, one.label, one.kind.name, one.ratio, one.size, figures)
    return Trained(learner, recipe, variants), scores


def _figure(scores: list[Score]) -> Figure:
    values = np.array([one.value for one in scores])
    return Figure(tuple(float(value) for value in values), float(values.mean()), deviation(values))


def baselines(variants: dict[str, Variant]) -> list[str]:
    """What the others are compared with: real rows alone, and what needs no generator."""
    return [name for name in ("real", "repeated", "smote", "filled_smote") if name in variants]


def _compare(lab: Lab, learner: LearnerName, variants: dict[str, Variant], scores: Scores) -> Iterator[Comparison]:
    order = baselines(variants)
    for measure in lab.judge.measures:
        for base in order:
            for name, one in variants.items():
                # A baseline is compared with those before it: no pair twice.
                if name in order[: order.index(base) + 1]:
                    continue
                found = paired_scores(scores[base][measure], scores[name][measure])
                labels, kinds = (one.label, variants[base].label), (one.kind, variants[base].kind)
                yield Comparison(learner, measure, name, base, labels, kinds, found)


def _warnings(sides: Sides, synthetic: TableData, leak: LeakCheck, design: Design) -> list[str]:
    found = [] if leak.clean else [leak.message]
    names = [column.name for column in sides.test.schema.modelled]
    tested = row_hashes(sides.test.frame[names])
    for text, data in (("real training rows", sides.train), ("synthetic rows", synthetic)):
        copies = int(np.isin(row_hashes(data.frame[names]), tested).sum())
        if copies > 0.01 * len(data):
            found.append(f"{copies:,} of the {len(data):,} {text} are equal to test rows")
    if len(design.seeds) == 1:
        found.append("one seed: the interval counts the choice of test rows, not the chance of training")
    short = [f"{ratio:g}" for ratio in design.ratios if ratio is not None and ratio * len(sides.train) > len(synthetic)]
    if short and not sides.rare:
        found.append(
            f"ratio {', '.join(short)} needs more synthetic rows than the {len(synthetic):,} there are: all of them "
            "were taken"
        )
    return found + _lacking(sides, synthetic)


def _lacking(sides: Sides, synthetic: TableData) -> list[str]:
    """The rare classes that cannot be filled up with what there is."""
    if not sides.rare:
        return []
    size = len(sides.problem.classes)
    needed, there = (np.bincount(sides.problem.labels(one), minlength=size) for one in (sides.train, synthetic))
    return [
        f"there are too few synthetic rows of '{sides.problem.classes[label]}' to fill it up"
        for label in sides.rare
        if needed.max() > needed[label] + there[label]
    ]
