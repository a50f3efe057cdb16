"""Hashes of tables and rows: whether two tables are the same, and which rows they share."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

    from synthgen.data.tables.schema import TableSchema


def row_hashes(frame: pd.DataFrame) -> np.ndarray:
    """uint64 (N,): equal for rows with equal values in the same columns, whatever their place."""
    from pandas.util import hash_pandas_object

    hashes: np.ndarray = hash_pandas_object(frame, index=False).to_numpy(np.uint64)
    return hashes


def fingerprint(frame: pd.DataFrame, schema: TableSchema) -> str:
    """sha256 (hex) of column names, kinds and all values in their order."""
    digest = hashlib.sha256(json.dumps([[column.name, column.kind] for column in schema.columns]).encode())
    digest.update(np.ascontiguousarray(row_hashes(frame)).data)
    return digest.hexdigest()
