"""Gradient boosting whose settings are searched by cross-validation on the rows that it may learn from alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

Task = Literal["binary", "multiclass", "regression"]

CANDIDATES = 5
"""Settings that are tried beside scikit-learn's own."""

SEARCH_ROWS = 6_000
"""Rows that settings are compared on; the model is then trained on all."""

_FOLDS = 3
_FINALISTS = 2
_MOST_TREES, _MOST_TREES_IN_THE_END = 200, 800
_FIXED_TREES = 100


@dataclass(frozen=True)
class Tuned:
    """A trained model. settings: what was chosen; score: its mean score in cross-validation (higher is better)."""

    model: Any
    settings: dict[str, Any]
    score: float

    def predict(self, x: np.ndarray, task: Task) -> np.ndarray:
        """regression: (N,). Classes: the chances (N, K) of those seen in training."""
        if task == "regression":
            return np.asarray(self.model.predict(x))
        chances = np.asarray(self.model.predict_proba(x))
        return chances[:, 1] if task == "binary" else chances


def candidates(seed: int) -> list[dict[str, Any]]:
    """The settings that are tried: scikit-learn's own, then random ones; the same for every table."""
    random = np.random.default_rng([seed, 51])
    drawn = [
        {
            "learning_rate": float(np.round(np.exp(random.uniform(np.log(0.05), np.log(0.2))), 4)),
            "max_leaf_nodes": int(random.choice([8, 15, 31, 63])),
            "min_samples_leaf": int(random.choice([5, 10, 20, 50])),
            "l2_regularization": float(random.choice([0.0, 1.0, 10.0])),
            "max_features": float(random.choice([0.3, 0.5, 1.0])),
        }
        for _ in range(CANDIDATES)
    ]
    return [{"learning_rate": 0.1, "max_leaf_nodes": 31, "min_samples_leaf": 20}, *drawn]


def tune(
    x: np.ndarray,
    y: np.ndarray,
    categorical: np.ndarray,
    task: Task,
    seed: int,
    check_stop: Callable[[], None] = lambda: None,
) -> Tuned:
    """The best of `candidates` in 3-fold cross-validation on at most `SEARCH_ROWS` rows, trained on all of them.

    All are compared on the first fold, the best two on all three. x: float64 (N, C) with NaN; y: (N,), classes as
    integers from 0, each of which occurs. categorical: bool (C,). Trees are added until a tenth of the training rows
    says that they no longer help.
    """
    random = np.random.default_rng([seed, 52])
    chosen = random.permutation(len(x))[:SEARCH_ROWS]
    folds = _folds(y[chosen], task, random)

    def score(settings: dict[str, Any], fold: int) -> float:
        check_stop()
        train, test = chosen[folds != fold], chosen[folds == fold]
        return _score(_fit(x[train], y[train], categorical, task, settings, seed), x[test], y[test], task)

    tried = candidates(seed)
    first = [score(settings, 0) for settings in tried]
    finalists = np.argsort([-value for value in first], kind="stable")[:_FINALISTS]
    means = {
        int(k): float(np.mean([first[k], *(score(tried[k], fold) for fold in range(1, _FOLDS))])) for k in finalists
    }
    best = max(means, key=lambda place: means[place])
    check_stop()
    return Tuned(_train(x, y, categorical, task, tried[best], seed), tried[best], means[best])


def _train(
    x: np.ndarray, y: np.ndarray, categorical: np.ndarray, task: Task, settings: dict[str, Any], seed: int
) -> Any:
    """The model in the end: smaller steps than in the search, as many trees as help, and then all rows."""
    slower = {**settings, "learning_rate": settings["learning_rate"] / 2}
    found = _fit(x, y, categorical, task, slower, seed, most=_MOST_TREES_IN_THE_END)
    if found.n_iter_ in (_MOST_TREES_IN_THE_END, _FIXED_TREES):
        return found
    return _fit(x, y, categorical, task, slower, seed, exactly=found.n_iter_)


def _folds(y: np.ndarray, task: Task, random: np.random.Generator) -> np.ndarray:
    """int64 (N,): folds that hold every class alike."""
    folds = np.arange(len(y)) % _FOLDS
    if task == "regression":
        return random.permutation(folds)
    order = np.argsort(y + random.random(len(y)), kind="stable")
    found = np.empty(len(y), np.int64)
    found[order] = folds
    return found


def _fit(
    x: np.ndarray,
    y: np.ndarray,
    categorical: np.ndarray,
    task: Task,
    settings: dict[str, Any],
    seed: int,
    *,
    most: int = _MOST_TREES,
    exactly: int | None = None,
) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    kind = HistGradientBoostingRegressor if task == "regression" else HistGradientBoostingClassifier
    rarest = np.unique(y, return_counts=True)[1].min() if task != "regression" else len(y)
    early = len(y) >= 500 and rarest >= 10  # a tenth of few rows would say nothing
    model = kind(
        categorical_features=categorical,
        random_state=seed % 2**32,
        early_stopping=early and exactly is None,
        n_iter_no_change=10 if most == _MOST_TREES else 20,
        max_iter=exactly or (most if early else _FIXED_TREES),
        **settings,
    )
    return model.fit(x, y)


def _score(model: Any, x: np.ndarray, y: np.ndarray, task: Task) -> float:
    """Higher is better: R2, or minus the log loss."""
    if task == "regression":
        return 1.0 - float(np.mean((y - model.predict(x)) ** 2)) / (float(np.var(y)) or 1.0)
    chances = np.zeros((len(y), int(max(y.max(), max(model.classes_))) + 1))
    chances[:, model.classes_.astype(int)] = model.predict_proba(x)
    return float(np.mean(np.log(np.clip(chances[np.arange(len(y)), y.astype(int)], 1e-7, 1.0))))
