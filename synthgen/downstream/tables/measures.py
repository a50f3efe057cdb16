"""Figures of merit with what each test row adds to them, so that differences get intervals over seeds and rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from synthgen.downstream.statistics import Difference
from synthgen.downstream.tables.problem import Problem

TITLES = {
    "auc": "AUC",
    "average_precision": "average precision",
    "balanced_accuracy": "balanced accuracy",
    "accuracy": "accuracy",
    "rare_recall": "recall of the rare classes",
    "r2": "R2",
}


@dataclass(frozen=True)
class Score:
    """A figure and its parts: the strata of the test rows, each with the influence of its rows on the figure.

    With the number of rows of each stratum fixed, the figure's variance over test rows is the sum over strata of
    var(influence) / rows: exact for means, first order otherwise (for the AUC it is DeLong's).
    """

    value: float
    parts: tuple[np.ndarray, ...]


@dataclass(frozen=True)
class Judge:
    """The truth about the test rows. positives: the classes that AUC, average precision and rare recall are about."""

    problem: Problem
    truth: np.ndarray
    rare: tuple[int, ...] = ()

    @property
    def positives(self) -> tuple[int, ...]:
        """The rare classes; else of two classes the one with fewer test rows; else all that occur."""
        counts = np.bincount(self.truth, minlength=len(self.problem.classes))
        if self.rare:
            return tuple(label for label in self.rare if counts[label])
        if len(counts) == 2:
            return (int(np.argmin(counts)),)
        return tuple(int(label) for label in np.flatnonzero(counts))

    @property
    def measures(self) -> tuple[str, ...]:
        """The figures, the first is the one that verdicts are about."""
        if self.problem.regression:
            return ("r2",)
        if self.rare:
            return ("average_precision", "balanced_accuracy", "rare_recall", "auc", "accuracy")
        return ("auc", "average_precision", "balanced_accuracy", "accuracy")

    def score(self, measure: str, answers: np.ndarray) -> Score:
        """answers: chances (N, K), or float64 (N,) for regression."""
        return _SCORES[measure](self, answers)

    def __post_init__(self) -> None:
        if self.problem.regression:
            object.__setattr__(self, "rare", ())


def _r2(judge: Judge, answers: np.ndarray) -> Score:
    """1 - mean squared error / variance of the test rows' target, which counts as known."""
    gone = 1.0 - (judge.truth - answers) ** 2 / (float(np.var(judge.truth)) or 1.0)
    return Score(float(gone.mean()), (gone,))


def _accuracy(judge: Judge, answers: np.ndarray) -> Score:
    hits = (answers.argmax(axis=1) == judge.truth).astype(np.float64)
    return Score(float(hits.mean()), (hits,))


def _balanced(judge: Judge, answers: np.ndarray) -> Score:
    """The mean over the classes that occur of the share of their rows that is read right."""
    hits = (answers.argmax(axis=1) == judge.truth).astype(np.float64)
    labels = np.unique(judge.truth)
    parts = tuple(hits[judge.truth == label] / len(labels) for label in labels)
    return Score(float(sum(part.mean() for part in parts)), parts)


def _rare_recall(judge: Judge, answers: np.ndarray) -> Score:
    chosen = np.isin(judge.truth, judge.positives)
    hits = (answers.argmax(axis=1) == judge.truth)[chosen].astype(np.float64)
    return Score(float(hits.mean()), (hits,))


def _mean_over_classes(
    judge: Judge, answers: np.ndarray, one: Callable[[np.ndarray, np.ndarray], tuple[float, np.ndarray, np.ndarray]]
) -> Score:
    """A figure of one class against the rest, averaged over `positives`; strata are the classes."""
    influence = np.zeros(len(judge.truth))
    counts = np.bincount(judge.truth, minlength=len(judge.problem.classes))
    values = []
    for label in judge.positives:
        own = judge.truth == label
        value, above, below = one(answers[own, label], answers[~own, label])
        values.append(value)
        influence[own] += above / len(judge.positives)
        # A row of class d is one of counts[d] of its own stratum, but one of all the others here.
        share = counts[judge.truth[~own]] / (~own).sum()
        influence[~own] += below * share / len(judge.positives)
    parts = tuple(influence[judge.truth == label] for label in np.unique(judge.truth))
    return Score(float(np.mean(values)), parts)


def _auc(judge: Judge, answers: np.ndarray) -> Score:
    return _mean_over_classes(judge, answers, auc_parts)


def _average_precision(judge: Judge, answers: np.ndarray) -> Score:
    return _mean_over_classes(judge, answers, precision_parts)


def auc_parts(positive: np.ndarray, negative: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """AUC, and DeLong's structural components of positives (M,) and negatives (N,) (DeLong et al. 1988)."""
    above = _below(positive, negative)
    return float(above.mean()), above, 1.0 - _below(negative, positive)


def _below(values: np.ndarray, others: np.ndarray) -> np.ndarray:
    """For every value the share of `others` below it, equal ones by half."""
    ordered = np.sort(others)
    low, high = np.searchsorted(ordered, values, "left"), np.searchsorted(ordered, values, "right")
    return np.asarray((low + high) / (2.0 * len(others)))


def precision_parts(positive: np.ndarray, negative: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """Average precision and the influence of every positive (M,) and negative (N,) row.

    AP is the mean over positives of m T / (m T + n F), with T and F the shares of positives and negatives that score at
    least as high. A row adds to the T or F of every positive at or below it: the derivative of AP by its weight.
    """
    m, n = len(positive), len(negative)
    ordered, others = np.sort(positive), np.sort(negative)
    hits = m - np.searchsorted(ordered, ordered, "left").astype(np.float64)  # m T, ascending scores
    alarms = n - np.searchsorted(others, ordered, "left").astype(np.float64)  # n F
    precision = hits / (hits + alarms)
    total = (hits + alarms) ** 2
    by_hits = np.concatenate([[0.0], np.cumsum(alarms / total)])  # of d precision / d(hits)
    by_alarms = np.concatenate([[0.0], np.cumsum(-hits / total)])
    place = np.searchsorted(ordered, positive, "right")
    own = precision[np.searchsorted(ordered, positive, "left")]
    return float(precision.mean()), own + by_hits[place], n / m * by_alarms[np.searchsorted(ordered, negative, "right")]


_SCORES: dict[str, Callable[[Judge, np.ndarray], Score]] = {
    "auc": _auc,
    "average_precision": _average_precision,
    "balanced_accuracy": _balanced,
    "accuracy": _accuracy,
    "rare_recall": _rare_recall,
    "r2": _r2,
}


def paired_scores(first: Sequence[Score], second: Sequence[Score], *, level: float = 0.95) -> Difference:
    """The mean of `second` minus that of `first`, one score per seed, the same seeds and test rows in both.

    As `statistics.paired_difference`, for figures that are no plain means: the variance over test rows is that of the
    influences, averaged over seeds; that over seeds is added (Owen 2007), with Welch's and Satterthwaite's degrees of
    freedom.
    """
    from scipy.stats import t

    gaps = np.array([b.value - a.value for a, b in zip(first, second, strict=True)])
    parts: list[tuple[float, int]] = []
    for place in range(len(first[0].parts)):
        influence = np.mean([b.parts[place] - a.parts[place] for a, b in zip(first, second, strict=True)], axis=0)
        if len(influence) > 1:
            parts.append((float(influence.var(ddof=1)) / len(influence), len(influence) - 1))
    if len(gaps) > 1:
        parts.append((float(gaps.var(ddof=1)) / len(gaps), len(gaps) - 1))
    value, variance = float(gaps.mean()), sum(part for part, _ in parts)
    if variance == 0:
        return Difference(value, value, value)
    freedom = variance**2 / sum(part**2 / degrees for part, degrees in parts)
    margin = float(t.ppf(0.5 + level / 2, freedom)) * math.sqrt(variance)
    return Difference(value, value - margin, value + margin)
