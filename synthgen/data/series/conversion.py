"""Series of another source in the terms of a schema that is known: synthetic or test series beside the real ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from synthgen.data.series.arrays import LABEL
from synthgen.data.series.levels import from_codes, levels_of, to_codes
from synthgen.data.series.schema import SeriesSchema
from synthgen.data.series.sequences import Steps
from synthgen.data.tables.schema import ColumnSchema
from synthgen.errors import UsageError, nearest

if TYPE_CHECKING:
    import pandas as pd


def check_columns(names: Sequence[str], schema: SeriesSchema, source: str) -> None:
    """Raises UsageError naming a column of `schema` that is not there."""
    lacking = [name for name in schema.table.names if name not in names]
    if lacking:
        others = [name for name in names if name not in schema.table.names]
        raise UsageError(
            f"{source} has no column '{lacking[0]}'{nearest(lacking[0], others)}"
            + (f", and {len(lacking) - 1} more are missing" if len(lacking) > 1 else ""),
            f"It needs the columns {', '.join(schema.table.names[:20])}"
            + (", ..." if len(schema.table.names) > 20 else "."),
        )


def hold(frame: pd.DataFrame, ids: pd.Series | None, names: Sequence[str]) -> pd.DataFrame:
    """The columns `names` without gaps: what a row lacks is that of the row before, else after, of its sequence."""
    for name in names:
        values = frame[name]
        if values.isna().any() and values.notna().any():
            kept = values.ffill() if ids is None else values.groupby(ids, sort=False).ffill()
            kept = kept.bfill() if ids is None else kept.groupby(ids, sort=False).bfill()
            frame = frame.assign(**{name: kept.astype(values.dtype)})
    return frame


def array_in_terms(steps: Steps, schema: SeriesSchema, name: str) -> Steps:
    """The steps of an array, its channels called as those of `schema`, with the kinds that these have.

    Codes of categories become their levels. Columns that an array does not hold (times, ids, covariates) stay out.
    Raises UsageError for values of another kind.
    """
    columns = {}
    for channel in schema.channels:
        columns[channel] = _in_kind(steps, channel, schema.table[channel], name)
    if schema.label is not None and LABEL in steps.frame:
        column = schema.table[schema.label]
        columns[schema.label] = from_codes(to_codes(steps.frame[LABEL], levels_of(column)), column)
    import pandas as pd

    return replace(steps, frame=pd.DataFrame(columns))


def _in_kind(steps: Steps, channel: str, column: ColumnSchema, name: str) -> object:
    import pandas as pd

    values = steps.frame[channel].astype("Float64").to_numpy(np.float64, na_value=np.nan)
    if column.kind == "number":
        return pd.Series(values)
    if column.kind == "constant":
        return pd.Series(
            [None if np.isnan(one) else repr(one).removesuffix(".0") for one in values.tolist()], dtype=object
        )
    odd = ~np.isnan(values) & (values % 1 != 0)
    if odd.any():
        raise UsageError(f"{name}, channel '{channel}': {values[odd][0]} where whole numbers belong")
    if column.kind == "integer":
        gone = np.isnan(values)
        return pd.Series(pd.arrays.IntegerArray(np.where(gone, 0, values).astype(np.int64), gone))
    levels = levels_of(column)
    beyond = values >= len(levels)
    codes = np.where(np.isnan(values) | (values < 0) | beyond, -1, values)
    return from_codes(codes.astype(np.int64), column)
