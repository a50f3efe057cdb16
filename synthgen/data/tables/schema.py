"""What is known of a table: the kind and the format of every column, and the rows themselves."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from synthgen.errors import SynthgenError

if TYPE_CHECKING:
    import pandas as pd

Kind = Literal["number", "integer", "category", "boolean", "datetime", "identifier", "constant"]
KINDS: tuple[Kind, ...] = ("number", "integer", "category", "boolean", "datetime", "identifier", "constant")
NUMERIC: tuple[Kind, ...] = ("number", "integer", "datetime")
"""Kinds whose values have an order and a distance."""


@dataclass(frozen=True)
class ColumnSchema:
    """One column. In a table's frame its values have one of these forms, missing ones included:

    number: float64 with NaN. integer: Int64 with NA. category, identifier: str objects with None. boolean: boolean
    with NA. datetime: datetime64[us] (naive; UTC when `zone` is set) with NaT. constant: str objects with None, at most
    one distinct value.

    format: what writing it back as it came needs beyond the kind (JSON values only; the room data/tables says what).
    """

    name: str
    kind: Kind
    format: dict[str, Any] = field(default_factory=dict)

    @property
    def modelled(self) -> bool:
        """Whether the model learns it: identifiers are made anew and constants repeated."""
        return self.kind not in ("identifier", "constant")


@dataclass(frozen=True)
class TableSchema:
    """All columns in the order of the input. format: how the file is written (separator, index, ...), JSON values."""

    columns: tuple[ColumnSchema, ...]
    format: dict[str, Any] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    def __getitem__(self, name: str) -> ColumnSchema:
        """The column of that name. Raises KeyError."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)

    @property
    def modelled(self) -> tuple[ColumnSchema, ...]:
        return tuple(column for column in self.columns if column.modelled)

    def to_dict(self) -> dict[str, Any]:
        columns = [{part.name: getattr(column, part.name) for part in fields(column)} for column in self.columns]
        return {"columns": columns, "format": self.format}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> TableSchema:
        """Raises SynthgenError for anything that `to_dict` does not write."""
        try:
            columns = tuple(ColumnSchema(str(c["name"]), c["kind"], dict(c["format"])) for c in values["columns"])
            if any(column.kind not in KINDS for column in columns):
                raise ValueError("an unknown kind of column")
            if len({column.name for column in columns}) != len(columns):
                raise ValueError("a column named twice")
            return cls(columns, dict(values["format"]))
        except (KeyError, TypeError, ValueError) as error:
            raise SynthgenError(f"the description of the columns cannot be read ({error})") from error


@dataclass(frozen=True)
class TableData:
    """A table in memory.

    frame: its rows, a default index, columns as `ColumnSchema` says. name: the file; split: `train`, `test` or `all`.
    fingerprint: sha256 (hex) of names, kinds and values; two equal tables have equal fingerprints.
    """

    frame: pd.DataFrame
    schema: TableSchema
    name: str
    split: str = "all"
    licence: str = ""
    fingerprint: str = ""
    skipped: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.fingerprint:
            from synthgen.data.tables.hashing import fingerprint

            object.__setattr__(self, "fingerprint", fingerprint(self.frame, self.schema))

    def __len__(self) -> int:
        return len(self.frame)

    def select(self, index: np.ndarray) -> TableData:
        """The rows in `index` (positions), with a fingerprint of their own."""
        return replace(self, frame=self.frame.iloc[index].reset_index(drop=True), fingerprint="")
