"""Which training rows a row resembles, how near that is for a new row, and what the likelihood says of membership."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from synthgen.data.tables.schema import TableData
from synthgen.errors import UsageError
from synthgen.evaluation.tables.privacy_distances import matches
from synthgen.evaluation.tables.privacy_membership import Membership, membership
from synthgen.evaluation.tables.space import DEFINITION, Space, nearest
from synthgen.stopping import ShouldStop, never_stop

NEIGHBOURS = 3
LEVEL = 0.05
"""Chance to flag any of the rows where all are as new as held-out ones."""

SLIGHT = 0.6
"""An AUC of membership below this is a little better than chance, if that."""

MOST_HOLDOUT = 2_000
MOST_TRAIN = 100_000
LEAST_HOLDOUT = 20

QUESTION = (
    "Which training rows are nearest, and is a row nearer to them than a new real row would be? " + DEFINITION + " "
    "The share says how many held-out rows lie as near to their nearest training row as this row does to its own: a "
    "small one is the mark of a copy."
)
CAVEAT = (
    "A flag says that a row is nearer to a training row than chance explains; it does not say that anything secret was "
    "given away. No flag is no proof of privacy: `synthgen evaluate` measures that over many rows."
)


@dataclass(frozen=True, eq=False)
class Neighbours:
    """Of N rows.

    distances: float32 (N, k) ascending. index: int64 (N, k), rows of the training table. shares: float64 (N,), the
    share of new rows that are as near, NaN where there are none. equal: bool (N,), alike to a training row in all
    columns. flagged: bool (N,), too near for chance. new: float32 (M,), the distances of held-out rows.
    columns: int, how many columns a distance is summed over. equal_share: of held-out rows, NaN where there are none.
    """

    distances: np.ndarray
    index: np.ndarray
    shares: np.ndarray
    equal: np.ndarray
    flagged: np.ndarray
    new: np.ndarray
    columns: int
    equal_share: float

    @property
    def sentence(self) -> str:
        """The finding in words."""
        count = len(self.flagged)
        rows = f"{count} row" + ("" if count == 1 else "s")
        if not len(self.new):
            return f"No held-out rows to compare with: how near is too near cannot be said of these {rows}."
        middle = float(np.median(self.new))
        compared = f"the median held-out row is {middle:.3g} from its nearest training row"
        if self.flagged.any():
            return (
                f"{int(self.flagged.sum())} of {rows} lie nearer to a training row than chance explains ({compared})."
            )
        return f"None of {rows} lies nearer to a training row than a new row may ({compared})."


def neighbours(
    rows: TableData,
    train: TableData,
    holdout: TableData | None,
    *,
    count: int = NEIGHBOURS,
    seed: int = 0,
    should_stop: ShouldStop = never_stop,
) -> Neighbours:
    """Find the nearest training rows, and hold their distances against those of held-out rows.

    A row is flagged when the share of held-out rows as near is below LEVEL / N (so that N new rows get a flag in 5 % of
    cases at most), which needs 20 N of them.
    Raises UsageError for a training table without rows, StoppedError.
    """
    if not len(train):
        raise UsageError(f"{train.name} has no rows")
    random = np.random.default_rng([seed, 36])
    space = Space(train)
    part = np.arange(len(train)) if len(train) <= MOST_TRAIN else np.sort(random.permutation(len(train))[:MOST_TRAIN])
    ground = space.encode(train).select(part)
    distances, index = nearest(space.encode(rows), ground, count, should_stop=should_stop)
    equal = matches(rows, train)
    new, equal_share = np.empty(0, np.float32), float("nan")
    if holdout is not None and len(holdout) >= LEAST_HOLDOUT:
        chosen = holdout.select(np.sort(random.permutation(len(holdout))[:MOST_HOLDOUT]))
        new = nearest(space.encode(chosen), ground, 1, should_stop=should_stop)[0][:, 0]
        equal_share = float(matches(chosen, train).mean())
    shares = as_near(distances[:, 0], new)
    flagged = np.nan_to_num(shares, nan=1.0) <= LEVEL / max(1, len(rows))
    index = np.where(index >= 0, part[index], -1)
    columns = len(space.numeric) + len(space.others)
    return Neighbours(distances, index, shares, equal, flagged, new, columns, equal_share)


def as_near(distances: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Share of new rows, float (M,), whose distance is at most each of `distances` (N,), the row itself counted among
    them, which makes it a p-value; NaN without new rows."""
    if not len(new):
        return np.full(len(distances), np.nan)
    ordered = np.sort(new)
    return np.asarray((1 + np.searchsorted(ordered, distances, side="right")) / (1 + len(new)))


@dataclass(frozen=True, eq=False)
class MemberScores:
    """scores: float64 (N,), the rows' log-likelihood in nats. ranks: float64 (N,), the share of held-out rows with a
    lower one. telling: how well such scores tell training rows from held-out ones at all."""

    scores: np.ndarray
    ranks: np.ndarray
    telling: Membership

    @property
    def sentence(self) -> str:
        """The finding in words."""
        found = self.telling.auc
        low, high = found.interval or (found.value, found.value)
        seen = f"AUC {found.value:.3f} (95 % {low:.3f} to {high:.3f}; 0.5 is guessing)"
        if low <= 0.5:
            return f"The model's likelihood does not tell training rows from new ones: {seen}. The scores say nothing."
        if found.value < SLIGHT:
            return f"The model's likelihood tells training rows from new ones a little better than chance: {seen}."
        return f"The model's likelihood tells training rows from new ones: {seen}. It has learned rows by heart."


def member_scores(scores: np.ndarray, train: np.ndarray, new: np.ndarray) -> MemberScores:
    """Membership scores of rows, with what such a score is worth. All are log-likelihoods in nats: of the rows (N,), of
    training rows, and of held-out rows."""
    ranks = np.searchsorted(np.sort(new), scores) / len(new)
    return MemberScores(scores, ranks, membership(train, new))
