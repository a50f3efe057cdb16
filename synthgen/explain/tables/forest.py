"""A forest that tells real rows from synthetic ones, and what each column adds to its verdict on rows it never saw."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from synthgen.errors import SynthgenError

FOLDS = 3
TREES = 30
DEPTH = 8
LEAF = 5
"""Rows in a leaf at least."""

MOST_COLUMNS = 40
"""Of tables with more, pairs are not looked at."""

_PAIR_ROWS = 300

LARGEST_GAP = 1e-6
"""Contributions and base must add up to the forest's probability this closely."""


@dataclass(frozen=True, eq=False)
class Verdicts:
    """What forests say of rows that they were not trained on.

    probability: float64 (N,), that the row is synthetic. contributions: float64 (N, C), TreeSHAP values in probability
    (Lundberg et al. 2020, path-dependent). base: float64 (N,), the probability that a row's forest starts from.
    gap: the largest |base + sum of contributions - probability|.
    """

    probability: np.ndarray
    contributions: np.ndarray
    base: np.ndarray
    gap: float

    def towards_truth(self, synthetic: np.ndarray) -> np.ndarray:
        """float64 (C,): by how much a column moves the probability to the right side, mean over rows."""
        return np.asarray((np.where(synthetic, 1.0, -1.0)[:, None] * self.contributions).mean(axis=0))


def judge(values: np.ndarray, synthetic: np.ndarray, seed: int) -> Verdicts:
    """Out-of-fold verdicts of random forests on every row.

    Args: values: float32 (N, C). synthetic: bool (N,). seed: decides folds and trees.
    Raises SynthgenError when the contributions do not add up.
    """
    count, columns = values.shape
    probability, base = np.empty(count), np.empty(count)
    contributions = np.empty((count, columns))
    for number, test in enumerate(folds(synthetic, np.random.default_rng([seed, 1]))):
        train = np.setdiff1d(np.arange(count), test)
        forest = grow(values[train], synthetic[train], seed + number)
        probability[test] = forest.predict_proba(values[test])[:, 1]
        contributions[test], base[test] = explained(forest, values[test])
    gap = float(np.abs(base + contributions.sum(axis=1) - probability).max())
    if not gap <= LARGEST_GAP:
        raise SynthgenError(f"the contributions of the columns miss the forest's probability by {gap:.2g}")
    return Verdicts(probability, contributions, base, gap)


def folds(synthetic: np.ndarray, random: np.random.Generator) -> list[np.ndarray]:
    """Parts of the rows, each with about the same share of synthetic ones; sorted row numbers."""
    place = np.empty(len(synthetic), np.int64)
    for side in (False, True):
        members = np.flatnonzero(synthetic == side)
        place[random.permutation(members)] = np.arange(len(members)) % FOLDS
    return [np.flatnonzero(place == number) for number in range(FOLDS)]


def grow(values: np.ndarray, synthetic: np.ndarray, seed: int) -> Any:
    """The forest: shallow enough that its contributions are computed in seconds. One thread: with more, probabilities
    are added up in any order, and their last bits change."""
    from sklearn.ensemble import RandomForestClassifier

    forest = RandomForestClassifier(TREES, max_depth=DEPTH, min_samples_leaf=LEAF, random_state=seed % 2**32)
    return forest.fit(values, synthetic)


def explained(forest: Any, values: np.ndarray) -> tuple[np.ndarray, float]:
    """(TreeSHAP values of `synthetic`, float64 (N, C); where they start from)."""
    import shap

    explainer = shap.TreeExplainer(forest)
    found = np.asarray(explainer.shap_values(values, check_additivity=False))
    return found[..., 1], float(np.asarray(explainer.expected_value)[1])


def explained_pairs(values: np.ndarray, synthetic: np.ndarray, seed: int) -> np.ndarray | None:
    """float64 (C, C): by how much each interaction moves the judgement towards the truth, mean over unseen rows.

    From one forest and a part of the rows that it did not see: SHAP's interaction values take C times as long as the
    contributions. None for tables of more than `MOST_COLUMNS` columns.
    """
    import shap

    if values.shape[1] > MOST_COLUMNS:
        return None
    random = np.random.default_rng([seed, 1])
    test = folds(synthetic, random)[0]
    train = np.setdiff1d(np.arange(len(values)), test)
    forest = grow(values[train], synthetic[train], seed)
    chosen = np.sort(random.permutation(test)[:_PAIR_ROWS])
    found = np.asarray(shap.TreeExplainer(forest).shap_interaction_values(values[chosen]))[..., 1]
    return np.asarray((np.where(synthetic[chosen], 1.0, -1.0)[:, None, None] * found).mean(axis=0))
