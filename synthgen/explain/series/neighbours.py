"""Which training windows a window resembles, and whether that is nearer than a new one would be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from synthgen.data.tables.schema import NUMERIC
from synthgen.errors import StoppedError
from synthgen.explain.tables.neighbours import as_near
from synthgen.stopping import ShouldStop, never_stop

if TYPE_CHECKING:
    from synthgen.data.series.windows import WindowSet

NEIGHBOURS = 3
LEVEL = 0.05
"""Chance to flag any of the windows where all are as new as held-out ones."""

LEAST_HOLDOUT = 20
MOST_NEW = 120
_VALUES = 2**24
"""Differences in memory at once."""

QUESTION = (
    "Which training windows are nearest, and is a window nearer to them than a new real window would be? The distance "
    "is the root mean square difference over all steps and channels, in deviations of the channel; a category, or a "
    "value that only one side has, differs by 1."
)
CAVEAT = (
    "A flag says that a window is nearer to a training window than chance explains; it does not say that anything "
    "secret was given away. Calm recordings are near to each other everywhere: the comparison with held-out windows "
    "takes that into account, but only as far as those are alike. No flag is no proof of privacy."
)


@dataclass(frozen=True, eq=False)
class Neighbours:
    """Of N windows.

    distances: float64 (N, k) ascending. index: int64 (N, k), training windows. shares: float64 (N,), the share of
    new real windows as near to their nearest, NaN where there are too few. flagged: bool (N,), too near for chance.
    new: float64 (M,), distances of new real windows. compared: training windows looked at. name: what is new.
    """

    distances: np.ndarray
    index: np.ndarray
    shares: np.ndarray
    flagged: np.ndarray
    new: np.ndarray
    compared: int
    name: str

    @property
    def sentence(self) -> str:
        """The finding in words."""
        count, held = len(self.flagged), len(self.new)
        windows = f"{count} window" + ("" if count == 1 else "s")
        if not held:
            return f"Too few other windows to compare with: how near is too near cannot be said of these {windows}."
        compared = f"the median {self.name} window is {np.median(self.new):.3g} deviations from its nearest"
        if self.flagged.any():
            number = int(self.flagged.sum())
            lie = "lies" if number == 1 else "lie"
            return f"{number} of {windows} {lie} nearer to a training window than chance explains ({compared})."
        few = int(np.ceil(count / LEVEL)) - 1  # below, not even a share of 1 / (held + 1) is small enough
        if held < few:
            return f"{held} windows to compare with are too few to flag one of {windows} ({few} needed; {compared})."
        return f"None of {windows} lies nearer to a training window than a new window may ({compared})."


def neighbours(
    windows: WindowSet,
    train: WindowSet,
    holdout: WindowSet | None,
    *,
    count: int = NEIGHBOURS,
    seed: int = 0,
    should_stop: ShouldStop = never_stop,
) -> Neighbours:
    """Find the nearest training windows, and hold their distances against those of new real windows.

    New ones are those of `holdout` where it has sequences enough to flag a window. The end of a recording is not new in
    that sense: its level may have drifted away, and everything would seem near beside it. Then they are training
    windows, each compared with all that do not overlap with it. A window is flagged when the share of new ones as near
    is at most LEVEL / N. Raises StoppedError.
    """
    scale = _scale(train)
    distances, index = nearest(windows, train, scale, count, should_stop=should_stop)
    new, name, most = np.empty(0), "", int(np.ceil(len(windows) / LEVEL))
    if holdout is not None and len(np.unique(holdout.sequence)) >= len(windows) / LEVEL - 1:
        name = "held-out"
        new = nearest(holdout, train, scale, 1, should_stop=should_stop)[0][:, 0]
    elif len(train.values) >= LEAST_HOLDOUT:
        name = "training (without those that overlap it)"
        chosen = np.random.default_rng([seed, 46]).permutation(len(train.values))[: max(MOST_NEW, most)]
        new = nearest(train.select(np.sort(chosen)), train, scale, 1, apart=True, should_stop=should_stop)[0][:, 0]
        new = new[np.isfinite(new)]
    shares = as_near(distances[:, 0], new)
    flagged = np.nan_to_num(shares, nan=1.0) <= LEVEL / max(1, len(distances))
    return Neighbours(distances, index, shares, flagged, new, len(train.values), name)


def nearest(
    queries: WindowSet,
    ground: WindowSet,
    scale: np.ndarray,
    count: int,
    *,
    apart: bool = False,
    should_stop: ShouldStop = never_stop,
) -> tuple[np.ndarray, np.ndarray]:
    """(distances float64 (N, k) ascending, index int64 (N, k)) of the nearest windows of `ground`.

    scale: float64 (C,), the deviation of a channel; 0 for categories, which are the same or differ by 1. apart: both
    sides come from the same recordings, and windows that share a step are not compared (infinity).
    """
    count = min(count, len(ground.values))
    distances, index = np.empty((len(queries.values), count)), np.empty((len(queries.values), count), np.int64)
    size = max(1, _VALUES // max(1, int(np.prod(ground.values.shape[1:]))))
    for row, window in enumerate(queries.values):
        found = []
        for start in range(0, len(ground.values), size):
            if should_stop():
                raise StoppedError("stopped while explaining; nothing was written")
            found.append(_distances(window, ground.values[start : start + size], scale))
        every = np.concatenate(found)
        if apart:
            near = np.abs(ground.start - queries.start[row]) < ground.values.shape[1]
            every[near & (ground.sequence == queries.sequence[row])] = np.inf
        best = np.argpartition(every, count - 1)[:count]
        best = best[np.argsort(every[best], kind="stable")]
        distances[row], index[row] = every[best], best
    return distances, index


def _distances(window: np.ndarray, others: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """float64 (M,): root mean square difference of a window (L, C) and each of (M, L, C)."""
    categories = scale == 0
    difference = (others - window) / np.where(categories, 1.0, scale)
    square = np.where(categories, (difference != 0).astype(np.float64), difference**2)
    here, there = np.isnan(window), np.isnan(others)
    square = np.where(here != there, 1.0, np.where(here & there, 0.0, square))
    cells = np.maximum((~(here & there)).sum(axis=(1, 2)), 1)
    return np.asarray(np.sqrt(square.sum(axis=(1, 2)) / cells))


def _scale(train: WindowSet) -> np.ndarray:
    """float64 (C,): deviations of numeric channels (1 for constants), 0 for categories."""
    steps = train.values.reshape(-1, train.values.shape[-1])
    found = np.array([_deviation(steps[:, place]) for place in range(steps.shape[1])])
    numeric = np.array([kind in NUMERIC for kind in train.kinds])
    return np.where(numeric, np.where(found > 0, found, 1.0), 0.0)


def _deviation(values: np.ndarray) -> float:
    known = values[~np.isnan(values)]
    return float(known.std()) if len(known) else 0.0
