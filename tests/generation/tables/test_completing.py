"""Rows with some cells known: these stay as they are, to the byte; all others are drawn given them."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from synthgen.errors import UsageError
from synthgen.generation.tables.model import TableModel, load_table_model
from synthgen.generation.tables.work import TableRequest, table_work
from tests.conftest import people

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def model(table_run: Path) -> TableModel:
    return load_table_model(table_run, device="cpu")


def cells(path: Path) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def write(path: Path, rows: list[list[str]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    return path


def complete(model: TableModel, path: Path, **request: object) -> list[list[str]]:
    out = path.with_name(f"done-{path.name}")
    table_work(model, TableRequest(complete=path, **request)).to_file(out, force=True)  # type: ignore[arg-type]
    return cells(out)


def holes(count: int, share: float, seed: int = 0, *, ruled: bool = True) -> list[list[str]]:
    """People as texts with some cells empty; `high` is only known where `low` is, as the rule low <= high asks."""
    frame = people(count, seed=seed + 100).astype(object)
    texts = frame.where(frame.notna(), "").astype(str)
    hidden = np.random.default_rng(seed).random(texts.shape) < share
    if ruled:
        low, high = texts.columns.get_loc("low"), texts.columns.get_loc("high")
        hidden[:, high] |= hidden[:, low]
    return [list(texts.columns), *texts.mask(hidden, "").to_numpy().tolist()]


def test_known_cells_are_kept_to_the_byte(model: TableModel, tmp_path: Path) -> None:
    rows = holes(150, 0.4)
    rows[1][1], rows[2][2], rows[3][7], rows[3][8] = "33.0", " 71.50", "1e1", "12.50"  # texts of the user's own
    rows[4][4] = "Atlantis"  # never seen: one of the rare cities to the model
    found = complete(model, write(tmp_path / "part.csv", rows))
    assert found[0] == rows[0] and len(found) == 151
    known = filled = 0
    for before, after in zip(rows[1:], found[1:], strict=True):
        for name, old, new in zip(rows[0], before, after, strict=True):
            assert new != "", f"{name} was not filled"
            if old:
                assert new == old
                known += 1
            filled += not old
        assert float(after[7]) <= float(after[8])
    assert known > 500 and filled > 400


def test_what_is_drawn_follows_what_is_known(model: TableModel, tmp_path: Path) -> None:
    rows = [["age", "income"], *([["70", ""], ["22", ""]] * 100)]
    found = complete(model, write(tmp_path / "part.csv", rows))
    place = found[0].index("income")
    old = np.mean([row[place] == ">50K" for row in found[1::2]])
    young = np.mean([row[place] == ">50K" for row in found[2::2]])
    assert old > 0.7 and young < 0.3
    assert found[0] == list(people(2).columns), "columns that are absent are made, in the order of the table"


def test_missing_values_are_drawn_only_when_allowed(model: TableModel, tmp_path: Path) -> None:
    path = write(tmp_path / "part.csv", [["age"], *[["25"]] * 200])
    place = list(people(2).columns).index("city")
    assert all(row[place] for row in complete(model, path)[1:])
    share = np.mean([row[place] == "" for row in complete(model, path, allow_missing=True)[1:]])
    real = people()
    expected = real["city"].isna()[real["age"] < 35].mean()
    assert abs(share - expected) < 0.15


def test_draws_are_told_apart_and_do_not_depend_on_their_number(model: TableModel, tmp_path: Path) -> None:
    path = write(tmp_path / "part.csv", holes(70, 0.6, seed=4))
    one, three = complete(model, path), complete(model, path, draws=3)
    assert three[0] == [*one[0], "draw"] and len(three) == 211
    assert [row[-1] for row in three[1:7]] == ["0", "1", "2"] * 2
    first = [row[:-1] for row in three[1:] if row[-1] == "0"]
    assert first == one[1:]
    assert first != [row[:-1] for row in three[1:] if row[-1] == "1"]


def test_a_frame_is_completed_as_its_file(model: TableModel, tmp_path: Path) -> None:
    rows = holes(90, 0.5, seed=7)
    path = write(tmp_path / "part.csv", rows)
    done = complete(model, path)
    frame = model.complete(pd.read_csv(path))
    assert frame["city"].tolist() == [row[4] for row in done[1:]]
    assert frame["age"].tolist() == [int(float(row[1])) for row in done[1:]]
    two = model.complete(pd.read_csv(path).head(5), draws=2)
    assert two["draw"].tolist() == [0, 1] * 5 and len(two) == 10


def test_parquet_too(model: TableModel, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    partial = people(50, seed=8)
    partial.loc[::2, "city"] = None
    partial.drop(columns="income").to_parquet(tmp_path / "part.parquet")
    out = tmp_path / "done.parquet"
    request = TableRequest(complete=tmp_path / "part.parquet", draws=2, format="parquet")
    table_work(model, request).to_file(out)
    done = pd.read_parquet(out)
    assert done["draw"].tolist() == [0, 1] * 50 and done["city"].notna().all() and done["income"].notna().all()
    assert done["weight"].tolist() == np.repeat(partial["weight"], 2).tolist()


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 1000), share=st.floats(0, 1))
def test_any_holes(model: TableModel, tmp_path: Path, seed: int, share: float) -> None:
    rows = holes(30, share, seed=seed)
    found = complete(model, write(tmp_path / "part.csv", rows), allow_missing=seed % 2 == 0)
    for before, after in zip(rows[1:], found[1:], strict=True):
        assert all(new == old for old, new in zip(before, after, strict=True) if old)
        assert not (after[7] and after[8]) or float(after[7]) <= float(after[8])


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([["age", "incom"], ["3", "x"]], "a column 'incom' that the model does not know \\(did you mean 'income'"),
        ([["age", "income"], ["30", "=50K"]], "line 2, column 'income': the model has never seen '=50K'"),
        ([["age"], ["30"], ["old"]], "line 3, column 'age': 'old' is not a whole number"),
        ([["low", "high"], ["3", "5"], ["", "7"]], "row 2: 'high' is known but not all of 'low'"),
        ([["low", "high"], ["3", "5"], ["9", "7"]], "line 3: its known cells break the rule low <= high"),
        ([["age"]], "no rows"),
    ],
)
def test_what_cannot_be_completed_is_named(
    model: TableModel, tmp_path: Path, rows: list[list[str]], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        complete(model, write(tmp_path / "part.csv", rows))


def test_a_file_that_changed_is_not_gone_on_with(model: TableModel, tmp_path: Path) -> None:
    path = write(tmp_path / "part.csv", holes(70, 0.5))
    before = table_work(model, TableRequest(complete=path)).plan
    write(path, holes(70, 0.5, seed=1))
    assert table_work(model, TableRequest(complete=path)).plan.sha256 != before.sha256
