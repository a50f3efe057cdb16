"""The augmentation experiment: does synthetic data help a classifier? Equal steps, several seeds, real test images."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from synthgen.data.dataset import ImageData, fingerprint
from synthgen.data.subset import stratified_subset
from synthgen.downstream.classifier import fit, logits_of
from synthgen.downstream.copies import count_copies
from synthgen.downstream.factories import Classifier, resolve_classifier
from synthgen.downstream.filters import FilterReport, filter_samples
from synthgen.downstream.leaks import LeakCheck, Provenance, check_leak
from synthgen.downstream.result import Augmentation, Design
from synthgen.downstream.store import Answers, Store, answers_of, training_key
from synthgen.downstream.summary import best_variant, compare, describe
from synthgen.downstream.variants import IMBALANCED, PLAIN, Imbalance, TrainingSet, training_sets
from synthgen.errors import UsageError
from synthgen.reporting import NullReporter, Reporter
from synthgen.stopping import ShouldStop, never_stop

HOLD_OUT_SHARE = 0.2
"""Of a real set without test images, this share is cut off to test on."""

_JUDGE_SEED = 1_000_003
"""Added to the first seed, so that no classifier of the experiment begins with the judge's weights."""


@dataclass(frozen=True)
class RealSides:
    """Real images to train on and to test on, disjoint.

    whole: the real set as it came; cut: test was cut from it; rare: names of the classes that were cut down.
    """

    whole: ImageData
    train: ImageData
    test: ImageData
    cut: bool
    rare: tuple[str, ...] = ()


def choose_real(
    real: ImageData, test: ImageData | None, real_size: int | None, imbalance: Imbalance | None = None
) -> RealSides:
    """Set the test images apart, then take `real_size` training images of the rest.

    Without `test`, the last fifth of `real` in the order of `stratified_subset` is cut off. The training images are the
    first ones of that order, the same that `data.limit` gives a generator; `imbalance` then cuts classes down.

    Raises: UsageError when there are no labels, too few images, or fewer than `real_size`.
    """
    if real.labels is None:
        raise UsageError(f"{real.name} has no labels: there is nothing for a classifier to learn")
    cut = test is None
    available = len(real) - max(1, round(HOLD_OUT_SHARE * len(real))) if cut else len(real)
    size = available if real_size is None else real_size
    if not 2 <= size <= available:
        raise UsageError(
            f"{real.name} has {available:,} images to train on, and {size:,} were asked for",
            f"give --real-size between 2 and {available:,}" if available >= 2 else None,
        )
    if test is None:
        kept = stratified_subset(real.labels, len(real), available)
        test = real.select(np.setdiff1d(np.arange(len(real)), kept))
    train = real if size == len(real) else real.select(stratified_subset(real.labels, len(real), size))
    if train.labels is None or len(np.unique(train.labels)) < 2:
        raise UsageError(f"the {size:,} training images of {real.name} are all of one class; two classes are needed")
    rare: tuple[str, ...] = ()
    if imbalance is not None:
        rare = tuple(real.class_names[label] for label in sorted(imbalance.rare(real.class_names)))
        train = imbalance.thin(train)
    return RealSides(real, train, test.align(real.class_names), cut, rare)


@dataclass(frozen=True)
class _Lab:
    """What every training of one experiment shares."""

    sides: RealSides
    design: Design
    classifier: Classifier
    device: str
    store: Store
    reporter: Reporter
    should_stop: ShouldStop

    def answers(self, data: TrainingSet) -> list[Answers]:
        """What the classifier of each seed answers to the test images."""
        print_of_data = fingerprint(data.images, data.labels, self.sides.whole.class_names)
        found = [self._answer(data, print_of_data, number) for number in range(len(self.design.seeds))]
        right = np.mean([np.mean(one.read == self.sides.test.labels) for one in found])
        self.reporter.info(
            f"trained on {data.label}: {100 * right:.2f} % of {len(self.sides.test):,} test images right"
        )
        return found

    def _answer(self, data: TrainingSet, print_of_data: str, number: int) -> Answers:
        design, test, seed = self.design, self.sides.test, self.design.seeds[number]
        transforms = design.transforms if data.kind.classical else None
        height, width, channels = test.shape
        classes = len(test.class_names)
        model = self.classifier.build((channels, height, width), classes, seed)
        settings = {
            "recipe": design.recipe.to_dict(),
            "transforms": transforms.to_dict() if transforms else None,
            "seed": seed,
            "classifier": [self.classifier.name, self.classifier.version],
        }
        key = training_key(model, [print_of_data, test.fingerprint], settings)
        known = self.store.get(key, len(test), self.reporter)
        if known is not None:
            return known
        fit(
            model,
            data.images,
            data.labels,
            classes,
            recipe=design.recipe,
            transforms=transforms,
            seed=seed,
            device=self.device,
            label=f"training on {data.label}, seed {number + 1} of {len(design.seeds)}",
            should_stop=self.should_stop,
            reporter=self.reporter,
        )
        answers = answers_of(logits_of(model, test.images, should_stop=self.should_stop))
        self.store.put(key, answers)
        return answers


