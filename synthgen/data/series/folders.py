"""A folder with a file for each sequence: put together as one table, with the file's name as the id."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from synthgen.config.series import SeriesDataConfig
from synthgen.config.tables import TableDataConfig
from synthgen.data.series.sources import SUFFIXES, is_made, sequence_files
from synthgen.data.tables.raw import Column, RawTable, TextColumn, TypedColumn
from synthgen.data.tables.reading import open_table
from synthgen.errors import StoppedError, UsageError
from synthgen.reporting import NullReporter, Reporter
from synthgen.stopping import ShouldStop

FILE, CLASS = "file", "class"
"""The columns that a folder adds: the name of the file, and that of its folder."""


@dataclass(frozen=True)
class _FolderTable(RawTable):
    """Rows of several files; their places name the file."""

    files: tuple[str, ...] = ()
    begins: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))

    def place(self, row: int) -> str:
        number = int(np.searchsorted(self.begins, row, side="right")) - 1
        inside = (
            f"line {int(self.lines[row]):,}" if self.lines is not None else f"row {row - int(self.begins[number]):,}"
        )
        return f"{self.files[number]}, {inside}"

    def only(self, names: Sequence[str]) -> _FolderTable:
        by_name = {column.name: column for column in self.columns}
        columns = tuple(by_name[name] for name in names)
        return _FolderTable(self.name, columns, self.count, self.format, self.lines, self.files, self.begins)


def folder_table(
    path: Path, config: SeriesDataConfig, reporter: Reporter, should_stop: ShouldStop
) -> tuple[RawTable, dict[str, Any]]:
    """(all rows of all files, settings that say which columns the folder added). Raises UsageError naming the file."""
    files = sequence_files(path)
    reading = TableDataConfig(columns={}, missing=config.missing, separator=config.separator)
    tables = []
    with reporter.progress(f"reading {path.name}", len(files), "files") as progress:
        for number, file in enumerate(files):
            if should_stop():
                raise StoppedError(f"stopped while reading {path}")
            tables.append(open_table(file, reading, "all", NullReporter(), should_stop)[0])
            progress.update(number + 1)
    names = [column.name for column in tables[0].columns]
    for table in tables[1:]:
        own = [column.name for column in table.columns]
        if sorted(own) != sorted(names):
            odd = sorted(set(own) ^ set(names))[0]
            raise UsageError(
                f"{table.name}: its columns are not those of {tables[0].name}: '{odd}' is in one of them only"
            )
    counts = np.array([table.count for table in tables])
    columns: list[Column] = [_joined([_named(table, name) for table in tables], path) for name in names]
    nested = any(file.parent != path for file in files)
    labels = [file.parent.name for file in files]
    stems = _stems([file.relative_to(path).as_posix() for file in files])
    settings: dict[str, Any] = {}
    made = is_made(path)  # shards, which hold many sequences each
    if not made and config.id is None and FILE not in names:
        columns.insert(0, _repeated(FILE, stems, counts))
        settings["id"] = FILE
    if not made and nested and config.label is None and CLASS not in names:
        columns.insert(0, _repeated(CLASS, labels, counts))
        settings["label"] = CLASS
    lines = [table.lines for table in tables]
    known = [one for one in lines if one is not None]
    begins = np.cumsum(counts) - counts
    joined = np.concatenate(known) if len(known) == len(lines) else None
    form = {key: value for key, value in tables[0].format.items() if key != "header"}
    return _FolderTable(
        str(path), tuple(columns), int(counts.sum()), form, joined, tuple(table.name for table in tables), begins
    ), settings


def _stems(names: Sequence[str]) -> list[str]:
    """The names without what says how they are written; as they are where two would be the same."""
    stems = [name[: -len(_ending(name))] for name in names]
    return stems if len(set(stems)) == len(stems) else list(names)


def _ending(name: str) -> str:
    return max((suffix for suffix in SUFFIXES if name.lower().endswith(suffix)), key=len)


def _named(table: RawTable, name: str) -> Column:
    return next(column for column in table.columns if column.name == name)


def _repeated(name: str, texts: Sequence[str], counts: np.ndarray) -> TextColumn:
    distinct, codes = np.unique(np.array(texts, object), return_inverse=True)
    return TextColumn(name, np.repeat(codes, counts).astype(np.int32), distinct)


def _joined(columns: Sequence[Column], path: Path) -> Column:
    """One column of several. Raises UsageError where they are of different types."""
    first = columns[0]
    if isinstance(first, TextColumn) and all(isinstance(column, TextColumn) for column in columns):
        return _joined_texts([column for column in columns if isinstance(column, TextColumn)])
    typed = [column for column in columns if isinstance(column, TypedColumn)]
    kinds = {column.values.dtype.kind for column in typed}
    if len(typed) < len(columns) or not (len(kinds) == 1 or kinds <= {"i", "f"}):
        raise UsageError(f"{path}: the column '{first.name}' has another type in some of the files")
    values, missing = np.concatenate([c.values for c in typed]), np.concatenate([c.missing for c in typed])
    widest = next((column for column in typed if column.values.dtype == values.dtype), typed[0])
    return TypedColumn(first.name, values, missing, widest.dtype, typed[0].zone, typed[0].extra)


def _joined_texts(columns: Sequence[TextColumn]) -> TextColumn:
    import pandas as pd

    texts = np.concatenate([np.asarray(column.texts, object) for column in columns])
    merged, distinct = pd.factorize(texts)
    ends = np.cumsum([0] + [len(column.texts) for column in columns])
    codes = [np.append(merged[ends[place] : ends[place + 1]], -1)[column.codes] for place, column in enumerate(columns)]
    first = columns[0]
    whole = np.concatenate(codes).astype(np.int32)
    return TextColumn(first.name, whole, distinct, first.quoted, first.dtype, first.extra)
