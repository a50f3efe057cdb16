"""What stands around the values of a made window: its class, its length, its times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from synthgen.data.series.times import advance, as_numbers
from synthgen.data.tables.schema import ColumnSchema
from synthgen.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd
    import torch

    from synthgen.data.series.codec import SeriesCodec


@dataclass(frozen=True)
class Frameworks:
    """Of B windows: what is known before any noise is taken away.

    given: float32 (B, L, D), 0 where unknown; known: bool (B, L, D); valid: bool (B, L), the steps that there are.
    starts: (B,) the times of the first steps, int64 microseconds or float64; 0 without times. lengths, labels: int64
    (B,); labels are 0 without classes.
    """

    given: torch.Tensor
    known: torch.Tensor
    valid: torch.Tensor
    starts: np.ndarray
    lengths: np.ndarray
    labels: np.ndarray


def draw(
    codec: SeriesCodec,
    keys: np.ndarray,
    seed: int,
    labels: np.ndarray | Sequence[int] | int | None,
    start: object | None,
    length: np.ndarray | int | None,
) -> Frameworks:
    """Class, length and start of each window, from those learned from where nothing is asked for.

    labels: codes, one or one per key. start: a time in any form that pandas reads, a number, or an array (B,) as
    `Frameworks.starts`. length: steps, one or one per key. Raises UsageError for what cannot be.
    """
    import torch

    count, window = len(keys), codec.window
    classes = None if labels is None else _labels(codec, labels, count)
    chosen = codec.beginnings.draw(keys, seed, classes)
    classes = codec.beginnings.classes[chosen] if classes is None else classes
    lengths = codec.beginnings.lengths[chosen] if length is None else _lengths(codec, length, count)
    starts = codec.beginnings.starts[chosen] if start is None else parse_start(codec, start, count)
    valid = np.arange(window) < lengths[:, None]
    given = np.zeros((count, window, codec.dimensions), np.float32)
    known = np.zeros((count, window, codec.dimensions), bool)
    for part in codec.parts:
        if part.role == "label":
            given[..., part.start : part.stop] = np.where(classes[:, None] == np.arange(len(codec.classes)), 1.0, -1.0)[
                :, None
            ]
            known[..., part.start : part.stop] = True
    for part, values in codec.calendar(starts, window).items():
        given[..., part.start : part.stop] = values
        known[..., part.start : part.stop] = True
    given[~valid] = 0.0
    return Frameworks(
        torch.from_numpy(given), torch.from_numpy(known), torch.from_numpy(valid), starts, lengths, classes
    )


def _labels(codec: SeriesCodec, labels: np.ndarray | Sequence[int] | int, count: int) -> np.ndarray:
    if not codec.classes:
        raise UsageError("these series have no classes", "data.label names the column with the class when training")
    codes = np.broadcast_to(np.asarray(labels, np.int64), (count,))
    if count and not (codes.min() >= 0 and codes.max() < len(codec.classes)):
        raise UsageError(f"classes are numbered from 0 to {len(codec.classes) - 1}")
    return codes


def _lengths(codec: SeriesCodec, length: np.ndarray | int, count: int) -> np.ndarray:
    lengths = np.broadcast_to(np.asarray(length, np.int64), (count,))
    if count and not (lengths.min() >= 1 and lengths.max() <= codec.window):
        raise UsageError(
            f"a window has from 1 to {codec.window:,} steps, not {int(lengths.max()):,}",
            "longer series are made by going on from window to window",
        )
    return lengths


def parse_start(codec: SeriesCodec, start: object, count: int) -> np.ndarray:
    """(count,) times as `Frameworks.starts` from a date, a number, or an array of them. Raises UsageError."""
    schema = codec.schema
    if schema.time is None:
        raise UsageError("these series have no times to start at", "data.time names the column of times when training")
    if isinstance(start, np.ndarray):
        return np.broadcast_to(as_numbers(start) if start.dtype.kind == "M" else start, (count,))
    if schema.step["kind"] == "datetime":
        import pandas as pd

        try:
            moment = pd.Timestamp(str(start))
            if moment.tzinfo is not None:
                moment = moment.tz_convert("UTC").tz_localize(None)
            value: int | float = int(np.datetime64(moment.to_pydatetime(), "us").astype(np.int64))
        except (ValueError, OverflowError, TypeError) as error:
            raise UsageError(f"'{start}' is no date", "write it as 2024-05-31 or 2024-05-31T14:00") from error
        return np.full(count, value, np.int64)
    try:
        value = float(str(start))
    except ValueError as error:
        raise UsageError(f"'{start}' is no number, and the times in '{schema.time}' are") from error
    if not np.isfinite(value):
        raise UsageError(f"the start must be finite, not {start}")
    return np.full(count, value)


def times_from(
    codec: SeriesCodec, steps: np.ndarray, valid: np.ndarray, starts: np.ndarray, column: ColumnSchema
) -> pd.Series:
    """The times of the valid steps (B, L, D), in the normal form of their column."""
    step = codec.schema.step
    if codec.gap is None:
        times = advance(step, starts[:, None], np.arange(steps.shape[1]))
    else:
        part = next(part for part in codec.parts if part.role == "gap")
        gaps = np.exp(codec.gap.decode(steps[..., part.start].astype(np.float64)))
        least = _unit(column, step)
        gaps = np.maximum(np.rint(gaps / least), 1) * least if least else gaps
        gaps[:, 0] = 0.0
        passed = np.cumsum(gaps, axis=1)
        times = starts[:, None] + (passed.astype(np.int64) if step["kind"] == "datetime" else passed)
    return normal_times(times[valid], column)


def _unit(column: ColumnSchema, step: dict[str, object]) -> float:
    """The smallest difference that the column shows; 0 for real numbers."""
    if step["kind"] == "datetime":
        return float(column.format.get("resolution", 1))
    return 1.0 if step.get("whole") else 0.0


def normal_times(times: np.ndarray, column: ColumnSchema) -> pd.Series:
    """Numbers of `as_numbers` in the normal form of a column of times."""
    import pandas as pd

    if column.kind == "datetime":
        return pd.Series(times.astype(np.int64).astype("datetime64[us]"))
    if column.kind == "integer":
        return pd.Series(np.rint(times).astype(np.int64)).astype("Int64")
    return pd.Series(np.asarray(times, np.float64))
