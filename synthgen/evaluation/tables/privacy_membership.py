"""Who was in the training set? Told from the model's own likelihood, or from the distance to the synthetic rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from synthgen.evaluation.metrics import Figure, share
from synthgen.evaluation.tables.auc import auc_with_interval

MOST_ROWS = 2_000
"""Training rows, and as many held-out ones, whose likelihood is computed."""

LEAST_ROWS = 20

FALSE_ALARMS = 0.01


@dataclass(frozen=True)
class Membership:
    """How well a score tells training rows from new ones.

    auc: the probability that a training row scores higher than a new one. caught: the share of the training rows that
    score above all but 1 % of the new ones. counts: of both.
    """

    auc: Figure
    caught: Figure
    counts: tuple[int, int]


def membership(train: np.ndarray, new: np.ndarray) -> Membership:
    """From scores of training rows (N,) and of new ones (M,); higher means rather a training row.

    The threshold is the value that floor(M / 100) new rows exceed; the interval of `caught` counts that it was found on
    M of them (`share`).
    """
    # With fewer than 100 new rows 1 % of them is less than one: the threshold is then the largest of all.
    threshold = np.sort(new)[::-1][int(FALSE_ALARMS * len(new))]
    caught = share(train > threshold, against=len(new))
    value, interval = auc_with_interval(train, new)
    return Membership(Figure(value, interval, method="delong"), caught, (len(train), len(new)))
