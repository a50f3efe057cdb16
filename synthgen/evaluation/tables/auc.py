"""The area under the ROC curve with DeLong's interval."""

from __future__ import annotations

import numpy as np
from scipy.stats import rankdata


def auc(positive: np.ndarray, negative: np.ndarray) -> float:
    """The chance that a positive scores higher than a negative, ties counting half (Mann and Whitney 1947)."""
    return auc_with_interval(positive, negative)[0]


def auc_with_interval(positive: np.ndarray, negative: np.ndarray) -> tuple[float, tuple[float, float]]:
    """The area and its 95 % interval (DeLong et al. 1988, by midranks as Sun and Xu 2014, equations 4 to 9).

    positive (M,), negative (N,): scores. The interval is normal and ends at 0 and 1.
    """
    m, n = len(positive), len(negative)
    ranks = rankdata(np.concatenate([positive, negative]))
    above = (ranks[:m] - rankdata(positive)) / n  # share of negatives below each positive
    below = 1.0 - (ranks[m:] - rankdata(negative)) / m
    value = float(above.mean())
    variance = (np.var(above, ddof=1) / m if m > 1 else 0.0) + (np.var(below, ddof=1) / n if n > 1 else 0.0)
    margin = 1.96 * float(np.sqrt(variance))
    return value, (max(0.0, value - margin), min(1.0, value + margin))
