"""Hashes of tables and rows that depend on values alone, and random numbers that depend on (seed, key) alone."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

    from synthgen.data.tables.schema import TableSchema

_MISSING = np.uint64(0x9E3779B97F4A7C15)


def mix(words: np.ndarray) -> np.ndarray:
    """uint64 to uint64, every bit of the result depending on every bit given: the finaliser of SplitMix64.

    Steele, Lea, Flood: Fast splittable pseudorandom number generators, OOPSLA 2014.
    """
    z = words.astype(np.uint64) + _MISSING
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def text_hash(text: str) -> int:
    """64 bits of a text."""
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


def uniforms(seed: int, keys: np.ndarray, salt: str) -> np.ndarray:
    """float64 (N,) in [0, 1): one per key, the same for the same (seed, key, salt) in every version."""
    start = np.array([text_hash(f"{seed}:{salt}")], np.uint64)
    return (mix(mix(np.asarray(keys).astype(np.uint64)) ^ start) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def row_hashes(frame: pd.DataFrame) -> np.ndarray:
    """uint64 (N,): equal for rows with equal values in the same columns, whatever their place.

    Numbers are compared as float64 and dates as microseconds, so the hash of a row is the same under every version of
    pandas, and for a whole number held as Int64 or as float64.
    """
    total = np.zeros(len(frame), np.uint64)
    for place in range(frame.shape[1]):
        total = mix(total ^ _column_hashes(frame.iloc[:, place]))
    return total


def _column_hashes(column: pd.Series) -> np.ndarray:
    import pandas as pd

    missing = column.isna().to_numpy(bool)
    if pd.api.types.is_datetime64_any_dtype(column.dtype):
        values = column.dt.tz_localize(None) if getattr(column.dtype, "tz", None) is not None else column
        words = values.to_numpy("datetime64[us]").astype(np.int64).astype(np.uint64)
    elif pd.api.types.is_numeric_dtype(column.dtype):
        numbers = column.to_numpy(np.float64, na_value=np.nan) + 0.0  # one zero
        words = np.ascontiguousarray(numbers).view(np.uint64)
    else:
        codes, texts = pd.factorize(column.astype(object))
        known = np.array([text_hash(str(text)) for text in texts] + [0], np.uint64)
        words = known[codes]
    return mix(np.where(missing, _MISSING, words))


def fingerprint(frame: pd.DataFrame, schema: TableSchema) -> str:
    """sha256 (hex) of column names, kinds and all values in their order."""
    digest = hashlib.sha256(json.dumps([[column.name, column.kind] for column in schema.columns]).encode())
    digest.update(np.ascontiguousarray(row_hashes(frame)).data)
    return digest.hexdigest()
