"""Rows as bytes: pieces of a file that can be made one by one."""

from __future__ import annotations

import gzip
import io
from collections.abc import Mapping
from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Protocol

from synthgen.errors import UsageError
from synthgen.generation.plans import ItemPlan

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from synthgen.data.tables.schema import TableSchema
    from synthgen.generation.tables.plan import TablePlan

PIECE = 8192
"""Rows that are written at once, about: what a kill can cost."""
_MOST_PIECES = 4096
"""Beyond that pieces are longer."""


def check_writable(format_: str) -> None:
    """Raises UsageError where a package that writes the format is missing."""
    if format_ == "parquet" and find_spec("pyarrow") is None:
        raise UsageError("Parquet needs the package pyarrow", 'pip install "synthgen[parquet]", or give --out FILE.csv')


def piece_rows(plan: TablePlan, rows: int) -> int:
    """Rows of a piece of a file of `rows` rows: whole blocks."""
    block = plan.recipe.block_size
    size = max(block, PIECE // block * block)
    while size * _MOST_PIECES < rows:
        size *= 2
    return size


def schema_of(plan: ItemPlan, schema: TableSchema) -> TableSchema:
    """The schema with the separator that the plan's format asks for; CSV keeps the input's, unless that is a tab."""
    separator = {"tsv": "\t", "csv": ","}.get(plan.format)
    own = schema.format.get("separator") if schema.format.get("kind") == "text" else None
    if separator is None or (plan.format == "csv" and own != "\t"):
        return schema
    return replace(schema, format={**schema.format, "kind": "text", "separator": separator})


class Encoder(Protocol):
    """Rows to the bytes of a piece."""

    def __call__(self, frame: pd.DataFrame, start: int, *, first: bool) -> bytes:
        """frame: rows start, start + 1, ... in their normal form; first: they open a file."""


class RowEncoder:
    """Rows as the training data were written."""

    def __init__(self, plan: ItemPlan, schema: TableSchema) -> None:
        check_writable(plan.format)
        self.plan, self.schema = plan, schema_of(plan, schema)

    def __call__(
        self, frame: pd.DataFrame, start: int, *, first: bool, kept: Mapping[str, np.ndarray] | None = None
    ) -> bytes:
        """kept: by column, texts that known cells have in the file that is completed."""
        if self.plan.format == "parquet":
            return parquet_bytes(frame, self.schema)
        from synthgen.data.tables.writing import format_rows

        text = format_rows(frame, self.schema, header=first, escape_formulas=self.plan.escape, kept=kept)
        data = text.encode()
        # The date is left out, so that the same rows give the same bytes.
        return gzip.compress(data, 6, mtime=0) if self.plan.packed else data


def parquet_bytes(frame: pd.DataFrame, schema: TableSchema) -> bytes:
    """A Parquet file with one row group."""
    import pyarrow.parquet as pq

    from synthgen.data.tables.writing import to_arrow

    buffer = io.BytesIO()
    pq.write_table(to_arrow(frame, schema), buffer)
    return buffer.getvalue()
