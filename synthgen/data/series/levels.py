"""Values of categories, booleans and classes as codes, in an order that all readers of a schema share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from synthgen.data.tables.schema import ColumnSchema

if TYPE_CHECKING:
    import pandas as pd

LEVELS = "levels"
"""Key of `ColumnSchema.format`: the different values as texts, in order."""


def with_levels(column: ColumnSchema, values: pd.Series) -> ColumnSchema:
    """The column with its levels: whole numbers by size, texts by their letters."""
    texts = sorted({_text(value) for value in values.dropna().unique()}, key=_rank)
    return replace(column, format=column.format | {LEVELS: texts})


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool | np.bool_) else str(value)


def _rank(text: str) -> tuple[int, float, str]:
    try:
        return (0, float(text), text)
    except ValueError:
        return (1, 0.0, text)


def levels_of(column: ColumnSchema) -> tuple[str, ...]:
    """The levels of a category, a boolean or a class, as texts."""
    if column.kind == "boolean" and LEVELS not in column.format:
        return ("false", "true")
    return tuple(map(str, column.format.get(LEVELS, ())))


def to_codes(values: pd.Series, levels: Sequence[str]) -> np.ndarray:
    """int64 (N,): places in `levels`, -1 for missing and for values that are none of them."""
    import pandas as pd

    codes, distinct = pd.factorize(values)
    place = {text: number for number, text in enumerate(levels)}
    known = np.array([place.get(_text(value), -1) for value in distinct] + [-1], np.int64)
    found: np.ndarray = known[codes]
    return found


def from_codes(codes: np.ndarray, column: ColumnSchema, levels: Sequence[str] | None = None) -> pd.Series:
    """The normal form of a column's kind from places in its levels, -1 for missing."""
    import pandas as pd

    texts = levels_of(column) if levels is None else tuple(levels)
    gone = codes < 0
    if column.kind == "boolean":
        truth = np.array([text == "true" for text in texts] + [False])[codes]
        return pd.Series(pd.arrays.BooleanArray(truth, gone))
    if column.kind == "integer":
        whole = np.array([int(text) for text in texts] + [0], np.int64)[codes]
        return pd.Series(pd.arrays.IntegerArray(whole, gone))
    if column.kind == "number":
        return pd.Series(np.array([float(text) for text in texts] + [np.nan])[codes])
    held = np.empty(len(texts) + 1, object)
    held[:-1] = texts
    return pd.Series(held[codes], dtype=object)
