"""The models that are trained on rows: gradient boosting and a multilayer perceptron, each tuned on training rows."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from synthgen.downstream.tables.problem import Problem
from synthgen.errors import UsageError

LearnerName = Literal["boosting", "mlp"]
LEARNERS: dict[LearnerName, str] = {"boosting": "gradient boosting", "mlp": "the MLP"}
"""Names and how texts call them."""


def parse_learners(text: str | None) -> tuple[LearnerName, ...]:
    """`boosting`, `mlp`, or both with a comma; None means both. Raises UsageError."""
    names = tuple(dict.fromkeys(part.strip() for part in text.split(","))) if text else tuple(LEARNERS)
    unknown = [name for name in names if name not in LEARNERS]
    if unknown:
        raise UsageError(
            f"--classifier: '{unknown[0]}' is none of those for tables", f"choose from {', '.join(LEARNERS)}"
        )
    return names  # type: ignore[return-value]


GRIDS: dict[LearnerName, tuple[dict[str, Any], ...]] = {
    "boosting": (
        {"learning_rate": 0.1, "max_leaf_nodes": 31, "min_samples_leaf": 20},
        {"learning_rate": 0.1, "max_leaf_nodes": 8, "min_samples_leaf": 10},
    ),
    "mlp": (
        {"hidden_layer_sizes": (128, 64), "alpha": 1e-4},
        {"hidden_layer_sizes": (128, 64), "alpha": 1e-2},
    ),
}
"""Settings that are tried for every kind of training rows."""

_TREES, _MOST_TREES = 20, 400
_EPOCH_STEPS, _MOST_CHECKS = 50, 60
_PATIENCE = 4
"""Checks without a better validation loss after which nothing more is hoped for."""

_BATCH = 256
_SMALL = 2_000_000  # cells


@dataclass(frozen=True)
class Rows:
    """Training rows as a learner takes them: x (N, d), y (N,) float64 or int64 classes."""

    x: np.ndarray
    y: np.ndarray

    def __len__(self) -> int:
        return len(self.y)


@dataclass(frozen=True)
class Recipe:
    """What was chosen on training rows. rounds: trees (boosting) or optimizer steps (MLP). loss: on validation rows."""

    settings: dict[str, Any]
    rounds: int
    loss: float

    def to_dict(self) -> dict[str, Any]:
        return {"settings": self.settings, "rounds": self.rounds, "validation_loss": self.loss}


def tune(
    name: LearnerName,
    problem: Problem,
    train: Rows,
    validation: Rows,
    categorical: np.ndarray,
    *,
    seed: int,
    check: Callable[[], None] = lambda: None,
) -> Recipe:
    """The settings of `GRIDS` and the number of rounds with the least loss on `validation`: real rows, not trained on.

    Loss: log loss, or the squared error in parts of the target's variance.
    """
    best: Recipe | None = None
    with _few_threads(train):
        for settings in GRIDS[name]:
            vain, least = 0, np.inf
            for rounds, model in _growing(name, problem, train, categorical, settings, seed):
                check()
                loss = _loss(problem, predict(model, problem, validation.x), validation.y)
                if best is None or loss < best.loss:
                    best = Recipe(settings, rounds, loss)
                vain, least = (0, loss) if loss < least else (vain + 1, least)
                if vain >= _PATIENCE:
                    break
    assert best is not None
    return best


def fit(name: LearnerName, problem: Problem, train: Rows, categorical: np.ndarray, recipe: Recipe, *, seed: int) -> Any:
    """Train with a recipe on all rows."""
    model: Any = None
    with _few_threads(train):
        for _, grown in _growing(name, problem, train, categorical, recipe.settings, seed, stop=recipe.rounds):
            model = grown
    return model


def _few_threads(train: Rows) -> AbstractContextManager[object]:
    """One thread for a small table: OpenMP's threads gain little there, and beside other work lose a hundredfold."""
    if train.x.size > _SMALL:
        return nullcontext()
    from threadpoolctl import threadpool_limits

    limits: AbstractContextManager[object] = threadpool_limits(1)
    return limits


@dataclass(frozen=True)
class Constant:
    """A model of rows that all have one class."""

    label: int


@dataclass(frozen=True)
class Scaled:
    """A network for numbers of any size: it learns (y - mean) / width."""

    model: Any
    mean: float
    width: float


def predict(model: Any, problem: Problem, x: np.ndarray) -> np.ndarray:
    """Regression: float64 (N,). Classes: float64 (N, K), the chances of all of the problem's classes."""
    if isinstance(model, Scaled):
        return np.asarray(model.model.predict(x), np.float64) * model.width + model.mean
    if problem.regression:
        return np.asarray(model.predict(x), np.float64)
    found = np.zeros((len(x), len(problem.classes)))
    if isinstance(model, Constant):
        found[:, model.label] = 1.0
    else:
        found[:, np.asarray(model.classes_, np.int64)] = model.predict_proba(x)
    return found


def _loss(problem: Problem, answers: np.ndarray, truth: np.ndarray) -> float:
    if problem.regression:
        return float(np.mean((answers - truth) ** 2)) / (float(np.var(truth)) or 1.0)
    return -float(np.mean(np.log(np.clip(answers[np.arange(len(truth)), truth], 1e-4, 1.0))))


def _growing(
    name: LearnerName,
    problem: Problem,
    train: Rows,
    categorical: np.ndarray,
    settings: dict[str, Any],
    seed: int,
    stop: int | None = None,
) -> Iterator[tuple[int, Any]]:
    """(rounds so far, the model after them) again and again, up to `stop` rounds."""
    if not problem.regression and len(np.unique(train.y)) == 1:
        yield stop or 1, Constant(int(train.y[0]))
    elif name == "boosting":
        yield from _boosting(problem, train, categorical, settings, seed, stop)
    else:
        yield from _perceptron(problem, train, settings, seed, stop)


def _boosting(
    problem: Problem, train: Rows, categorical: np.ndarray, settings: dict[str, Any], seed: int, stop: int | None
) -> Iterator[tuple[int, Any]]:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    kind = HistGradientBoostingRegressor if problem.regression else HistGradientBoostingClassifier
    # Half of the columns for each split: without any chance in it all seeds would grow the same trees.
    model = kind(
        categorical_features=categorical,
        random_state=seed,
        early_stopping=False,
        warm_start=True,
        max_features=0.5,
        **settings,
    )
    for rounds in [stop] if stop else range(_TREES, _MOST_TREES + 1, _TREES):
        model.max_iter = rounds
        model.fit(train.x, train.y)
        yield rounds, model


def _perceptron(
    problem: Problem, train: Rows, settings: dict[str, Any], seed: int, stop: int | None
) -> Iterator[tuple[int, Any]]:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    kind = MLPRegressor if problem.regression else MLPClassifier
    model = kind(batch_size=min(_BATCH, len(train)), random_state=seed, **settings)
    mean, width = 0.0, 1.0
    y = train.y
    if problem.regression:
        mean, width = float(y.mean()), float(y.std()) or 1.0
        y = (y - mean) / width
    steps = -(-len(train) // min(_BATCH, len(train)))  # per epoch
    between = max(1, round(_EPOCH_STEPS / steps)) if stop is None else max(1, round(stop / steps))
    extra = {} if problem.regression else {"classes": np.unique(y)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for check in range(1, (_MOST_CHECKS if stop is None else 1) + 1):
            for _ in range(between):
                model.partial_fit(train.x, y, **extra)
            yield check * between * steps, Scaled(model, mean, width) if problem.regression else model
