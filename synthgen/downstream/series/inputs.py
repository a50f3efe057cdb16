"""Windows as the classifiers take them: standardised, without gaps, missing values told by a channel of their own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from synthgen.data.tables.schema import NUMERIC

if TYPE_CHECKING:
    from synthgen.data.series.windows import WindowSet

_MOST_LEVELS = 32
"""Categories of a channel that are told apart; the rarest of more are one."""


@dataclass(frozen=True)
class Inputs:
    """x float32 (N, L, D), 0 beyond the length; lengths int64 (N,), at least 1; labels int64 (N,).

    smooth: bool (D,), dimensions that are measurements: noise and scaling mean something there.
    """

    x: np.ndarray
    lengths: np.ndarray
    labels: np.ndarray
    smooth: np.ndarray

    def __len__(self) -> int:
        return len(self.x)

    @property
    def valid(self) -> np.ndarray:
        """Which steps exist: bool (N, L)."""
        return np.asarray(np.arange(self.x.shape[1]) < self.lengths[:, None])

    def select(self, index: np.ndarray) -> Inputs:
        """The windows in `index`."""
        return Inputs(self.x[index], self.lengths[index], self.labels[index], self.smooth)


class Preparation:
    """From windows to `Inputs`; all it knows comes from the windows it is made from.

    Numbers: minus the mean, divided by the deviation of the channel; missing values lie on the line between their
    neighbours, at the ends they equal the nearest one, and a channel of 0 and 1 tells where they are, if there were
    any. Categories and booleans: one-hot.
    """

    def __init__(self, windows: WindowSet) -> None:
        self.kinds = tuple(windows.kinds)
        valid = np.arange(windows.values.shape[1]) < windows.lengths[:, None]
        steps = windows.values[valid]
        missing = np.isnan(steps)
        self.gaps = missing.any(axis=0)
        self.mean, self.deviation = np.zeros(len(self.kinds)), np.ones(len(self.kinds))
        self.levels: dict[int, np.ndarray] = {}
        for place, kind in enumerate(self.kinds):
            known = steps[~missing[:, place], place]
            if kind not in (*NUMERIC, "constant"):
                codes, counts = np.unique(known, return_counts=True)
                self.levels[place] = np.sort(codes[np.argsort(-counts, kind="stable")[:_MOST_LEVELS]])
            elif len(known):
                self.mean[place] = known.mean()
                self.deviation[place] = known.std() or 1.0

    def inputs(self, windows: WindowSet) -> Inputs:
        """Windows of the same channels, whoever made them."""
        lengths = np.maximum(windows.lengths.astype(np.int64), 1)
        valid = np.arange(windows.values.shape[1]) < lengths[:, None]
        parts: list[np.ndarray] = []
        smooth: list[bool] = []
        for place in range(len(self.kinds)):
            values = windows.values[..., place]
            missing = np.isnan(values) & valid
            if place in self.levels:
                parts += [(values == level).astype(np.float32) for level in self.levels[place]]
                smooth += [False] * len(self.levels[place])
            else:
                filled = _filled(np.where(valid, values, np.nan), missing, self.mean[place])
                parts.append((filled - self.mean[place]) / self.deviation[place])
                smooth.append(True)
            if self.gaps[place]:
                parts.append(missing)
                smooth.append(False)
        x = np.stack(parts, axis=-1).astype(np.float32)
        x[~valid] = 0.0
        labels = np.full(len(x), -1, np.int64) if windows.labels is None else windows.labels.astype(np.int64)
        return Inputs(x, lengths, labels, np.array(smooth))


def _filled(values: np.ndarray, missing: np.ndarray, otherwise: float) -> np.ndarray:
    """Rows (N, L) with missing values on the line between their neighbours; a row without any value is `otherwise`."""
    found = values.copy()
    steps = np.arange(values.shape[1])
    for row in np.flatnonzero(missing.any(axis=1)):
        known = ~np.isnan(values[row])
        if known.any():
            found[row] = np.interp(steps, steps[known], values[row, known])
        else:
            found[row] = otherwise
    return found
