"""Rows as bytes: pieces of a file that can be made one by one, and the file that they make together."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import IO, TYPE_CHECKING, Protocol

from synthgen.errors import UsageError
from synthgen.outputs import sync_folder

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from synthgen.data.tables.schema import TableSchema
    from synthgen.generation.tables.plan import TablePlan

PIECE = 8192
"""Rows that are written at once, about: what a kill can cost."""
_MOST_PIECES = 4096
"""Beyond that pieces are longer."""
_COPY_BYTES = 4 * 2**20


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


def schema_of(plan: TablePlan, schema: TableSchema) -> TableSchema:
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

    def __init__(self, plan: TablePlan, schema: TableSchema) -> None:
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


def join_pieces(pieces: Iterable[Path], target: Path, format_: str) -> tuple[str, int]:
    """One file of pieces, in their order, flushed to disk. Returns its sha256 and size. Memory: one piece."""
    target.unlink(missing_ok=True)
    if format_ == "parquet":
        _join_parquet(pieces, target)
    else:
        with target.open("xb") as out:
            for piece in pieces:
                with piece.open("rb") as file:
                    _copy(file, out)
    with target.open("rb+") as file:
        os.fsync(file.fileno())
        digest, size = hashlib.sha256(), 0
        while data := file.read(_COPY_BYTES):
            digest.update(data)
            size += len(data)
    sync_folder(target.parent)
    return digest.hexdigest(), size


def _join_parquet(pieces: Iterable[Path], target: Path) -> None:
    import pyarrow.parquet as pq

    writer = None
    try:
        for piece in pieces:
            table = pq.read_table(piece)
            writer = writer or pq.ParquetWriter(target, table.schema)
            writer.write_table(table)
    finally:
        if writer is not None:
            writer.close()


def _copy(source: IO[bytes], out: IO[bytes]) -> None:
    while data := source.read(_COPY_BYTES):
        out.write(data)


def join_frames(frames: list[pd.DataFrame]) -> pd.DataFrame:
    """One frame with the rows of several."""
    import pandas as pd

    return frames[0] if len(frames) == 1 else pd.concat(frames, ignore_index=True)
