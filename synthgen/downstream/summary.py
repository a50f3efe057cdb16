"""From the classifiers' answers to figures: means, deviations, confusion, calibration, paired differences."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np

from synthgen.downstream.result import Best, Comparison, Measure, Variant
from synthgen.downstream.statistics import calibration_error, confusion_matrix, deviation, paired_difference
from synthgen.downstream.store import Answers
from synthgen.downstream.variants import KINDS, Mixture


class Labelled(Protocol):
    """What is tested on: images or series."""

    @property
    def labels(self) -> np.ndarray | None: ...

    @property
    def class_names(self) -> tuple[str, ...]: ...

    def __len__(self) -> int: ...


Hits = dict[str, np.ndarray]
"""Variant -> which test images the classifier of each seed read right: bool (seeds, test images)."""


def describe(data: Mixture, answers: list[Answers], test: Labelled, rare: tuple[str, ...]) -> Variant:
    """The figures of one variant. Answers without confidence (NaN) have no calibration error."""
    labels = test.labels
    assert labels is not None
    hits = np.stack([one.read == labels for one in answers])
    accuracies = hits.mean(axis=1)
    recalls = [hits[:, labels == label].mean(axis=1) if np.any(labels == label) else None for label in _range(test)]
    sure = not any(np.isnan(one.confidence).any() for one in answers)
    errors = np.array(
        [calibration_error(row, one.confidence) if sure else np.nan for row, one in zip(hits, answers, strict=True)]
    )
    rare_hits = hits[:, rare_images(test, rare)].mean(axis=1) if rare else None
    return Variant(
        data.name,
        data.label,
        data.kind.name,
        data.ratio,
        data.filtered,
        data.size,
        tuple(float(value) for value in accuracies),
        float(accuracies.mean()),
        deviation(accuracies),
        tuple(None if one is None else float(one.mean()) for one in recalls),
        tuple(None if one is None else deviation(one) for one in recalls),
        np.sum([confusion_matrix(labels, one.read, len(test.class_names)) for one in answers], axis=0),
        float(errors.mean()) if sure else None,
        deviation(errors) if sure else None,
        None if rare_hits is None else float(rare_hits.mean()),
        None if rare_hits is None else deviation(rare_hits),
    )


def _range(test: Labelled) -> range:
    return range(len(test.class_names))


def rare_images(test: Labelled, rare: tuple[str, ...]) -> np.ndarray:
    """Which test images are of a rare class: bool (N,)."""
    assert test.labels is not None
    return np.isin(test.labels, [test.class_names.index(name) for name in rare])


def baselines(variants: dict[str, Variant]) -> list[str]:
    """What the others are compared with: real images alone, and the best that needs no generator."""
    classical = [name for name in ("repeated_classical", "real_classical") if name in variants]
    return ["real", *classical[:1]]


def compare(
    variants: dict[str, Variant], hits: Hits, test: Labelled, rare: tuple[str, ...], unit: str = "images"
) -> Iterator[Comparison]:
    """Every variant against each baseline, and every filtered one against its unfiltered twin."""
    parts: list[tuple[Measure, np.ndarray]] = [("accuracy", np.ones(len(test), bool))]
    if rare and rare_images(test, rare).any():
        parts.append(("rare_recall", rare_images(test, rare)))
    for measure, chosen in parts:
        for name, against in _pairs(variants):
            found = paired_difference(hits[against][:, chosen], hits[name][:, chosen])
            yield Comparison(name, against, found, measure, (variants[name].label, variants[against].label), unit)


def _pairs(variants: dict[str, Variant]) -> Iterator[tuple[str, str]]:
    for against in baselines(variants):
        yield from ((name, against) for name in variants if name not in ("real", against))
    for name, one in variants.items():
        if one.filtered:
            yield name, name.removesuffix("_filtered")


def best_variant(variants: dict[str, Variant], hits: Hits, unit: str = "images") -> Best | None:
    """The best variant with synthetic images against classical augmentation; None where that was not trained.

    The interval is widened for the number of variants tried (Bonferroni), because the choice is made on the very test
    images that it is then measured on.
    """
    against = baselines(variants)[-1]
    tried = [name for name, one in variants.items() if KINDS[one.kind].synthetic != "none"]
    if against == "real" or not tried:
        return None
    best = max(tried, key=lambda name: variants[name].mean)
    found = paired_difference(hits[against], hits[best], level=1 - 0.05 / len(tried))
    one, base = variants[best], variants[against]
    return Best(best, one.label, one.mean, against, base.mean, variants["real"].mean, len(tried), found, unit)
