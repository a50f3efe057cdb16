"""Judges of windows: classifiers trained on real ones, or on real against synthetic ones, and what they are worth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from synthgen.downstream.series.inputs import Inputs, Preparation
from synthgen.downstream.series.rocket import Rocket
from synthgen.explain.attribution import Check

if TYPE_CHECKING:
    from synthgen.data.series.windows import WindowSet

KERNELS = 200
FOLDS = 3
SPANS = 8
_STRENGTHS = (1.0, 10.0, 100.0)
MOST_WINDOWS = 1000
SHUFFLES = 2


@dataclass(frozen=True, eq=False)
class Judge:
    """A linear classifier of random convolution kernels, with shuffled copies of itself.

    classes: names, K of them. accuracy: on windows it was not trained on, out of fold; chance: of the largest class;
    count: windows. log_p: windows -> float64 (1 + SHUFFLES, M, K), log probabilities of the judge and of copies with
    shuffled weights.
    """

    classes: tuple[str, ...]
    accuracy: float
    chance: float
    count: int
    log_p: Callable[[WindowSet], np.ndarray]

    @property
    def knows(self) -> bool:
        """Whether it is right more often than always naming the largest class, by two standard errors."""
        error = np.sqrt(max(self.chance * (1 - self.chance), 1e-9) / max(1, self.count))
        return bool(self.accuracy > self.chance + 2 * error)

    @property
    def check(self) -> Check:
        """What its opinion is worth."""
        word = "the judge knows its subject" if self.knows else "the judge knows no better than chance"
        return Check(
            "judge",
            self.accuracy,
            f"{word}: it names {100 * self.accuracy:.1f} % of {self.count:,} windows right that it was not trained on "
            f"(always naming the commonest class: {100 * self.chance:.1f} %)",
        )


def train_judge(windows: WindowSet, classes: Sequence[str], groups: np.ndarray, *, seed: int = 0) -> Judge:
    """A judge of labelled windows.

    groups: int64 (N,): windows with the same number are judged by the same fold, because they are parts of one
    recording. The penalty is chosen out of fold, too. Features: shares and maxima of random convolution kernels
    (Dempster et al. 2020), which know what happens, and means of 8 spans, which know when.
    """
    assert windows.labels is not None
    prepared = Preparation(windows)
    inputs = prepared.inputs(windows)
    kernels = Rocket(inputs, kernels=KERNELS, seed=seed)
    features = _features(kernels, inputs)
    mean, deviation = features.mean(axis=0), features.std(axis=0)
    scale = np.where(deviation > 0, deviation, np.inf) * np.sqrt(features.shape[1])
    scaled = (features - mean) / scale
    strength, accuracy = _chosen(scaled, inputs.labels, groups, seed)
    model = _fit(scaled, inputs.labels, strength)
    coefficients = _with_shuffles(model, seed)

    def log_p(asked: WindowSet) -> np.ndarray:
        rows = (_features(kernels, prepared.inputs(asked)) - mean) / scale
        found = np.full((1 + SHUFFLES, len(rows), len(classes)), -np.inf)
        for number, (weights, bias) in enumerate(coefficients):
            scores = rows @ weights.T + bias
            top = scores.max(axis=1, keepdims=True)
            total = top + np.log(np.exp(scores - top).sum(axis=1, keepdims=True))
            found[number][:, model.classes_] = scores - total
        return found

    counts = np.bincount(inputs.labels)
    return Judge(tuple(classes), accuracy, float(counts.max() / counts.sum()), len(inputs), log_p)


def margin(log_p: np.ndarray, labels: np.ndarray, rivals: np.ndarray) -> np.ndarray:
    """float64 (..., M): log p(label) - log p(rival), or - log(1 - p(label)) where the rival is -1; (..., M, K)."""
    rows = np.arange(len(labels))
    own = log_p[..., rows, labels]
    others = log_p.copy()
    others[..., rows, labels] = -np.inf
    top = others.max(axis=-1, keepdims=True)
    with np.errstate(divide="ignore"):
        rest = top[..., 0] + np.log(np.exp(others - top).sum(axis=-1))
    against = np.where(rivals >= 0, log_p[..., rows, np.maximum(rivals, 0)], rest)
    return np.asarray(own - against)


def _features(kernels: Rocket, inputs: Inputs) -> np.ndarray:
    """float64 (N, F): the kernels' features, and means of spans of each window's own length."""
    place = np.arange(inputs.x.shape[1]) * SPANS // inputs.lengths[:, None]
    means = []
    for span in range(SPANS):
        inside = (place == span) & inputs.valid
        means.append((inputs.x * inside[..., None]).sum(axis=1) / np.maximum(inside.sum(axis=1), 1)[:, None])
    return np.concatenate([kernels.transform(inputs), *means], axis=1).astype(np.float64)


def _chosen(features: np.ndarray, labels: np.ndarray, groups: np.ndarray, seed: int) -> tuple[float, float]:
    """(strength of the fit, accuracy out of fold): the strength with the highest likelihood out of fold."""
    folds = _folds(labels, groups, seed)
    best = (_STRENGTHS[0], -np.inf, 0.0)
    for strength in _STRENGTHS:
        likelihood, right, seen = 0.0, 0, 0
        for test in folds:
            train = np.setdiff1d(np.arange(len(labels)), test)
            if not len(test) or len(np.unique(labels[train])) < 2:
                continue
            model = _fit(features[train], labels[train], strength)
            known = np.isin(labels[test], model.classes_)
            found = np.full(len(test), np.log(1e-6))
            columns = np.searchsorted(model.classes_, labels[test][known])
            found[known] = model.predict_log_proba(features[test][known])[np.arange(known.sum()), columns]
            likelihood += float(np.maximum(found, np.log(1e-6)).sum())
            right += int((model.predict(features[test]) == labels[test]).sum())
            seen += len(test)
        if likelihood / max(seen, 1) > best[1]:
            best = (strength, likelihood / max(seen, 1), right / max(seen, 1))
    return best[0], best[2]


def _folds(labels: np.ndarray, groups: np.ndarray, seed: int) -> list[np.ndarray]:
    """Window numbers of each fold: whole groups, each class spread evenly."""
    random = np.random.default_rng([seed, 44])
    names, first = np.unique(groups, return_index=True)
    order = random.permutation(len(names))
    order = order[np.argsort(labels[first[order]], kind="stable")]
    fold_of = np.empty(len(names), np.int64)
    fold_of[order] = np.arange(len(names)) % FOLDS
    place = fold_of[np.searchsorted(names, groups)]
    return [np.flatnonzero(place == fold) for fold in range(FOLDS)]


def _fit(features: np.ndarray, labels: np.ndarray, strength: float) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=strength, max_iter=500).fit(features, labels)


def _with_shuffles(model: Any, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """(weights (K, F), bias (K,)) of the model and of copies whose weights changed places."""
    weights, bias = model.coef_, model.intercept_
    if len(weights) == 1:
        weights, bias = np.stack([-weights[0] / 2, weights[0] / 2]), np.array([-bias[0] / 2, bias[0] / 2])
    found = [(weights, bias)]
    random = np.random.default_rng([seed, 45])
    for _ in range(SHUFFLES):
        order = random.permutation(weights.shape[1])
        found.append((weights[:, order], bias))
    return found
