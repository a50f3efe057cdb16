"""Whether a classifier can tell synthetic rows from real ones: gradient boosting, and a linear one beside it.

The area under the ROC curve of predictions for rows that the classifier did not see (five folds): 0.5 when it cannot
tell at all, 1 when it always can. Equal rows go into the same fold: a copy of a training row would otherwise be
recognised by its twin with the other label, which pushes the area below 0.5 without telling anything.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from synthgen.evaluation.tables.auc import auc_with_interval
from synthgen.evaluation.tables.cells import Cells, cells
from synthgen.evaluation.tables.design import boosting_matrix, dense_features, standard_scale
from synthgen.evaluation.tables.figures import FLOORS
from synthgen.evaluation.tables.measure import Floor, Found, Measure, TableMetric, TableParts

MOST_ROWS = 20_000
"""Rows a side that the classifiers are shown."""

FOLDS = 5
_LEAST_ROWS = 20
_Kind = Literal["boosting", "logistic"]


def detection_scores(real: Cells, fake: Cells, kind: _Kind, parts: TableParts) -> tuple[np.ndarray, np.ndarray]:
    """Out-of-fold scores of the fake and of the real rows: how likely each is to be fake."""
    matrices, categorical = boosting_matrix([real, fake])
    cuts = _folds(np.concatenate(matrices), parts.seed)
    if kind == "logistic":
        scales = {name: standard_scale(values) for name, values in real.numbers.items()}
        matrices = dense_features([real, fake], scales)
    x = np.concatenate(matrices)
    labels = np.repeat([0, 1], [len(real), len(fake)])
    scores = np.zeros(len(x))
    for fold in range(FOLDS):
        parts.check_stop()
        test = cuts == fold
        if not test.any() or len(np.unique(labels[~test])) < 2:
            scores[test] = 0.5
            continue
        model = _boosting(categorical, parts.seed) if kind == "boosting" else _logistic()
        scores[test] = model.fit(x[~test], labels[~test]).predict_proba(x[test])[:, 1]
    return scores[len(real) :], scores[: len(real)]


def _folds(x: np.ndarray, seed: int) -> np.ndarray:
    """int64 (N,): the fold of every row; equal rows share theirs."""
    import pandas as pd
    from pandas.util import hash_pandas_object

    hashes = hash_pandas_object(pd.DataFrame(x), index=False).to_numpy()
    _, groups = np.unique(hashes, return_inverse=True)
    random = np.random.default_rng([seed, 31])
    return np.asarray(random.permutation(int(groups.max()) + 1)[groups] % FOLDS)


def _boosting(categorical: np.ndarray, seed: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(
        categorical_features=categorical, early_stopping=False, random_state=seed % 2**32
    )


def _logistic() -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(max_iter=200, tol=1e-3)


def _area(parts: TableParts, other: Cells, kind: _Kind, most: int) -> tuple[float, tuple[float, float], int]:
    """Area, interval, and rows a side: as many of both, drawn at random."""
    real = cells(parts, parts.real)
    count = min(len(real), len(other), most)
    first, second = np.random.default_rng([parts.seed, 32]), np.random.default_rng([parts.seed, 33])
    positive, negative = detection_scores(real.subset(count, first), other.subset(count, second), kind, parts)
    value, bounds = auc_with_interval(positive, negative)
    return value, bounds, count


def _metric(parts: TableParts, kind: _Kind) -> TableMetric:
    def floors() -> tuple[Floor, ...]:
        most = min(MOST_ROWS, len(parts.fake))
        found = []
        order = ("holdout", "bootstrap", "smote")
        tables = parts.floor_tables()
        for name in sorted(tables, key=order.index):
            if len(tables[name]) >= _LEAST_ROWS:
                value, bounds, count = _area(parts, cells(parts, tables[name]), kind, most)
                found.append(Floor(name, value, count, bounds))
        return tuple(found)

    value, bounds, count = _area(parts, cells(parts, parts.fake), kind, MOST_ROWS)
    known = parts.keep(f"detection floors {kind} {len(parts.fake)}", floors)
    who = "Gradient boosting" if kind == "boosting" else "A linear classifier"
    floor = f"; {FLOORS[known[0].name]}: {known[0].value:.3f}" if known else ""
    sentence = f"{who} tells synthetic rows from real ones with an area of {value:.3f} (0.5: not at all{floor})."
    return TableMetric(
        "detection_auc" if kind == "boosting" else "detection_auc_logistic",
        f"detection AUC, {kind}",
        value,
        count,
        "nearer",
        sentence,
        known,
        bounds,
        "delong",
        share=False,
        ideal=0.5,
    )


def _measure(parts: TableParts) -> Found:
    metrics = (_metric(parts, "boosting"), _metric(parts, "logistic"))
    least = min(len(parts.real), len(parts.fake))
    notes = (f"detection from {MOST_ROWS:,} of {least:,} rows a side, drawn at random",) if least > MOST_ROWS else ()
    return Found(metrics, notes=notes)


def _impossible(parts: TableParts) -> str | None:
    least = min(len(parts.real), len(parts.fake))
    return f"{least} rows a side, {_LEAST_ROWS} are the least" if least < _LEAST_ROWS else None


DETECTION = Measure("detection", ("detection_auc", "detection_auc_logistic"), _measure, _impossible)
