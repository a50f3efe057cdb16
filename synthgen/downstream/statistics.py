"""Means, deviations, the interval of a paired difference, confusion, and calibration."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

Verdict = Literal["helps", "no difference", "hurts"]


@dataclass(frozen=True)
class Difference:
    """A difference of two accuracies with its interval (95 % unless said otherwise); all in shares, not percent."""

    value: float
    low: float
    high: float

    @property
    def verdict(self) -> Verdict:
        """What the interval allows to say: it has to leave 0 out."""
        if self.low > 0:
            return "helps"
        return "hurts" if self.high < 0 else "no difference"


def deviation(values: np.ndarray) -> float | None:
    """The sample standard deviation, or None for fewer than two values."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else None


def paired_difference(first: np.ndarray, second: np.ndarray, *, level: float = 0.95) -> Difference:
    """Accuracy of `second` minus that of `first`, bool (seeds, images) each, the same seeds and images in both.

    Both the training seed and the choice of test images are random. The variance of the mean over a crossed table is at
    most the sum of the variances of its row means and of its column means, each over their number (Owen 2007, the
    pigeonhole bootstrap); the degrees of freedom of the sum follow Welch and Satterthwaite. With one seed only the test
    images are counted.
    """
    from scipy.stats import t

    table = second.astype(np.float64) - first.astype(np.float64)
    seeds, images = table.shape
    parts = [(float(table.mean(axis=0).var(ddof=1)) / images, images - 1)] if images > 1 else []
    if seeds > 1:
        parts.append((float(table.mean(axis=1).var(ddof=1)) / seeds, seeds - 1))
    variance = sum(part for part, _ in parts)
    value = float(table.mean())
    if variance == 0:
        return Difference(value, value, value)
    freedom = variance**2 / sum(part**2 / degrees for part, degrees in parts)
    margin = float(t.ppf(0.5 + level / 2, freedom)) * math.sqrt(variance)
    return Difference(value, max(-1.0, value - margin), min(1.0, value + margin))


BINS = 15
"""Bins of the calibration error."""


def calibration_error(right: np.ndarray, confidence: np.ndarray) -> float:
    """ECE of N answers: right bool (N,), confidence (N,), the largest probability of the softmax.

    The answers are sorted into 15 bins of equal width by their confidence; the error is the sum over the bins of (share
    of the answers in the bin) x |share of them that are right - their mean confidence| (Guo et al. 2017, eq. 3).
    """
    place = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)  # a bin holds its upper edge
    gaps = np.bincount(place, right.astype(np.float64) - confidence, BINS)
    return float(np.abs(gaps).sum() / len(right))


def confusion_matrix(labels: np.ndarray, read: np.ndarray, num_classes: int) -> np.ndarray:
    """Counts int64 (K, K): row i, column j: images of class i that were read as j."""
    found: np.ndarray = np.bincount(labels * num_classes + read, minlength=num_classes**2)
    return found.reshape(num_classes, num_classes)
