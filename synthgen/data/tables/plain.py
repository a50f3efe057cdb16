"""Columns of a table as plain arrays for the codec, and back: numbers and dates as float64, everything else objects."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from synthgen.data.tables.dates import resolution_of
from synthgen.data.tables.schema import NUMERIC, ColumnSchema

if TYPE_CHECKING:
    import pandas as pd

_MINUTE = 60_000_000


def zone_shift(column: ColumnSchema) -> int:
    """Microseconds that a fixed offset is ahead of UTC, so that days are those of its texts; 0 for named zones."""
    match = re.fullmatch(r"(?:UTC)?([+-])(\d{2}):?(\d{2})", str(column.format.get("zone") or ""))
    if not match:
        return 0
    minutes = int(match.group(2)) * 60 + int(match.group(3))
    return (-minutes if match.group(1) == "-" else minutes) * _MINUTE


def unit_of(series: pd.Series, column: ColumnSchema) -> int:
    """Microseconds of which all dates of a column are multiples, in the time of its zone."""
    present = series[series.notna()].to_numpy().astype("datetime64[us]").astype(np.int64)
    return resolution_of((present + zone_shift(column)).astype("datetime64[us]"))


def to_plain(series: pd.Series, column: ColumnSchema, unit: int = 1) -> np.ndarray:
    """float64 (N,) with NaN for numbers and for dates (in units of `unit` microseconds), else objects with None."""
    if column.kind == "datetime":
        missing = series.isna().to_numpy(bool)
        moments = series.to_numpy().astype("datetime64[us]").astype(np.int64)
        steps = np.where(missing, 0, moments + zone_shift(column)) // unit
        return np.asarray(np.where(missing, np.nan, steps.astype(np.float64)))
    if column.kind in NUMERIC:
        return np.asarray(series.to_numpy(np.float64, na_value=np.nan))
    if column.kind == "boolean":
        held = np.array(["false", "true", None], object)
        codes = np.where(series.isna().to_numpy(bool), 2, series.fillna(False).to_numpy(bool).astype(np.int64))
        return np.asarray(held[codes])
    values = series.to_numpy(object)
    missing = series.isna().to_numpy(bool)
    if missing.any():
        values = values.copy()
        values[missing] = None
    return np.asarray(values)


def from_plain(values: np.ndarray, column: ColumnSchema, unit: int = 1) -> pd.Series:
    """The inverse of `to_plain`, in the normal form of the column's kind."""
    import pandas as pd

    if column.kind in NUMERIC:
        missing = np.isnan(values)
        if column.kind == "number":
            return pd.Series(values)
        whole = np.rint(np.where(missing, 0.0, values)).astype(np.int64)
        if column.kind == "integer":
            return pd.Series(pd.arrays.IntegerArray(whole, missing))
        moments = (whole * unit - zone_shift(column)).astype("datetime64[us]")
        moments[missing] = np.datetime64("NaT")
        return pd.Series(moments)
    missing = np.fromiter((value is None for value in values), bool, len(values))
    if column.kind == "boolean":
        return pd.Series(pd.arrays.BooleanArray(values == "true", missing))
    return pd.Series(values, dtype=object)


def pack_texts(texts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Objects as (uint8 of their UTF-8 one after the other, int64 ends)."""
    packed = [str(text).encode("utf-8", "surrogatepass") for text in texts.tolist()]
    ends = np.cumsum([len(text) for text in packed], dtype=np.int64)
    return np.frombuffer(b"".join(packed), np.uint8).copy(), ends


def unpack_texts(blob: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """What `pack_texts` was given. Raises ValueError for what it does not make."""
    if len(ends) and (ends[0] < 0 or (np.diff(ends) < 0).any() or ends[-1] != len(blob)):
        raise ValueError("texts of no valid lengths")
    whole, starts = blob.astype(np.uint8).tobytes(), np.append(0, ends[:-1])
    texts: np.ndarray = np.empty(len(ends), object)
    texts[:] = [
        whole[a:b].decode("utf-8", "surrogatepass") for a, b in zip(starts.tolist(), ends.tolist(), strict=True)
    ]
    return texts


def constant_of(series: pd.Series) -> Any:
    """The one value of a constant column, None when all are missing."""
    present = series[series.notna()]
    return str(present.iloc[0]) if len(present) else None
