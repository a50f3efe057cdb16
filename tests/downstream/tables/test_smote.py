"""SMOTE: on the way between neighbours, of one class, with the table's own dtypes."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.neighbors import NearestNeighbors

from synthgen.data.tables.reading import table_from_frame
from synthgen.data.tables.schema import ColumnSchema, TableData, TableSchema
from synthgen.downstream.tables.smote import smote_rows
from synthgen.errors import StoppedError, UsageError

KINDS = {
    "x": "number",
    "y": "number",
    "n": "integer",
    "when": "datetime",
    "colour": "category",
    "ok": "boolean",
    "id": "identifier",
    "one": "constant",
    "class": "category",
}


def mixed(count: int = 60, seed: int = 0) -> TableData:
    """Two classes of 3 : 1 that lie apart, all kinds of columns, some values missing."""
    random = np.random.default_rng(seed)
    rare = np.arange(count) % 4 == 0
    frame = pd.DataFrame(
        {
            "x": random.normal(size=count) + 10 * rare,
            "y": random.normal(size=count),
            "n": pd.array(random.integers(0, 50, count), dtype="Int64"),
            "when": pd.Series(np.datetime64("1965-01-01", "us") + random.integers(0, 10**15, count)),
            "colour": pd.Series(random.choice(["red", "green", "blue"], count), dtype=object),
            "ok": pd.array(random.random(count) < 0.5, dtype="boolean"),
            "id": pd.Series([f"row {k}" for k in range(count)], dtype=object),
            "one": pd.Series(["same"] * count, dtype=object),
            "class": pd.Series(np.where(rare, "b", "a"), dtype=object),
        }
    )
    frame.loc[3, ["y", "n", "when", "ok"]] = None
    frame.loc[5, "colour"] = None
    frame["when"] = frame["when"].astype("datetime64[us]")
    return TableData(frame, TableSchema(tuple(ColumnSchema(name, kind) for name, kind in KINDS.items())), "mixed")


def test_numbers_lie_between_a_row_and_one_of_its_nearest_of_the_same_class() -> None:
    random = np.random.default_rng(1)
    frame = pd.DataFrame(random.normal(size=(80, 2)), columns=["x", "y"])
    frame["class"] = pd.Series(np.where(np.arange(80) < 20, "b", "a"), dtype=object)
    columns = tuple(
        ColumnSchema(name, kind) for name, kind in (("x", "number"), ("y", "number"), ("class", "category"))
    )
    made = smote_rows(TableData(frame, TableSchema(columns), "t"), 100, 0, neighbours=3, by="class").frame
    scaled = frame[["x", "y"]].to_numpy() / frame[["x", "y"]].std(ddof=0).to_numpy()
    segments = []
    for name in ("a", "b"):
        members = np.flatnonzero(frame["class"] == name)
        found = NearestNeighbors(n_neighbors=4).fit(scaled[members]).kneighbors(scaled[members], return_distance=False)
        segments += [(name, members[i], members[j]) for i in range(len(members)) for j in found[i, 1:]]
    values = frame[["x", "y"]].to_numpy()
    for x, y, name in made[["x", "y", "class"]].itertuples(index=False):
        gaps = []
        for where, i, j in segments:
            step = values[j] - values[i]
            way = np.clip(np.dot([x, y] - values[i], step) / np.dot(step, step), 0, 1)
            gaps.append((np.linalg.norm(values[i] + way * step - [x, y]), where))
        assert min(gap for gap, where in gaps if where == name) < 1e-9


def test_dtypes_order_and_class_shares_are_the_tables() -> None:
    data = mixed()
    made = smote_rows(data, 40, 0, by="class")
    assert made.frame.dtypes.to_dict() == data.frame.dtypes.to_dict()
    assert list(made.frame.columns) == list(data.frame.columns)
    assert made.frame["class"].value_counts().to_dict() == {"a": 30, "b": 10}
    assert made.frame["id"].isna().all()
    assert set(made.frame["one"]) == {"same"}
    assert made.frame["when"].dropna().between(data.frame["when"].min(), data.frame["when"].max()).all()
    assert (made.frame.loc[made.frame["class"] == "b", "x"] > 5).all()


def test_the_same_seed_gives_the_same_rows_and_another_one_others() -> None:
    data = mixed()
    first = smote_rows(data, 30, 5, by="class")
    assert first.fingerprint == smote_rows(data, 30, 5, by="class").fingerprint
    assert first.fingerprint != smote_rows(data, 30, 6, by="class").fingerprint


def test_counts_say_how_many_of_each_class() -> None:
    made = smote_rows(mixed(), 0, 0, by="class", counts={"b": 25, "a": 0})
    assert made.frame["class"].value_counts().to_dict() == {"b": 25}
    with pytest.raises(UsageError, match="no rows of c"):
        smote_rows(mixed(), 0, 0, by="class", counts={"c": 5})


def test_a_category_is_the_majority_of_the_neighbours() -> None:
    """Five rows at one place, four of them red: whoever is asked, most of its neighbours are red."""
    frame = pd.DataFrame({"x": [0.0] * 5 + [9.0] * 6, "c": ["red"] * 4 + ["blue"] + ["green"] * 6}).astype(
        {"c": object}
    )
    columns = (ColumnSchema("x", "number"), ColumnSchema("c", "category"))
    made = smote_rows(TableData(frame, TableSchema(columns), "t"), 200, 0, neighbours=4).frame
    assert set(made.loc[made["x"] < 1, "c"]) == {"red"}


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_tiny_groups_are_repeated_or_filled_with_what_there_is(rows: int) -> None:
    made = smote_rows(mixed().select(np.arange(rows)), 7, 0)
    assert len(made) == 7
    assert made.frame.dtypes.to_dict() == mixed().frame.dtypes.to_dict()


def test_a_missing_number_stays_possible_and_rare() -> None:
    data = mixed(400)
    data.frame.loc[::2, "y"] = np.nan
    assert 0.3 < smote_rows(data, 400, 0).frame["y"].isna().mean() < 0.7


def test_no_rows_and_a_stop() -> None:
    with pytest.raises(UsageError, match="no rows"):
        smote_rows(mixed().select(np.arange(0)), 3, 0)
    with pytest.raises(StoppedError):
        smote_rows(mixed(), 3, 0, should_stop=lambda: True)


def test_rows_without_a_class_are_a_group_of_their_own() -> None:
    frame = pd.DataFrame({"x": np.arange(40) / 3, "y": pd.array(["a", "b", None, "b"] * 10, dtype="str")})
    made = smote_rows(table_from_frame(frame), 400, 0, by="y").frame["y"]
    assert made.isna().sum() == 100 and (made == "b").sum() == 200
