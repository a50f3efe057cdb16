"""A look into series: what each column was taken for, how its steps go on, what a window would hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from synthgen.config.series import SeriesDataConfig, window_for
from synthgen.data.series.codec import SeriesCodec
from synthgen.data.series.coding import Coding
from synthgen.data.series.levels import levels_of, to_codes
from synthgen.data.series.reading import configured, part_of, read_whole
from synthgen.data.series.schema import SeriesData
from synthgen.data.series.sequences import owners
from synthgen.data.series.splitting import PARTS, split_steps
from synthgen.data.series.times import describe_interval
from synthgen.data.series.wholes import Whole
from synthgen.data.series.windows import column_values, stride_for, window_starts
from synthgen.data.tables.schema import ColumnSchema
from synthgen.data.tables.writing import column_texts
from synthgen.reporting import NullReporter, Reporter
from synthgen.stopping import ShouldStop, never_stop

_SHOWN = 3
_LONGEST = 24
_PREVIEW = 32
_DIGITS = 6
"""Significant digits of a range, at most."""


@dataclass(frozen=True)
class ChannelFacts:
    """One channel or covariate. missing: share of steps in [0, 1]; longest_gap: steps missing in a row, at most.

    values: its range or its commonest values, in words. learned: how, in words. autocorrelation: with the step before,
    None where it has none; repeats: share of steps with the value of the step before. preview: up to 32 steps of the
    first sequence between 0 and 1, None where missing. warnings: what a user should know.
    """

    name: str
    role: str
    kind: str
    missing: float
    longest_gap: int
    values: str
    learned: str
    autocorrelation: float | None
    repeats: float
    preview: tuple[float | None, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class PartFacts:
    """One part of the steps and the windows in it."""

    name: str
    sequences: int
    steps: int
    windows: int


@dataclass(frozen=True)
class SeriesInspection:
    """What was found. lengths: shortest, median and longest; interval, span: in words, "" without times.

    roles: the column of times, of ids, of classes; static: covariates. classes: sequences of each. parts: as training
    and evaluation see the steps. given: what dates tell the model (hour, weekday, season). dimensions: of a step.
    """

    name: str
    form: str
    sequences: int
    recordings: int
    steps: int
    lengths: tuple[int, float, int]
    interval: str
    regular: bool
    span: tuple[str, str] | None
    roles: dict[str, str | None]
    static: tuple[str, ...]
    left_out: dict[str, str]
    notes: tuple[str, ...]
    classes: dict[str, int]
    parts: tuple[PartFacts, ...]
    protocol: str
    window: int
    stride: int
    given: tuple[str, ...]
    dimensions: int
    channels: tuple[ChannelFacts, ...]
    fingerprint: str
    licence: str


def inspect_series(
    source: str | Path,
    config: SeriesDataConfig | None = None,
    *,
    reporter: Reporter | None = None,
    should_stop: ShouldStop = never_stop,
) -> SeriesInspection:
    """Read series and describe them as training would take them. Raises UsageError, as reading does; StoppedError."""
    config, reporter = configured(source, config or SeriesDataConfig()), reporter or NullReporter()
    whole = read_whole(source, config, None, reporter, should_stop)
    data = part_of(whole, config, "all")
    training = part_of(whole, config, "train")
    window = window_for(config.window, int(training.lengths.max(initial=1)), len(training))
    config = config.model_copy(update={"window": window})
    codec = SeriesCodec.fit(training, config)
    schema, lengths = data.schema, data.lengths
    regular = bool(schema.step) and schema.step["unit"] != "irregular"
    return SeriesInspection(
        name=data.name,
        form=schema.form,
        sequences=len(data),
        recordings=len(np.unique(data.recording)),
        steps=data.steps,
        lengths=(int(lengths.min()), float(np.median(lengths)), int(lengths.max())),
        interval=describe_interval(schema.step) if schema.step else "",
        regular=regular,
        span=_span(data),
        roles={"time": schema.time, "id": schema.id, "label": schema.label},
        static=schema.static,
        left_out=dict(whole.dropped or {}),
        notes=whole.notes,
        classes=_classes(data),
        parts=_parts(whole, config, window),
        protocol=config.protocol,
        window=window,
        stride=stride_for(training.lengths, window, config.stride),
        given=tuple(part.name for part in codec.parts if part.role == "calendar"),
        dimensions=codec.dimensions,
        channels=tuple(_facts(coding, data, codec) for coding in codec.codings.values()),
        fingerprint=data.fingerprint,
        licence=data.licence,
    )


def _span(data: SeriesData) -> tuple[str, str] | None:
    if data.schema.time is None:
        return None
    values = data.frame[data.schema.time]
    ends = values.iloc[[int(values.argmin()), int(values.argmax())]]
    first, last = column_texts(ends.array, data.schema.table[data.schema.time])
    return first, last


def _classes(data: SeriesData) -> dict[str, int]:
    if data.schema.label is None:
        return {}
    column = data.schema.table[data.schema.label]
    levels = levels_of(column)
    codes = to_codes(data.frame[column.name].iloc[data.offsets[:-1]], levels)
    counts = np.bincount(codes[codes >= 0], minlength=len(levels))
    return dict(zip(levels, counts.tolist(), strict=True))


def _parts(whole: Whole, config: SeriesDataConfig, window: int) -> tuple[PartFacts, ...]:
    found = split_steps(whole.steps, config, whole.schema.label)
    return tuple(
        PartFacts(
            name,
            len(found[name].lengths),
            int(found[name].offsets[-1]),
            len(window_starts(found[name].offsets, found[name].recording, window, config.stride)[0]),
        )
        for name in PARTS
        if name in found
    )


def _facts(coding: Coding, data: SeriesData, codec: SeriesCodec) -> ChannelFacts:
    column = coding.column
    values = column_values(data, column)
    gone = np.isnan(values)
    role = "channel" if column.name in data.schema.channels else "static"
    together = owners(data.offsets)
    follows = (together[1:] == together[:-1]) & ~gone[1:] & ~gone[:-1]
    before, after = values[:-1][follows], values[1:][follows]
    repeats = float((before == after).mean()) if len(before) else 0.0
    number = column.kind in ("number", "integer") and role == "channel"
    return ChannelFacts(
        name=column.name,
        role=role,
        kind=column.kind,
        missing=float(gone.mean()) if len(gone) else 0.0,
        longest_gap=_longest(gone, data.offsets),
        values=_values(column, data, values[~gone]),
        learned=_learned(coding),
        autocorrelation=_correlation(before, after) if number else None,
        repeats=repeats,
        preview=_preview(values[: min(int(data.lengths[0]), _PREVIEW)] if len(data) else values[:0]),
        warnings=_warnings(coding, gone, codec),
    )


def _correlation(before: np.ndarray, after: np.ndarray) -> float | None:
    """Pearson's correlation of each step with the one before."""
    if len(before) < 3 or before.std() == 0 or after.std() == 0:
        return None
    return float(np.corrcoef(before, after)[0, 1])


