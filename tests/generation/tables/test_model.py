"""Rows from a model: functions of their number alone, under conditions that always hold, balanced, in own dtypes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from synthgen.config.tables import TableSamplingConfig
from synthgen.data.tables.conditions import holds
from synthgen.data.tables.reading import table_from_frame
from synthgen.errors import StoppedError, UsageError
from synthgen.generation.model import load
from synthgen.generation.tables.engine import TableRecipe, recipe_of
from synthgen.generation.tables.model import TableModel, load_table_model
from synthgen.generation.tables.requests import conditions_of
from tests.conftest import TINY_TABLE, people

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def model(table_run: Path) -> TableModel:
    return load_table_model(table_run, device="cpu")


@pytest.fixture(scope="module")
def thousand(model: TableModel) -> pd.DataFrame:
    return model.sample(1000, seed=3)


def keeps(model: TableModel, frame: pd.DataFrame, where: Any) -> np.ndarray:
    """bool (N, conditions): whether each row of `sample` keeps each condition, told from its values alone."""
    normal = table_from_frame(frame, schema=model.schema).frame
    found = [holds(one, normal[name], model.schema[name]) for name, one in conditions_of(where)]
    return np.stack(found, axis=1)


def test_rows_have_the_columns_and_dtypes_of_the_table(thousand: pd.DataFrame, table_csv: Path) -> None:
    real = pd.read_csv(table_csv)
    assert list(thousand.columns) == list(real.columns)
    assert thousand["age"].dtype.kind == "i" and thousand["weight"].dtype.kind == "f"
    assert set(thousand["income"]) == {">50K", "<=50K"} and set(thousand["planet"]) == {"Earth"}
    assert thousand["id"].is_unique and not set(thousand["id"]) & set(real["id"])
    assert thousand["age"].between(real["age"].min(), real["age"].max()).all()
    assert (thousand["low"] <= thousand["high"]).all()


def test_rows_follow_the_data(thousand: pd.DataFrame) -> None:
    """A coarse check that the model learned: income by age, missing cities among the young."""
    old = thousand["age"] > 45
    assert (thousand["income"] == ">50K")[old].mean() > 0.75 > 0.35 > (thousand["income"] == ">50K")[~old].mean()
    young = thousand["age"] < 35
    assert thousand["city"].isna()[young].mean() > 0.15 > thousand["city"].isna()[~young].mean()


def test_row_k_is_the_same_in_every_request(model: TableModel, thousand: pd.DataFrame) -> None:
    for start, count in ((300, 100), (0, 1), (999, 1), (63, 2), (128, 64)):
        part = model.sample(count, seed=3, start=start)
        pd.testing.assert_frame_equal(part, thousand.iloc[start : start + count].reset_index(drop=True))
    assert not model.sample(20, seed=4).equals(thousand.head(20))


def test_threads_change_nothing(model: TableModel, thousand: pd.DataFrame) -> None:
    torch.set_num_threads(3)
    pd.testing.assert_frame_equal(model.sample(400, seed=3), thousand.head(400))


CONDITIONS = [
    ["income=>50K"],
    ["age=30..40"],
    ["age=33"],
    ["city=Rome|Paris", "member=true"],
    ["city=Zürich, old town"],
    ["city="],
    ["city!=Rome"],
    ["weight=71.25..71.75"],
    ["weight=..55", "age=60.."],
    ["joined=2018", "income=<=50K"],
    ["joined=2016-02..2017-06", "age!=40", "age=35..45"],
    ["city=Oslo"],
    ["low=10..20"],
]


@pytest.mark.parametrize("where", CONDITIONS, ids=" ".join)
def test_conditions_hold_in_every_row(model: TableModel, where: list[str]) -> None:
    rows = model.sample(192, where=where, seed=1)
    assert keeps(model, rows, where).all()
    assert (rows["low"] <= rows["high"]).all()
    pd.testing.assert_frame_equal(model.sample(5, start=100, where=where, seed=1), rows[100:105].reset_index(drop=True))


REAL = people()


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    age=st.tuples(st.integers(18, 79), st.integers(18, 79)).map(sorted),
    weight=st.tuples(st.sampled_from(sorted(REAL["weight"])), st.floats(0, 30)),
    city=st.sampled_from(["", "Rome", "Paris|Bern", "Oslo|", "Zürich, old town"]),
    day=st.integers(0, 2999),
)
def test_any_conditions_hold(
    model: TableModel, age: list[int], weight: tuple[float, float], city: str, day: int
) -> None:
    first = (pd.Timestamp("2015-03-01") + pd.Timedelta(day, "D")).date()
    low, more = weight
    where = [f"age={age[0]}..{age[1]}", f"weight={low}..{low + more}", f"city={city}", f"joined=..{first}"]
    for some in (where, where[:2], where[1:3], where[3:]):
        try:
            rows = model.sample(64, where=some)
        except UsageError as error:
            assert "satisf" in error.message
            continue
        assert keeps(model, rows, some).all()


def test_a_known_value_changes_what_is_drawn(model: TableModel) -> None:
    """By Bayes 94 % of the rich and 11 % of the others are above 45 in the data; the model is a small one."""
    shares = [(model.sample(512, where={"income": value})["age"] > 45).mean() for value in (">50K", "<=50K")]
    real = [(REAL["age"] > 45)[REAL["income"] == value].mean() for value in (">50K", "<=50K")]
    assert np.abs(np.array(shares) - real).max() < 0.25 and shares[0] - shares[1] > 0.5


def test_a_range_is_drawn_first_and_renormalised(model: TableModel) -> None:
    """Among rows whose age is in a range, ages and incomes are spread as among all rows cut to the range."""
    whole = model.sample(4096, seed=5)
    cut = whole[whole["age"].between(40, 50)]
    asked = model.sample(1024, where=["age=40..50"], seed=6)
    error = 4 * np.sqrt(cut["age"].var() / len(cut) + asked["age"].var() / len(asked))
    assert abs(cut["age"].mean() - asked["age"].mean()) < error
    shares = [(frame["income"] == ">50K").mean() for frame in (cut, asked)]
    assert abs(shares[0] - shares[1]) < 4 * np.sqrt(0.25 / len(cut) + 0.25 / len(asked))


def test_values_of_python_are_conditions_too(model: TableModel) -> None:
    where = {"age": (30, 40), "city": ["Rome", "Paris"], "member": True, "weight": (None, 80)}
    rows = model.sample(100, where=where)
    assert rows["age"].between(30, 40).all() and rows["city"].isin(["Rome", "Paris"]).all()
    assert rows["member"].astype(str).str.lower().eq("true").all() and (rows["weight"] <= 80).all()
    assert model.sample(20, where={"city": None})["city"].isna().all()
    dates = model.sample(20, where={"joined": (pd.Timestamp("2016-01-01"), pd.Timestamp("2016-12-31"))})
    assert pd.to_datetime(dates["joined"]).dt.year.eq(2016).all()


@pytest.mark.parametrize(
    ("where", "message"),
    [
        (["agee=3"], "no column 'agee' \\(did you mean 'age'\\?\\)"),
        (["city=Roma"], "no value 'Roma' \\(did you mean 'Rome'\\?\\)"),
        (["age=old"], "'old' is not a number"),
        (["age"], "not a condition"),
        (["age=30..40", "age=50.."], "no value satisfies age=30..40 and age=50.."),
        (["age=200.."], "satisfies age=200"),
        (["age=40..30"], "goes downwards"),
        (["id=P100000"], "column 'id'"),
        (["planet=Mars"], "column 'planet'"),
        (["joined=soon"], "not a date"),
    ],
)
def test_a_condition_that_cannot_hold_is_named(model: TableModel, where: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        model.sample(5, where=where)


def test_classes_take_turns(model: TableModel) -> None:
    rows = model.sample(90, balance="income")
    values = rows["income"].tolist()
    assert values[0] != values[1] and values == values[:2] * 45
    cities = model.sample(300, balance="city")["city"]
    counts = cities[cities != "Oslo"].value_counts()
    assert cities.notna().all() and counts["Rome"] == counts["Paris"] and len(set(cities)) >= 4
    some = model.sample(40, balance="city", where=["city!=Rome", "income=>50K"])
    assert set(some["city"]) >= {"Paris"} and "Rome" not in set(some["city"]) and set(some["income"]) == {">50K"}
    assert model.sample(10, balance="member")["member"].sum() == 5
    for column, message in (("age", "of kind integer"), ("incom", "did you mean 'income'"), ("id", "identifier")):
        with pytest.raises(UsageError, match=message):
            model.sample(5, balance=column)


def test_fewer_steps_and_colder(model: TableModel) -> None:
    assert len(model.sample(70, steps=3)) == 70
    warm, cold = (model.sample(320, temperature=one)["city"].value_counts(normalize=True) for one in (1.0, 0.2))
    assert cold["Rome"] > warm["Rome"] + 0.1
    for given_, message in (({"steps": 0}, "1 step or more"), ({"temperature": 0.0}, "temperature")):
        with pytest.raises(UsageError, match=message):
            model.recipe(**given_)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="1 or more"):
        model.sample(0)
    with pytest.raises(UsageError, match="from 0"):
        model.sample(1, start=-1)


def test_sampling_stops_when_asked(model: TableModel) -> None:
    with pytest.raises(StoppedError, match="stopped after 64 of 1,000 rows"):
        model.sample(1000, should_stop=lambda: True)


def test_likelihood_prefers_rows_that_make_sense(model: TableModel) -> None:
    """Real rows beat the same rows with shuffled ages; the parts of the columns add up; the number is repeatable."""
    real = people(300, seed=9)
    shuffled = real.assign(age=real["age"].sample(frac=1, random_state=0).to_numpy())
    right, parts = model.log_likelihoods(real, draws=4)
    assert right.shape == (300,) and parts.shape == (300, len(model.codec.columns))
    np.testing.assert_allclose(parts.sum(1), right, rtol=1e-5)
    assert right.mean() > model.log_likelihood(shuffled, draws=4).mean() + 0.3
    np.testing.assert_array_equal(model.log_likelihood(real[:70], draws=4), right[:70])


def test_load_gives_a_table_model(table_run: Path, tiny_run: Path, model: TableModel) -> None:
    found = load(table_run, device="cpu")
    assert isinstance(found, TableModel) and found.sha256 == model.sha256
    assert found.recipe() == TableRecipe(block_size=64)
    with pytest.raises(UsageError, match="a model of images"):
        load_table_model(tiny_run, device="cpu")


def test_blocks_of_wide_tables_are_small() -> None:
    """A block is computed whole: 100 rows of 1,000 columns must not cost 1,024."""
    config = TableSamplingConfig()
    assert recipe_of(config, 128).block_size == 1024 and recipe_of(config, 129).block_size == 128
    assert recipe_of(TableSamplingConfig(block_size=16), 1000).block_size == 16


def test_what_the_gaussian_process_cannot_do_is_told_before_it_begins(table_csv: Path, tmp_path: Path) -> None:
    from synthgen.config.loading import load_config
    from synthgen.training.run import train

    flags = {"data.source": str(table_csv), "training.steps": 3, "diffusion.process": "gaussian"}
    train(load_config(None, TINY_TABLE, flags), tmp_path / "run", device="cpu")
    other = load_table_model(tmp_path / "run", device="cpu")
    rows = other.sample(100, seed=2)
    pd.testing.assert_frame_equal(other.sample(30, seed=2, start=70), rows[70:].reset_index(drop=True))
    assert (rows["low"] <= rows["high"]).all()
    for ask in (
        lambda: other.sample(5, where=["age=30..40"]),
        lambda: other.sample(5, balance="income"),
        lambda: other.complete(rows.head(3)),
        lambda: other.log_likelihood(rows.head(3)),
    ):
        with pytest.raises(UsageError, match="trained with process gaussian"):
            ask()
