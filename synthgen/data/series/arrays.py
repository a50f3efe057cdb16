"""Series in npz files and in memory: (N, L, C) with classes and lengths, the ends of short ones padded with NaN."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from synthgen.data.npz import array_heads, read_arrays, read_single
from synthgen.data.series.sequences import Steps
from synthgen.data.series.sources import main_array
from synthgen.data.tables.schema import ColumnSchema, TableSchema
from synthgen.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd

LABEL = "label"
_LABELS = ("y", "labels", "Y", "label")
_LENGTHS = ("len", "lengths", "length")
_NAMES = ("channel_names", "channels", "feature_names")


@dataclass(frozen=True)
class ArrayPart:
    """Values (N, L, C) of one part of a file, real or whole numbers; labels (N,) and lengths (N,) where it has them."""

    values: np.ndarray
    labels: np.ndarray | None
    lengths: np.ndarray | None
    official: int = 0


def read_array_parts(path: Path) -> tuple[list[ArrayPart], tuple[str, ...]]:
    """(the parts of an npz file, names of its channels or ()). Raises UsageError naming the array that is wrong.

    An npy file is one array of values.
    """
    if path.name.lower().endswith(".npy"):
        return [ArrayPart(np.asarray(read_single(path)), None, None)], ()
    heads = array_heads(path)
    if "X_train" in heads:
        wanted = [("X_train", "_train", 1)] + ([("X_test", "_test", 3)] if "X_test" in heads else [])
    else:
        main = main_array(list(heads))
        if main is None:
            raise UsageError(
                f"{path} holds no series: its arrays are {', '.join(heads) or 'none'}",
                "name the array of values (N, L, C) X, or X_train and X_test; classes y, lengths len",
            )
        wanted = [(main, "_test" if main == "X_test" else "", 0)]
    parts = []
    for name, suffix, official in wanted:
        labels = _first(heads, _LABELS, suffix)
        lengths = _first(heads, _LENGTHS, suffix)
        found = read_arrays(path, [one for one in (name, labels, lengths) if one is not None])
        parts.append(
            ArrayPart(found[name], found[labels] if labels else None, found[lengths] if lengths else None, official)
        )
    names: tuple[str, ...] = ()
    called = next((name for name in _NAMES if name in heads), None)
    if called is not None and heads[called][1].kind == "U" and len(heads[called][0]) == 1:
        names = tuple(read_arrays(path, [called])[called].tolist())
    return parts, names


def _first(heads: dict[str, Any], names: Sequence[str], suffix: str) -> str | None:
    return next((name + suffix for name in names if name + suffix in heads), None)


def array_steps(
    parts: Sequence[ArrayPart], name: str, channel_names: Sequence[str] = ()
) -> tuple[Steps, TableSchema, tuple[str, ...]]:
    """(steps of all sequences, the columns, the names of the channels). Raises UsageError for what is no series."""
    import pandas as pd

    values = [_checked(part.values, name) for part in parts]
    count = values[0].shape[2]
    for one in values[1:]:
        if one.shape[2] != count:
            raise UsageError(f"{name}: the parts have {count} and {one.shape[2]} channels")
    names = tuple(channel_names) if len(set(channel_names)) == count else ()
    names = names or tuple(f"channel_{place + 1}" for place in range(count))
    lengths = [_lengths(one, part.lengths, name) for one, part in zip(values, parts, strict=True)]
    kept = [np.arange(one.shape[1])[None] < own[:, None] for one, own in zip(values, lengths, strict=True)]
    frame: dict[str, pd.Series] = {}
    columns = []
    for place, channel in enumerate(names):
        flat = np.concatenate([one[..., place][mask] for one, mask in zip(values, kept, strict=True)])
        series, column = _column(channel, flat, name)
        frame[channel] = series
        columns.append(column)
    total = np.concatenate(lengths)
    if parts[0].labels is not None:
        if LABEL in names:
            raise UsageError(
                f"{name}: a channel is called '{LABEL}', as the classes are", "give the channel another name"
            )
        labels = [_labels(part.labels, len(one), name) for part, one in zip(parts, values, strict=True)]
        series, column = _label_column(np.concatenate(labels).repeat(total))
        frame[LABEL] = series
        columns.append(column)
    official = np.concatenate(
        [np.full(len(one), part.official, np.int8) for one, part in zip(values, parts, strict=True)]
    )
    offsets = np.concatenate([[0], np.cumsum(total)]).astype(np.int64)
    steps = Steps(pd.DataFrame(frame), offsets, np.arange(len(total)), official)
    return steps, TableSchema(tuple(columns), {"kind": "array"}), names


def _checked(values: np.ndarray, name: str) -> np.ndarray:
    if values.dtype.kind not in "fiub":
        raise UsageError(f"{name} holds values of type {values.dtype}: series are numbers")
    if values.ndim == 2:
        values = values[..., None]
    if values.ndim != 3 or 0 in values.shape:
        raise UsageError(f"{name} has the shape {values.shape}: series are (N, L, C), sequences x steps x channels")
    return values


def _lengths(values: np.ndarray, given: np.ndarray | None, name: str) -> np.ndarray:
    """Steps of each sequence, int64 (N,): as given, else without the steps at the end in which all is NaN."""
    count, steps, _ = values.shape
    if given is not None:
        own = np.asarray(given).reshape(-1)
        if len(own) != count or own.dtype.kind not in "iu" or (own < 1).any() or (own > steps).any():
            raise UsageError(f"{name}: lengths must be {count:,} whole numbers from 1 to {steps:,}")
        return own.astype(np.int64)
    if values.dtype.kind != "f":
        return np.full(count, steps, np.int64)
    there = ~np.isnan(values).all(2)
    found: np.ndarray = np.where(there.any(1), steps - np.argmax(there[:, ::-1], 1), 0)
    if (found == 0).any():
        raise UsageError(f"{name}: the sequence {int(np.argmax(found == 0)):,} holds no value at all")
    return found.astype(np.int64)


def _labels(values: np.ndarray | None, count: int, name: str) -> np.ndarray:
    if values is None:
        raise UsageError(f"{name} has classes for one of its parts only")
    flat = values[:, 0] if values.ndim == 2 and values.shape[1] == 1 else values
    if flat.dtype.kind == "f" and np.isfinite(flat).all() and (flat % 1 == 0).all() and (np.abs(flat) < 2**53).all():
        flat = flat.astype(np.int64)  # as archives of text files have them: 1.0, 2.0
    if flat.shape != (count,) or flat.dtype.kind not in "iuUSb":
        raise UsageError(
            f"{name}: classes must be {count:,} whole numbers or texts, not {values.dtype} of shape {values.shape}"
        )
    return np.char.decode(flat, "utf-8", "replace") if flat.dtype.kind == "S" else flat


def _column(channel: str, flat: np.ndarray, name: str) -> tuple[pd.Series, ColumnSchema]:
    import pandas as pd

    form = {"dtype": str(flat.dtype.newbyteorder("="))}
    if flat.dtype.kind == "b":
        return pd.Series(flat).astype("boolean"), ColumnSchema(channel, "boolean", form)
    if flat.dtype.kind in "iu":
        if flat.dtype == np.uint64 and len(flat) and flat.max() >= 2**63:
            raise UsageError(f"{name}: {flat.max()} is more than 64 bits with a sign can hold")
        return pd.Series(flat.astype(np.int64)).astype("Int64"), ColumnSchema(channel, "integer", form)
    if np.isinf(flat).any():
        raise UsageError(
            f"{name}, channel '{channel}': {flat[np.isinf(flat)][0]}; only finite numbers and NaN can be learned"
        )
    return pd.Series(flat.astype(np.float64)), ColumnSchema(channel, "number", form)


def _label_column(flat: np.ndarray) -> tuple[pd.Series, ColumnSchema]:
    import pandas as pd

    if flat.dtype.kind == "U":
        return pd.Series(flat.astype(object), dtype=object), ColumnSchema(LABEL, "category", {})
    whole = flat.astype(np.int64)
    return pd.Series(whole).astype("Int64"), ColumnSchema(LABEL, "integer", {"dtype": "int64"})
