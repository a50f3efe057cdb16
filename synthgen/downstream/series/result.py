"""What the experiment on series found: one `Augmentation` for each classifier, and the one whose verdict counts."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from synthgen.downstream.leaks import LeakCheck
from synthgen.downstream.result import Augmentation, Design
from synthgen.downstream.series.classifiers import CLASSIFIERS, ClassifierName, SeriesRecipe
from synthgen.downstream.series.transforms import SeriesTransforms

UNIT = "sequences"
"""What is classified, in texts."""


@dataclass(frozen=True)
class SeriesDesign(Design):
    """How an experiment on series is made; see `Design`."""

    recipe: SeriesRecipe = field(default_factory=SeriesRecipe)  # type: ignore[assignment]
    transforms: SeriesTransforms = field(default_factory=SeriesTransforms)  # type: ignore[assignment]
    classifier: str = "rocket"


@dataclass(frozen=True)
class SeriesAugmentation:
    """The result at one number of real sequences; `to_dict` is what --json prints.

    cross_validated: share of the real training windows that each classifier reads right when it was trained on the
    others; empty with one classifier.
    """

    results: dict[ClassifierName, Augmentation]
    cross_validated: dict[ClassifierName, float] = field(default_factory=dict)

    @property
    def classifier(self) -> ClassifierName:
        """Whose verdict counts: the one that reads held-out training windows best when trained on real ones alone."""
        known = {name: share for name, share in self.cross_validated.items() if not math.isnan(share)}
        return max(known, key=lambda name: known[name]) if known else next(iter(self.results))

    @property
    def first(self) -> Augmentation:
        """The result of that classifier."""
        return self.results[self.classifier]

    @property
    def leak(self) -> LeakCheck:
        return self.first.leak

    @property
    def warnings(self) -> tuple[str, ...]:
        return self.first.warnings

    @property
    def real_count(self) -> int:
        return self.first.real_count

    @property
    def verdict(self) -> str:
        """helps, no difference or hurts; void when the generator saw the test sequences."""
        return self.first.verdict

    @property
    def sentence(self) -> str:
        """The verdict in words."""
        return self.first.sentence

    def sentences(self) -> Iterator[tuple[ClassifierName, str]]:
        """(classifier, finding): against classical augmentation, synthetic ones alone, the other classifier."""
        for name, one in self.results.items():
            if name != self.classifier:
                yield name, one.sentence
            for found in (one.headline_classical, one.best):
                if found is not None:
                    yield name, found.sentence
            for comparison in one.comparisons:
                if (comparison.name, comparison.against) == ("synthetic", "real") or comparison.measure != "accuracy":
                    yield name, comparison.sentence

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, snake_case: that of the classifier whose verdict counts, and of all of them."""
        every = {name: one.to_dict() for name, one in self.results.items()}
        return {
            **every[self.classifier],
            "modality": "series",
            "classifier": self.classifier,
            "cross_validated": {
                name: None if math.isnan(share) else share for name, share in self.cross_validated.items()
            },
            "classifiers": {
                name: {
                    key: found[key]
                    for key in (
                        *("verdict", "sentence", "verdict_against_classical", "sentence_against_classical", "best"),
                        *("variants", "comparisons"),
                    )
                }
                for name, found in every.items()
            },
            "sentences": [f"{CLASSIFIERS[name]}: {text}" for name, text in self.sentences()],
        }
