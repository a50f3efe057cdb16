"""How near synthetic rows come to training rows, beside rows that the generator never saw (DCR, NNDR, exact matches).

DCR: a row's distance to the closest training row. NNDR: that distance in parts of the one to the second closest; a row
that sits on one training row and far from all others has a small one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from synthgen.data.tables.hashing import row_hashes
from synthgen.data.tables.schema import TableData
from synthgen.evaluation.metrics import Figure, share
from synthgen.evaluation.tables.space import Points, Space, distances

MOST_QUERIES = 10_000
MOST_REFERENCES = 100_000
"""Random rows beyond these are left out: the work grows with their product."""

_CELLS = 2**19


@dataclass(frozen=True)
class Reach:
    """Where rows lie among references: nearest, second: float32 (N,); ties: int64 (N,), references as near."""

    nearest: np.ndarray
    second: np.ndarray
    ties: np.ndarray

    @property
    def ratios(self) -> np.ndarray:
        """NNDR (N,); 1 where both are 0: several training rows are the same."""
        with np.errstate(invalid="ignore", divide="ignore"):
            found: np.ndarray = self.nearest / self.second
        return np.where(self.second > 0, found, 1.0)


def reach(queries: Points, references: Points, check: Callable[[], None] = lambda: None) -> Reach:
    """Look up every query; at least two references. check: called for every block, may raise."""
    found = np.empty((2, len(queries)), np.float32)
    ties = np.empty(len(queries), np.int64)
    rows = max(1, _CELLS // len(references))
    for start in range(0, len(queries), rows):
        check()
        part = np.arange(start, min(start + rows, len(queries)))
        table = distances(queries.select(part), references)
        here, best = np.arange(len(part)), table.argmin(axis=1)
        found[0, part] = table[here, best]
        ties[part] = (table == found[0, part][:, None]).sum(axis=1)
        table[here, best] = np.inf
        found[1, part] = table.min(axis=1)
    return Reach(found[0], found[1], ties)


def nearer_share(train: Reach, holdout: Reach, train_count: int, holdout_count: int) -> Figure:
    """How often a row's nearest real row is a training row rather than a held-out one, as if both were equally many.

    Were training rows nothing special, the nearest of all N + M real rows would be each of them with equal probability,
    so a training row in p = N / (N + M) of the cases. The share found is brought from p to 1/2 by its odds, which uses
    all rows of the larger side; with equal sizes it is the share itself. Of equally near rows each counts its part.
    Wilson's interval counts that both the synthetic and the real rows were drawn.
    """
    first = np.where(train.nearest <= holdout.nearest, train.ties, 0).astype(np.float64)
    second = np.where(holdout.nearest <= train.nearest, holdout.ties, 0)
    found = share(first / (first + second), against=min(train_count, holdout_count))
    assert found.interval is not None
    low, high = (_even(bound, train_count, holdout_count) for bound in found.interval)
    return Figure(_even(found.value, train_count, holdout_count), (low, high), method="wilson")


def _even(value: float, train_count: int, holdout_count: int) -> float:
    ours, theirs = value / train_count, (1.0 - value) / holdout_count
    return ours / (ours + theirs)


def below_median(rows: np.ndarray, holdout: np.ndarray) -> Figure:
    """The share of rows with a smaller DCR than the median held-out row: 1/2 for rows as new as held-out ones.

    Where several held-out rows lie exactly at their median, rows at it count by the part of them that fills up one
    half. The interval counts the drawing of both sides (Wilson).
    """
    middle = float(np.median(holdout))
    below, at = float(np.mean(holdout < middle)), float(np.mean(holdout == middle))
    weight = (0.5 - below) / at if at else 0.5
    return share((rows < middle) + weight * (rows == middle), against=len(holdout))


def matches(rows: TableData, train: TableData) -> np.ndarray:
    """Which rows equal a training row in all columns that are modelled: bool (N,)."""
    names = [column.name for column in train.schema.modelled]
    return np.isin(row_hashes(rows.frame[names]), row_hashes(train.frame[names]))


@dataclass(frozen=True)
class Nearness:
    """What the distances of a table's rows say. Medians are of DCR and NNDR to the training rows."""

    n: int
    nearer: Figure
    below: Figure
    dcr: Figure
    nndr: Figure
    quantiles: tuple[float, ...]


class Ground:
    """Training and held-out rows, encoded once; `measure` then takes any table of the same schema."""

    def __init__(
        self, train: TableData, holdout: TableData, *, seed: int, check: Callable[[], None] = lambda: None
    ) -> None:
        random = np.random.default_rng([seed, 21])
        self.space, self.check, self.seed = Space(train), check, seed
        self.train = self._some(self.space.encode(train), MOST_REFERENCES, random)
        self.holdout = self._some(self.space.encode(holdout), MOST_REFERENCES, random)
        self.usable = len(train) > 1 and len(holdout) > 1 and bool(len(self.space.numeric) + len(self.space.others))
        self.new = reach(self._some(self.holdout, MOST_QUERIES, random), self.train, check) if self.usable else None

    @staticmethod
    def _some(points: Points, most: int, random: np.random.Generator) -> Points:
        return points if len(points) <= most else points.select(np.sort(random.permutation(len(points))[:most]))

    def measure(self, rows: TableData, most: int = MOST_QUERIES) -> Nearness:
        """Distances of at most `most` random rows."""
        assert self.new is not None
        points = self._some(self.space.encode(rows), most, np.random.default_rng([self.seed, 22]))
        ours, theirs = (reach(points, references, self.check) for references in (self.train, self.holdout))
        return Nearness(
            len(points),
            nearer_share(ours, theirs, len(self.train), len(self.holdout)),
            below_median(ours.nearest, self.new.nearest),
            _median(ours.nearest),
            _median(ours.ratios),
            _quantiles(ours.nearest),
        )

    def floor(self) -> dict[str, Any]:
        """Medians and quantiles of the held-out rows' own distances to the training rows."""
        assert self.new is not None
        return {
            "n": len(self.new.nearest),
            "dcr": float(np.median(self.new.nearest)),
            "nndr": float(np.median(self.new.ratios)),
            "quantiles": _quantiles(self.new.nearest),
        }


def _median(values: np.ndarray) -> Figure:
    """With the interval between the order statistics that hold the median with 95 % (binomial, made normal)."""
    ordered, count = np.sort(values), len(values)
    margin = 0.98 * np.sqrt(count)
    low, high = (int(np.clip(np.floor(count / 2 + side), 0, count - 1)) for side in (-margin, margin))
    return Figure(float(np.median(values)), (float(ordered[low]), float(ordered[high])), method="order statistics")


def _quantiles(values: np.ndarray) -> tuple[float, ...]:
    return tuple(float(value) for value in np.quantile(values, np.linspace(0, 1, 41)))
