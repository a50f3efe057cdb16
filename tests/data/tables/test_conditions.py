"""Conditions as texts: what they mean, and that rows drawn under them keep them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from synthgen.data.tables.codec import TableCodec
from synthgen.data.tables.conditions import Condition, holds, parse_condition, resolve
from synthgen.data.tables.reading import table_from_frame
from synthgen.data.tables.schema import ColumnSchema, TableData
from synthgen.errors import UsageError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("age=30..40", ("age", Condition("30..40"))),
        ("income=>50K", ("income", Condition(">50K"))),
        ("income=<=50K", ("income", Condition("<=50K"))),
        ("x=", ("x", Condition(""))),
        ("x!=", ("x", Condition("", True))),
        (" city != Paris | Rome", ("city", Condition("Paris | Rome", True))),
    ],
)
def test_parsing(text: str, expected: tuple[str, Condition]) -> None:
    assert parse_condition(text) == expected


@pytest.mark.parametrize("text", ["age", "=5", "!=5", ""])
def test_what_is_no_condition(text: str) -> None:
    with pytest.raises(UsageError, match="is not a condition"):
        parse_condition(text)


def table(rows: int = 3000) -> TableData:
    rng = np.random.default_rng(0)
    days = pd.to_datetime(rng.integers(10_000, 16_000, rows) * 86_400, unit="s")
    names = np.array(["Paris", "Rome", "a|b", "1..2", ">50K", "NYC", *(f"rare {i}" for i in range(40))])
    weights = np.array([10, 5, 3, 2, 4, 1, *[0.02] * 40])
    return table_from_frame(pd.DataFrame({
        "age": rng.integers(17, 91, rows), "income": np.round(rng.lognormal(10, 1, rows), 2),
        "city": rng.choice(names, rows, p=weights / weights.sum()), "day": days,
        "moment": days + pd.to_timedelta(rng.integers(0, 86_400, rows), unit="s"),
        "stamp": days.tz_localize("UTC") + pd.to_timedelta(rng.integers(0, 24, rows), unit="h"),
        "member": rng.random(rows) < 0.5, "gap": np.where(rng.random(rows) < 0.2, np.nan, rng.normal(size=rows)),
        "No": np.arange(rows), "same": "x",
    }))  # fmt: skip


@pytest.fixture(scope="module")
def data() -> TableData:
    return table()


@pytest.fixture(scope="module")
def codec(data: TableData) -> TableCodec:
    return TableCodec.fit(data, 50, 5)


CONDITIONS = [
    "age=30..40", "age=30..", "age=..40", "age=33", "age=20|30|40", "age!=30..40", "age=17.5..18.2",
    "income=10000.55..20000.01", "income=..5000", "income=0..1e9", "income!=5..20000",
    "city=Paris", "city=Paris|Rome", "city=a|b", "city=1..2", "city=>50K", "city!=Paris", "city=rare 7",
    "city=rare 1|rare 2|Rome", "city!=Paris|Rome|NYC",
    "day=2000-01-01..2005-06-30", "day=2001", "day=2001-02..2001-04", "day=..2000-12-31", "day=1999-07-01..",
    "moment=2000-01-01..2005-06-30", "moment=2003", "stamp=2000-01-01..2005-06-30",
    "member=true", "member=no", "gap=", "gap!=", "gap=0..", "gap=|0..1", "gap!=0..1",
]  # fmt: skip


@pytest.mark.parametrize("text", CONDITIONS)
def test_rows_drawn_under_a_condition_keep_it(data: TableData, codec: TableCodec, text: str) -> None:
    name, condition = parse_condition(text)
    place = codec.place(name)
    tokens, intervals = codec.allowed(name, condition)
    assert tokens.dtype == bool and tokens.shape == (codec.sizes[place],)
    assert intervals.shape == (codec.sizes[place], 2) and intervals.dtype == np.float32
    rng = np.random.default_rng(1)
    codes, fractions = codec.encode(data.frame)
    fits = np.flatnonzero(tokens)
    codes[:, place] = rng.choice(fits, len(codes))
    low, high = intervals[codes[:, place]].T
    fractions[:, place] = low + rng.random(len(codes), dtype=np.float32) * (high - low)
    made = codec.decode(codes, fractions, keys=np.arange(len(codes)), seed=0)
    column = data.schema[name]
    assert holds(condition, made[name], column).all()
    real = holds(condition, data.frame[name], column)
    # Every row of the data that keeps the condition has an allowed token: nothing is lost but rare categories.
    known, _ = codec.encode(data.frame[real])
    assert tokens[known[:, place]].all()


def test_pandas_agrees(data: TableData) -> None:
    frame = data.frame

    def found(text: str) -> np.ndarray:
        name, condition = parse_condition(text)
        return holds(condition, frame[name], data.schema[name])

    assert np.array_equal(found("age=30..40"), frame["age"].between(30, 40))
    assert np.array_equal(found("city=Paris|Rome"), frame["city"].isin(["Paris", "Rome"]))
    assert np.array_equal(found("city=a|b"), frame["city"] == "a|b")
    assert np.array_equal(found("moment=2003"), frame["moment"].dt.year == 2003)
    assert np.array_equal(found("moment=2001-02..2001-04"), frame["moment"].between("2001-02-01", "2001-05-01", "left"))
    assert np.array_equal(found("gap!="), frame["gap"].notna())
    assert np.array_equal(found("gap!=0..1"), frame["gap"].notna() & ~frame["gap"].between(0, 1))
    assert not found("city=Nowhere").any()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("agee=5", r"there is no column 'agee' \(did you mean 'age'\?\)"),
        ("city=Pariss", r"column 'city' has no value 'Pariss' \(did you mean 'Paris'\?\)"),
        ("city=Paris|Bern", "column 'city' has no value 'Bern'"),
        ("age=old", "'old' is not a number, and column 'age' holds numbers"),
        ("age=40..30", "goes downwards"),
        ("age=200..", "no value of column 'age' that the model knows satisfies age=200.."),
        ("age=", "no value of column 'age' that the model knows"),
        ("day=soon", "'soon' is not a date"),
        ("moment=2000-01-01 10:00..", "by whole days only"),
        ("member=maybe", "column 'member' has no value 'maybe'"),
        ("No=5", "'No' cannot be asked for: it is made anew"),
        ("same=x", "'same' cannot be asked for: it is the same in every row"),
    ],
)
def test_conditions_that_cannot_be_kept(codec: TableCodec, text: str, message: str) -> None:
    name, condition = parse_condition(text)
    with pytest.raises(UsageError, match=message):
        codec.allowed(name, condition)


def test_a_boolean_names_its_own_words() -> None:
    column = ColumnSchema("on", "boolean", {"true": "yes", "false": "no"})
    with pytest.raises(UsageError) as caught:
        resolve(parse_condition("on=maybe")[1], column, {"true", "false"})
    assert caught.value.hint == "It has yes, no."
