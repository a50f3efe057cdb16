"""Names of made sequences: of the form that the real ones have, and none of them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from synthgen.data.tables.identifiers import identifier_format, make_identifiers
from synthgen.data.tables.schema import ColumnSchema

if TYPE_CHECKING:
    import pandas as pd

_FORM = "names"
_OTHER: dict[str, Any] = {"id": "numbered", "prefix": "synthetic-", "suffix": "", "width": 0, "next": 1}


def id_format(column: ColumnSchema, values: pd.Series) -> ColumnSchema:
    """The column of ids with what new ones need: whole numbers and numbered texts count on from the largest."""
    kept = {key: part for key, part in column.format.items() if key not in ("categories", "ordered")}
    if kept.get("dtype") == "category":
        kept["dtype"] = "object"
    if column.kind == "integer":
        form: dict[str, Any] = {"id": "sequence", "next": int(values.max()) + 1}
        return replace(column, format=kept | {_FORM: form})
    form = identifier_format([str(text) for text in values.dropna().unique()])
    form = form if form["id"] in ("uuid", "numbered") else _OTHER
    return ColumnSchema(column.name, "category", kept | {_FORM: form})


def make_ids(column: ColumnSchema, keys: np.ndarray, seed: int, lengths: np.ndarray) -> pd.Series:
    """A new id for each key, int64 (N,), as often as `lengths` say, in the normal form of the column."""
    import pandas as pd

    names = make_identifiers(dict(column.format.get(_FORM, {})), keys, seed, column.name).repeat(lengths)
    if column.kind == "integer":
        return pd.Series(names.astype(np.int64)).astype("Int64")
    return pd.Series(names, dtype=object)
