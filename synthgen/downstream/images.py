"""The augmentation experiment: does synthetic data help a classifier? Equal steps, several seeds, real test images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from synthgen.data.dataset import ImageData
from synthgen.data.subset import stratified_subset
from synthgen.downstream.classifier import ClassifierRecipe, predict, train_classifier
from synthgen.downstream.copies import count_copies
from synthgen.downstream.leaks import LeakCheck, Provenance, check_leak
from synthgen.downstream.statistics import Difference, deviation, paired_difference
from synthgen.errors import UsageError
from synthgen.reporting import NullReporter, Reporter
from synthgen.stopping import ShouldStop, never_stop

VARIANTS = ("real", "synthetic", "both")
"""What a classifier is trained on; `both` draws from the two sets put together."""

HOLD_OUT_SHARE = 0.2
"""Of a real set without test images, this share is cut off to test on."""


@dataclass(frozen=True)
class Variant:
    """The classifiers trained on one kind of data.

    images: how many different ones. accuracies: of the test images read right, one number per seed.
    deviation: between seeds, None for one seed. recalls: per class, mean over seeds; None without test images of it.
    """

    name: str
    images: int
    accuracies: tuple[float, ...]
    mean: float
    deviation: float | None
    recalls: tuple[float | None, ...]


@dataclass(frozen=True)
class Comparison:
    """Variant `name` against the classifiers trained on the real images alone."""

    name: str
    difference: Difference

    @property
    def sentence(self) -> str:
        """What the interval allows to say."""
        low, high = 100 * self.difference.low, 100 * self.difference.high
        amount = f"{100 * self.difference.value:+.2f} points, 95 % interval {low:+.2f} to {high:+.2f}"
        if self.name == "synthetic":
            words = {"helps": "beats", "hurts": "is behind", "no difference": "is not told apart from"}
            return (
                f"Training on synthetic images alone {words[self.difference.verdict]} training on real ones ({amount})."
            )
        words = {
            "helps": "Adding the synthetic images helps",
            "hurts": "Adding the synthetic images hurts",
            "no difference": "Adding the synthetic images makes no difference that could be shown",
        }
        return f"{words[self.difference.verdict]} ({amount})."

    def to_dict(self) -> dict[str, Any]:
        difference = self.difference
        return {
            "variant": self.name,
            "against": "real",
            "difference": difference.value,
            "interval": [difference.low, difference.high],
            "verdict": difference.verdict,
            "sentence": self.sentence,
        }


@dataclass(frozen=True)
class Augmentation:
    """The whole result; `to_dict` is what --json prints."""

    real_count: int
    synthetic_count: int
    test: str
    test_count: int
    class_names: tuple[str, ...]
    seeds: tuple[int, ...]
    recipe: ClassifierRecipe
    variants: dict[str, Variant]
    comparisons: tuple[Comparison, ...]
    leak: LeakCheck
    warnings: tuple[str, ...]

    @property
    def verdict(self) -> str:
        """helps, no difference or hurts: of adding the synthetic images to the real ones."""
        return next(one.difference.verdict for one in self.comparisons if one.name == "both")

    @property
    def sentence(self) -> str:
        """The verdict in words: void when the generator saw the test images, qualified when it may have seen more."""
        both = next(one.sentence for one in self.comparisons if one.name == "both")
        if self.leak.status == "test":
            return f"Void: {self.leak.message}."
        if self.verdict == "helps" and not self.leak.clean:
            return f"{both} That it is the generator's merit is not shown: {self.leak.message}."
        return both

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, snake_case."""
        variants = {
            name: {
                "images": one.images,
                "accuracies": list(one.accuracies),
                "mean": one.mean,
                "deviation": one.deviation,
                "recalls": dict(zip(self.class_names, one.recalls, strict=True)),
            }
            for name, one in self.variants.items()
        }
        return {
            "kind": "synthgen-augmentation",
            "verdict": self.verdict,
            "sentence": self.sentence,
            "variants": variants,
            "comparisons": [one.to_dict() for one in self.comparisons],
            "leak": self.leak.to_dict(),
            "warnings": list(self.warnings),
            "real_count": self.real_count,
            "synthetic_count": self.synthetic_count,
            "test": self.test,
            "test_count": self.test_count,
            "class_names": list(self.class_names),
            "seeds": list(self.seeds),
            "recipe": self.recipe.to_dict(),
        }


@dataclass(frozen=True)
class RealSides:
    """Real images to train on and to test on, disjoint. whole: the real set as it came; cut: test was cut from it."""

    whole: ImageData
    train: ImageData
    test: ImageData
    cut: bool


