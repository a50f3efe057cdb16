"""Several completions of one sequence in one table: one after the other, or their quantiles cell by cell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from synthgen.data.tables.binning import round_to

if TYPE_CHECKING:
    import pandas as pd

    from synthgen.data.series.schema import SeriesSchema

DRAW, QUANTILE = "draw", "quantile"
"""The columns that tell the completions of a sequence apart, and their quantiles."""

_DIGITS = 12
"""Significant digits of what lies between two draws: beyond them it is the rounding of a sum."""


def draws_of(frames: Sequence[pd.DataFrame]) -> list[pd.DataFrame]:
    """Each completion with its number, from 0."""
    import pandas as pd

    return [
        frame.assign(**{DRAW: pd.array(np.full(len(frame), number), dtype="Int64")})
        for number, frame in enumerate(frames)
    ]


def quantiles_of(
    frames: Sequence[pd.DataFrame], quantiles: Sequence[float], schema: SeriesSchema
) -> list[pd.DataFrame]:
    """For each quantile the sequence with, in every cell, that quantile of the completions' values.

    Numbers are interpolated between the draws beside them (Hyndman and Fan 1996, definition 6: of nine draws or more,
    80 % of what the model draws lies between the 10 % and the 90 % quantile, on average). Whole numbers are the first
    draw that reaches the share (definition 1), and categories have no order: they are the commonest one. Missing draws
    do not count, unless they are the most.
    """
    return [_one(frames, level, schema) for level in quantiles]


def _one(frames: Sequence[pd.DataFrame], level: float, schema: SeriesSchema) -> pd.DataFrame:
    import pandas as pd

    first = frames[0]
    columns: dict[str, pd.Series] = {}
    for name in first.columns:
        kind = schema.table[name].kind if name in schema.table.names else "integer"
        if name in (schema.id, schema.label, schema.time) or name not in schema.table.names or kind == "constant":
            columns[name] = first[name]
        elif kind in ("number", "integer"):
            columns[name] = _quantile([frame[name] for frame in frames], level, whole=kind == "integer")
        else:
            columns[name] = _commonest([frame[name] for frame in frames])
    return pd.DataFrame(columns).assign(**{QUANTILE: np.full(len(first), level)})


def _quantile(draws: Sequence[pd.Series], level: float, *, whole: bool) -> pd.Series:
    import pandas as pd

    values = np.stack([one.to_numpy(np.float64, na_value=np.nan) for one in draws])
    gone = np.isnan(values).mean(0) > 0.5
    held = np.where(np.isnan(values).all(0), 0.0, values)
    found = np.nanquantile(held, level, axis=0, method="inverted_cdf" if whole else "weibull")
    found = round_to(found, 15, _DIGITS)
    same = (values == values[0]).all(0)  # known cells: exactly as they are, whatever interpolation rounds
    found = np.where(same, values[0], found)
    if whole:
        return pd.Series(pd.arrays.IntegerArray(np.where(gone, 0, np.rint(found)).astype(np.int64), gone))
    return pd.Series(np.where(gone, np.nan, found))


def _commonest(draws: Sequence[pd.Series]) -> pd.Series:
    import pandas as pd

    codes, distinct = pd.factorize(pd.concat(draws, ignore_index=True), use_na_sentinel=True)
    table = codes.reshape(len(draws), -1)
    counts = np.stack([(table == place).sum(0) for place in range(-1, len(distinct))])
    best = counts.argmax(0) - 1
    taken = pd.Series(distinct).array.take(best, allow_fill=True)
    return pd.Series(taken).astype(draws[0].dtype)
