"""What the augmentation experiment found, in figures and in sentences."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np

from synthgen.downstream.classifier import ClassifierRecipe
from synthgen.downstream.filters import FilterReport
from synthgen.downstream.leaks import LeakCheck
from synthgen.downstream.statistics import Difference
from synthgen.downstream.transforms import Transforms
from synthgen.downstream.variants import KINDS, PLAIN

Measure = Literal["accuracy", "rare_recall"]

_OPENINGS = {
    ("both", "real"): "Adding the synthetic {unit}",
    ("both_classical", "real_classical"): "On top of classical augmentation, adding the synthetic {unit}",
    ("filled", "real"): "Filling up the rare classes with synthetic {unit}",
    ("filled_classical", "repeated_classical"): "With classical augmentation, filling up the rare classes with "
    "synthetic {unit} instead of repeating their real ones",
}
"""How a sentence on a comparison of these kinds begins."""

ECE_DEFINITION = (
    "Calibration error (ECE): the answers are sorted by their confidence (the largest softmax probability) into 15 "
    "bins of equal width; the error is the mean over all answers of the distance between a bin's share of right "
    "answers and its mean confidence (Guo et al. 2017)."
)


@dataclass(frozen=True)
class Design:
    """How an experiment is made.

    kinds: names of `variants.KINDS`. ratios: synthetic per real image, None for all samples; several make a curve.
    filters: see `filters.FILTERS`; the variants with synthetic images are then trained with and without.
    """

    recipe: ClassifierRecipe = field(default_factory=ClassifierRecipe)
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    kinds: tuple[str, ...] = PLAIN
    classifier: str = "cnn"
    transforms: Transforms = field(default_factory=Transforms)
    ratios: tuple[float | None, ...] = (None,)
    filters: tuple[str, ...] = ()
    allow_leak: bool = False

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self) | {"ratios": ["all" if ratio is None else ratio for ratio in self.ratios]}


@dataclass(frozen=True)
class Variant:
    """The classifiers trained on one kind of data.

    images: in the training set, repetitions included. accuracies: share of the test images read right, one per seed.
    deviation: between seeds, None for one seed. recalls: per class, mean over seeds, with `recall_deviations` between
    seeds; None without test images of it. confusion: int64 (K, K), row: class, column: read as, summed over seeds.
    calibration_error: ECE, mean over seeds, None where answers are no probabilities. rare_recall: share of the
    test images of rare classes read right.
    """

    name: str
    label: str
    kind: str
    ratio: float | None
    filtered: bool
    images: int
    accuracies: tuple[float, ...]
    mean: float
    deviation: float | None
    recalls: tuple[float | None, ...]
    recall_deviations: tuple[float | None, ...]
    confusion: np.ndarray
    calibration_error: float | None
    calibration_deviation: float | None
    rare_recall: float | None = None
    rare_deviation: float | None = None

    def to_dict(self, class_names: tuple[str, ...], unit: str = "images") -> dict[str, Any]:
        """JSON-ready; per class by its name."""
        values = {key: value for key, value in vars(self).items() if key not in ("name", "confusion", "images")}
        return (
            {unit: self.images}
            | values
            | {
                "accuracies": list(self.accuracies),
                "recalls": dict(zip(class_names, self.recalls, strict=True)),
                "recall_deviations": dict(zip(class_names, self.recall_deviations, strict=True)),
                "confusion": self.confusion.tolist(),
            }
        )


@dataclass(frozen=True)
class Comparison:
    """Variant `name` against another one, on the same seeds and test images. labels: of both."""

    name: str
    against: str
    difference: Difference
    measure: Measure = "accuracy"
    labels: tuple[str, str] = ("", "")
    unit: str = "images"

    @property
    def amount(self) -> str:
        """The difference and its interval in percentage points."""
        low, high = 100 * self.difference.low, 100 * self.difference.high
        return f"{100 * self.difference.value:+.2f} points, 95 % interval {low:+.2f} to {high:+.2f}"

    @property
    def sentence(self) -> str:
        """What the interval allows to say."""
        verdict = self.difference.verdict
        if self.measure == "rare_recall":
            words = {"helps": "more", "hurts": "fewer", "no difference": "not shown to be more or fewer"}[verdict]
            return f"Rare classes, {self.labels[0]} against {self.labels[1]}: {words} read right ({self.amount})."
        pair = (re.sub(r"(_ratio_[^_]+)?(_filtered)?$", "", self.name), self.against)
        _, _, how = self.labels[0].partition(", ")
        how = f" ({how})" if how else ""
        if pair == ("synthetic", "real"):
            said = {"helps": "beats", "hurts": "is behind", "no difference": "is not told apart from"}[verdict]
            return f"Training on synthetic {self.unit}{how} alone {said} training on real ones ({self.amount})."
        if pair in _OPENINGS:
            said = verdict if verdict != "no difference" else "makes no difference that could be shown"
            return f"{_OPENINGS[pair].format(unit=self.unit)}{how} {said} ({self.amount})."
        said = {"helps": "better", "hurts": "worse", "no difference": "no difference that could be shown"}[verdict]
        return f"{self.labels[0]} against {self.labels[1]}: {said} ({self.amount})."

    def to_dict(self) -> dict[str, Any]:
        difference = self.difference
        return {
            "variant": self.name,
            "against": self.against,
            "measure": self.measure,
            "difference": difference.value,
            "interval": [difference.low, difference.high],
            "verdict": difference.verdict,
            "sentence": self.sentence,
        }


@dataclass(frozen=True)
class Best:
    """The variant with synthetic images that came out best, against the baseline, corrected for having been chosen.

    tried: variants among which it was chosen. difference: its interval has the level 1 - 0.05 / tried (Bonferroni), so
    that all `tried` intervals hold together with 95 %, and the choice costs nothing.
    """

    name: str
    label: str
    mean: float
    against: str
    against_mean: float
    real_mean: float
    tried: int
    difference: Difference
    unit: str = "images"

    @property
    def sentence(self) -> str:
        low, high = 100 * self.difference.low, 100 * self.difference.high
        real = ""
        if self.real_mean > self.against_mean:
            real = f" Real {self.unit} alone reach {100 * self.real_mean:.2f} %, more than with classical augmentation."
        word = {
            "helps": "beats classical augmentation",
            "hurts": "is behind classical augmentation",
            "no difference": "is not told apart from classical augmentation",
        }[self.difference.verdict]
        return (
            f"The best of {self.tried} variants with synthetic {self.unit}, {self.label} ({100 * self.mean:.2f} %), "
            f"{word} ({100 * self.against_mean:.2f} %): {100 * self.difference.value:+.2f} points, interval {low:+.2f} "
            f"to {high:+.2f}, widened for {self.tried} tries (Bonferroni).{real}"
        )

    def to_dict(self) -> dict[str, Any]:
        found = {key: value for key, value in asdict(self).items() if key != "unit"}
        return found | {"verdict": self.difference.verdict, "sentence": self.sentence}


@dataclass(frozen=True)
class Augmentation:
    """The result at one number of real images; `to_dict` is what --json prints.

    rare: names of rare classes. unit: what is classified, in the plural.
    """

    real_count: int
    synthetic_count: int
    test: str
    test_count: int
    class_names: tuple[str, ...]
    class_counts: tuple[int, ...]
    design: Design
    variants: dict[str, Variant]
    comparisons: tuple[Comparison, ...]
    best: Best | None
    leak: LeakCheck
    warnings: tuple[str, ...]
    filter: FilterReport | None = None
    rare: tuple[str, ...] = ()
    unit: str = "images"

    @property
    def seeds(self) -> tuple[int, ...]:
        return self.design.seeds

    @property
    def recipe(self) -> ClassifierRecipe:
        return self.design.recipe

    @property
    def headline(self) -> Comparison:
        """Adding synthetic images (or filling up with them) against the real ones as they are."""
        return self._find("filled" if self.rare else "both", "real")

    @property
    def headline_classical(self) -> Comparison | None:
        """The same on top of classical augmentation; None when that was not trained."""
        pair = ("filled_classical", "repeated_classical") if self.rare else ("both_classical", "real_classical")
        return self._find(*pair) if set(pair) <= {one.kind for one in self.variants.values()} else None

    def _find(self, kind: str, against: str) -> Comparison:
        """The comparison of `kind`, filtered where there is a filter, at the largest ratio."""
        chosen = [name for name, one in self.variants.items() if one.kind == kind][-1]
        return next(one for one in self.comparisons if one.name == chosen and one.against == against)

    @property
    def verdict(self) -> str:
        """helps, no difference or hurts: of adding the synthetic images to the real ones; void when the generator saw
        the test images."""
        return "void" if self.leak.status == "test" else self.headline.difference.verdict

    @property
    def sentence(self) -> str:
        """The verdict in words: void when the generator saw the test images, qualified when it may have seen more."""
        if self.leak.status == "test":
            return f"Void: {self.leak.message}."
        if self.leak.refused:
            return f"NOT LEAK-FREE: {self.leak.message}. {self.headline.sentence}"
        if self.verdict == "helps" and not self.leak.clean:
            return f"{self.headline.sentence} That it is the generator's merit is not shown: {self.leak.message}."
        return self.headline.sentence

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, snake_case."""
        second = self.headline_classical
        return {
            "kind": "synthgen-augmentation",
            "verdict": self.verdict,
            "sentence": self.sentence,
            "verdict_against_classical": second.difference.verdict if second else None,
            "sentence_against_classical": second.sentence if second else None,
            "best": self.best.to_dict() if self.best else None,
            "variants": {name: one.to_dict(self.class_names, self.unit) for name, one in self.variants.items()},
            "comparisons": [one.to_dict() for one in self.comparisons],
            "leak": self.leak.to_dict(),
            "leak_free": self.leak.clean,
            "warnings": list(self.warnings),
            "filter": self.filter.to_dict() if self.filter else None,
            "real_count": self.real_count,
            "synthetic_count": self.synthetic_count,
            "class_counts": dict(zip(self.class_names, self.class_counts, strict=True)),
            "rare_classes": list(self.rare),
            "test": self.test,
            "test_count": self.test_count,
            "class_names": list(self.class_names),
            "seeds": list(self.seeds),
            "recipe": self.recipe.to_dict(),
            "design": self.design.to_dict(),
            "calibration_error_definition": ECE_DEFINITION,
        }


def label_of(kind: str) -> str:
    """How a kind is called in tables."""
    return KINDS[kind].label
