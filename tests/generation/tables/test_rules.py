"""Rules of the configuration hold in every row that is drawn: alone, under conditions, and around known cells."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from synthgen.errors import UsageError
from synthgen.generation.tables.model import TableModel, load_table_model
from tests.conftest import TINY_TABLE

pytestmark = pytest.mark.usefixtures("one_thread")

PLACES = [("Rome", "Italy"), ("Paris", "France"), ("Nice", "France"), ("Oslo", "Norway"), (None, "Norway")]


def invoices(count: int = 500, seed: int = 0) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    place = generator.choice(5, count, p=[0.4, 0.2, 0.2, 0.15, 0.05])
    net = np.round(generator.gamma(2.0, 50.0, count), 2)
    tax = np.round(net * 0.2, 2)
    start = pd.Timestamp("2020-01-01") + pd.to_timedelta(generator.integers(0, 900, count), "D")
    paid = start + pd.to_timedelta(generator.integers(0, 40, count), "D")
    closed = paid + pd.to_timedelta(generator.integers(0, 9, count), "D")
    frame = pd.DataFrame(
        {
            "city": [PLACES[index][0] for index in place],
            "country": [PLACES[index][1] for index in place],
            "net": net,
            "tax": tax,
            "gross": np.round(net + tax, 2),
            "start": start,
            "paid": paid,
            "closed": closed,
        }
    )
    frame.loc[generator.random(count) < 0.1, "paid"] = None
    return frame


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> TableModel:
    from synthgen.config.loading import load_config
    from synthgen.training.run import train

    folder = tmp_path_factory.mktemp("invoices")
    invoices().to_csv(folder / "invoices.csv", index=False)
    rules = [
        {"combination": ["city", "country"]},
        {"sum": ["net", "tax"], "total": "gross"},
        {"less_equal": ["start", "paid", "closed"]},
    ]
    flags = {"data.source": str(folder / "invoices.csv"), "data.constraints": rules, "training.steps": 60}
    train(load_config(None, TINY_TABLE, flags), folder / "run", device="cpu")
    return load_table_model(folder / "run", device="cpu")


def check(rows: pd.DataFrame) -> None:
    known = {(None if city is None else str(city), country) for city, country in PLACES}
    cities = rows["city"].astype(object).where(rows["city"].notna(), None)
    assert set(zip(cities, rows["country"], strict=True)) <= known
    np.testing.assert_allclose(rows["net"] + rows["tax"], rows["gross"], atol=0.005)
    start, paid, closed = (pd.to_datetime(rows[name]) for name in ("start", "paid", "closed"))
    assert not (paid < start).any() and not (closed < paid).any()


@pytest.mark.parametrize(
    "where",
    [
        [],
        ["country=France"],
        ["country=France", "city=Nice|Rome"],
        ["city="],
        ["net=100..", "tax=..30"],
        ["start=2021", "city!=Oslo"],
        ["start=2020-03-01..2020-03-09"],
    ],
    ids=" ".join,
)
def test_rules_hold_under_conditions(model: TableModel, where: list[str]) -> None:
    rows = model.sample(256, where=where)
    check(rows)
    if "city=Nice|Rome" in where:
        assert set(rows["city"]) == {"Nice"}
    if where[:1] == ["net=100.."]:
        assert (rows["net"] >= 100).all() and (rows["tax"] <= 30).all()
    if where[:1] == ["start=2021"]:
        assert pd.to_datetime(rows["start"]).dt.year.eq(2021).all()


def test_rules_hold_around_known_cells(model: TableModel) -> None:
    known = invoices(120, seed=5)
    known.loc[::2, "closed"] = None
    known.loc[known["paid"].isna(), "closed"] = None  # or the rule could not keep it
    known.loc[1::2, "gross"] = None
    known.loc[::3, ["city", "country"]] = None
    known.loc[::5, "net"] = known.loc[::5, "net"] + 0.123  # more decimals than the data have
    known.loc[::5, "gross"] = None
    done = model.complete(known)
    check(done)
    assert done["gross"].notna().all() and done["country"].notna().all() and done["paid"].notna().all()
    for name in known.columns:
        there = known[name].notna()
        assert (known[name][there] == done[name][there]).all(), name


@pytest.mark.parametrize(
    ("known", "message"),
    [
        ({"city": ["Bonn"]}, "row 0: no combination of city and country in the training data has city=Bonn"),
        ({"city": ["Rome"], "country": ["France"]}, "the model has never seen"),
        ({"net": [3.0], "tax": [1.0], "gross": [9.0]}, "break the rule net \\+ tax = gross"),
        ({"closed": [pd.Timestamp("2020-05-01")]}, "'closed' is known but not all of 'paid'"),
        ({"gross": [9.0]}, "'gross' is known but not all of 'net' and 'tax'"),
        ({"start": [pd.Timestamp("2020-05-01")], "paid": [pd.Timestamp("2020-04-01")]}, "break the rule start <= paid"),
    ],
)
def test_known_cells_that_no_row_can_have_are_named(
    model: TableModel, known: dict[str, list[object]], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        model.complete(pd.DataFrame(known))


@pytest.mark.parametrize("where", [["gross=10.."], ["paid="], ["country=Italy", "city=Oslo"], ["country=Spain"]])
def test_conditions_that_a_rule_settles_are_refused(model: TableModel, where: list[str]) -> None:
    with pytest.raises(UsageError, match=r"constraint makes it from|no value"):
        model.sample(5, where=where)


def test_a_known_part_leaves_the_combinations_that_have_it(model: TableModel) -> None:
    done = model.complete(pd.DataFrame({"country": ["France", "Italy", "Norway", None] * 60}))
    check(done)
    cities = done["city"].astype(object).to_numpy().reshape(60, 4)
    assert set(cities[:, 0]) == {"Paris", "Nice"} and set(cities[:, 1]) == {"Rome"} and set(cities[:, 2]) == {"Oslo"}
    assert done["country"].iloc[::4].eq("France").all() and done["country"].iloc[3::4].nunique() == 3
    missing = model.complete(pd.DataFrame({"country": ["Norway"] * 100}), allow_missing=True)["city"]
    assert set(missing.dropna()) == {"Oslo"} and missing.isna().any()


def test_combinations_take_turns(model: TableModel) -> None:
    with pytest.raises(UsageError, match="combination"):
        model.sample(5, balance="country")
