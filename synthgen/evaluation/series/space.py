"""Windows as the measures take them: scaled by the real ones, gaps filled alike on all sides and told by channels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from synthgen.data.series.windows import WindowSet
from synthgen.data.tables.schema import NUMERIC

_MOST_LEVELS = 32
"""Categories of a channel that are told apart."""


@dataclass(frozen=True)
class Prepared:
    """x: float32 (N, L, D) without NaN, 0 beyond the length. lengths: int64 (N,). observed: bool (N, L, C)."""

    x: np.ndarray
    lengths: np.ndarray
    observed: np.ndarray


class Space:
    """How windows become arrays; all it knows comes from `windows`.

    scaled: numbers between the channel's extremes as 0..1, NaN kept. prepared: that without NaN, for networks: gaps lie
    on the line between their neighbours (at the ends they equal the nearest value, in a window without any the mean),
    and one channel of 0 and 1 tells where they are, for each channel that has any; categories are one-hot; where
    lengths differ, one more channel is 1 as long as the window goes on.
    """

    def __init__(self, windows: WindowSet) -> None:
        values, kinds = windows.values, windows.kinds
        valid = _valid(windows)
        missing = np.isnan(values)
        self.channels, self.kinds = windows.channels, kinds
        self.gaps = (missing & valid[:, :, None]).any((0, 1))
        self.uneven = bool((windows.lengths < values.shape[1]).any())
        count = values.shape[2]
        self.low, self.high, self.mean = np.zeros(count), np.ones(count), np.zeros(count)
        self.levels: dict[int, np.ndarray] = {}
        for place, kind in enumerate(kinds):
            known = values[:, :, place][~missing[:, :, place]]
            if not len(known):
                continue
            if is_number(kind):
                self.low[place], self.high[place] = known.min(), known.max()
                span = self.high[place] - self.low[place]
                self.mean[place] = (known.mean() - self.low[place]) / (span or 1.0)
            else:
                codes, counts = np.unique(known, return_counts=True)
                self.levels[place] = np.sort(codes[np.argsort(-counts, kind="stable")[:_MOST_LEVELS]])
        # The dimension of each channel in `prepared`: of categories the first one.
        self.places: list[int] = []
        at = 0
        for place in range(count):
            self.places.append(at)
            at += len(self.levels[place]) if place in self.levels else 1
            at += int(self.gaps[place])
        self.dimensions = at + int(self.uneven)

    @property
    def numbers(self) -> list[int]:
        """Positions of the channels that are numbers and not constant."""
        return [p for p, kind in enumerate(self.kinds) if is_number(kind) and self.high[p] > self.low[p]]

    def scaled(self, windows: WindowSet) -> np.ndarray:
        """float64 (N, L, C'): the channels in `numbers`, 0..1 between the extremes of the real ones; NaN stays."""
        chosen = self.numbers
        found: np.ndarray = (windows.values[:, :, chosen] - self.low[chosen]) / (self.high - self.low)[chosen]
        return found

    def prepared(self, windows: WindowSet) -> Prepared:
        """The windows for networks."""
        values, valid = windows.values, _valid(windows)
        observed = ~np.isnan(values)
        x = np.zeros((*values.shape[:2], self.dimensions), np.float32)
        for place, at in enumerate(self.places):
            column = values[:, :, place]
            if place in self.levels:
                levels = self.levels[place]
                x[:, :, at : at + len(levels)] = column[:, :, None] == levels
                at += len(levels)
            else:
                span = (self.high - self.low)[place]
                filled = fill((column - self.low[place]) / (span if span > 0 else 1.0), self.mean[place])
                x[:, :, at] = filled
                at += 1
            if self.gaps[place]:
                x[:, :, at] = ~observed[:, :, place]
        if self.uneven:
            x[:, :, -1] = 1.0
        x[~valid] = 0.0
        return Prepared(x, windows.lengths, observed)

    @property
    def notes(self) -> tuple[str, ...]:
        """What was done to values that networks cannot take."""
        found = []
        holed = [name for name, gap in zip(self.channels, self.gaps, strict=True) if gap]
        if holed:
            found.append(
                f"missing values ({', '.join(holed[:8])}{', ...' if len(holed) > 8 else ''}): for measures that cannot "
                "take them they were filled by interpolation in time, in real and synthetic windows alike, and a "
                "channel of 0 and 1 tells where they were"
            )
        if self.uneven:
            found.append("lengths differ: networks see zeros beyond the end, and a channel that says where it is")
        if self.levels:
            found.append("categories are given to networks one-hot; curves and spectra are those of the numbers")
        return tuple(found)


def is_number(kind: str) -> bool:
    """Whether a column's kind means a quantity."""
    return kind in NUMERIC


def _valid(windows: WindowSet) -> np.ndarray:
    """bool (N, L): which steps exist."""
    found: np.ndarray = np.arange(windows.values.shape[1]) < windows.lengths[:, None]
    return found


def fill(values: np.ndarray, otherwise: float) -> np.ndarray:
    """Rows (N, L) with NaN on the line between their neighbours, at the ends the nearest value.

    otherwise: what a row without any value is filled with.
    """
    known = ~np.isnan(values)
    if known.all():
        return values
    steps = np.arange(values.shape[1])
    before = np.maximum.accumulate(np.where(known, steps, -1), axis=1)
    after = np.minimum.accumulate(np.where(known, steps, len(steps))[:, ::-1], axis=1)[:, ::-1]
    left, right = np.where(before < 0, after, before), np.where(after >= len(steps), before, after)
    none = ~known.any(1)
    left[none], right[none] = 0, 0
    first = np.take_along_axis(values, left, 1)
    second = np.take_along_axis(values, right, 1)
    share = (steps - left) / np.maximum(right - left, 1)
    found = np.where(known, values, first + share * (second - first))
    found[none] = otherwise
    return found
