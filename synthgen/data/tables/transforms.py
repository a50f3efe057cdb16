"""Changes of columns before they become tokens, each with its way back: dates into day and time, rules kept by design.

They work on plain columns: float64 with NaN for numbers and dates, objects with None for everything else. Applied in
order on the way in and in reverse on the way out; `backward` restores exactly what `forward` was given, for every row
that keeps the rules, and makes every row keep them.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np

from synthgen.data.tables.binning import round_to

Columns = dict[str, np.ndarray]

DAY = 86_400_000_000


def free_name(name: str, taken: Any) -> str:
    """`name`, with underscores behind it until no column has it."""
    while name in taken:
        name += "_"
    return name


@dataclass(frozen=True)
class DateParts:
    """A date with a time becomes days since 1970 (under its own name) and the time of the day, both in steps.

    unit: microseconds of a step, a divisor of a day; the column counts in it.
    """

    kind: ClassVar[str] = "date_parts"
    name: str
    time: str
    unit: int

    def forward(self, columns: Columns) -> None:
        moments, steps = columns[self.name], DAY // self.unit
        columns[self.name] = np.floor(moments / steps)
        columns[self.time] = moments - columns[self.name] * steps

    def backward(self, columns: Columns) -> None:
        columns[self.name] = columns[self.name] * (DAY // self.unit) + columns.pop(self.time)


@dataclass(frozen=True)
class Joint:
    """Columns that only occur in certain combinations become one, of JSON lists."""

    kind: ClassVar[str] = "joint"
    names: tuple[str, ...]
    joint: str
    numeric: tuple[bool, ...]

    def forward(self, columns: Columns) -> None:
        import pandas as pd

        codes, texts = [], []
        for name, numeric in zip(self.names, self.numeric, strict=True):
            values = columns.pop(name)
            found, distinct = pd.factorize(values)
            plain = [float(value) for value in distinct] if numeric else [str(value) for value in distinct]
            codes.append(found)
            texts.append([*plain, None])
        rows, distinct = np.unique(np.stack(codes, axis=1), axis=0, return_inverse=True)
        held = np.empty(len(rows), object)
        held[:] = [
            json.dumps([part[code] for part, code in zip(texts, row, strict=True)], ensure_ascii=False)
            for row in rows.tolist()
        ]
        columns[self.joint] = held[distinct.ravel()]

    def backward(self, columns: Columns) -> None:
        import pandas as pd

        codes, distinct = pd.factorize(columns.pop(self.joint))
        parts = [self.parts(text) for text in distinct]
        for place, (name, numeric) in enumerate(zip(self.names, self.numeric, strict=True)):
            held = np.empty(len(parts), object)
            held[:] = [part[place] for part in parts]
            values = held[codes]
            columns[name] = values.astype(np.float64) if numeric else values

    def parts(self, text: str) -> list[Any]:
        """The values of the columns in a combination, None where missing."""
        found: list[Any] = json.loads(text)
        return found


@dataclass(frozen=True)
class Ascending:
    """`high` becomes what it is more than `low`, at least 0. alone: the column of `high` where `low` is missing.

    decimals: the most that either has; most: the largest `high`, never exceeded unless `low` does.
    """

    kind: ClassVar[str] = "ascending"
    low: str
    high: str
    gap: str
    alone: str | None
    decimals: int
    most: float

    def forward(self, columns: Columns) -> None:
        low, high = columns[self.low], columns.pop(self.high)
        columns[self.gap] = round_to(np.maximum(high - low, 0), self.decimals)
        if self.alone is not None:
            columns[self.alone] = np.where(np.isnan(low), high, np.nan)

    def backward(self, columns: Columns) -> None:
        low, gap = columns[self.low], columns.pop(self.gap)
        high = np.maximum(low, np.minimum(round_to(low + gap, self.decimals), self.most))
        if self.alone is not None:
            high = np.where(np.isnan(low), columns[self.alone], high)
            columns.pop(self.alone)
        columns[self.high] = high


@dataclass(frozen=True)
class Total:
    """`total` is left out and added up again. alone: the column of totals of rows in which a part is missing.

    given: a column that says whether a row with all its parts has a total; None when all have.
    """

    kind: ClassVar[str] = "total"
    names: tuple[str, ...]
    total: str
    alone: str | None
    given: str | None
    decimals: int

    def add(self, columns: Columns) -> np.ndarray:
        """The sums, NaN where a part is missing."""
        found = columns[self.names[0]].copy()
        for name in self.names[1:]:
            found = found + columns[name]
        return round_to(found, self.decimals)

    def forward(self, columns: Columns) -> None:
        sums, total = self.add(columns), columns.pop(self.total)
        if self.alone is not None:
            columns[self.alone] = np.where(np.isnan(sums), total, np.nan)
        if self.given is not None:
            held = np.array(["no", "yes"], object)
            columns[self.given] = held[(~np.isnan(total) | np.isnan(sums)).astype(np.int64)]

    def backward(self, columns: Columns) -> None:
        sums = self.add(columns)
        if self.given is not None:
            sums = np.where((columns.pop(self.given) == "no") & ~np.isnan(sums), np.inf, sums)
        if self.alone is not None:
            alone = columns.pop(self.alone)
            sums = np.where(np.isnan(sums), alone, sums)
        columns[self.total] = np.where(np.isinf(sums), np.nan, sums)


Transform = DateParts | Joint | Ascending | Total
_KINDS: dict[str, Any] = {one.kind: one for one in (DateParts, Joint, Ascending, Total)}


def transform_to_dict(step: Transform) -> dict[str, Any]:
    """JSON values."""
    return {"kind": step.kind, **asdict(step)}


def transform_from_dict(values: dict[str, Any]) -> Transform:
    """What `transform_to_dict` wrote. Raises KeyError, TypeError or ValueError for anything else."""
    given = dict(values)
    kind = _KINDS[str(given.pop("kind"))]
    step: Transform = kind(
        **{name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}
    )
    for name, value in asdict(step).items():
        expected: tuple[type, ...] = (str, tuple, int, float, type(None))
        if not isinstance(value, expected):
            raise ValueError(f"{name} of {step.kind}")
    if isinstance(step, DateParts) and (step.unit < 1 or DAY % step.unit):
        raise ValueError("a unit of time that is no part of a day")
    return step
