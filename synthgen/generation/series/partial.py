"""Files and DataFrames of sequences to complete, in the terms of a model: columns and cells may be absent."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from synthgen.config.series import SeriesDataConfig
from synthgen.data.series.framing import normal_times
from synthgen.data.series.levels import to_codes
from synthgen.data.series.reading import part_of, read_whole, with_dates
from synthgen.data.series.roles import SEQUENCE
from synthgen.data.series.schema import SeriesData
from synthgen.data.series.sources import ARCHIVES
from synthgen.data.series.times import advance, as_numbers
from synthgen.data.series.wholes import from_table, table_config
from synthgen.data.tables.frames import from_pandas
from synthgen.data.tables.raw import Column, RawTable, TextColumn
from synthgen.data.tables.reading import open_table
from synthgen.errors import UsageError, nearest
from synthgen.generation.series.plan import LONGEST
from synthgen.generation.storage import sha256_of_file
from synthgen.reporting import NullReporter, Reporter
from synthgen.stopping import never_stop

if TYPE_CHECKING:
    import pandas as pd

    from synthgen.generation.series.model import SeriesModel

ONLY = "1"
"""The name of a sequence in a file that has no names, where the model's series have some."""


def read_partial(model: SeriesModel, source: str | Path, reporter: Reporter | None = None) -> tuple[SeriesData, str]:
    """(the sequences of a file, its sha256). Raises UsageError naming the line and column of what cannot be taken."""
    path, reporter = Path(source).expanduser(), reporter or NullReporter()
    if path.is_dir() or not path.exists():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise UsageError(f"{path} {what}: one file of sequences to complete is needed", "CSV, TSV, Parquet or npz")
    config = _config(model)
    if path.suffix.lower() in ARCHIVES:
        whole = read_whole(path, config, model.schema, reporter)
        data = part_of(whole, config, "all", reporter)
    else:
        raw, _ = open_table(path, table_config(config), "all", reporter, never_stop)
        data = _arranged(model, raw, config, reporter)
    return _checked(model, data), sha256_of_file(path)[0]


def from_frame(model: SeriesModel, frame: pd.DataFrame) -> tuple[SeriesData, str]:
    """The same for a DataFrame; its hash is that of its values."""
    from synthgen.data.tables.hashing import row_hashes

    frame = with_dates(frame)
    digest = hashlib.sha256(np.ascontiguousarray(row_hashes(frame.astype(object))).data)
    digest.update("|".join(map(str, frame.columns)).encode())
    data = _arranged(model, from_pandas("DataFrame", frame), _config(model), NullReporter())
    return _checked(model, data), digest.hexdigest()


def _config(model: SeriesModel) -> SeriesDataConfig:
    """As the model's data were read, all of it."""
    return model.config.data.model_copy(update={"window": model.window, "limit": None})


def _arranged(model: SeriesModel, raw: RawTable, config: SeriesDataConfig, reporter: Reporter) -> SeriesData:
    schema = model.schema
    names = [column.name for column in raw.columns]
    _check_unknown(
        raw.name, [n for n in names if n not in (*schema.table.names, SEQUENCE, *config.drop)], model, reporter
    )
    if schema.time is not None and schema.time not in names:
        raise UsageError(
            f"{raw.name} has no column '{schema.time}'", "the times of all steps are needed, those to forecast too"
        )
    columns: list[Column] = list(raw.columns)
    for column in schema.table.columns:
        if column.name not in names:
            there = column.name == schema.id
            codes = np.zeros(raw.count, np.int32) if there else np.full(raw.count, -1, np.int32)
            texts = np.array([ONLY] if there else [], object)
            columns.append(TextColumn(column.name, codes, texts))
    raw = replace(raw, columns=tuple(columns))
    whole = from_table([raw], config, schema, reporter, never_stop, partial=True)
    return part_of(whole, config, "all", reporter)


def _check_unknown(name: str, unknown: list[str], model: SeriesModel, reporter: Reporter) -> None:
    """Raises UsageError for what looks like a misspelled column; others, which training left out, too, are named."""
    for column in unknown:
        near = nearest(column, model.schema.table.names)
        if near:
            raise UsageError(
                f"{name} has a column '{column}' that the model does not know{near}", "rename it, or leave it out"
            )
        reporter.warn(f"column '{column}' is left out: the model did not learn it")


def _checked(model: SeriesModel, data: SeriesData) -> SeriesData:
    """Raises UsageError for nothing to complete, and for the first category or class that the model has never seen."""
    if not data.steps:
        raise UsageError(f"{data.name} has no steps: there is nothing to complete")
    levels = {name: coding.levels for name, coding in model.codec.codings.items() if coding.levels}
    if model.schema.label is not None:
        levels[model.schema.label] = model.codec.classes
    for name, known in levels.items():
        if name not in data.frame:
            continue
        values = data.frame[name]
        bad = (to_codes(values, known) < 0) & values.notna().to_numpy(bool)
        if bad.any():
            row = int(np.argmax(bad))
            value = str(values.iloc[row])[:60]
            raise UsageError(
                f"{data.name}, step {row:,}, column '{name}': the model has never seen '{value}'"
                f"{nearest(value, known)}",
                "correct the cell, or leave it empty to have it drawn",
            )
    return data


def extended(data: SeriesData, length: int) -> SeriesData:
    """Every sequence with at least `length` steps: further ones know only what holds for all, and their times.

    Irregular times go on at the median gap. Raises UsageError for lengths that no sequence is shorter than.
    """
    import pandas as pd

    if length > LONGEST:
        raise UsageError(f"a sequence has at most {LONGEST:,} steps, not {length:,}")
    if int(data.lengths.min()) >= length:
        raise UsageError(
            f"--length {length:,} is the steps in all, and the sequences of {data.name} have "
            f"{int(data.lengths.min()):,} or more already",
            "ask for more, or leave it out to fill gaps only",
        )
    schema, lengths = data.schema, np.maximum(data.lengths, length)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    within = np.arange(offsets[-1]) - np.repeat(offsets[:-1], lengths)
    own, first = np.repeat(data.lengths, lengths), np.repeat(data.offsets[:-1], lengths)
    beyond = within >= own
    source = np.where(beyond, -1, first + within)
    last = first + own - 1
    held = {schema.id, schema.label, *schema.static}
    held |= {column.name for column in schema.table.columns if column.kind == "constant"}
    columns: dict[str, pd.Series] = {}
    for name in data.frame.columns:
        values = data.frame[name]
        if name == schema.time:
            times = as_numbers(values.to_numpy())
            made = advance(schema.step, times[last], np.where(beyond, within - own + 1, 0))
            columns[name] = normal_times(np.where(beyond, made, times[np.maximum(source, 0)]), schema.table[name])
        elif name in held:
            columns[name] = pd.Series(values.array.take(np.where(beyond, last, source)))
        else:
            columns[name] = pd.Series(pd.api.extensions.take(values.array, source, allow_fill=True))
    return replace(data, frame=pd.DataFrame(columns), offsets=offsets, fingerprint="")
