"""All steps of a source in one frame: from its columns to sequences, before anything is held out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from synthgen.config.series import SeriesDataConfig, window_for
from synthgen.config.tables import TableDataConfig
from synthgen.data.series.arrays import LABEL, ArrayPart, array_steps
from synthgen.data.series.conversion import array_in_terms, check_columns, hold
from synthgen.data.series.levels import with_levels
from synthgen.data.series.naming import id_format
from synthgen.data.series.roles import SEQUENCE, Roles, find_roles
from synthgen.data.series.schema import SeriesSchema
from synthgen.data.series.sequences import Steps, Where, constant_within, cut_before, in_order, on_grid
from synthgen.data.series.splitting import PARTS
from synthgen.data.tables.columns import to_series
from synthgen.data.tables.inference import infer
from synthgen.data.tables.numbers import number_kind
from synthgen.data.tables.raw import Column, RawTable
from synthgen.data.tables.reading import split_column
from synthgen.data.tables.schema import ColumnSchema, TableSchema
from synthgen.errors import StoppedError, UsageError
from synthgen.reporting import Reporter
from synthgen.stopping import ShouldStop

if TYPE_CHECKING:
    import pandas as pd


_CORRECT = "correct the cell, or leave it empty where there is no value"


@dataclass(frozen=True)
class Whole:
    """All steps of a source, before anything is held out. licence: of a known one. notes: what people should know."""

    steps: Steps
    schema: SeriesSchema
    name: str
    licence: str = ""
    notes: tuple[str, ...] = ()
    dropped: dict[str, str] | None = None


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
    own = schema is None or set(names) == set(schema.channels)  # in whatever order: they say which channel is which
    steps, table, channels = array_steps(parts, name, names if own or schema is None else schema.channels)
    if schema is not None:
        if len(channels) != len(schema.channels):
            raise UsageError(f"{name} has {len(channels)} channels; {len(schema.channels)} are needed")
        return Whole(array_in_terms(steps, schema, name), schema, name)
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


def from_table(
    box: list[RawTable],
    config: SeriesDataConfig,
    schema: SeriesSchema | None,
    reporter: Reporter,
    should_stop: ShouldStop,
    form: str | None = None,
    *,
    partial: bool = False,
) -> Whole:
    """The sequences in the only table of `box`, which is taken out: its columns go as they are converted.

    partial: in the terms of `schema`, a class or covariate that some rows of a sequence lack is that of its other rows.
    """
    raw = box.pop()
    official = _official(raw, config) if schema is None else None
    if official is not None:
        raw = raw.only([column.name for column in raw.columns if column.name != official[0]])
    name, where = raw.name, RawTable(raw.name, (), raw.count, raw.format, raw.lines).where
    where = getattr(raw, "place", where)
    if schema is not None:
        frame, ids = _convert_known(raw, config, schema, where, should_stop)
        if partial:
            frame = hold(frame, ids, [name for name in schema.table.names if name in (schema.label, *schema.static)])
        return _arranged(frame, ids, schema, name, where, config, None, reporter)
    _check_header(raw, reporter)
    inferred = infer(raw, table_config(config))
    columns = tuple(_counting(column, raw) for column in inferred.schema.columns)
    held = {column.name: column for column in raw.columns}
    del raw
    frame = _convert(held, columns, config, where, should_stop)
    roles = find_roles(name, frame, columns, config, where, inferred.refused)
    for column, remark in inferred.remarks.items():
        reporter.warn(f"column '{column}': {remark}")
    used = [c for c in columns if c.name not in roles.dropped]
    table = TableSchema(tuple(_levelled(c, frame, roles) for c in used), inferred.schema.format)
    form = form or ("wide" if roles.id is None else "long")
    found = SeriesSchema(table, roles.channels, roles.static, roles.label, roles.time, roles.id, form)
    ids = None if roles.id is None else frame[roles.id]
    if roles.label is not None:
        _check_classes(name, frame[roles.label], None if official is None else official[1], where)
    whole = _arranged(
        frame[list(table.names)], ids, found, name, where, config, None if official is None else official[1], reporter
    )
    for column, reason in roles.dropped.items():
        reporter.info(f"column '{column}' is left out: it {reason}")
    return replace(whole, dropped=roles.dropped)


def _check_classes(name: str, values: pd.Series, official: np.ndarray | None, where: Where) -> None:
    """Raises UsageError for the first row without a class; rows of a test part need none."""
    gone = values.isna().to_numpy(bool) & (True if official is None else official != PARTS.index("test") + 1)
    if gone.any():
        raise UsageError(
            f"{name}, {where(int(np.argmax(gone)))}: nothing in the column '{values.name}', which holds the classes",
            "every sequence that is learned needs a class: name what is unknown, or leave these rows out",
        )


def _check_header(raw: RawTable, reporter: Reporter) -> None:
    """Warn where the first line of a text file is taken for names and looks like the first step."""
    names = [column.name for column in raw.columns]
    kind = number_kind(names) if raw.lines is not None else None
    counts = kind == "integer" and all(int(one) < int(other) for one, other in pairwise(names))
    if kind is not None and not counts:  # 0, 1, 2 and 2023, 2024 are names
        reporter.warn(
            f"{raw.name}: the first line was taken for the names of the columns, and it holds numbers: '{names[0]}'; "
            "if they are values, put a line of names before it"
        )


def _official(raw: RawTable, config: SeriesDataConfig) -> tuple[str, np.ndarray] | None:
    """(name, int8 (N,) in the words of `Steps.official`) of the column that tells training from test rows."""
    found = split_column(raw)
    if found is None or found[0] in config.columns or found[0] in config.drop:
        return None
    codes = {"train": 1, "val": 2, "test": 3}
    return found[0], np.array([codes[part] for part in found[1]], np.int8)


def _counting(column: ColumnSchema, raw: RawTable) -> ColumnSchema:
    """Whole numbers that count are numbers here: they may be times or ids."""
    if column.kind != "identifier" or column.format.get("id") != "sequence":
        return column
    return replace(column, kind="integer", format={"style": "integer"} | column.format)


def _convert(
    held: dict[str, Column],
    columns: Sequence[ColumnSchema],
    config: SeriesDataConfig,
    where: Where,
    should_stop: ShouldStop,
    hint: str | None = None,
) -> pd.DataFrame:
    """The columns in their normal forms; each raw one is taken out of `held` when its turn comes."""
    import pandas as pd

    found = {}
    for described in columns:
        if should_stop():
            raise StoppedError("stopped while reading the columns")
        found[described.name] = to_series(held.pop(described.name), described, set(config.missing), where, hint)
    return pd.DataFrame(found, copy=False)


def _convert_known(
    raw: RawTable, config: SeriesDataConfig, schema: SeriesSchema, where: Where, should_stop: ShouldStop
) -> tuple[pd.DataFrame, pd.Series | None]:
    """The columns of `schema`, and the names of the sequences."""
    names = [column.name for column in raw.columns]
    check_columns(names, schema, raw.name)
    missing = (*config.missing, *schema.table.format.get("missing", ()))
    config = config.model_copy(update={"missing": missing})
    held = {column.name: column for column in raw.columns}
    frame = _convert(held, [c for c in schema.table.columns if c.name in names], config, where, should_stop, _CORRECT)
    if schema.id is not None:
        return frame, frame[schema.id]
    if SEQUENCE in names and SEQUENCE not in schema.table.names:
        column = next(column for column in raw.columns if column.name == SEQUENCE)
        return frame, to_series(column, ColumnSchema(SEQUENCE, "category"), set(), where).rename(SEQUENCE)
    return frame, None


def _levelled(column: ColumnSchema, frame: pd.DataFrame, roles: Roles) -> ColumnSchema:
    """The column with what the series need beyond what tables do."""
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
    several = f"if it holds several sequences, a column '{SEQUENCE}' tells them apart" if schema.step else ""
    order, offsets, moved = in_order(frame, schema.time, ids, name, where, several)
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
            steps, schema.time, schema.step or None, lambda longest: window_for(config.window, longest, count), whole
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
