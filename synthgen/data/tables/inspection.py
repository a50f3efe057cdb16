"""What a table is made of: its columns, what they mean, how they are learned, and what looks wrong."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from synthgen.config.tables import TableDataConfig
from synthgen.data.tables.categories import CategoryTokens
from synthgen.data.tables.codec import TableCodec
from synthgen.data.tables.hashing import row_hashes
from synthgen.data.tables.inference import Inferred, infer
from synthgen.data.tables.reading import choose_rows, convert, licence_of, open_table, split_column
from synthgen.data.tables.schema import NUMERIC, ColumnSchema, TableData, TableSchema
from synthgen.data.tables.writing import column_texts
from synthgen.reporting import NullReporter, Reporter
from synthgen.stopping import ShouldStop, never_stop

_SHOWN = 3
_LONGEST = 24


@dataclass(frozen=True)
class ColumnFacts:
    """One column. distinct: different values, missing ones left out; missing: share of rows in [0, 1].

    values: its range or its commonest values, in words. tokens: how many the model learns, 0 for none; treatment: how
    it is learned, in words. warnings: what a user should know. refused: why it cannot be learned as it is, or empty.
    """

    name: str
    kind: str
    distinct: int
    missing: float
    values: str
    tokens: int
    treatment: str
    warnings: tuple[str, ...]
    refused: str = ""


@dataclass(frozen=True)
class TableInspection:
    """What was found. splits: rows of each, where a column tells. duplicates: rows equal to an earlier one.

    interval: in words, where the first column holds dates at equal intervals; such a table may be a recording.
    """

    name: str
    rows: int
    columns: tuple[ColumnFacts, ...]
    splits: dict[str, int]
    dropped: tuple[str, ...]
    duplicates: int
    fingerprint: str
    licence: str
    interval: str = ""

    @property
    def refused(self) -> tuple[str, ...]:
        """The columns that training would refuse."""
        return tuple(column.name for column in self.columns if column.refused)


def inspect_table(
    source: str | Path,
    config: TableDataConfig | None = None,
    *,
    reporter: Reporter | None = None,
    should_stop: ShouldStop = never_stop,
) -> TableInspection:
    """Read a whole table and describe its columns; what training would refuse is described, not an error.

    Raises UsageError for a file that cannot be read as a table, StoppedError.
    """
    config, reporter = config or TableDataConfig(), reporter or NullReporter()
    raw, _ = open_table(source, config, "all", reporter, should_stop)
    found = split_column(raw)
    splits = {str(part): int((found[1] == part).sum()) for part in dict.fromkeys(found[1])} if found else {}
    names = [column.name for column in raw.columns]
    raw, rows = choose_rows(raw, "all", config, reporter)
    inferred = infer(raw, config)
    data = convert(raw, config, inferred.schema, rows, "all", should_stop, licence_of(source))
    kept = TableSchema(tuple(c for c in data.schema.columns if c.name not in inferred.refused), data.schema.format)
    codec = TableCodec.fit(replace(data, schema=kept), config.bins, config.rare, config.constraints)
    return TableInspection(
        name=data.name,
        rows=len(data),
        columns=tuple(_facts(column, data, codec, inferred) for column in data.schema.columns),
        splits=splits,
        dropped=tuple(name for name in names if name not in data.schema.names),
        duplicates=_duplicates(data),
        fingerprint=data.fingerprint,
        licence=data.licence,
        interval=_interval(data),
    )


def _interval(data: TableData) -> str:
    """See `TableInspection.interval`."""
    from synthgen.data.series.times import as_numbers, describe_interval, find_step, places

    first = data.schema.columns[0]
    if first.kind != "datetime" or len(data) < 2 or data.frame[first.name].isna().any():
        return ""
    times = as_numbers(data.frame[first.name].to_numpy())
    if (np.diff(times) <= 0).any():
        return ""
    whole = np.array([0, len(times)])
    step, _ = find_step(times, whole, dates=True, whole=True)
    place = places(step, times, whole)
    # Dates of any events are whole days apart: only where hardly one is left out do the rows follow each other.
    return "" if place is None or (np.diff(place) == 1).mean() < 0.9 else describe_interval(step)


def _duplicates(data: TableData) -> int:
    """Rows equal to an earlier one, identifiers left aside."""
    names = [column.name for column in data.schema.columns if column.kind != "identifier"]
    hashes = row_hashes(data.frame[names])
    return len(hashes) - len(np.unique(hashes))


def _facts(column: ColumnSchema, data: TableData, codec: TableCodec, inferred: Inferred) -> ColumnFacts:
    values = data.frame[column.name]
    present = values[values.notna()]
    counts = present.value_counts()
    missing = 1 - len(present) / len(values)
    refused = inferred.refused.get(column.name, "")
    tokens = 0 if refused else sum(part.size for part in codec.columns if column.name in part.sources)
    kind = "text" if refused and "free text" in refused else column.kind
    return ColumnFacts(
        name=column.name,
        kind=kind,
        distinct=len(counts),
        missing=missing,
        values=_values(column, present, counts),
        tokens=tokens,
        treatment="refused" if refused else _treatment(column, codec, tokens),
        warnings=_warnings(column, len(counts), len(present), missing, codec, inferred),
        refused=refused,
    )


def _values(column: ColumnSchema, present: object, counts: object) -> str:
    """The range of numbers and dates, the commonest of other values with their shares."""
    import pandas as pd

    assert isinstance(present, pd.Series) and isinstance(counts, pd.Series)
    if not len(present):
        return "all missing"
    if column.kind in NUMERIC:
        ends = pd.Series([present.min(), present.max()], dtype=present.dtype)
        return " to ".join(column_texts(ends.to_numpy(), column))
    if column.kind == "identifier":
        return f"{_short(present.iloc[0])} to {_short(present.iloc[-1])}"
    if column.kind == "constant":
        return _short(present.iloc[0])
    top = counts.head(_SHOWN)
    texts = column_texts(top.index, column)
    shares = [f"{_short(text)} {count / len(present):.0%}" for text, count in zip(texts, top, strict=True)]
    return ", ".join(shares) + (", ..." if len(counts) > _SHOWN else "")


def _short(text: object) -> str:
    whole = " ".join(str(text).split())  # a cell of several lines stands in one
    return whole if len(whole) <= _LONGEST else whole[: _LONGEST - 3] + "..."


def _treatment(column: ColumnSchema, codec: TableCodec, tokens: int) -> str:
    if column.kind == "identifier":
        return "made anew"
    if column.kind == "constant":
        return "repeated"
    own = [part for part in codec.columns if part.name == column.name]
    if not own:
        return "by a constraint"
    spread = int(own[0].spread.sum())
    words = f"{tokens:,} tokens"
    if column.kind in NUMERIC and spread:
        words += f" ({spread:,} bins)"
    return words + (", day and time" if len(own[0].sources) == 1 and tokens > own[0].size else "")


def _warnings(
    column: ColumnSchema, distinct: int, present: int, missing: float, codec: TableCodec, inferred: Inferred
) -> tuple[str, ...]:
    found = []
    if column.name in inferred.refused:
        found.append(inferred.refused[column.name])
    if column.name in inferred.remarks:
        found.append(inferred.remarks[column.name])
    if not present:
        found.append("has no values at all")
    elif column.kind == "constant":
        found.append("has one value only, so there is nothing to learn")
    if column.kind == "identifier":
        found.append("is different in every row: new ones are made, and none is learned")
    if column.kind == "category" and not found and distinct > 50 and distinct > 0.1 * present:
        found.append(f"is nearly free text: {distinct:,} different texts in {present:,} rows")
    if 0.5 < missing < 1:
        found.append(f"is missing in {missing:.0%} of the rows")
    for part in codec.columns:
        tokens = part.tokens
        if part.name == column.name and isinstance(tokens, CategoryTokens) and tokens.rare:
            found.append(f"has {len(tokens.texts) - tokens.common:,} rare values, which share a token")
    return tuple(found)
