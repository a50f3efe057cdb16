"""Rules: checked on the data, and kept by every row that a codec can decode."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthgen.config.tables import ConstraintConfig, TableDataConfig
from synthgen.data.tables.codec import TableCodec
from synthgen.data.tables.conditions import Condition
from synthgen.data.tables.constraints import violations
from synthgen.data.tables.reading import table_from_frame
from synthgen.data.tables.schema import TableData
from synthgen.errors import UsageError


def rules(*found: dict[str, Any]) -> list[ConstraintConfig]:
    return [ConstraintConfig.model_validate(one) for one in found]


def random_rows(codec: TableCodec, count: int = 3000, seed: int = 0) -> pd.DataFrame:
    """Rows of independent tokens and fractions: whatever a model may draw."""
    rng = np.random.default_rng(seed)
    tokens = rng.integers(0, np.array(codec.sizes), (count, len(codec.sizes)))
    return codec.decode(tokens, rng.random(tokens.shape, dtype=np.float32), keys=np.arange(count), seed=seed)


def frame(rows: int = 800, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    low = np.round(rng.normal(50, 20, rows), 2)
    start = pd.Timestamp("1965-01-01") + pd.to_timedelta(rng.integers(0, 20_000, rows), unit="h")
    a, b = rng.integers(0, 100, rows), rng.integers(0, 100, rows)
    city = rng.choice(["Paris", "Lyon", "Rome", "Oslo"], rows)
    return pd.DataFrame({
        "low": low, "high": np.round(low + rng.exponential(5, rows) * (rng.random(rows) < 0.8), 2),
        "start": start, "end": start + pd.to_timedelta(rng.integers(0, 500, rows), unit="D"),
        "a": a, "b": b, "total": a + b, "city": city, "other": rng.normal(size=rows),
        "country": pd.Series(city).map({"Paris": "FR", "Lyon": "FR", "Rome": "IT", "Oslo": "NO"}),
    })  # fmt: skip


RULES = rules(
    {"less_equal": ["low", "high"]},
    {"less_equal": ["start", "end"]},
    {"sum": ["a", "b"], "total": "total"},
    {"combination": ["city", "country"]},
)


def with_gaps(table: pd.DataFrame, seed: int = 1) -> pd.DataFrame:
    """The same with missing values in every column, independently of each other."""
    rng = np.random.default_rng(seed)
    return table.mask(pd.DataFrame(rng.random(table.shape) < 0.15, columns=table.columns))


@pytest.mark.parametrize("gaps", [False, True])
def test_every_row_keeps_every_rule(gaps: bool) -> None:
    table = with_gaps(frame()) if gaps else frame()
    data = table_from_frame(table)
    codec = TableCodec.fit(data, 30, 2, RULES)
    made = random_rows(codec)
    assert (made["high"].dropna() >= made["low"].reindex(made["high"].dropna().index).fillna(-np.inf)).all()
    assert not ((made["end"] < made["start"]).fillna(False)).any()
    sums = made["a"] + made["b"]
    assert not ((sums != made["total"]) & sums.notna() & made["total"].notna()).fillna(False).any()
    pairs = {(str(x), str(y)) for x, y in zip(data.frame["city"], data.frame["country"], strict=True)}
    assert {(str(x), str(y)) for x, y in zip(made["city"], made["country"], strict=True)} <= pairs
    assert violations(RULES, codec.plain(made)) == {"low <= high": 0, "start <= end": 0, "a + b = total": 0}
    assert np.array_equal(made["low"].dropna(), made["low"].dropna().round(2))
    assert np.array_equal(made["high"].dropna(), made["high"].dropna().round(2))
    assert made["high"].max() <= max(table["high"].max(), made["low"].max())
    assert (made.dtypes == data.frame.dtypes).all()
    if not gaps:
        assert not made.isna().any().any()


@pytest.mark.parametrize("gaps", [False, True])
def test_what_is_encoded_comes_back(gaps: bool) -> None:
    data = table_from_frame(with_gaps(frame()) if gaps else frame())
    codec = TableCodec.fit(data, 1000, 1, RULES)  # a token for every value: nothing is interpolated
    back = codec.decode(*codec.encode(data.frame), keys=np.arange(len(data)), seed=0)
    pd.testing.assert_frame_equal(back, data.frame)
    again = TableCodec.from_parts(json.loads(json.dumps(codec.to_dict())), codec.tensors())
    pd.testing.assert_frame_equal(again.decode(*again.encode(data.frame), keys=np.arange(len(data)), seed=0), back)


def test_a_chain_of_columns_and_two_above_one() -> None:
    rng = np.random.default_rng(0)
    parts = np.sort(rng.integers(0, 1000, (500, 4)), axis=1)
    table = pd.DataFrame(parts, columns=["p", "q", "r", "s"])
    made = random_rows(TableCodec.fit(table_from_frame(table), 20, 1, rules({"less_equal": ["p", "q", "r", "s"]})))
    assert ((made["p"] <= made["q"]) & (made["q"] <= made["r"]) & (made["r"] <= made["s"])).all()
    both = rules({"less_equal": ["p", "q"]}, {"less_equal": ["p", "r"]})
    made = random_rows(TableCodec.fit(table_from_frame(table), 20, 1, both))
    assert ((made["p"] <= made["q"]) & (made["p"] <= made["r"])).all()


@settings(max_examples=60)
@given(st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(0, 1e6)), min_size=2, max_size=60), st.integers(0, 16))
def test_any_numbers_keep_their_order(pairs: list[tuple[float, float]], decimals: int) -> None:
    low = np.round([a for a, _ in pairs], decimals)
    high = np.maximum(low, np.round([a + b for a, b in pairs], decimals))
    table = pd.DataFrame({"low": low, "high": high, "x": np.arange(len(low)) % 2 * 1.5})
    kept = rules({"less_equal": ["low", "high"]})
    numbers = TableDataConfig.model_validate({"columns": {name: {"kind": "number"} for name in ("low", "high")}})
    made = random_rows(TableCodec.fit(table_from_frame(table, numbers), 5, 1, kept), 200)
    assert (made["low"] <= made["high"]).all()


def test_sums_of_decimals_are_exact_in_print() -> None:
    rng = np.random.default_rng(0)
    table = pd.DataFrame({name: np.round(rng.random(400), 1) for name in "abc"})
    table["total"] = table.sum(axis=1).round(1)
    made = random_rows(
        TableCodec.fit(table_from_frame(table), 200, 1, rules({"sum": ["a", "b", "c"], "total": "total"}))
    )
    assert made["total"].map(str).str.fullmatch(r"\d\.\d").all()
    assert np.allclose(made[["a", "b", "c"]].sum(axis=1), made["total"], atol=1e-9)


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (
            {"less_equal": ["high", "low"]},
            r"\d+ of 800 rows break the rule 'high <= low', the first of them row \d+ \(",
        ),
        ({"sum": ["a", "b"], "total": "low"}, r"break the rule 'a \+ b = low'.*the parts make"),
        ({"less_equal": ["low", "hihg"]}, r"names a column 'hihg' that the table does not have \(did you mean 'high'"),
        ({"less_equal": ["low", "city"]}, "cannot hold for column 'city', whose kind is category"),
        ({"less_equal": ["low", "start"]}, "compares dates with numbers"),
        ({"less_equal": ["low", "low"]}, "names column 'low' twice"),
        ({"sum": ["start", "b"], "total": "total"}, "cannot hold for column 'start'"),
    ],
)
def test_rules_that_the_data_do_not_keep(rule: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        TableCodec.fit(table_from_frame(frame()), 20, 1, rules(rule))


def test_two_rules_that_settle_one_column() -> None:
    twice = rules({"less_equal": ["a", "total"]}, {"sum": ["a", "b"], "total": "total"})
    with pytest.raises(UsageError, match=r"column 'total' of the rule .* is settled by another rule already"):
        TableCodec.fit(table_from_frame(frame()), 20, 1, twice)


@pytest.fixture(scope="module")
def data() -> TableData:
    return table_from_frame(frame())


@pytest.fixture(scope="module")
def codec(data: TableData) -> TableCodec:
    return TableCodec.fit(data, 30, 2, RULES)


def test_conditions_on_columns_of_rules(codec: TableCodec) -> None:
    assert codec.place("city") == codec.place("country")
    tokens, _ = codec.allowed("country", Condition("FR"))
    texts = [str(text) for text in codec.columns[codec.place("city")].tokens.texts]  # type: ignore[union-attr]
    assert [json.loads(text)[1] == "FR" for text in texts] == tokens.tolist()
    assert codec.allowed("low", Condition("0..50"))[0].any()
    with pytest.raises(UsageError, match="column 'high' cannot be asked for: a constraint makes it from low"):
        codec.allowed("high", Condition("0..50"))
    with pytest.raises(UsageError, match="column 'total' cannot be asked for: a constraint makes it from a, b"):
        codec.allowed("total", Condition("50"))


def test_known_cells(codec: TableCodec, data: TableData) -> None:
    names = list(data.schema.names)
    cells = np.ones((2, len(names)), bool)
    cells[1, names.index("other")] = False
    known = codec.known(cells)
    assert known[0].all() and known[1].sum() == len(codec.columns) - 1
    cells[1, names.index("high")] = False
    assert codec.known(cells).sum() == 2 * len(codec.columns) - 2
    cells[1, names.index("high")], cells[1, names.index("low")] = True, False
    with pytest.raises(UsageError, match="row 2: 'high' is known but not all of 'low'"):
        codec.known(cells)
    cells[1] = True
    cells[1, names.index("country")] = False
    with pytest.raises(UsageError, match="row 2: 'city' is known but not all of 'country'"):
        codec.known(cells)
