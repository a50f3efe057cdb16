"""Conditions on columns as texts: `age=30..40`, `income=>50K`, `city=Paris|Rome`, `when=2010..2012-06`, `x=`, `x!=5`.

A value that the column has wins over every other reading, so that a category called `a|b` or `1..2` can be asked for.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING

import numpy as np

from synthgen.data.tables.columns import BOOLEAN_WORDS
from synthgen.data.tables.dates import date_format, parse_dates, zone_of
from synthgen.data.tables.plain import to_plain
from synthgen.data.tables.schema import NUMERIC, ColumnSchema
from synthgen.errors import UsageError, nearest

if TYPE_CHECKING:
    import pandas as pd

_HINT = "Write COLUMN=VALUE, COLUMN=LOW..HIGH, COLUMN=ONE|OTHER, COLUMN= for missing, or != for anything else."
_DAY = 86_400_000_000


@dataclass(frozen=True)
class Condition:
    """What a column must hold. text: what stands behind the sign; negate: the sign was `!=`."""

    text: str
    negate: bool = False

    def __str__(self) -> str:
        return ("!=" if self.negate else "=") + self.text


@dataclass(frozen=True)
class Wanted:
    """A condition in the terms of a column.

    ranges: closed intervals of numbers, dates as microseconds since 1970 in UTC. texts: of categories; `true` and
    `false` of booleans. missing: whether a missing value will do.
    """

    ranges: tuple[tuple[float, float], ...] = ()
    texts: frozenset[str] = field(default_factory=frozenset)
    missing: bool = False


def parse_condition(text: str) -> tuple[str, Condition]:
    """(column, condition) of a text as on the command line. Raises UsageError for one without a sign."""
    name, sign, value = text.partition("=")
    negate = name.endswith("!")
    name = name.removesuffix("!").strip()
    if not sign or not name:
        raise UsageError(f"'{text}' is not a condition", _HINT)
    return name, Condition(value.strip(), negate)


def resolve(condition: Condition, column: ColumnSchema, known: Collection[str] = ()) -> Wanted:
    """What `condition` means for `column`. known: the texts that a column of categories has.

    A condition with `!=` asks for a value that is there and another one. Raises UsageError for a value that is no
    number or date, or a category that the column does not have.
    """
    if not column.modelled:
        why = "made anew" if column.kind == "identifier" else "constant"
        raise UsageError(f"column '{column.name}' cannot be asked for: it is {why}")
    if column.kind in NUMERIC:
        ranges, missing = _ranges(condition.text, column)
        if condition.negate:
            return Wanted(_outside(ranges, column), missing=False)
        return Wanted(tuple(ranges), missing=missing)
    texts, missing = _texts(condition.text, column, known)
    if condition.negate:
        texts, missing = set(known) - texts, False
    return Wanted(texts=frozenset(texts), missing=missing)


def _is_missing(text: str, column: ColumnSchema) -> bool:
    return text == "" or text == column.format.get("missing")


def _ranges(text: str, column: ColumnSchema) -> tuple[list[tuple[float, float]], bool]:
    found, missing = [], False
    for part in text.split("|"):
        part = part.strip()
        if _is_missing(part, column):
            missing = True
            continue
        low, dots, high = part.partition("..")
        first = _number(low, column)[0] if low.strip() else -np.inf
        last = _number(high, column)[1] if dots and high.strip() else np.inf if dots else _number(low, column)[1]
        if first > last:
            raise UsageError(f"the condition {column.name}={text} goes downwards", f"Write {column.name}={high}..{low}")
        found.append((first, last))
    return found, missing


def _number(text: str, column: ColumnSchema) -> tuple[float, float]:
    """The first and the last value that `text` means: the same number, or all moments of a day."""
    text = text.strip()
    if column.kind == "datetime":
        return _moments(text, column)
    try:
        value = float(text.replace(",", ".") if column.format.get("comma") else text)
    except ValueError:
        value = np.nan
    if not np.isfinite(value):
        raise UsageError(f"'{text}' is not a number, and column '{column.name}' holds numbers", _HINT)
    return value, value


def _moments(text: str, column: ColumnSchema) -> tuple[float, float]:
    form = str(column.format.get("format") or "")
    if form and parse_dates([text], form)[1] is None:
        own = {"format": form}
    elif len(text) in (4, 7) and text[:4].isdigit() and (len(text) == 4 or (text[4] == "-" and text[5:].isdigit())):
        return _calendar(text, column)
    else:
        own, _ = date_format([text])
    if not own:
        raise UsageError(
            f"'{text}' is not a date, and column '{column.name}' holds dates",
            "Write 2010-12-31 or 2010-12-31 18:00:00.",
        )
    layout = str(own["format"])
    value = parse_dates([text], layout)[0].astype(np.int64)[0]
    if "%z" not in layout:
        value = _to_utc(int(value), column)
    width = next((width for sign, width in _WIDTHS if sign in layout), _DAY)
    return float(value), float(value + width - 1)


_WIDTHS = (("%f", 1), ("%S", 1_000_000), ("%M", 60_000_000), ("%H", 3_600_000_000))


def _calendar(text: str, column: ColumnSchema) -> tuple[float, float]:
    """A year or a month, from its first to its last microsecond."""
    try:
        start = np.datetime64(text)
    except ValueError as error:
        raise UsageError(f"'{text}' is not a date, and column '{column.name}' holds dates", _HINT) from error
    first, last = (int(moment.astype("datetime64[us]").astype(np.int64)) for moment in (start, start + 1))
    return float(_to_utc(first, column)), float(_to_utc(last, column) - 1)


def _to_utc(moment: int, column: ColumnSchema) -> int:
    """Microseconds of wall time in the zone of the column as an instant."""
    zone = column.format.get("zone")
    if not zone:
        return moment
    wall = datetime(1970, 1, 1) + np.timedelta64(moment, "us").item()
    utc = wall.replace(tzinfo=zone_of(str(zone))).astimezone(timezone.utc).replace(tzinfo=None)
    return round((utc - datetime(1970, 1, 1)).total_seconds() * 1e6)


def _outside(ranges: Sequence[tuple[float, float]], column: ColumnSchema) -> tuple[tuple[float, float], ...]:
    """The intervals between and around `ranges`; without any, everything."""
    found, start = [], -np.inf
    for low, high in sorted(ranges):
        end = np.nextafter(low, -np.inf)
        if end >= start and np.isfinite(low):
            found.append((start, float(end)))
        start = max(start, float(np.nextafter(high, np.inf)))
    if np.isfinite(start) or not found:
        found.append((start, np.inf))
    return tuple(found)


def _texts(text: str, column: ColumnSchema, known: Collection[str]) -> tuple[set[str], bool]:
    """The categories that a text asks for, and whether it asks for missing values."""
    if text in known:
        return {text}, False
    found, missing = set(), False
    for part in text.split("|"):
        part = part.strip()
        value = _boolean(part, column) if column.kind == "boolean" else part
        if value in known:
            found.add(value)
        elif _is_missing(part, column):
            missing = True
        else:
            words = [str(column.format.get(word, word)) for word in ("true", "false")]
            names = words if column.kind == "boolean" else sorted(known)
            raise UsageError(
                f"column '{column.name}' has no value '{part}'{nearest(part, names)}",
                f"It has {', '.join(names[:20])}{', ...' if len(names) > 20 else ''}.",
            )
    return found, missing


def _boolean(text: str, column: ColumnSchema) -> str:
    own = {column.format.get("true"): True, column.format.get("false"): False}
    value = own.get(text, BOOLEAN_WORDS.get(text.lower()))
    return text if value is None else "true" if value else "false"


def holds(condition: Condition, series: pd.Series, column: ColumnSchema) -> np.ndarray:
    """bool (N,): which values, in the normal form of the column's kind, satisfy the condition."""
    plain = to_plain(series, ColumnSchema(column.name, column.kind))
    if column.kind in NUMERIC:
        wanted = resolve(condition, column)
        found = np.isnan(plain) & wanted.missing
        for low, high in wanted.ranges:
            found |= (plain >= low) & (plain <= high)
        return np.asarray(found)
    parts = {part.strip() for part in condition.text.split("|")}
    spelled = {_boolean(part, column) for part in parts} if column.kind == "boolean" else parts
    known = {str(text) for text in plain if text is not None}
    wanted = resolve(condition, column, known | {part for part in spelled if not _is_missing(part, column)})
    return np.array([wanted.missing if text is None else text in wanted.texts for text in plain], bool)
