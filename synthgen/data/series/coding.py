"""One column as dimensions of a window: a scaled number, a truth value or a one-hot vector in {-1, +1}."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from synthgen.data.series.levels import from_codes, levels_of, to_codes
from synthgen.data.series.scaling import Scaler, fit_scaler
from synthgen.data.series.windows import constant_number, numbers_of
from synthgen.data.tables.schema import ColumnSchema

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Coding:
    """How one channel or covariate is written into a window.

    scaler: of numbers. levels: of categories and booleans. constant: the only text of a constant, None for one without
    values; number: what `SeriesCodec.arrays` shows for it. copy_of: the channel that this one repeated in every step to
    learn from; it is not learned, but written as that one is: two that differ in their last digit give a sample away.
    """

    column: ColumnSchema
    scaler: Scaler | None = None
    levels: tuple[str, ...] = ()
    constant: str | None = None
    number: float = np.nan
    copy_of: str | None = None

    @property
    def width(self) -> int:
        """Dimensions: none for constants and copies, one for numbers and booleans, one per level of a category."""
        if self.column.kind == "constant" or self.copy_of is not None:
            return 0
        return len(self.levels) if self.column.kind == "category" else 1

    def encode(self, values: pd.Series) -> np.ndarray:
        """float64 (T, width), NaN where missing."""
        if self.scaler is not None:
            return self.scaler.encode(numbers_of(values, self.column))[:, None]
        codes = to_codes(values, self.levels)
        if self.column.kind == "boolean":
            return np.where(codes < 0, np.nan, 2.0 * codes - 1.0)[:, None]
        hot = np.where(codes[:, None] == np.arange(self.width), 1.0, -1.0)
        hot[codes < 0] = np.nan
        return hot

    def numbers(self, z: np.ndarray, gone: np.ndarray, *, clip: bool = True) -> np.ndarray:
        """float64 (T,) in the input's units, or codes, from z (T, width); NaN where `gone`, bool (T,)."""
        if self.column.kind == "constant":
            found = np.full(len(z), self.number)
        elif self.scaler is not None:
            found = self.scaler.decode(z[:, 0].astype(np.float64), clip=clip)
        else:
            place = {level: code for code, level in enumerate(levels_of(self.column))}
            codes = np.array([place.get(level, number) for number, level in enumerate(self.levels)], np.float64)
            found = codes[self._codes(z)]
        return np.where(gone, np.nan, found)

    def _codes(self, z: np.ndarray) -> np.ndarray:
        found: np.ndarray = (z[:, 0] > 0).astype(np.int64) if self.column.kind == "boolean" else z.argmax(1)
        return found

    def decode(self, z: np.ndarray, gone: np.ndarray, *, clip: bool = True) -> pd.Series:
        """The normal form of the column from z (T, width); missing where `gone`, bool (T,)."""
        import pandas as pd

        kind = self.column.kind
        if kind == "constant":
            held = np.array([self.constant, None], object)
            return pd.Series(held[gone.astype(np.int64)], dtype=object)
        if self.scaler is None:
            return from_codes(np.where(gone, -1, self._codes(z)), self.column, self.levels)
        numbers = self.numbers(z, gone, clip=clip)
        if kind == "integer":
            return pd.Series(pd.arrays.IntegerArray(np.where(gone, 0, numbers).astype(np.int64), gone))
        return pd.Series(numbers)


def fit_coding(column: ColumnSchema, values: pd.Series, scaling: str) -> Coding:
    """The coding of a column, from its values in the steps to learn from."""
    if column.kind == "constant":
        present = values.dropna()
        text = None if not len(present) else str(present.iloc[0])
        return Coding(column, constant=text, number=constant_number(column, values))
    if column.kind in ("number", "integer"):
        numbers = numbers_of(values, column)
        present = numbers[~np.isnan(numbers)]
        if not len(present):  # missing throughout what is learned from
            return Coding(column, Scaler("standard", 0.0, 1.0, 0.0, 0.0))
        return Coding(column, fit_scaler(present, scaling, whole=column.kind == "integer"))
    levels = levels_of(column)
    if column.kind == "category":  # those of the steps to learn from alone
        there = set(to_codes(values, levels).tolist())
        levels = tuple(level for code, level in enumerate(levels) if code in there) or levels[:1]
    return Coding(column, levels=levels)


def mark_copies(codings: dict[str, Coding], frame: pd.DataFrame, channels: Sequence[str]) -> dict[str, Coding]:
    """The same codings, with `copy_of` where a channel of numbers equals an earlier one, missing cells included."""
    first: dict[tuple[str, bytes], str] = {}
    found = dict(codings)
    for name in channels:
        coding = codings[name]
        if coding.scaler is None or coding.scaler.low == coding.scaler.high:
            continue
        values = numbers_of(frame[name], coding.column)
        values = np.where(np.isnan(values), np.nan, values + 0.0)  # one bit pattern for NaN and for zero
        key = (coding.column.kind, hashlib.sha256(values.tobytes()).digest())
        original = first.setdefault(key, name)
        if original != name:
            found[name] = replace(coding, copy_of=original)
    return found


def fill_in(z: np.ndarray, offsets: np.ndarray, *, hold: bool) -> np.ndarray:
    """z (T,) or (T, K) without NaN: between the neighbours in time, within each sequence; 0 where it has none.

    hold: the nearest neighbour's value instead of what lies between (categories).
    """
    gone = np.isnan(z if z.ndim == 1 else z[:, 0])
    if not gone.any():
        return z
    owner = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    rows = np.arange(len(gone))
    there = np.flatnonzero(~gone)
    if not len(there):
        return np.zeros_like(z)
    missing = rows[gone]
    after = np.searchsorted(there, missing)
    left, right = there[np.maximum(after - 1, 0)], there[np.minimum(after, len(there) - 1)]
    has_left = (after > 0) & (owner[left] == owner[missing])
    has_right = (after < len(there)) & (owner[right] == owner[missing])
    span = np.maximum(right - left, 1)
    share = np.where(has_left & has_right, (missing - left) / span, np.where(has_right, 1.0, 0.0))
    if hold:
        share = np.rint(share)
    share = share if z.ndim == 1 else share[:, None]
    filled = z[left] * (1 - share) + z[right] * share
    filled[~(has_left | has_right)] = 0.0
    found = z.copy()
    found[gone] = filled
    return found