def _longest(gone: np.ndarray, offsets: np.ndarray) -> int:
    """Most missing steps in a row, within one sequence."""
    if not gone.any():
        return 0
    breaks = np.zeros(len(gone) + 1, bool)
    breaks[offsets] = True
    breaks[1:-1] |= gone[1:] != gone[:-1]
    edges = np.flatnonzero(breaks)
    runs = np.diff(edges)
    return int(runs[gone[edges[:-1]]].max())


def _values(column: ColumnSchema, data: SeriesData, present: np.ndarray) -> str:
    if not len(present):
        return "all missing"
    if column.kind in ("number", "integer"):
        ends = present.min(), present.max()
        texts = column_texts(data.frame[column.name].iloc[[_place(data, column, end) for end in ends]].array, column)
        exact = column.kind == "integer" or all(sum(map(str.isdigit, text)) <= _DIGITS for text in texts)
        return " to ".join(texts if exact else [f"{end:.{_DIGITS}g}" for end in ends])
    if column.kind == "constant":
        return _short(data.frame[column.name].dropna().iloc[0])
    counts = data.frame[column.name].value_counts()
    shares = [f"{_short(text)} {count / len(present):.0%}" for text, count in counts.head(_SHOWN).items()]
    return ", ".join(shares) + (", ..." if len(counts) > _SHOWN else "")


def _place(data: SeriesData, column: ColumnSchema, value: float) -> int:
    return int(np.argmax(column_values(data, column) == value))


def _short(text: object) -> str:
    whole = " ".join(str(text).split())
    return whole if len(whole) <= _LONGEST else whole[: _LONGEST - 3] + "..."


def _learned(coding: Coding) -> str:
    if coding.column.kind == "constant":
        return "repeated"
    if coding.copy_of is not None:
        return f"copy of {_short(coding.copy_of)}"
    if coding.scaler is not None:
        return {"standard": "standard score", "minmax": "min-max", "quantile": "normal score"}[coding.scaler.kind]
    return "true or false" if coding.column.kind == "boolean" else f"{coding.width} levels"


def _preview(values: np.ndarray) -> tuple[float | None, ...]:
    """Values between 0 and 1; a constant lies in the middle."""
    present = values[~np.isnan(values)]
    low, high = (present.min(), present.max()) if len(present) else (0.0, 0.0)
    scaled = (values - low) / (high - low) if high > low else np.where(np.isnan(values), np.nan, 0.5)
    return tuple(None if np.isnan(value) else round(float(value), 3) for value in scaled)


def _warnings(coding: Coding, gone: np.ndarray, codec: SeriesCodec) -> tuple[str, ...]:
    found = []
    if coding.column.kind == "constant":
        found.append("has no values at all" if gone.all() else "never changes, so there is nothing to learn")
    elif gone.mean() > 0.5:
        found.append(f"is missing in {gone.mean():.0%} of the steps")
    part = next((part for part in codec.parts if part.name == coding.column.name), None)
    if part is not None and part.missing is None and gone.any():
        found.append("is missing in held out steps only: no missing values are made")
    return tuple(found)


def sparkline(values: Sequence[float | None], marks: str = "▁▂▃▄▅▆▇█", missing: str = " ") -> str:
    """One sign for each value between 0 and 1."""
    top = len(marks) - 1
    return "".join(missing if value is None else marks[round(value * top)] for value in values)
