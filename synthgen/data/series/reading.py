"""Series from files, DataFrames and arrays: what `read_table` is for tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from synthgen.config.series import SeriesDataConfig, window_for
from synthgen.config.tables import TableDataConfig
from synthgen.data.series.arrays import LABEL, ArrayPart, array_steps, read_array_parts
from synthgen.data.series.folders import folder_table
from synthgen.data.series.known import KNOWN_SERIES
from synthgen.data.series.levels import with_levels
from synthgen.data.series.roles import SEQUENCE, Roles, find_roles
from synthgen.data.series.schema import SeriesData, SeriesSchema
from synthgen.data.series.sequences import (
    Steps,
    Where,
    constant_within,
    cut_before,
    in_order,
    on_grid,
    ranges,
)
from synthgen.data.series.sines import sines
from synthgen.data.series.sources import is_made, sequence_files
from synthgen.data.series.splitting import PARTS, split_steps
from synthgen.data.tables.columns import to_series
from synthgen.data.tables.frames import from_pandas
from synthgen.data.tables.inference import infer
from synthgen.data.tables.raw import Column, RawTable
from synthgen.data.tables.reading import SPLITS as SPLIT_WORDS
from synthgen.data.tables.reading import open_table, split_column
from synthgen.data.tables.schema import ColumnSchema, TableSchema
from synthgen.errors import StoppedError, UsageError
from synthgen.reporting import NullReporter, Reporter
from synthgen.stopping import ShouldStop, never_stop

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Whole:
    """All steps of a source, before anything is held out. licence: of a known one. notes: what people should know."""

    steps: Steps
    schema: SeriesSchema
    name: str
    licence: str = ""
    notes: tuple[str, ...] = ()
    dropped: dict[str, str] | None = None


def read_series(
    source: str | Path,
    config: SeriesDataConfig | None = None,
    *,
    schema: SeriesSchema | None = None,
    split: str = "all",
    reporter: Reporter | None = None,
    should_stop: ShouldStop = never_stop,
) -> SeriesData:
    """Read series: a known name, CSV, TSV, Parquet in wide or long form, npz of (N, L, C), or a folder of tables.

    config: how to read it; by default every column's part is found out. schema: the columns and their parts, instead
    of finding them out: synthetic or test series in the terms of the real ones. split: `train` (with the validation
    part as its `held_out`), `validation`, `test`, or `all`; see `synthgen.data.series.splitting`.
    Raises UsageError naming the line and column of what cannot be read or learned; StoppedError.
    """
    config, reporter = config or SeriesDataConfig(), reporter or NullReporter()
    config = configured(source, config)
    return part_of(read_whole(source, config, schema, reporter, should_stop), config, split, reporter)


def series_from_frame(
    frame: pd.DataFrame,
    config: SeriesDataConfig | None = None,
    *,
    name: str = "DataFrame",
    schema: SeriesSchema | None = None,
    split: str = "all",
) -> SeriesData:
    """The series in a DataFrame; its index is left out. Arguments and errors as for `read_series`, rows from 0."""
    config, reporter = config or SeriesDataConfig(), NullReporter()
    whole = from_table(from_pandas(name, frame), config, schema, reporter, never_stop)
    return part_of(whole, config, split, reporter)


def series_from_array(
    values: np.ndarray,
    *,
    labels: Sequence[object] | np.ndarray | None = None,
    lengths: np.ndarray | None = None,
    config: SeriesDataConfig | None = None,
    name: str = "array",
    schema: SeriesSchema | None = None,
    split: str = "all",
) -> SeriesData:
    """The series in an array (N, L, C) or (N, L), NaN where a value is missing and beyond the end of a short one."""
    config = config or SeriesDataConfig()
    part = ArrayPart(np.asarray(values), None if labels is None else np.asarray(labels), lengths)
    return part_of(from_arrays([part], config, schema, name), config, split, NullReporter())


def configured(source: str | Path, config: SeriesDataConfig) -> SeriesDataConfig:
    """The settings that a known name brings along, where `config` has defaults."""
    known = KNOWN_SERIES.get(str(source))
    return config if known is None or Path(str(source)).exists() else known.configured(config)


def read_whole(
    source: str | Path,
    config: SeriesDataConfig,
    schema: SeriesSchema | None = None,
    reporter: Reporter | None = None,
    should_stop: ShouldStop = never_stop,
) -> Whole:
    """All steps of a source; see `read_series`."""
    reporter = reporter or NullReporter()
    path, licence = Path(str(source)).expanduser(), ""
    known = KNOWN_SERIES.get(str(source))
    if known is not None and not path.exists():
        licence = known.licence
        if known.name == "sines":
            return replace(from_arrays([ArrayPart(sines(), None, None)], config, schema, known.name), licence=licence)
        path = known.path()
    if path.is_dir():
        path = _inside(path)
    if path.is_dir():
        table, folder = folder_table(path, config, reporter, should_stop)
        return from_table(table, config.model_copy(update=folder), schema, reporter, should_stop, form="folder")
    if path.name.lower().endswith(".npz"):
        if not path.is_file():
            raise UsageError(f"there is no file {path}")
        parts, names = read_array_parts(path)
        return replace(from_arrays(parts, config, schema, str(path), names), licence=licence)
    table, _ = open_table(path, table_config(config), "all", reporter, should_stop)
    return replace(from_table(table, config, schema, reporter, should_stop), licence=licence)


def _inside(path: Path) -> Path:
    """The file that a folder of ours holds, or the folder itself when it holds a file for each sequence."""
    if is_made(path) or len(sequence_files(path)) < 2:
        held = sorted(child for child in path.iterdir() if child.name.lower().endswith(".npz"))
        tables = sequence_files(path)
        if len(tables) == 1:
            return tables[0]
        if len(held) == 1:
            return held[0]
        if not tables:
            raise UsageError(f"{path} is a folder without series", "a file for each sequence, or one npz, is expected")
    return path


def table_config(config: SeriesDataConfig) -> TableDataConfig:
    """How to read the columns."""
    return TableDataConfig(
        source=config.source, columns=config.columns, drop=config.drop, missing=config.missing,
        separator=config.separator,
    )  # fmt: skip


def from_arrays(
    parts: Sequence[ArrayPart],
    config: SeriesDataConfig,
    schema: SeriesSchema | None,
    name: str,
    names: Sequence[str] = (),
) -> Whole:
    """See `series_from_array`; in the terms of `schema` when there is one."""
    steps, table, channels = array_steps(parts, name, names if schema is None else schema.channels)
    if schema is not None:
        if len(channels) != len(schema.channels):
            raise UsageError(f"{name} has {len(channels)} channels; {len(schema.channels)} are needed")
        return Whole(_in_terms(steps, schema, name), schema, name)
    label = LABEL if LABEL in table.names else None
    columns = tuple(with_levels(c, steps.frame[c.name]) if c.name == label else _told(c, steps) for c in table.columns)
    columns = tuple(column for column in columns if column.name not in config.drop)
    channels = tuple(channel for channel in channels if channel not in config.drop)
    found = SeriesSchema(TableSchema(columns, table.format), channels, label=label, form="array")
    whole = Steps(steps.frame[list(found.table.names)], steps.offsets, steps.recording, steps.official)
    return Whole(_limited(whole, config), found, name)


def _told(column: ColumnSchema, steps: Steps) -> ColumnSchema:
    """A channel of an array; one that never changes is a constant."""
    values = steps.frame[column.name]
    if column.kind == "number" and not values.notna().any():
        steps.frame[column.name] = np.array([None] * len(values), object)
        return replace(column, kind="constant")
    return column


def _in_terms(steps: Steps, schema: SeriesSchema, name: str) -> Steps:
    """Steps of an array as a table of `schema` has them: codes become levels, other columns stay empty."""
    from synthgen.data.series.conversion import array_in_terms

    return array_in_terms(steps, schema, name)


def from_table(
    raw: RawTable,
    config: SeriesDataConfig,
    schema: SeriesSchema | None,
    reporter: Reporter,
    should_stop: ShouldStop,
    form: str | None = None,
) -> Whole:
    """The sequences in a table. Empties nothing of the caller's; columns are let go of as they are converted."""
    official = _official(raw, config) if schema is None else None
    if official is not None:
        raw = raw.only([column.name for column in raw.columns if column.name != official[0]])
    name, where = raw.name, RawTable(raw.name, (), raw.count, raw.format, raw.lines).where
    where = getattr(raw, "place", where)
    if schema is not None:
        frame, ids = _convert_known(raw, config, schema, where, should_stop)
        return _arranged(frame, ids, schema, name, where, config, None, reporter)
    inferred = infer(raw, table_config(config))
    columns = tuple(_counting(column, raw) for column in inferred.schema.columns)
    frame = _convert(raw, columns, config, where, should_stop)
    roles = find_roles(name, frame, columns, config, where)
    for column, remark in inferred.remarks.items():
        reporter.warn(f"column '{column}': {remark}")
    _check_refused(name, inferred.refused, roles)
    used = [c for c in columns if c.name not in roles.dropped]
    table = TableSchema(tuple(_levelled(c, frame, roles) for c in used), inferred.schema.format)
    form = form or ("wide" if roles.id is None else "long")
    found = SeriesSchema(table, roles.channels, roles.static, roles.label, roles.time, roles.id, form)
    ids = None if roles.id is None else frame[roles.id]
    whole = _arranged(
        frame[list(table.names)], ids, found, name, where, config, None if official is None else official[1], reporter
    )
    for column, reason in roles.dropped.items():
        reporter.info(f"column '{column}' is left out: it {reason}")
    return replace(whole, dropped=roles.dropped)


