"""Windows as plain arrays: what evaluation, downstream tasks and explanations compute on."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from synthgen.config.series import window_for
from synthgen.data.series.levels import levels_of, to_codes
from synthgen.data.series.schema import SeriesData
from synthgen.data.tables.schema import ColumnSchema
from synthgen.errors import UsageError

MOST_WINDOWS = 1_000_000
"""Windows at most unless a stride is given."""


@dataclass(frozen=True)
class WindowSet:
    """N windows of L steps and C channels.

    values: float64 (N, L, C) in the input's units, NaN where missing and beyond the length; categories and booleans as
    codes, places in `levels_of` their column. lengths: int64 (N,). labels: int64 (N,), places in class_names, or None.
    channels: names; kinds: of ColumnSchema. sequence: int64 (N,), start: int64 (N,), its step within its recording.
    """

    values: np.ndarray
    lengths: np.ndarray
    labels: np.ndarray | None
    class_names: tuple[str, ...]
    channels: tuple[str, ...]
    kinds: tuple[str, ...]
    sequence: np.ndarray
    start: np.ndarray
    name: str
    fingerprint: str
    split: str

    def __len__(self) -> int:
        return len(self.values)

    def select(self, index: np.ndarray) -> WindowSet:
        """The windows in `index` (positions or bool), with a fingerprint of their own."""
        whole = np.arange(len(self))[index]
        digest = hashlib.sha256(f"{self.fingerprint}:{whole.tolist()}".encode()).hexdigest()
        return replace(
            self,
            values=self.values[whole],
            lengths=self.lengths[whole],
            labels=None if self.labels is None else self.labels[whole],
            sequence=self.sequence[whole],
            start=self.start[whole],
            fingerprint=digest,
        )


def windows_of(
    data: SeriesData, window: int | None, stride: int | None = None, *, classes: Sequence[str] | None = None
) -> WindowSet:
    """The windows of `data`: every `stride` steps (None: as `data.stride`), none across the end of a sequence.

    window: steps; None: as `window_for` has it. A sequence that is shorter gives one short window.
    classes: names of the classes in the order of the codes wanted; None: those of the schema.
    """
    window = window_for(window, int(data.lengths.max(initial=1)), len(data))
    begins, lengths, sequence = window_starts(data.offsets, data.recording, window, stride)
    table = channel_values(data)
    values = np.full((len(begins), window, table.shape[1]), np.nan)
    rows = begins[:, None] + np.arange(window)
    inside = np.arange(window) < lengths[:, None]
    values[inside] = table[rows[inside]]
    labels, names = None, tuple(classes or ())
    if data.schema.label is not None and data.schema.label in data.frame:
        column = data.schema.table[data.schema.label]
        names = tuple(classes) if classes is not None else levels_of(column)
        codes = to_codes(data.frame[column.name].iloc[begins], names)
        if (codes < 0).any():
            raise UsageError(
                f"{data.name}: the column '{column.name}' holds a class that is not one of {', '.join(names[:10])}"
            )
        labels = codes
    first = recording_starts(data)
    return WindowSet(
        values=values,
        lengths=lengths,
        labels=labels,
        class_names=names if labels is not None else (),
        channels=data.schema.channels,
        kinds=tuple(data.schema.table[name].kind for name in data.schema.channels),
        sequence=sequence,
        start=begins - first[sequence],
        name=data.name,
        fingerprint=hashlib.sha256(f"{data.fingerprint}:{window}:{stride}".encode()).hexdigest(),
        split=data.split,
    )


def recording_starts(data: SeriesData) -> np.ndarray:
    """int64 (S,): the row at which the recording of each sequence begins."""
    _, first, owner = np.unique(data.recording, return_index=True, return_inverse=True)
    found: np.ndarray = data.offsets[:-1][first[owner]]
    return found


def stride_for(lengths: np.ndarray, window: int, stride: int | None) -> int:
    """The stride in use: 1, or as many steps as leave a million windows."""
    if stride is not None:
        return stride
    steps = int(np.maximum(lengths - window, 0).sum())
    return max(1, -(-steps // MOST_WINDOWS))


def window_starts(
    offsets: np.ndarray, recording: np.ndarray, window: int, stride: int | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(first row, length, sequence) of each window, int64 (N,).

    Pieces of a recording that are shorter than the window, because a gap cut them off, give no window, unless all are.
    """
    lengths = np.diff(offsets)
    stride = stride_for(lengths, window, stride)
    counts = np.maximum(lengths - window, 0) // stride + 1
    _, owner, pieces = np.unique(recording, return_inverse=True, return_counts=True)
    short = (lengths < window) & (pieces[owner] > 1)
    counts = np.where((lengths < 1) | (short & ~short.all()), 0, counts)
    sequence = np.repeat(np.arange(len(lengths)), counts)
    within = np.arange(len(sequence)) - np.repeat(np.cumsum(counts) - counts, counts)
    begins = offsets[:-1][sequence] + within * stride
    return begins.astype(np.int64), np.minimum(lengths[sequence], window).astype(np.int64), sequence


def channel_values(data: SeriesData) -> np.ndarray:
    """float64 (T, C): the channels of all steps, NaN where missing, categories and booleans as codes."""
    columns = [column_values(data, data.schema.table[name]) for name in data.schema.channels]
    return np.stack(columns, axis=1) if columns else np.empty((data.steps, 0))


def column_values(data: SeriesData, column: ColumnSchema) -> np.ndarray:
    """float64 (T,): one column of all steps as `channel_values` has it."""
    return numbers_of(data.frame[column.name], column)


def numbers_of(values: object, column: ColumnSchema) -> np.ndarray:
    """float64 (T,) of a column in its normal form."""
    import pandas as pd

    assert isinstance(values, pd.Series)
    if column.kind in ("number", "integer"):
        found: np.ndarray = values.to_numpy(np.float64, na_value=np.nan)
        return found
    if column.kind == "constant":
        return np.where(values.isna().to_numpy(bool), np.nan, constant_number(column, values))
    codes = to_codes(values, levels_of(column)).astype(np.float64)
    codes[codes < 0] = np.nan
    return codes


def constant_number(column: ColumnSchema, values: object) -> float:
    """A constant as a number; 0, its only code, where it is a text."""
    import pandas as pd

    assert isinstance(values, pd.Series)
    present = values.dropna()
    try:
        return float(present.iloc[0]) if len(present) else np.nan
    except ValueError:
        return 0.0
