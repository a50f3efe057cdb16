"""Series from files, DataFrames and arrays: what `read_table` is for tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from synthgen.config.series import SeriesDataConfig
from synthgen.data.series.arrays import ArrayPart, read_array_parts
from synthgen.data.series.folders import folder_table
from synthgen.data.series.known import KNOWN_SERIES
from synthgen.data.series.schema import SeriesData, SeriesSchema
from synthgen.data.series.sequences import Steps
from synthgen.data.series.sines import sines
from synthgen.data.series.sources import ARCHIVES, archives_in, is_made, sequence_files
from synthgen.data.series.splitting import PARTS, split_steps
from synthgen.data.series.wholes import Whole, from_arrays, from_table, table_config
from synthgen.data.tables.frames import from_pandas
from synthgen.data.tables.reading import open_table
from synthgen.errors import UsageError
from synthgen.reporting import NullReporter, Reporter
from synthgen.stopping import ShouldStop, never_stop

if TYPE_CHECKING:
    import pandas as pd


def read_series(
    source: str | Path,
    config: SeriesDataConfig | None = None,
    *,
    schema: SeriesSchema | None = None,
    split: str = "all",
    reporter: Reporter | None = None,
    should_stop: ShouldStop = never_stop,
) -> SeriesData:
    """Read series: a known name, CSV, TSV, Parquet in wide or long form, npz or npy of (N, L, C), a folder of tables.

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
    """The series in a DataFrame. Arguments and errors as for `read_series`, rows from 0.

    An index of dates is its column of times (called `time` unless it has a name); any other index is left out.
    """
    frame = with_dates(frame)
    config, reporter = config or SeriesDataConfig(), NullReporter()
    whole = from_table([from_pandas(name, frame)], config, schema, reporter, never_stop)
    return part_of(whole, config, split, reporter)


def with_dates(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with its index as the first column, if that holds dates."""
    if getattr(frame.index, "dtype", np.dtype(object)).kind != "M":
        return frame
    name = frame.index.name or "time"
    return frame if name in frame.columns else frame.rename_axis(index=name).reset_index()


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
    archives = archives_in(path) if path.is_dir() and is_made(path) else []
    if archives:
        shards = [read_array_parts(shard) for shard in archives]
        return from_arrays([part for parts, _ in shards for part in parts], config, schema, str(path), shards[0][1])
    if path.is_dir():
        table, folder = folder_table(path, config, reporter, should_stop)
        box = [table]
        del table
        form = "folder" if folder else None
        return from_table(box, config.model_copy(update=folder), schema, reporter, should_stop, form)
    if path.name.lower().endswith(ARCHIVES):
        if not path.is_file():
            raise UsageError(f"there is no file {path}")
        parts, names = read_array_parts(path)
        return replace(from_arrays(parts, config, schema, str(path), names), licence=licence)
    box = [open_table(path, table_config(config), "all", reporter, should_stop)[0]]
    return replace(from_table(box, config, schema, reporter, should_stop), licence=licence)


def _inside(path: Path) -> Path:
    """The file that a folder of ours holds, or the folder itself when it holds a file for each sequence."""
    tables, archives = sequence_files(path), archives_in(path)
    if len(tables) + len(archives) == 1:
        return [*tables, *archives][0]
    if not tables and not (archives and is_made(path)):
        raise UsageError(f"{path} is a folder without series", "a file for each sequence, or one npz, is expected")
    return path


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
