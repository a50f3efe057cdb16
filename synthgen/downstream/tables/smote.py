"""SMOTE for rows of mixed columns: new rows between neighbouring real ones (Chawla et al. 2002, SMOTE and SMOTE-NC)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from synthgen.data.tables.schema import NUMERIC, ColumnSchema, TableData
from synthgen.errors import UsageError
from synthgen.evaluation.tables.space import numbers, texts
from synthgen.stopping import ShouldStop, never_stop

if TYPE_CHECKING:
    import pandas as pd

NEIGHBOURS = 5

_MOST_CATEGORIES = 256
"""Of a column that distances tell apart; the rarest beyond them count as equal, which keeps the points narrow."""


def smote_rows(
    data: TableData,
    count: int,
    seed: int,
    *,
    neighbours: int = NEIGHBOURS,
    by: str | None = None,
    counts: Mapping[str | None, int] | None = None,
    should_stop: ShouldStop = never_stop,
) -> TableData:
    """`count` new rows, each between a random row of `data` and one of its nearest `neighbours`.

    by: a column of categories: neighbours are looked for among rows of the same category, which the new row keeps, and
    the categories are as frequent as in `data`, or as `counts` (text of the category -> rows; `count` is their sum)
    says. Without it, or for a number, all rows are neighbours and the column is treated like any other.

    Numbers lie at one random place of the way for the whole row, integers and dates rounded; a category is the most
    frequent one of the neighbours (SMOTE-NC), of equally frequent ones a random one; where one of the two ends has a
    missing number, the new row takes the nearer end. Distances are Euclidean, numbers divided by their deviation,
    an unequal category counting 1, which is their median (SMOTE-NC). A group of one row is repeated. Identifiers are
    left empty. Deterministic in `seed`. Raises UsageError for a table without rows; StoppedError.
    """
    if not len(data):
        raise UsageError(f"{data.name} has no rows, so nothing lies between them")
    random = np.random.default_rng(seed)
    if by is not None and data.schema[by].kind in NUMERIC:
        by = None
    groups = _groups(data, by)
    wanted = _wanted(groups, count, counts, random)
    points = _points(data, by)
    frames = [np.empty(0, np.int64)], [np.empty((0, neighbours), np.int64)]
    for name, amount in wanted.items():
        members = groups[name]
        base = random.choice(members, amount, replace=amount > len(members))
        frames[0].append(base)
        frames[1].append(_neighbours(points, base, members, neighbours, should_stop))
    made = _between(data, np.concatenate(frames[0]), np.concatenate(frames[1]), by, random)
    order = random.permutation(len(made))
    made = made.iloc[order].reset_index(drop=True)
    return replace(data, frame=made, name=f"SMOTE of {data.name}", fingerprint="")


def _groups(data: TableData, by: str | None) -> dict[str | None, np.ndarray]:
    if by is None:
        return {None: np.arange(len(data))}
    gone = data.frame[by].isna().to_numpy(bool)  # a missing text is None or NaN, as the column's dtype has it
    values = texts(data.frame[by])
    found: dict[str | None, np.ndarray] = {
        name: np.flatnonzero(~gone & (values == name)) for name in sorted(set(values[~gone].tolist()))
    }
    return found | {None: np.flatnonzero(gone)} if gone.any() else found


def _wanted(
    groups: dict[str | None, np.ndarray], count: int, counts: Mapping[str | None, int] | None, random: Any
) -> dict[str | None, int]:
    """Rows to make of every group; without `counts` those of a proportional draw, rounded at random."""
    if counts is not None:
        unknown = [str(name) for name in counts if name not in groups]
        if unknown:
            raise UsageError(f"there are no rows of {', '.join(unknown)} to lie between")
        return {name: amount for name, amount in counts.items() if amount > 0}
    exact = np.array([len(group) for group in groups.values()], np.float64)
    exact *= count / exact.sum()
    whole = np.floor(exact).astype(int)
    rest = count - int(whole.sum())
    if rest:
        part = exact - whole
        whole[random.choice(len(whole), rest, replace=False, p=part / part.sum())] += 1
    return {name: int(amount) for name, amount in zip(groups, whole, strict=True) if amount}


def _points(data: TableData, by: str | None) -> np.ndarray:
    """float32 (N, d): their Euclidean distance is SMOTE-NC's. Missing numbers stand at the mean, 1 away by a flag."""
    import pandas as pd

    parts: list[np.ndarray] = []
    for column in data.schema.modelled:
        if column.name == by:
            continue
        if column.kind in NUMERIC:
            values = numbers(data.frame[column.name], column)
            missing = np.isnan(values)
            if missing.all():
                continue
            centred = np.where(missing, 0.0, values - np.nanmean(values))
            deviation = float(np.nanstd(values))
            parts.append((centred / (deviation or 1.0))[:, None])
            if missing.any():
                parts.append(missing[:, None].astype(np.float64))
        else:
            codes, uniques = pd.factorize(texts(data.frame[column.name]), use_na_sentinel=False)
            ranks = np.argsort(np.argsort(-np.bincount(codes, minlength=len(uniques)), kind="stable"))
            codes = np.minimum(ranks[codes], _MOST_CATEGORIES - 1)
            # Two unequal categories differ in two places: each counts half of 1, squared.
            parts.append(np.eye(min(len(uniques), _MOST_CATEGORIES))[codes] * np.sqrt(0.5))
    return np.concatenate(parts, axis=1).astype(np.float32) if parts else np.zeros((len(data), 1), np.float32)


