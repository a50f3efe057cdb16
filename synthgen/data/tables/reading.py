"""Tables from files and DataFrames: what `load_images` is for pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from synthgen.config.tables import TableDataConfig
from synthgen.data.tables.columns import to_series
from synthgen.data.tables.frames import from_pandas, read_parquet_table
from synthgen.data.tables.inference import infer
from synthgen.data.tables.known import KNOWN_TABLES
from synthgen.data.tables.raw import RawTable, TextColumn
from synthgen.data.tables.schema import TableData, TableSchema
from synthgen.data.tables.sources import PARQUET_SUFFIXES, SUFFIXES, table_in
from synthgen.data.tables.text import read_text
from synthgen.errors import StoppedError, UsageError, nearest
from synthgen.reporting import NullReporter, Reporter
from synthgen.stopping import ShouldStop, never_stop

if TYPE_CHECKING:
    import pandas as pd

SPLITS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}
"""What a column called `split` may hold, and which part it means."""


def read_table(
    source: str | Path,
    config: TableDataConfig | None = None,
    *,
    schema: TableSchema | None = None,
    split: str = "all",
    reporter: Reporter | None = None,
    should_stop: ShouldStop = never_stop,
) -> TableData:
    """Read a table: CSV, TSV (plain or .gz), Parquet, a folder that holds one of them, or a name (`adult`).

    config: how to read it; by default everything is inferred. schema: the columns to read and their kinds, instead of
    inferring them: synthetic or test rows in the terms of the real table; further columns are left out.
    split: `train`, `val`, `test` or `all` rows. They are told apart by a column called `split`, which is never learned;
    without one, all rows are training rows and there are no others.
    Raises UsageError naming the line and column of what cannot be read or learned; StoppedError.
    """
    config, reporter = config or TableDataConfig(), reporter or NullReporter()
    raw, split = open_table(source, config, split, reporter, should_stop)
    return from_raw(raw, config, schema, split, reporter, should_stop, licence=licence_of(source))


def table_from_frame(
    frame: pd.DataFrame,
    config: TableDataConfig | None = None,
    *,
    name: str = "DataFrame",
    schema: TableSchema | None = None,
) -> TableData:
    """The table in a DataFrame; its index is left out. Arguments and errors as for `read_table`, rows from 0."""
    config = config or TableDataConfig()
    return from_raw(from_pandas(name, frame), config, schema, "all", NullReporter(), never_stop)


def open_table(
    source: str | Path, config: TableDataConfig, split: str, reporter: Reporter, should_stop: ShouldStop
) -> tuple[RawTable, str]:
    """The table as it came, all its rows; and the part of it that `split` means, `all` for a file that is that part."""
    if split not in ("all", "train", "val", "test"):
        raise UsageError(f"there is no split '{split}'", "Choose train, val, test or all.")
    path = Path(str(source)).expanduser()
    if str(source) in KNOWN_TABLES and not path.exists():
        known = KNOWN_TABLES[str(source)]
        if split not in ("all", *known.files):
            raise UsageError(f"the table {known.name} has no split {split}", f"It has {' and '.join(known.files)}.")
        path, split = known.path(split), "all"
    if path.is_dir():
        inside = table_in(path)
        if inside is None:
            raise UsageError(f"{path} is a folder, and does not hold exactly one table", "Name the file.")
        path = inside
    if not path.is_file():
        beside = [child.name for child in path.parent.iterdir()] if path.parent.is_dir() else []
        raise UsageError(f"there is no table '{source}'{nearest(path.name, tuple(beside))}")
    if path.name.lower().endswith(PARQUET_SUFFIXES):
        return read_parquet_table(path, should_stop), split
    if not path.name.lower().endswith((*SUFFIXES, ".txt", ".data", ".dat")):
        raise UsageError(f"{path} is not a table", f"Understood are {', '.join(SUFFIXES)}.")
    return read_text(path, config.separator, reporter, should_stop), split


def from_raw(
    raw: RawTable,
    config: TableDataConfig,
    schema: TableSchema | None,
    split: str,
    reporter: Reporter,
    should_stop: ShouldStop,
    licence: str = "",
) -> TableData:
    """Choose columns and rows, and bring every column to the normal form of its kind."""
    raw, rows = choose_rows(raw, split, config, reporter)
    if schema is None:
        inferred = infer(raw, config)
        for column, remark in inferred.remarks.items():
            reporter.warn(f"column '{column}': {remark}")
        inferred.check(raw.name)
        schema = inferred.schema
    return convert(raw, config, schema, rows, split, should_stop, licence)


def convert(
    raw: RawTable,
    config: TableDataConfig,
    schema: TableSchema,
    rows: np.ndarray | None,
    split: str,
    should_stop: ShouldStop,
    licence: str = "",
) -> TableData:
    """The columns of `schema` in `rows` (None: all) in their normal forms."""
    import pandas as pd

    missing = {*config.missing, *schema.format.get("missing", ())}
    raw = raw.only(_present(raw, schema))
    if rows is not None:
        raw = raw.take(rows)
    columns, series = {column.name: column for column in raw.columns}, {}
    for described in schema.columns:
        if should_stop():
            raise StoppedError(f"stopped while reading {raw.name}")
        series[described.name] = to_series(columns[described.name], described, missing, raw.where)
    return TableData(pd.DataFrame(series), schema, raw.name, split, licence)


def _present(raw: RawTable, schema: TableSchema) -> Sequence[str]:
    """The names of the columns to read. Raises UsageError naming one that the table does not have."""
    names = [column.name for column in raw.columns]
    lacking = [name for name in schema.names if name not in names]
    if lacking:
        others = [name for name in names if name not in schema.names]
        raise UsageError(
            f"{raw.name} has no column '{lacking[0]}'{nearest(lacking[0], others)}"
            + (f", and {len(lacking) - 1} more are missing" if len(lacking) > 1 else ""),
            f"It needs the columns {', '.join(schema.names[:20])}{', ...' if len(schema.names) > 20 else ''}.",
        )
    return schema.names


def split_column(raw: RawTable) -> tuple[str, np.ndarray] | None:
    """(name, part of every row as object (N,)) of the column that tells training from test rows, if there is one."""
    for column in raw.columns:
        if column.name.lower() == "split" and isinstance(column, TextColumn) and (column.codes >= 0).all():
            parts = [SPLITS.get(str(text).strip().lower()) for text in column.texts]
            if all(parts):
                return column.name, np.array([*parts, None], object)[:-1][column.codes]
    return None


def choose_rows(
    raw: RawTable, split: str, config: TableDataConfig, reporter: Reporter
) -> tuple[RawTable, np.ndarray | None]:
    """The table without its column of splits, and the rows that `split` and `limit` ask for (None: all)."""
    found = split_column(raw)
    rows = np.arange(raw.count)
    if found is not None and found[0] not in config.columns:
        name, parts = found
        raw = raw.only([column.name for column in raw.columns if column.name != name])
        if split != "all":
            rows = np.flatnonzero(parts == split)
            counts = ", ".join(f"{part} {int((parts == part).sum()):,}" for part in dict.fromkeys(SPLITS.values()))
            if not len(rows):
                raise UsageError(f"{raw.name}: the column '{name}' marks no row as {split} ({counts})")
            reporter.info(f"{raw.name}: the column '{name}' says which rows are for what ({counts}); reading {split}.")
    elif split in ("val", "test"):
        raise UsageError(
            f"{raw.name} has no split {split}: it has no column called 'split' with the values train and test",
            "Name a file of its own for these rows.",
        )
    if config.limit is not None and config.limit < len(rows):
        places = (np.arange(config.limit) * 2 + 1) * len(rows) // (2 * config.limit)
        rows = rows[places]
    return raw, rows if len(rows) < raw.count else None


def licence_of(source: str | Path) -> str:
    known = KNOWN_TABLES.get(str(source))
    return known.licence if known else ""
