"""Rows as arrays: numbers as float64, categories as codes that mean the same in every table of a comparison."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from synthgen.data.tables.schema import NUMERIC, ColumnSchema, TableData, TableSchema
from synthgen.evaluation.tables.measure import TableParts
from synthgen.evaluation.tables.space import numbers, texts


@dataclass(frozen=True)
class Cells:
    """The modelled columns of a table in the order of its schema.

    numbers: by name, float64 (N,) with NaN; dates as microseconds. codes: by name, int64 (N,), -1 for missing values.
    """

    names: tuple[str, ...]
    numbers: dict[str, np.ndarray]
    codes: dict[str, np.ndarray]
    count: int

    def __len__(self) -> int:
        return self.count

    def select(self, index: np.ndarray) -> Cells:
        """The rows in `index`."""
        return Cells(
            self.names,
            {name: values[index] for name, values in self.numbers.items()},
            {name: values[index] for name, values in self.codes.items()},
            len(index),
        )

    def resample(self, count: int, random: np.random.Generator) -> Cells:
        """`count` rows drawn with replacement."""
        return self.select(random.integers(0, self.count, count))

    def subset(self, most: int, random: np.random.Generator) -> Cells:
        """At most that many of the rows, drawn without replacement."""
        return self if self.count <= most else self.select(random.permutation(self.count)[:most])

    def missing(self, name: str) -> np.ndarray:
        """bool (N,)."""
        return np.isnan(self.numbers[name]) if name in self.numbers else self.codes[name] < 0


class Coder:
    """Turns tables of one schema into cells. levels: by name, the categories in the order of their codes."""

    def __init__(self, schema: TableSchema) -> None:
        self.columns: tuple[ColumnSchema, ...] = schema.modelled
        self._known: dict[str, dict[str, int]] = {one.name: {} for one in self.columns if one.kind not in NUMERIC}

    def encode(self, data: TableData) -> Cells:
        """The rows in their order; categories that no table before had get the next codes."""
        found: dict[str, np.ndarray] = {}
        codes: dict[str, np.ndarray] = {}
        for column in self.columns:
            values = data.frame[column.name]
            if column.kind in NUMERIC:
                found[column.name] = numbers(values, column)
            else:
                codes[column.name] = _codes(texts(values), self._known[column.name])
        return Cells(tuple(one.name for one in self.columns), found, codes, len(data))

    def levels(self, name: str) -> list[str]:
        """The categories of a column seen so far."""
        return list(self._known[name])


def _codes(values: np.ndarray, known: dict[str, int]) -> np.ndarray:
    import pandas as pd

    places, uniques = pd.factorize(values)
    mapped = np.array([known.setdefault(one, len(known)) for one in uniques] or [0], np.int64)
    return np.where(places < 0, -1, mapped[places])


def coder(parts: TableParts) -> Coder:
    """The one coder of a comparison; the categories of the real table come first."""

    def make() -> Coder:
        found = Coder(parts.real.schema)
        found.encode(parts.real)
        return found

    return parts.keep("coder", make)


def cells(parts: TableParts, data: TableData) -> Cells:
    """The cells of a table that takes part, made once."""
    return parts.keep(f"cells {data.fingerprint}", lambda: coder(parts).encode(data))