def _official(raw: RawTable, config: SeriesDataConfig) -> tuple[str, np.ndarray] | None:
    """(name, int8 (N,) in the words of `Steps.official`) of the column that tells training from test rows."""
    found = split_column(raw)
    if found is None or found[0] in config.columns or found[0] in config.drop:
        return None
    codes = {"train": 1, "val": 2, "test": 3}
    assert set(codes) == set(SPLIT_WORDS.values())
    return found[0], np.array([codes[part] for part in found[1]], np.int8)


def _counting(column: ColumnSchema, raw: RawTable) -> ColumnSchema:
    """Whole numbers that count are numbers here: they may be times or ids."""
    if column.kind != "identifier" or column.format.get("id") != "sequence":
        return column
    return replace(column, kind="integer", format={"style": "integer"} | column.format)


def _convert(
    raw: RawTable, columns: Sequence[ColumnSchema], config: SeriesDataConfig, where: Where, should_stop: ShouldStop
) -> pd.DataFrame:
    """The columns in their normal forms; each raw one is let go of once it is converted."""
    import pandas as pd

    held: dict[str, Column] = {column.name: column for column in raw.columns}
    found = {}
    for described in columns:
        if should_stop():
            raise StoppedError(f"stopped while reading {raw.name}")
        found[described.name] = to_series(held.pop(described.name), described, set(config.missing), where)
    return pd.DataFrame(found, copy=False)


