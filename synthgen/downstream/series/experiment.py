"""The experiment at one number of real series: every classifier on every mixture and seed, tested on the same ones."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from synthgen.downstream.leaks import LeakCheck
from synthgen.downstream.result import Augmentation
from synthgen.downstream.series.classifiers import CLASSIFIERS, ClassifierName, train_series_classifier
from synthgen.downstream.series.result import UNIT, SeriesAugmentation, SeriesDesign
from synthgen.downstream.series.windows import TestSequences, joined, labels_of
from synthgen.downstream.store import Answers, Store, answers_of, settings_key
from synthgen.downstream.summary import best_variant, compare, describe
from synthgen.downstream.variants import IMBALANCED, PLAIN, Mixture, mixtures
from synthgen.errors import StoppedError, UsageError
from synthgen.reporting import NullReporter, Reporter
from synthgen.stopping import ShouldStop, never_stop

if TYPE_CHECKING:
    from synthgen.data.series.windows import WindowSet

_FOLDS = 5
_JUDGE_SEED = 1_000_003


@dataclass(frozen=True)
class Sides:
    """Windows to train on and sequences to test on. count: real sequences; rare: names of classes that were cut down.

    test_name: where the test sequences come from.
    """

    train: WindowSet
    test: TestSequences
    count: int
    test_name: str
    rare: tuple[str, ...] = ()


@dataclass
class Lab:
    """What all trainings share."""

    sides: Sides
    synthetic: WindowSet
    design: SeriesDesign
    store: Store = field(default_factory=Store)
    reporter: Reporter = field(default_factory=NullReporter)
    should_stop: ShouldStop = never_stop

    def answers(self, name: ClassifierName, mixture: Mixture, pools: dict[bool, WindowSet]) -> list[Answers]:
        """What the classifier of each seed says about the test sequences."""
        parts = [self.sides.train.select(mixture.real)] if len(mixture.real) else []
        if len(mixture.synthetic):
            parts.append(pools[mixture.filtered].select(mixture.synthetic))
        if not parts:
            raise UsageError(f"there is nothing to train on for '{mixture.label}'")
        data = joined(parts)
        found = [self._answer(name, mixture, data, number) for number in range(len(self.design.seeds))]
        right = np.mean([np.mean(one.read == self.sides.test.labels) for one in found])
        self.reporter.info(
            f"{CLASSIFIERS[name]} trained on {mixture.label}: {100 * right:.2f} % of {len(self.sides.test):,} test "
            f"{UNIT} right"
        )
        return found

    def _answer(self, name: ClassifierName, mixture: Mixture, data: WindowSet, number: int) -> Answers:
        test, seed = self.sides.test, self.design.seeds[number]
        transforms = self.design.transforms if mixture.kind.classical else None
        settings = {
            "classifier": name,
            "recipe": self.design.recipe.to_dict(),
            "transforms": transforms.to_dict() if transforms else None,
            "seed": seed,
            "data": _digest(data),
            "test": _digest(test.windows),
        }
        key = settings_key(settings)
        known = self.store.get(key, len(test), self.reporter)
        if known is not None:
            return known
        label = f"training on {mixture.label}, seed {number + 1} of {len(self.design.seeds)}"
        trained = train_series_classifier(
            name,
            data,
            len(test.class_names),
            recipe=self.design.recipe,
            transforms=transforms,
            seed=seed,
            label=label,
            should_stop=self.should_stop,
            reporter=self.reporter,
        )
        scores = test.together(trained.scores(test.windows))
        answers = answers_of(np.maximum(scores, -1e9))
        if not trained.probabilities:
            answers = replace(answers, confidence=np.full(len(test), np.nan, np.float32))
        self.store.put(key, answers)
        return answers


def run_experiment(
    sides: Sides,
    synthetic: WindowSet,
    leak: LeakCheck,
    design: SeriesDesign,
    classifiers: tuple[ClassifierName, ...],
    *,
    store: Store | None = None,
    reporter: Reporter | None = None,
    should_stop: ShouldStop = never_stop,
) -> SeriesAugmentation:
    """Train, test and compare. Raises UsageError for series that nothing can be learned from; StoppedError."""
    _check(sides, synthetic)
    reporter = reporter or NullReporter()
    if sides.rare and design.kinds == PLAIN:
        design = replace(design, kinds=IMBALANCED)
    lab = Lab(sides, synthetic, design, store or Store(), reporter, should_stop)
    results, held_out = {}, {}
    for name in classifiers:
        results[name] = _one(lab, name, replace(design, classifier=name), leak)
        if len(classifiers) > 1:
            held_out[name] = cross_validated(lab, name)
    return SeriesAugmentation(results, held_out)


def _one(lab: Lab, name: ClassifierName, design: SeriesDesign, leak: LeakCheck) -> Augmentation:
    sides, test = lab.sides, lab.sides.test
    pools = {False: lab.synthetic}
    labels = {filtered: labels_of(pool) for filtered, pool in pools.items()}
    variants, hits = {}, {}
    for mixture in mixtures(design.kinds, labels_of(sides.train), labels, design.ratios):
        answers = lab.answers(name, mixture, pools)
        variants[mixture.name] = describe(mixture, answers, test, sides.rare)
        hits[mixture.name] = np.stack([one.read == test.labels for one in answers])
    counts = np.bincount(labels_of(sides.train), minlength=len(test.class_names))
    return Augmentation(
        real_count=sides.count,
        synthetic_count=len(lab.synthetic),
        test=sides.test_name,
        test_count=len(test),
        class_names=test.class_names,
        class_counts=tuple(int(count) for count in counts),
        design=design,
        variants=variants,
        comparisons=tuple(compare(variants, hits, test, sides.rare, UNIT)),
        best=best_variant(variants, hits, UNIT),
        leak=leak,
        warnings=tuple(_warnings(lab, leak, design)),
        rare=sides.rare,
        unit=UNIT,
    )


def cross_validated(lab: Lab, name: ClassifierName) -> float:
    """Share of the real training windows that the classifier reads when trained on the others: no test series has a
    say in whose verdict counts. Windows of a sequence stay together."""
    from sklearn.model_selection import StratifiedGroupKFold

    train = lab.sides.train
    labels, groups = labels_of(train), train.sequence
    # A fold needs a sequence of every class: many windows of one sequence make none.
    folds = min(_FOLDS, *(len(np.unique(groups[labels == label])) for label in np.unique(labels)))
    if folds < 2:
        return float("nan")
    lab.reporter.info(f"cross-validating {CLASSIFIERS[name]} on the real training {UNIT}")
    right = np.zeros(len(train), bool)
    seed = lab.design.seeds[0] + _JUDGE_SEED
    for kept, held in StratifiedGroupKFold(folds, shuffle=True, random_state=0).split(labels, labels, groups):
        if lab.should_stop():
            raise StoppedError("stopped while cross-validating classifiers")
        trained = train_series_classifier(
            name,
            train.select(kept),
            len(train.class_names),
            recipe=lab.design.recipe,
            seed=seed,
            should_stop=lab.should_stop,
        )
        right[held] = trained.scores(train.select(held)).argmax(axis=1) == labels[held]
    return float(right.mean())


def _check(sides: Sides, synthetic: WindowSet) -> None:
    for what, labels in (("real training", labels_of(sides.train)), ("test", sides.test.labels)):
        if len(np.unique(labels)) < 2:
            raise UsageError(f"the {len(labels):,} {what} {UNIT} are all of one class; two classes are needed")
    if len(synthetic) < 2:
        raise UsageError(f"{len(synthetic)} synthetic {UNIT}: 2 are the least")
    names = (sides.train.channels, synthetic.channels, sides.test.windows.channels)
    if len({len(one) for one in names}) > 1:
        real, made, test = (len(one) for one in names)
        raise UsageError(f"the {UNIT} differ in channels: real {real}, synthetic {made}, test {test}")


def _digest(windows: WindowSet) -> str:
    digest = hashlib.sha256(np.ascontiguousarray(windows.values, "<f8").data)
    digest.update(np.ascontiguousarray(windows.lengths, "<i8").data)
    digest.update(np.ascontiguousarray(labels_of(windows), "<i8").data)
    digest.update(repr((windows.values.shape, windows.class_names)).encode())
    return digest.hexdigest()


def _warnings(lab: Lab, leak: LeakCheck, design: SeriesDesign) -> list[str]:
    sides, synthetic = lab.sides, lab.synthetic
    found = [] if leak.clean else [leak.message]
    tested = set(_hashes(sides.test.windows))
    for text, windows in ((f"real training {UNIT}", sides.train), (f"synthetic {UNIT}", synthetic)):
        copies = sum(one in tested for one in _hashes(windows))
        if copies:
            found.append(f"{copies:,} of the {text} are exact copies of test {UNIT}")
    if len(design.seeds) == 1:
        found.append(f"one seed: the interval counts the choice of test {UNIT}, not the chance of training")
    size = len(sides.test.class_names)
    needed, there = (np.bincount(labels_of(one), minlength=size) for one in (sides.train, synthetic))
    for name in sides.rare:
        label = sides.test.class_names.index(name)
        if needed.max() > needed[label] + there[label]:
            found.append(f"there are too few synthetic {UNIT} of '{name}' to fill it up")
    short = [f"{one:g}" for one in design.ratios if one is not None and one * len(sides.train) > len(synthetic)]
    if short:
        found.append(
            f"ratio {', '.join(short)} needs more synthetic {UNIT} than the {len(synthetic):,} there are: all of them "
            "were taken"
        )
    return found


def _hashes(windows: WindowSet) -> list[bytes]:
    return [
        hashlib.blake2b(np.ascontiguousarray(row[:length]).data, digest_size=16).digest()
        for row, length in zip(windows.values, windows.lengths, strict=True)
    ]