def choose_real(real: ImageData, test: ImageData | None, real_size: int | None) -> RealSides:
    """Set the test images apart, then take `real_size` training images of the rest.

    Without `test`, the last fifth of `real` in the order of `stratified_subset` is cut off. The training images are the
    first ones of that order, the same that `data.limit` gives a generator.

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
    return RealSides(real, train, test.align(real.class_names), cut)


def run_augmentation(
    sides: RealSides,
    synthetic: ImageData,
    *,
    generator: Provenance | None = None,
    recipe: ClassifierRecipe | None = None,
    seeds: Sequence[int] = (0, 1, 2),
    device: str = "auto",
    reporter: Reporter | None = None,
    should_stop: ShouldStop = never_stop,
) -> Augmentation:
    """Train a classifier on each variant with each seed, and test all of them on the same real images.

    Raises: UsageError when the sets do not fit each other; StoppedError when asked to stop.
    """
    if not seeds:
        raise UsageError("at least one seed is needed")
    reporter, recipe = reporter or NullReporter(), recipe or ClassifierRecipe()
    synthetic = _fitting(synthetic, sides)
    sets = _training_sets(sides.train, synthetic)
    hits = {}
    for name, (images, labels) in sets.items():
        hits[name] = _train_and_test(name, images, labels, sides, recipe, seeds, device, reporter, should_stop)
        reporter.info(f"trained on {name}: {100 * hits[name].mean():.2f} % of {len(sides.test):,} test images right")
    leak = check_leak(generator, sides.whole, sides.train, sides.test, test_from_real=sides.cut)
    return Augmentation(
        real_count=len(sides.train),
        synthetic_count=len(synthetic),
        test=_test_text(sides),
        test_count=len(sides.test),
        class_names=sides.whole.class_names,
        seeds=tuple(seeds),
        recipe=recipe,
        variants={name: _variant(name, len(sets[name][0]), hits[name], sides.test) for name in sets},
        comparisons=tuple(
            Comparison(name, paired_difference(hits["real"], hits[name])) for name in sets if name != "real"
        ),
        leak=leak,
        warnings=tuple(_warnings(sides, synthetic, leak, len(seeds))),
    )


def _train_and_test(
    name: str,
    images: np.ndarray,
    labels: np.ndarray,
    sides: RealSides,
    recipe: ClassifierRecipe,
    seeds: Sequence[int],
    device: str,
    reporter: Reporter,
    should_stop: ShouldStop,
) -> np.ndarray:
    """Which test images the classifier of each seed reads right: bool (seeds, test images)."""
    rows = []
    for number, seed in enumerate(seeds, 1):
        model = train_classifier(
            images,
            labels,
            len(sides.whole.class_names),
            recipe=recipe,
            seed=seed,
            device=device,
            label=f"training on {name}, seed {number} of {len(seeds)}",
            should_stop=should_stop,
            reporter=reporter,
        )
        rows.append(predict(model, sides.test.images) == sides.test.labels)
    return np.stack(rows)


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


def _training_sets(real: ImageData, synthetic: ImageData) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    assert real.labels is not None and synthetic.labels is not None
    return {
        "real": (real.images, real.labels),
        "synthetic": (synthetic.images, synthetic.labels),
        "both": (
            np.concatenate([real.images, synthetic.images]),
            np.concatenate([real.labels, synthetic.labels]),
        ),
    }


def _variant(name: str, images: int, hits: np.ndarray, test: ImageData) -> Variant:
    accuracies = hits.mean(axis=1)
    assert test.labels is not None
    recalls = tuple(
        float(hits[:, test.labels == label].mean()) if np.any(test.labels == label) else None
        for label in range(len(test.class_names))
    )
    shown = tuple(float(value) for value in accuracies)
    return Variant(name, images, shown, float(accuracies.mean()), deviation(accuracies), recalls)


def _test_text(sides: RealSides) -> str:
    if sides.cut:
        return f"a fifth of {sides.whole.name}, cut off before anything else"
    return f"{sides.test.name} ({sides.test.split})"


def _warnings(sides: RealSides, synthetic: ImageData, leak: LeakCheck, seeds: int) -> list[str]:
    found = [] if leak.clean else [leak.message]
    for text, images in (("real training images", sides.train.images), ("synthetic images", synthetic.images)):
        copies = count_copies(images, sides.test.images)
        if copies:
            found.append(f"{copies:,} of the {text} are exact copies of test images")
    if seeds == 1:
        found.append("one seed: the interval counts the choice of test images, not the chance of training")
    return found
