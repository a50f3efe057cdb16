"""Small tables with an answer, for the tests of this room."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from synthgen.config.tables import TableDataConfig
from synthgen.data.tables.reading import read_table
from synthgen.data.tables.schema import TableData


def write(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8"))
    return path


def read(tmp_path: Path, text: str | bytes, name: str = "data.csv", **settings: object) -> TableData:
    """The table that a file of this text holds; settings as in `data`."""
    return read_table(write(tmp_path / name, text), TableDataConfig.model_validate(settings))


def column(values: list[str], name: str = "x") -> str:
    """A CSV of a column beside one that makes rows countable."""
    return f"{name},y\n" + "".join(f"{value},{i % 3}.5\n" for i, value in enumerate(values))


def kinds(data: TableData) -> dict[str, str]:
    return {one.name: one.kind for one in data.schema.columns}


def mixed(rows: int = 400, seed: int = 0) -> pd.DataFrame:
    """A frame with every kind of column, missing values in each."""
    rng = np.random.default_rng(seed)
    gone = rng.random((rows, 6)) < 0.1
    days = rng.integers(-4000, 9000, rows) * 86_400 + rng.integers(0, 1440, rows) * 60
    amount = np.where(rng.random(rows) < 0.4, 0.0, np.round(rng.lognormal(3, 1, rows), 2))
    return pd.DataFrame(
        {
            "amount": np.where(gone[:, 0], np.nan, amount),
            "count": pd.array(np.where(gone[:, 1], None, rng.poisson(300, rows)), dtype="Int64"),
            "city": np.where(gone[:, 2], None, np.array(["Paris", "Rome", "Oslo", "Łódź"])[rng.integers(0, 4, rows)]),
            "member": pd.array(np.where(gone[:, 3], None, rng.random(rows) < 0.3), dtype="boolean"),
            "when": pd.Series(days.astype("datetime64[s]").astype("datetime64[us]")).where(~gone[:, 4]),
            "exact": np.where(gone[:, 5], np.nan, rng.normal(size=rows)),
        }
    )
