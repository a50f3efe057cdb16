"""Fingerprints depend on values alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from synthgen.data.tables.hashing import row_hashes, uniforms
from synthgen.data.tables.reading import read_table, table_from_frame
from tests.data.tables.tables import mixed, write


def test_equal_tables_have_equal_fingerprints(tmp_path: Path) -> None:
    text = "a,b,c\n1,x,2.5\n2,y,\n2,x,1.5\n"
    data = read_table(write(tmp_path / "a.csv", text))
    assert len(data.fingerprint) == 64
    assert read_table(write(tmp_path / "b.tsv", text.replace(",", "\t"))).fingerprint == data.fingerprint
    assert data.select(np.arange(3)).fingerprint == data.fingerprint
    assert data.select(np.array([0, 2, 1])).fingerprint != data.fingerprint
    assert read_table(write(tmp_path / "c.csv", text.replace("1.5", "1.6"))).fingerprint != data.fingerprint
    assert read_table(write(tmp_path / "d.csv", text.replace("b", "B"))).fingerprint != data.fingerprint


def test_a_fingerprint_never_changes() -> None:
    """The same under every version of pandas and numpy: written down once."""
    frame = pd.DataFrame({"a": [1, 2, 2], "b": ["x", "ü", None], "c": [0.5, np.nan, -0.0], "d": [True, False, True],
                          "e": pd.to_datetime(["1969-12-31 23:59:59.5", None, "2020-01-01 00:00:00.0"])})  # fmt: skip
    assert row_hashes(table_from_frame(frame).frame).tolist() == EXPECTED


EXPECTED = [636671923297124884, 541964793747978727, 791000335130646374]


def test_rows_are_told_apart() -> None:
    frame = table_from_frame(mixed(2000)).frame
    hashes = row_hashes(frame)
    assert len(np.unique(hashes)) == len(frame.drop_duplicates())
    assert np.array_equal(row_hashes(frame.iloc[::-1]), hashes[::-1])
    swapped = frame[["amount", "exact"]].rename(columns={"amount": "exact", "exact": "amount"})
    assert not np.array_equal(row_hashes(swapped), row_hashes(frame[["exact", "amount"]]))
    whole = pd.DataFrame({"n": pd.array([1, 2, None], dtype="Int64")})
    assert np.array_equal(row_hashes(whole), row_hashes(whole.astype("float64")))


def test_uniforms() -> None:
    keys = np.arange(100_000)
    found = uniforms(7, keys, "x")
    assert found.min() >= 0 and found.max() < 1
    assert abs(found.mean() - 0.5) < 0.005 and abs(found.var() - 1 / 12) < 0.002
    assert np.array_equal(uniforms(7, keys[50:60], "x"), found[50:60])
    assert abs(np.corrcoef(found[:-1], found[1:])[0, 1]) < 0.01
    assert abs(np.corrcoef(found, uniforms(8, keys, "x"))[0, 1]) < 0.01
    assert abs(np.corrcoef(found, uniforms(7, keys, "y"))[0, 1]) < 0.01