def _convert_known(
    raw: RawTable, config: SeriesDataConfig, schema: SeriesSchema, where: Where, should_stop: ShouldStop
) -> tuple[pd.DataFrame, pd.Series | None]:
    """The columns of `schema`, and the names of the sequences."""
    from synthgen.data.series.conversion import check_columns

    names = [column.name for column in raw.columns]
    check_columns(names, schema, raw.name)
    missing = (*config.missing, *schema.table.format.get("missing", ()))
    config = config.model_copy(update={"missing": missing})
    frame = _convert(raw, [c for c in schema.table.columns if c.name in names], config, where, should_stop)
    if schema.id is not None:
        return frame, frame[schema.id]
    if SEQUENCE in names and SEQUENCE not in schema.table.names:
        column = next(column for column in raw.columns if column.name == SEQUENCE)
        return frame, to_series(column, ColumnSchema(SEQUENCE, "category"), set(), where).rename(SEQUENCE)
    return frame, None


def _check_refused(name: str, refused: dict[str, str], roles: Roles) -> None:
    used = [one for one in refused if one in (*roles.channels, *roles.static)]
    if used:
        message = "; ".join(f"column '{column}' {refused[column]}" for column in used)
        raise UsageError(f"{name}: {message}", f"leave it out: --set data.drop=[{','.join(used)}]")