def _neighbours(
    points: np.ndarray, base: np.ndarray, members: np.ndarray, count: int, should_stop: ShouldStop
) -> np.ndarray:
    """int64 (len(base), count): rows of `members` nearest to each base row, itself left out; fewer are repeated."""
    from synthgen.errors import StoppedError

    usable = min(count, len(members) - 1)
    if usable < 1:
        return np.repeat(base[:, None], count, axis=1)
    references = points[members]
    lengths = (references**2).sum(axis=1)
    place = np.full(len(points), -1, np.int64)
    place[members] = np.arange(len(members))
    found = np.empty((len(base), usable), np.int64)
    rows = max(1, 2**22 // len(members))
    for start in range(0, len(base), rows):
        if should_stop():
            raise StoppedError("stopped while looking for neighbours")
        part = base[start : start + rows]
        table = lengths[None, :] - 2.0 * (points[part] @ references.T)  # + its own length, the same for all
        table[np.arange(len(part)), place[part]] = np.inf
        for rank in range(usable):
            best = table.argmin(axis=1)
            found[start : start + rows, rank] = members[best]
            table[np.arange(len(part)), best] = np.inf
    return found[:, np.arange(count) % usable]


def _between(data: TableData, base: np.ndarray, near: np.ndarray, by: str | None, random: Any) -> pd.DataFrame:
    """The new rows in the order of `base`, with the dtypes of the table."""
    import pandas as pd

    other = near[np.arange(len(base)), random.integers(0, near.shape[1], len(base))]
    way = random.random(len(base))
    columns: dict[str, Any] = {}
    for column in data.schema.columns:
        values = data.frame[column.name]
        if column.kind in NUMERIC:
            columns[column.name] = _number(values, column, base, other, way)
        elif column.kind == "identifier":
            columns[column.name] = pd.Series([None] * len(base), dtype=values.dtype)
        elif column.name == by:
            columns[column.name] = values.iloc[base].reset_index(drop=True)
        else:
            columns[column.name] = values.iloc[_most_frequent(values, near, random)].reset_index(drop=True)
    return pd.DataFrame(columns)[list(data.schema.names)].astype(data.frame.dtypes.to_dict())


def _number(
    values: pd.Series[Any], column: ColumnSchema, base: np.ndarray, other: np.ndarray, way: np.ndarray
) -> pd.Series[Any]:
    import pandas as pd

    found = numbers(values, column)
    first, second = found[base], found[other]
    made = first + way * (second - first)
    lone = np.isnan(made)  # an end is missing: the nearer one
    made[lone] = np.where(way[lone] < 0.5, first[lone], second[lone])
    if column.kind == "number":
        return pd.Series(made)
    gaps = np.isnan(made)
    whole = np.where(gaps, 0.0, np.rint(made)).astype(np.int64)
    if column.kind == "integer":
        return pd.Series(pd.arrays.IntegerArray(whole, gaps))
    zone = getattr(values.dtype, "tz", None)
    dates = pd.Series(whole.view("datetime64[us]")).mask(gaps)
    return dates if zone is None else dates.dt.tz_localize(zone)


def _most_frequent(values: pd.Series[Any], near: np.ndarray, random: Any) -> np.ndarray:
    """Per row of `near` the row of the table that holds the neighbours' most frequent value."""
    import pandas as pd

    codes, _ = pd.factorize(texts(values), use_na_sentinel=False)
    around = codes[near]
    votes = (around[:, :, None] == around[:, None, :]).sum(axis=2) + 0.5 * random.random(near.shape)
    chosen: np.ndarray = near[np.arange(len(near)), votes.argmax(axis=1)]
    return chosen
