"""Labelled windows: whether a classifier of real ones agrees with synthetic labels, and what it learns from them."""

from __future__ import annotations

import numpy as np

from synthgen.data.series.windows import WindowSet
from synthgen.evaluation.series.measure import (
    Found,
    Measure,
    SeriesMetric,
    SeriesParts,
    beside,
    deviation,
    floor_of,
    percent,
)

_LEAST = 10


def _accuracies(parts: SeriesParts, train: WindowSet, test: WindowSet) -> list[float]:
    """Share of the labels of `test` that ROCKET, trained on `train`, reads alike; for each seed."""
    from synthgen.downstream.series.classifiers import fit_series_classifier

    found = []
    for seed in parts.seeds:
        parts.check_stop()
        read = fit_series_classifier(train, seed=seed)
        found.append(float(np.mean(read(test) == test.labels)))
    return found


def _measure(parts: SeriesParts) -> Found:
    values = _accuracies(parts, parts.reference, parts.fake)

    def halves() -> list[float]:
        sides = parts.half(0), parts.half(1)
        return [
            *_accuracies(parts, sides[0], sides[1])[: len(parts.seeds) // 2 + 1],
            *_accuracies(parts, sides[1], sides[0])[: len(parts.seeds) // 2],
        ]

    floors = []
    if parts.later is not None and parts.later.labels is not None:
        later = parts.later
        floors.append(
            parts.keep(
                "agreement later", lambda: floor_of("later", _accuracies(parts, parts.reference, later), len(later))
            )
        )
    elif parts.divided:
        floors.append(parts.keep("agreement halves", lambda: floor_of("halves", halves(), len(parts.halves[0]))))
    value = float(np.mean(values))
    text = (
        f"A classifier of real windows reads {percent(value)} of the synthetic labels alike{beside(floors, percent)}."
    )
    metrics = [
        SeriesMetric(
            "agreement", "label agreement", value, parts.n, "higher", text, tuple(floors), deviation(values),
            tuple(values), True,
        )
    ]  # fmt: skip
    if parts.later is not None and parts.later.labels is not None:
        metrics.append(_worth(parts, parts.later))
    return Found(tuple(metrics))


def _worth(parts: SeriesParts, later: WindowSet) -> SeriesMetric:
    values = _accuracies(parts, parts.fake, later)
    floors = (
        parts.keep("accuracy real", lambda: floor_of("real", _accuracies(parts, parts.reference, later), len(later))),
    )
    value = float(np.mean(values))
    text = (
        f"Trained on synthetic windows, a classifier reads {percent(value)} of the labels of held-out real ones "
        f"right{beside(floors, percent)}."
    )
    title = "accuracy, trained on synthetic"
    return SeriesMetric(
        "tstr_accuracy", title, value, parts.n, "higher", text, floors, deviation(values), tuple(values), True
    )


def _impossible(parts: SeriesParts) -> str | None:
    for windows in (parts.real, parts.fake):
        if windows.labels is None:
            return f"{windows.name} has no labels"
        if len(windows) < _LEAST:
            return f"{windows.name} has {len(windows)} windows, {_LEAST} are the least"
    labels = parts.reference.labels
    if labels is None or len(np.unique(labels)) < 2:
        return "the real windows are of one class"
    return None


AGREEMENT = Measure(
    "agreement", ("agreement", "tstr_accuracy"), _measure, _impossible, shares=("agreement", "tstr_accuracy")
)