def run_augmentation(
    sides: RealSides,
    synthetic: ImageData,
    *,
    generator: Provenance | None = None,
    design: Design | None = None,
    device: str = "auto",
    store: Store | None = None,
    reporter: Reporter | None = None,
    should_stop: ShouldStop = never_stop,
) -> Augmentation:
    """Train a classifier on each variant with each seed, and test all of them on the same real images.

    generator: what made the synthetic images; one that is known to have seen other images than `sides.train` is refused
    unless the design allows it. store: where finished classifiers' answers are kept.

    Raises: UsageError for a leak, or when the sets do not fit each other; StoppedError when asked to stop.
    """
    design, reporter = _settled(design or Design(), sides), reporter or NullReporter()
    synthetic = _fitting(synthetic, sides)
    leak = check_leak(
        generator, sides.whole, sides.train, sides.test, test_from_real=sides.cut, thinned=bool(sides.rare)
    )
    leak.require(allow_leak=design.allow_leak)
    classifier = resolve_classifier(design.classifier)
    lab = _Lab(sides, design, classifier, device, store or Store(), reporter, should_stop)
    pools, filtering = _pools(lab, synthetic)
    variants, hits = {}, {}
    for data in training_sets(design.kinds, sides.train, pools, design.ratios):
        answers = lab.answers(data)
        variants[data.name] = describe(data, answers, sides.test, sides.rare)
        hits[data.name] = np.stack([one.read == sides.test.labels for one in answers])
    return Augmentation(
        real_count=len(sides.train),
        synthetic_count=len(synthetic),
        test=_test_text(sides),
        test_count=len(sides.test),
        class_names=sides.whole.class_names,
        class_counts=_class_counts(sides.train),
        design=design,
        variants=variants,
        comparisons=tuple(compare(variants, hits, sides.test, sides.rare)),
        best=best_variant(variants, hits),
        leak=leak,
        warnings=tuple(_warnings(sides, synthetic, leak, design)),
        filter=filtering,
        rare=sides.rare,
    )


def _settled(design: Design, sides: RealSides) -> Design:
    """The design with the kinds that suit the sides, checked."""
    if not design.seeds:
        raise UsageError("at least one seed is needed")
    if sides.rare and design.kinds == PLAIN:
        design = replace(design, kinds=IMBALANCED)
    if sides.rare and design.ratios != (None,):
        raise UsageError("--ratio and --imbalance do not go together: rare classes are filled up, no more and no less")
    return design


def _pools(lab: _Lab, synthetic: ImageData) -> tuple[dict[bool, ImageData], FilterReport | None]:
    """The synthetic images as they came, and what the filter leaves of them."""
    design = lab.design
    if not design.filters:
        return {False: synthetic}, None
    kept, report = filter_samples(
        design.filters,
        synthetic,
        lab.sides.train,
        lab.classifier,
        recipe=design.recipe,
        transforms=design.transforms,
        seed=design.seeds[0] + _JUDGE_SEED,
        device=lab.device,
        reporter=lab.reporter,
        should_stop=lab.should_stop,
    )
    lab.reporter.info(report.sentence)
    return {False: synthetic, True: kept}, report


def _fitting(synthetic: ImageData, sides: RealSides) -> ImageData:
    if synthetic.labels is None:
        raise UsageError(
            f"{synthetic.name} has no labels: a classifier cannot be trained on it",
            "sample from a model that was trained with classes",
        )
    if synthetic.shape != sides.train.shape or sides.test.shape != sides.train.shape:
        shapes = [" x ".join(map(str, one.shape)) for one in (sides.train, synthetic, sides.test)]
        raise UsageError(f"the images differ in shape: real {shapes[0]}, synthetic {shapes[1]}, test {shapes[2]}")
    return synthetic.align(sides.whole.class_names)


def _class_counts(data: ImageData) -> tuple[int, ...]:
    assert data.labels is not None
    return tuple(int(count) for count in np.bincount(data.labels, minlength=len(data.class_names)))


def _test_text(sides: RealSides) -> str:
    if sides.cut:
        return f"a fifth of {sides.whole.name}, cut off before anything else"
    return f"{sides.test.name} ({sides.test.split})"


def _warnings(sides: RealSides, synthetic: ImageData, leak: LeakCheck, design: Design) -> list[str]:
    found = [] if leak.clean else [leak.message]
    for text, images in (("real training images", sides.train.images), ("synthetic images", synthetic.images)):
        copies = count_copies(images, sides.test.images)
        if copies:
            found.append(f"{copies:,} of the {text} are exact copies of test images")
    if len(design.seeds) == 1:
        found.append("one seed: the interval counts the choice of test images, not the chance of training")
    found += _lacking(sides, synthetic)
    short = [f"{ratio:g}" for ratio in design.ratios if ratio is not None and ratio * len(sides.train) > len(synthetic)]
    if short:
        found.append(
            f"ratio {', '.join(short)} needs more synthetic images than the {len(synthetic):,} there are: all of them "
            "were taken"
        )
    return found


def _lacking(sides: RealSides, synthetic: ImageData) -> list[str]:
    """The rare classes that cannot be filled up with what there is."""
    needed, there = _class_counts(sides.train), _class_counts(synthetic)
    short = [
        name
        for name in sides.rare
        if max(needed) > sum(part[sides.whole.class_names.index(name)] for part in (needed, there))
    ]
    return [f"there are too few synthetic images of '{name}' to fill it up" for name in short]
