"""Sequences in a frame as the arrays of an npz file: X (N, L, C) with NaN, lengths, classes, names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from synthgen.data.series.levels import levels_of
from synthgen.data.series.windows import numbers_of
from synthgen.generation.series.contents import LEVELS
from synthgen.generation.series.drawn import Drawn

if TYPE_CHECKING:
    from synthgen.data.series.codec import SeriesCodec
    from synthgen.data.tables.schema import ColumnSchema, TableSchema


class Packing:
    """How the columns of a model's series become arrays. numbered: see `SeriesCodec.table`."""

    def __init__(self, codec: SeriesCodec, *, numbered: bool) -> None:
        self.codec, self.schema = codec, codec.schema
        self.numbered = numbered and codec.schema.id is None

    @property
    def columns(self) -> TableSchema:
        """The columns of a file."""
        return self.codec.table(numbered=self.numbered)

    def values(self, drawn: Drawn, longest: int) -> np.ndarray:
        """float64 (n, longest, C): channels, NaN where missing and beyond the length; codes of categories."""
        if drawn.frame is None:
            return drawn.arrays["X"]
        lengths = np.diff(drawn.rows)
        inside = np.arange(longest) < lengths[:, None]
        found = np.full((len(lengths), longest, len(self.schema.channels)), np.nan)
        for place, name in enumerate(self.schema.channels):
            found[inside, place] = self._numbers(drawn, self.schema.table[name])
        return found

    def _numbers(self, drawn: Drawn, column: ColumnSchema) -> np.ndarray:
        assert drawn.frame is not None
        return numbers_of(drawn.frame[column.name], column)

    def pack(self, drawn: Drawn, longest: int) -> Drawn:
        """The same sequences with their arrays and without their frame."""
        arrays: dict[str, np.ndarray] = {"X": self.values(drawn, longest), "lengths": np.diff(drawn.rows)}
        first = drawn.rows[:-1]
        frame = drawn.frame
        assert frame is not None
        if self.schema.label is not None and self.schema.label in frame:
            arrays["y"] = class_values(frame[self.schema.label].iloc[first].to_list(), self.codec.classes)
        if self.schema.static:
            columns = [self._numbers(drawn, self.schema.table[name])[first] for name in self.schema.static]
            arrays["static"] = np.stack(columns, axis=1)
        if self.schema.time is not None and self.schema.time in frame:
            times = frame[self.schema.time].iloc[first]
            arrays["start"] = times.to_numpy() if times.dtype.kind == "M" else times.to_numpy(np.float64)
        return Drawn(drawn.rows, None, arrays, drawn.each)

    def whole_arrays(self) -> dict[str, np.ndarray]:
        """What there is once: names of channels, classes and covariates, the texts of categories' codes."""
        found: dict[str, np.ndarray] = {"channel_names": np.array(self.schema.channels, str)}
        if self.codec.classes:
            found["class_names"] = np.array(self.codec.classes, str)
        if self.schema.static:
            found["static_names"] = np.array(self.schema.static, str)
        for name in (*self.schema.channels, *self.schema.static):
            column = self.schema.table[name]
            if column.kind in ("category", "boolean"):
                found[f"{LEVELS}{name}"] = np.array(levels_of(column), str)
        return found


def class_values(values: list[object], classes: tuple[str, ...]) -> np.ndarray:
    """Classes as whole numbers where all names are such, else as texts; missing ones are -1 or empty."""
    texts = ["" if value is None or value != value else str(value) for value in values]
    whole = all(name.removeprefix("-").isdecimal() for name in classes)
    if whole:
        return np.array([int(text) if text.removeprefix("-").isdecimal() else -1 for text in texts], np.int64)
    width = max(1, *(len(name) for name in classes))
    return np.array(texts, f"<U{width}")
