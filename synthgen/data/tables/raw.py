"""A table as it came, before anybody said what its columns mean: texts of a file, or values that have a type."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np


@dataclass(frozen=True)
class TextColumn:
    """Texts, each distinct one held once.

    codes: int32 (N,) into texts, -1 for null. texts: object or numpy's StringDType (K,), distinct str in the order of
    their appearance.
    quoted: whether the file puts this column into quotes throughout. dtype: the column's type outside text files.
    """

    name: str
    codes: np.ndarray
    texts: np.ndarray
    quoted: bool = False
    dtype: str = ""
    extra: dict[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.codes)

    def take(self, index: np.ndarray) -> TextColumn:
        """These rows; texts that none of them holds are left out."""
        codes = self.codes[index]
        used = np.zeros(len(self.texts) + 1, bool)
        used[codes] = True  # -1 marks the place after the last
        renumbered = np.append(np.cumsum(used[:-1]) - 1, -1).astype(np.int32)
        kept = self.texts[used[:-1]]
        return TextColumn(self.name, renumbered[codes], kept, self.quoted, self.dtype, self.extra)


@dataclass(frozen=True)
class TypedColumn:
    """Values with a type of their own.

    values: int64, float64, bool or datetime64[us] (N,), anything where missing. missing: bool (N,). dtype: how Parquet
    or pandas calls the type. zone: of instants; their values are in UTC.
    """

    name: str
    values: np.ndarray
    missing: np.ndarray
    dtype: str
    zone: str | None = None
    extra: dict[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.values)

    def take(self, index: np.ndarray) -> TypedColumn:
        """These rows."""
        return TypedColumn(self.name, self.values[index], self.missing[index], self.dtype, self.zone, self.extra)


Column: TypeAlias = TextColumn | TypedColumn


@dataclass(frozen=True)
class RawTable:
    """All columns. format: how the file is written, JSON values. lines: line of the file of each row, from 1."""

    name: str
    columns: tuple[Column, ...]
    count: int
    format: dict[str, Any] = field(default_factory=dict)
    lines: np.ndarray | None = None

    def where(self, row: int) -> str:
        """Words for the place of row `row` (from 0): the line of a file, or the number of the row."""
        return f"line {int(self.lines[row]):,}" if self.lines is not None else f"row {row:,}"

    def take(self, index: np.ndarray) -> RawTable:
        """These rows."""
        lines = None if self.lines is None else self.lines[index]
        columns = tuple(column.take(index) for column in self.columns)
        return RawTable(self.name, columns, len(index), self.format, lines)

    def only(self, names: Sequence[str]) -> RawTable:
        """The columns of these names, in this order."""
        by_name = {column.name: column for column in self.columns}
        return RawTable(self.name, tuple(by_name[name] for name in names), self.count, self.format, self.lines)
