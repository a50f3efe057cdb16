"""Distances between rows of mixed columns, and who is nearest to whom."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from synthgen.data.tables.schema import NUMERIC, ColumnSchema, TableData
from synthgen.errors import StoppedError
from synthgen.stopping import ShouldStop, never_stop

if TYPE_CHECKING:
    import pandas as pd

DEFINITION = (
    "The distance of two rows is the sum over columns of |difference| / range in the training rows for numbers and "
    "dates (at most 1) and of 0 (equal) or 1 (not) for categories (Gower 1971; TabSyn's DCR). A missing value is equal "
    "to a missing value and 1 away from all others. Identifiers and constants are left out."
)

_CELLS = 2**19
"""Distances in memory at once: what fits a processor's cache."""

_MISSING = np.float32(-9.0)  # farther than 1 from every place in [0, 1], which counts as 1


@dataclass(frozen=True)
class Points:
    """Rows as points. places: float32 (P, N), numeric columns scaled by their range; codes: int32 (Q, N)."""

    places: np.ndarray
    codes: np.ndarray

    def __len__(self) -> int:
        return int(self.places.shape[1])

    def select(self, index: np.ndarray) -> Points:
        """The rows in `index`."""
        return Points(self.places[:, index], self.codes[:, index])

    def columns(self, places: Sequence[int], codes: Sequence[int]) -> Points:
        """The same rows with some of the columns only."""
        return Points(self.places[list(places)], self.codes[list(codes)])


class Space:
    """Turns rows into points; see `DEFINITION`. The scales are those of the table that it is made from."""

    def __init__(self, data: TableData, columns: Sequence[str] | None = None) -> None:
        chosen = [one for one in data.schema.modelled if columns is None or one.name in columns]
        self.numeric = tuple(one for one in chosen if one.kind in NUMERIC)
        self.others = tuple(one for one in chosen if one.kind not in NUMERIC)
        self._scales = [_scale(numbers(data.frame[one.name], one)) for one in self.numeric]
        self._known: list[dict[str, int]] = [{} for _ in self.others]
        self.encode(data)  # the codes of its categories come first

    def encode(self, data: TableData) -> Points:
        """The rows as points, in their order. Categories that were not seen before are unlike all others."""
        count = len(data)
        places, codes = np.zeros((len(self.numeric), count), np.float32), np.zeros((len(self.others), count), np.int32)
        for row, column in enumerate(self.numeric):
            low, width = self._scales[row]
            found = np.clip((numbers(data.frame[column.name], column) - low) / width, 0.0, 1.0)
            places[row] = np.where(np.isnan(found), _MISSING, found)
        for row, column in enumerate(self.others):
            codes[row] = self._codes(texts(data.frame[column.name]), self._known[row])
        return Points(places, codes)

    def width(self, name: str) -> float:
        """The range of a numeric column in the table that the space is made from."""
        return self._scales[[one.name for one in self.numeric].index(name)][1]

    @staticmethod
    def _codes(values: np.ndarray, known: dict[str, int]) -> np.ndarray:
        import pandas as pd

        codes, uniques = pd.factorize(values)
        numbers = np.array([known.setdefault(one, len(known)) for one in uniques] or [0], np.int32)
        return np.where(codes < 0, -1, numbers[codes])


def numbers(values: pd.Series[object], column: ColumnSchema) -> np.ndarray:
    """A numeric column as float64 with NaN for missing values; dates as microseconds since 1970."""
    if column.kind == "datetime":
        found = values.to_numpy("datetime64[us]")
        return np.where(np.isnat(found), np.nan, found.astype(np.int64).astype(np.float64))
    return np.asarray(values.to_numpy(np.float64, na_value=np.nan))


def texts(values: pd.Series[object]) -> np.ndarray:
    """Any other column as objects: texts, None for missing values."""
    return np.asarray(values.astype(object).where(values.notna(), None).map(str, na_action="ignore"), dtype=object)


def _scale(values: np.ndarray) -> tuple[float, float]:
    if np.isnan(values).all():
        return 0.0, 1.0
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    return low, (high - low) or 1.0


def distances(queries: Points, references: Points) -> np.ndarray:
    """float32 (len(queries), len(references)). Meant for blocks: everything is in memory at once."""
    found = np.zeros((len(queries), len(references)), np.float32)
    step = np.empty_like(found)
    for ours, theirs in zip(queries.places, references.places, strict=True):
        np.subtract(ours[:, None], theirs[None, :], out=step)
        np.abs(step, out=step)
        np.minimum(step, 1.0, out=step)
        found += step
    if len(queries.codes):
        small = _small(queries.codes, references.codes)
        unlike = np.zeros(found.shape, np.uint8 if len(small[0]) < 256 else np.uint16)
        for ours, theirs in zip(*small, strict=True):
            unlike += ours[:, None] != theirs[None, :]
        found += unlike
    return found


def _small(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The codes in the smallest numbers that hold them: comparing bytes is four times as fast."""
    if max(first.max(initial=0), second.max(initial=0)) < 127:
        return first.astype(np.int8), second.astype(np.int8)
    return first, second


def nearest(
    queries: Points,
    references: Points,
    count: int = 1,
    *,
    leave_out: np.ndarray | None = None,
    should_stop: ShouldStop = never_stop,
    progress: Callable[[int], None] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """The `count` nearest references of every query: distances float32 (N, count) ascending, indices int64 (N, count).

    leave_out: per query a reference that does not count (itself), -1 for none. Of equally near references the first is
    taken. Fewer references than `count` give infinite distances and the index -1. Brute force: N x M x columns steps.
    Raises StoppedError.
    """
    found = np.full((len(queries), count), np.inf, np.float32)
    index = np.full((len(queries), count), -1, np.int64)
    rows = max(1, _CELLS // max(1, len(references)))
    for start in range(0, len(queries) if len(references) else 0, rows):
        if should_stop():
            raise StoppedError("stopped while looking for neighbours")
        part = np.arange(start, min(start + rows, len(queries)))
        table = distances(queries.select(part), references)
        here = np.arange(len(part))
        if leave_out is not None:
            known = leave_out[part] >= 0
            table[here[known], leave_out[part][known]] = np.inf
        for place in range(min(count, len(references))):
            best = table.argmin(axis=1)
            found[part, place] = table[here, best]
            index[part, place] = np.where(np.isinf(found[part, place]), -1, best)
            table[here, best] = np.inf
        if progress is not None:
            progress(int(part[-1]) + 1)
    return found, index