def _levelled(column: ColumnSchema, frame: pd.DataFrame, roles: Roles) -> ColumnSchema:
    """The column with what the series need beyond what tables do."""
    from synthgen.data.series.naming import id_format

    if column.name == roles.id:
        return id_format(column, frame[column.name])
    if column.name == roles.label or column.kind == "category":
        return with_levels(column, frame[column.name])
    return column


def _arranged(
    frame: pd.DataFrame,
    ids: pd.Series | None,
    schema: SeriesSchema,
    name: str,
    where: Where,
    config: SeriesDataConfig,
    official: np.ndarray | None,
    reporter: Reporter,
) -> Whole:
    """Sequences in order, on their grid of times, cut where their class or part changes."""
    order, offsets, moved = in_order(frame, schema.time, ids, name, where)
    if order is not None:
        frame = frame.iloc[order].reset_index(drop=True)
        official = None if official is None else official[order]
    if moved:
        reporter.info(f"{name}: the times of '{schema.time}' were not in order; the steps are now.")
    count = len(offsets) - 1
    steps = Steps(frame, offsets, np.arange(count), np.zeros(count, np.int8))
    changes = np.zeros(len(frame), bool)
    if official is not None:
        changes[1:] |= official[1:] != official[:-1]
    if schema.label is not None:
        changes[1:] |= _changes(frame[schema.label])
    steps = cut_before(steps, np.flatnonzero(changes))
    if official is not None:
        steps = replace(steps, official=official[steps.offsets[:-1]])
    notes: list[str] = []
    if schema.time is not None:
        whole = schema.table[schema.time].kind != "number"
        steps, step, notes = on_grid(
            steps, schema.time, schema.step or None, lambda longest: window_for(config.window, longest), whole
        )
        schema = replace(schema, step=step)
        constants = [c.name for c in schema.table.columns if c.kind == "constant" and c.name in steps.frame]
        fixed = [one for one in (schema.id, schema.label, *schema.static) if one is not None]
        steps = constant_within(steps, [*fixed, *constants])
    for note in notes:
        reporter.info(f"{name}: {note}.")
    return Whole(_limited(steps, config), schema, name, notes=tuple(notes))


def _changes(values: pd.Series) -> np.ndarray:
    import pandas as pd

    found: np.ndarray = np.diff(pd.factorize(values)[0]) != 0
    return found


def _limited(steps: Steps, config: SeriesDataConfig) -> Steps:
    """`data.limit` of the recordings, evenly spread."""
    recordings = np.unique(steps.recording)
    if config.limit is None or config.limit >= len(recordings):
        return steps
    kept = recordings[(np.arange(config.limit) * 2 + 1) * len(recordings) // (2 * config.limit)]
    index = np.flatnonzero(np.isin(steps.recording, kept))
    return steps.cut(steps.offsets[index], steps.offsets[index + 1], index)


def part_of(whole: Whole, config: SeriesDataConfig, split: str, reporter: Reporter | None = None) -> SeriesData:
    """One part of the steps; `train` holds the validation part out. Raises UsageError when there is no such part."""
    if split == "all":
        return _data(whole, whole.steps, "all")
    if split not in PARTS:
        raise UsageError(f"there is no split '{split}'", "Choose train, validation, test or all.")
    parts = split_steps(whole.steps, config, whole.schema.label)
    if split not in parts:
        hint = {"test": "data.test", "validation": "data.validation"}.get(split, "data.test")
        raise UsageError(f"{whole.name} has no split {split}", f"--set {hint}=0.2 holds the last fifth of the time out")
    found = _data(whole, parts[split], split)
    if split == "train" and config.validation and config.protocol == "honest" and "validation" in parts:
        found = replace(found, held_out=_data(whole, parts["validation"], "validation"))
    return found


def _data(whole: Whole, steps: Steps, split: str) -> SeriesData:
    return SeriesData(
        steps.frame, steps.offsets, whole.schema, whole.name, split, whole.licence, recording=steps.recording
    )
