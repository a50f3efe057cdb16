"""What the columns of series are for, told from their names and values; what the configuration says goes first."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from synthgen.config.series import SeriesDataConfig
from synthgen.data.series.oddities import odd_text
from synthgen.data.tables.schema import ColumnSchema
from synthgen.errors import UsageError, nearest

if TYPE_CHECKING:
    import pandas as pd

SEQUENCE = "sequence"
"""The column that tells sequences apart in what is written, when the input had none."""

MOST_LEVELS = 256
"""Different texts that a channel may have."""

_TIME = re.compile(
    r"(?:date|time|datetime|timestamp|ds|epoch|unix|unixtime|date[_ ]?time|time[_ ]?stamp|time[_ ]?(?:idx|index)"
    r"|event[_ ]?time|utc|index|step|t)",
    re.IGNORECASE,
)
_FAITHFUL = re.compile(r"(?:date|time|timestamp|ds|epoch|unix|unixtime|time[_ ]?stamp|utc)", re.IGNORECASE)
"""Names that mean times even where numbers are not in order."""
_ID = re.compile(
    r"(?:id|series|seriesid|sequence|sequenceid|seq|seqid|uid|uniqueid|itemid|unit|unitid|machineid|deviceid|sensorid"
    r"|subject|patient|machine|device|sensor|entity|station|recording|trial|file|symbol|ticker|asset|store|meter"
    r"|household|person|participant|user|customer|vehicle|engine|animal|site|.*[_ ]id)",
    re.IGNORECASE,
)
_FLOATS = ("float", "double", "half")
"""How dtypes begin in which an infinite value cannot be told from a missing one by its text."""
_NAMES = ("category", "integer", "boolean", "identifier", "constant")
"""Kinds that can tell sequences apart."""
_NAMED_ROWS = 20
_LEAST_GAPS, _REGULAR = 8, 0.9
_FEW_LEVELS = 20
"""So few texts may be categories, even where most of them look like numbers."""


@dataclass
class Roles:
    """The part of each column. dropped: left out, with the reason. remarks: what a user should know."""

    time: str | None = None
    id: str | None = None
    label: str | None = None
    static: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    dropped: dict[str, str] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)


def find_roles(
    name: str,
    frame: pd.DataFrame,
    columns: tuple[ColumnSchema, ...],
    config: SeriesDataConfig,
    where: Callable[[int], str] = "row {:,}".format,
    refused: Mapping[str, str] | None = None,
) -> Roles:
    """The roles of all columns of `frame` (normal forms). Raises UsageError naming a column that fits none.

    where: words for the place of a row. refused: by column, why inference takes it for nothing that can be learned.
    """
    finder = _Finder(name, frame, {column.name: column for column in columns}, config, where, refused or {})
    return finder.find()


@dataclass
class _Finder:
    name: str
    frame: pd.DataFrame
    columns: dict[str, ColumnSchema]
    config: SeriesDataConfig
    where: Callable[[int], str]
    refused: Mapping[str, str]

    def find(self) -> Roles:
        self._check_names()
        found = Roles(label=self.config.label)
        taken = {*self.config.static, *filter(None, (self.config.label,))}
        found.time = self.config.time or self._time_by_date(taken)
        found.id = self.config.id or self._id(found.time, taken)
        if found.time is None:
            found.time = self._time_by_number(found.id, taken)
            if found.id is None and found.time is not None:
                found.id = self._id(found.time, taken)
        self._check_time(found.time)
        rest = [name for name in self.columns if name not in (found.time, found.id, found.label)]
        static = self._static(found.id, rest, found)
        rest = [name for name in rest if name not in static and name not in found.dropped]
        self._drop_row_numbers(rest, found)
        found.static = tuple(static)
        found.channels = tuple(name for name in rest if name not in found.dropped)
        if not found.channels:
            raise UsageError(
                f"{self.name} has no channel: no column holds values that go on from step to step",
                "`synthgen data inspect` shows what each column was taken for",
            )
        for name in (*found.channels, *found.static):
            self._check_channel(self.columns[name], "covariate" if name in static else "channel", found.time)
        return found

    def _check_names(self) -> None:
        wanted = {"data.time": self.config.time, "data.id": self.config.id, "data.label": self.config.label}
        pairs = [(key, name) for key, name in wanted.items() if name is not None]
        pairs += [("data.static", name) for name in self.config.static]
        seen: dict[str, str] = {}
        for key, name in pairs:
            if name not in self.columns:
                raise UsageError(
                    f"{key}: {self.name} has no column '{name}'{nearest(name, tuple(self.columns))}",
                    f"Its columns: {', '.join(list(self.columns)[:20])}{', ...' if len(self.columns) > 20 else ''}.",
                )
            if name in seen:
                raise UsageError(f"{key} and {seen[name]} both name the column '{name}'", "A column has one part only.")
            seen[name] = key

    def _time_by_date(self, taken: set[str]) -> str | None:
        dates = [n for n, column in self.columns.items() if column.kind == "datetime" and n not in taken]
        named = [name for name in dates if _TIME.fullmatch(name)]
        return next(iter(named or dates), None)

    def _time_by_number(self, id_: str | None, taken: set[str]) -> str | None:
        """A column of numbers that is called as times are and rises, or one that numbers the rows."""
        for name, column in self.columns.items():
            if name == id_ or name in taken or column.kind not in ("integer", "number"):
                continue
            counts = column.format.get("id") == "sequence"
            if not (counts or _TIME.fullmatch(name)) or self.frame[name].isna().any():
                continue
            values, own = self.frame[name].to_numpy(np.float64), id_ or self._owner(name, taken)
            order = np.arange(len(values)) if own is None else np.argsort(self._codes(own), kind="stable")
            owner = np.zeros(len(values)) if own is None else self._codes(own)[order]
            rises = (np.diff(values[order])[np.diff(owner) == 0] > 0).all() and len(values) > 1
            counts = counts or _counts(values[order], owner)
            if rises or counts or (_FAITHFUL.fullmatch(name) and self._tells_apart(name, own)):
                return name
        return None

    def _owner(self, time: str, taken: set[str]) -> str | None:
        """The column called as ids are that tells equal times apart: sequences beside each other, row by row."""
        found = self._id(time, taken) if self._repeats(time) else None
        return found if found is not None and _ID.fullmatch(found) and self._tells_apart(time, found) else None

    def _id(self, time: str | None, taken: set[str]) -> str | None:
        candidates = [
            name
            for name, column in self.columns.items()
            if name != time and name not in taken and column.kind in _NAMES and not self.frame[name].isna().any()
        ]
        rows = len(self.frame)
        named = [name for name in candidates if _ID.fullmatch(name) and len(np.unique(self._codes(name))) < rows]
        if time is None or not self._repeats(time):
            # Names like `unit` are used for channels, too: without times that repeat, only blocks are sequences.
            return next((name for name in named if self._in_blocks(name)), None)
        fits = [name for name in named if self._tells_apart(time, name)]
        if fits:
            return fits[0]
        others = [
            name for name in candidates if self.columns[name].kind != "constant" and self._tells_apart(time, name)
        ]
        others.sort(key=lambda n: (self.columns[n].kind == "integer", len(np.unique(self._codes(n)))))
        return next(iter([*others, *named]), None)

    def _codes(self, name: str) -> np.ndarray:
        import pandas as pd

        found: np.ndarray = pd.factorize(self.frame[name])[0]
        return found

    def _repeats(self, name: str) -> bool:
        return bool(self.frame[name].duplicated().any())

    def _tells_apart(self, time: str, id_: str | None) -> bool:
        return not self.frame.duplicated([time, id_] if id_ is not None else [time]).any()

    def _in_blocks(self, name: str) -> bool:
        codes = self._codes(name)
        blocks = 1 + int((np.diff(codes) != 0).sum())
        return 1 < blocks == len(np.unique(codes))

    def _check_time(self, time: str | None) -> None:
        if time is None:
            return
        column = self.columns[time]
        if column.kind not in ("datetime", "integer", "number"):
            self._check_texts(column, numbers=True)
            raise UsageError(
                f"{self.name}: the column '{time}' is no time: it was taken for {_article(column.kind)}",
                self._long_numbers(time)
                or f"dates of a form that is not known: --set data.columns.{time}.format=%d.%m.%Y",
            )

    def _check_texts(self, column: ColumnSchema, *, numbers: bool) -> None:
        """Raises UsageError naming the first text that keeps the column from being numbers or dates."""
        own = self.config.columns.get(column.name)
        odd = None if own is not None and own.kind != "auto" else odd_text(self.frame[column.name], numbers=numbers)
        if odd is not None:
            row, text, others = odd
            raise UsageError(
                f"{self.name}, {self.where(row)}, column '{column.name}': '{text[:60]}', where most cells are {others}",
                f"correct the cell, or leave the column out: --set data.drop=[{column.name}]"
                if others != "numbers"
                else f'if it means a missing value: --set data.columns.{column.name}.missing=["{text[:60]}"]; '
                f"to learn texts: --set data.columns.{column.name}.kind=category",
            )

    def _long_numbers(self, name: str) -> str:
        """What to do about whole numbers with so many digits that tables take them for codes; "" for anything else."""
        digits = (str(value).lstrip("+-").isdecimal() for value in self.frame[name].dropna())
        more = (
            f"whole numbers of more than 15 digits count as codes; as numbers: --set data.columns.{name}.kind=integer"
        )
        return more if all(digits) else ""

    def _static(self, id_: str | None, rest: list[str], found: Roles) -> list[str]:
        """Columns with one value for each sequence; names of the sequences are left out."""
        if id_ is None:
            if self.config.static:
                raise UsageError(
                    f"data.static: {self.name} is one sequence, so '{self.config.static[0]}' is no covariate",
                    "data.id names the column that tells sequences apart",
                )
            return []
        codes = self._codes(id_)
        count = len(np.unique(codes))
        static = []
        for name in rest:
            own = self._codes(name)
            first = own[np.unique(codes, return_index=True)[1]]
            changes = np.flatnonzero(first[codes] != own)
            if name in self.config.static and len(changes):
                row = int(changes[0])
                raise UsageError(
                    f"{self.name}, {self.where(row)}: the column '{name}' changes within the sequence "
                    f"'{self.frame[id_].iloc[row]}', so it is not static",
                    f"leave it out of data.static, and '{name}' is a channel",
                )
            if len(changes) or (count < 2 and name not in self.config.static):
                continue
            distinct = len(np.unique(first[first >= 0]))
            text = self.columns[name].kind in ("category", "identifier")
            if text and distinct == count >= _NAMED_ROWS:
                found.dropped[name] = "names the sequences"
            elif distinct > 1 or name in self.config.static:
                static.append(name)
        return static

    def _drop_row_numbers(self, rest: list[str], found: Roles) -> None:
        for name in rest:
            if self.columns[name].format.get("id") == "sequence":
                found.dropped[name] = "only numbers the rows"

    def _check_channel(self, column: ColumnSchema, role: str, time: str | None) -> None:
        drop = f"leave it out: --set data.drop=[{column.name}]"
        if column.name in self.refused and str(column.format.get("dtype")).lower().startswith(_FLOATS):
            raise UsageError(f"{self.name}: column '{column.name}' {self.refused[column.name]}", f"empty it, or {drop}")
        if column.kind in ("category", "identifier"):
            many = column.kind == "identifier" or self.frame[column.name].nunique() > _FEW_LEVELS
            self._check_texts(column, numbers=many or column.name in self.refused)
        if column.name in self.refused:
            raise UsageError(f"{self.name}: column '{column.name}' {self.refused[column.name]}", drop)
        if column.kind == "identifier":
            raise UsageError(
                f"{self.name}: column '{column.name}' is different in every row, which no {role} can be",
                self._long_numbers(column.name) or drop,
            )
        if column.kind == "datetime":
            taken = "" if time is None else f", and the time is '{time}'"
            raise UsageError(f"{self.name}: column '{column.name}' holds dates, which no {role} can be{taken}", drop)
        levels = self.frame[column.name].nunique() if column.kind == "category" else 0
        if levels > MOST_LEVELS:
            raise UsageError(
                f"{self.name}: column '{column.name}' has {levels:,} different texts; a {role} may have {MOST_LEVELS}",
                drop,
            )


def _counts(values: np.ndarray, owner: np.ndarray) -> bool:
    """Whether numbers (N,), in whatever order of rows, go on by one interval nearly everywhere within an owner (N,)."""
    ordered = values[np.lexsort((values, owner))]
    gaps = np.diff(ordered)[np.diff(np.sort(owner)) == 0]
    return len(gaps) >= _LEAST_GAPS and float(np.isclose(gaps, np.median(gaps)).mean()) > _REGULAR and gaps.min() > 0


def _article(kind: str) -> str:
    return {"category": "a category", "boolean": "true and false", "constant": "a constant"}.get(kind, "an identifier")
