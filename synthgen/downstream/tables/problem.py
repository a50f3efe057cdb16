"""What is to be predicted, and rows as the matrices that the learners take."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from synthgen.data.tables.schema import NUMERIC, TableData
from synthgen.errors import UsageError, nearest
from synthgen.evaluation.tables.space import numbers, texts

MOST_CLASSES = 50
_MOST_LEVELS = 250
"""Categories of a column that boosting tells apart (scikit-learn's bound is 255); the rarest are one."""

_MOST_ONE_HOT = 60
_KNOTS = 201


@dataclass(frozen=True)
class Problem:
    """A column to predict from all others. classes: texts of its values, in order; none for a number (regression)."""

    target: str
    classes: tuple[str, ...]

    @property
    def regression(self) -> bool:
        return not self.classes

    def known(self, data: TableData) -> TableData:
        """The rows whose target is known, and of a class that is."""
        values = self.labels(data)
        keep = np.isfinite(values) if self.regression else values >= 0
        return data if keep.all() else data.select(np.flatnonzero(keep))

    def labels(self, data: TableData) -> np.ndarray:
        """float64 (N,) with NaN for missing values, or int64 (N,) places in `classes`, -1 for missing or unknown."""
        column = data.schema[self.target]
        if self.regression:
            return numbers(data.frame[self.target], column)
        place: dict[str | None, int] = {name: index for index, name in enumerate(self.classes)}
        return np.array([place.get(value, -1) for value in target_texts(data, self.target)], np.int64)


def target_texts(data: TableData, target: str) -> list[str | None]:
    """The values of a column as texts, numbers without needless decimals; None where missing."""
    column = data.schema[target]
    if column.kind not in NUMERIC:
        return list(texts(data.frame[target]))
    return [None if np.isnan(value) else f"{value:g}" for value in numbers(data.frame[target], column)]


def pose(data: TableData, target: str) -> Problem:
    """Two values and categories are classes; other numbers are regressed.

    Raises UsageError for a column that there is not, or that cannot be predicted.
    """
    names = data.schema.names
    if target not in names:
        raise UsageError(
            f"{data.name} has no column '{target}'{nearest(target, names)}", f"Its columns: {', '.join(names[:20])}."
        )
    column = data.schema[target]
    if not column.modelled or column.kind == "datetime":
        what = {"identifier": "an identifier", "constant": "constant", "datetime": "a date"}[column.kind]
        raise UsageError(f"the target '{target}' is {what}: there is nothing to predict", "name another --target")
    values = {value for value in target_texts(data, target) if value is not None}
    if len(values) < 2:
        raise UsageError(f"the target '{target}' has {len(values)} distinct values: there is nothing to predict")
    if len(data.schema.modelled) < 2:
        raise UsageError(f"{data.name} has no column to predict '{target}' from")
    if column.kind in NUMERIC and len(values) > 2:
        return Problem(target, ())
    if len(values) > MOST_CLASSES:
        raise UsageError(f"the target '{target}' has {len(values):,} classes, {MOST_CLASSES} are the most")
    return Problem(target, tuple(sorted(values)))


class Encoder:
    """Rows as matrices; all it knows comes from the rows it is made from (the real training rows).

    Categories that were not among them count as missing.
    """

    def __init__(self, data: TableData, target: str) -> None:
        self.columns = tuple(column for column in data.schema.modelled if column.name != target)
        self.categorical = np.array([column.kind not in NUMERIC for column in self.columns], bool)
        self._levels: dict[str, dict[str, int]] = {}
        self._knots: dict[str, np.ndarray] = {}
        self._gaps: set[str] = set()
        for column in self.columns:
            if column.kind in NUMERIC:
                values = numbers(data.frame[column.name], column)
                known = values[~np.isnan(values)]
                if len(known) < len(values):
                    self._gaps.add(column.name)
                knots = np.quantile(known, np.linspace(0, 1, _KNOTS)) if len(known) else np.zeros(1)
                self._knots[column.name] = np.unique(knots)
            else:
                names, counts = np.unique(
                    [v for v in texts(data.frame[column.name]) if v is not None], return_counts=True
                )
                order = np.argsort(-counts, kind="stable")
                self._levels[column.name] = {str(names[i]): rank for rank, i in enumerate(order)}

    def cells(self, data: TableData) -> np.ndarray:
        """float64 (N, C) for boosting: numbers, and ranks of categories by frequency; NaN for missing values."""
        found = np.empty((len(data), len(self.columns)))
        for place, column in enumerate(self.columns):
            if column.kind in NUMERIC:
                found[:, place] = numbers(data.frame[column.name], column)
            else:
                ranks = self._ranks(data, column.name)
                found[:, place] = np.where(ranks < 0, np.nan, np.minimum(ranks, _MOST_LEVELS - 1))
        return found

    def features(self, data: TableData) -> np.ndarray:
        """float32 (N, d) for a network: numbers by their rank among the training rows, one-hot categories.

        A number's place among the training rows' quantiles, between -1 and 1, is robust against long tails; a missing
        one lies at 0, with an indicator where the training rows have missing values.
        """
        parts: list[np.ndarray] = []
        for column in self.columns:
            if column.kind in NUMERIC:
                values = numbers(data.frame[column.name], column)
                missing, knots = np.isnan(values), self._knots[column.name]
                ends = np.linspace(-1, 1, len(knots)) if len(knots) > 1 else np.zeros(1)
                parts.append(
                    np.where(missing, 0.0, np.interp(np.where(missing, knots[0], values), knots, ends))[:, None]
                )
                if column.name in self._gaps:
                    parts.append(missing[:, None])
            else:
                size = min(len(self._levels[column.name]), _MOST_ONE_HOT) + 1
                ranks = np.minimum(self._ranks(data, column.name), size - 2)
                parts.append(np.eye(size)[ranks])  # -1, missing or unknown, is the last
        return np.concatenate(parts, axis=1).astype(np.float32)

    def _ranks(self, data: TableData, name: str) -> np.ndarray:
        levels = self._levels[name]
        return np.array([levels.get(value, -1) for value in texts(data.frame[name])], np.int64)
