"""Distances of mixed rows against a slow reference, and who is nearest."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from synthgen.data.tables.schema import ColumnSchema, TableData, TableSchema
from synthgen.errors import StoppedError
from synthgen.evaluation.tables.space import Space, distances, nearest

KINDS = {"x": "number", "n": "integer", "when": "datetime", "colour": "category", "ok": "boolean", "id": "identifier"}


def rows(count: int, seed: int) -> TableData:
    random = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "x": np.where(random.random(count) < 0.2, np.nan, random.normal(size=count)),
            "n": pd.array(random.integers(0, 9, count), dtype="Int64"),
            "when": pd.Series(np.datetime64("1965-01-01", "us") + random.integers(0, 10**15, count)),
            "colour": pd.Series(random.choice(["red", "green", None], count), dtype=object),
            "ok": pd.array(random.random(count) < 0.5, dtype="boolean"),
            "id": pd.Series([f"{seed}-{k}" for k in range(count)], dtype=object),
        }
    )
    return TableData(frame, TableSchema(tuple(ColumnSchema(name, kind) for name, kind in KINDS.items())), "t")


def slow(first: TableData, second: TableData, scale: TableData) -> np.ndarray:
    """Gower's distance, cell by cell."""
    found = np.zeros((len(first), len(second)))
    for name, kind in KINDS.items():
        if kind == "identifier":
            continue
        values = scale.frame[name].dropna()
        for i, a in enumerate(first.frame[name]):
            for j, b in enumerate(second.frame[name]):
                if pd.isna(a) or pd.isna(b):
                    found[i, j] += float(pd.isna(a) != pd.isna(b))
                elif kind in ("category", "boolean"):
                    found[i, j] += float(a != b)
                else:
                    low, high = values.min(), values.max()
                    clipped = [min(max(v, low), high) for v in (a, b)]
                    found[i, j] += abs((clipped[0] - clipped[1]) / (high - low))
    return found


def test_distances_are_gowers() -> None:
    train, other = rows(40, 0), rows(30, 1)
    space = Space(train)
    assert distances(space.encode(other), space.encode(train)) == pytest.approx(slow(other, train, train), abs=1e-5)


def test_nearest_agrees_with_sorting_and_leaves_out_the_row_itself() -> None:
    train = rows(50, 0)
    points = Space(train).encode(train)
    table = distances(points, points)
    np.fill_diagonal(table, np.inf)
    found, index = nearest(points, points, 3, leave_out=np.arange(50))
    assert found == pytest.approx(np.sort(table, axis=1)[:, :3])
    assert np.array_equal(index, np.argsort(table, axis=1, kind="stable")[:, :3])


def test_a_row_is_at_0_from_itself_and_unknown_categories_are_unlike_all() -> None:
    train = rows(20, 0)
    space = Space(train)
    assert np.diag(distances(space.encode(train), space.encode(train))).max() == 0
    new = rows(1, 3)
    new.frame["colour"] = pd.Series(["mauve"], dtype=object)
    other = new.frame.copy()
    other["colour"] = pd.Series(["teal"], dtype=object)
    pair = [space.encode(one) for one in (new, TableData(other, new.schema, "t"))]
    assert distances(*pair).item() == 1.0


def test_more_neighbours_than_rows_and_a_stop() -> None:
    points = Space(rows(2, 0)).encode(rows(2, 0))
    found, index = nearest(points, points, 4)
    assert np.isinf(found[:, 2:]).all()
    assert (index[:, 2:] == -1).all()
    with pytest.raises(StoppedError):
        nearest(points, points, should_stop=lambda: True)


def test_many_categories_do_not_run_over() -> None:
    names = pd.Series([f"c{k}" for k in range(300)], dtype=object)
    data = TableData(pd.DataFrame({"c": names}), TableSchema((ColumnSchema("c", "category"),)), "t")
    points = Space(data).encode(data)
    assert np.array_equal(distances(points, points), 1.0 - np.eye(300))
