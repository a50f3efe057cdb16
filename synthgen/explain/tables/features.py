"""Two tables as one matrix for a forest: one feature per column, so that whatever is said of it is said of a column."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from synthgen.data.tables.schema import NUMERIC, TableData
from synthgen.evaluation.tables.space import numbers, texts


@dataclass(frozen=True, eq=False)
class Contest:
    """Real and synthetic rows, to be told apart.

    names: the C columns. values: float32 (N, C), see `contest`. synthetic: bool (N,).
    origin: int64 (N,), the row's number in its own table.
    """

    names: tuple[str, ...]
    values: np.ndarray
    synthetic: np.ndarray
    origin: np.ndarray


def contest(real: TableData, fake: TableData, most: int, random: np.random.Generator) -> Contest:
    """As many rows of either table, drawn without replacement, at most `most` of each; the modelled columns.

    Numbers and dates become their rank among the distinct values of both tables, which a tree cuts in the same places
    as the values themselves, and which single precision holds. Categories become numbers by falling frequency.
    Missing values come before all others.
    """
    count = min(len(real), len(fake), most)
    picks = [random.permutation(len(table))[:count] for table in (real, fake)]
    parts = [real.frame.iloc[picks[0]], fake.frame.iloc[picks[1]]]
    columns = real.schema.modelled
    values = np.empty((2 * count, len(columns)), np.float32)
    for place, column in enumerate(columns):
        if column.kind in NUMERIC:
            values[:, place] = _ranks(np.concatenate([numbers(part[column.name], column) for part in parts]))
        else:
            values[:, place] = _frequencies(np.concatenate([texts(part[column.name]) for part in parts]))
    names = tuple(column.name for column in columns)
    return Contest(names, values, np.repeat([False, True], count), np.concatenate(picks).astype(np.int64))


def _ranks(values: np.ndarray) -> np.ndarray:
    """Place among the distinct values, -1 for NaN."""
    found = np.full(len(values), -1.0)
    there = ~np.isnan(values)
    found[there] = np.unique(values[there], return_inverse=True)[1]
    return found


def _frequencies(values: np.ndarray) -> np.ndarray:
    """0 for the commonest category, 1 for the next, ..., -1 for missing values; equally common ones by their text."""
    import pandas as pd

    codes, levels = pd.factorize(values)
    counts = np.bincount(codes[codes >= 0], minlength=len(levels))
    order = sorted(range(len(levels)), key=lambda code: (-counts[code], str(levels[code])))
    place = np.empty(len(levels) + 1)
    place[order] = np.arange(len(levels))
    place[-1] = -1.0
    result: np.ndarray = place[codes]
    return result
