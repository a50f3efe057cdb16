"""Tokens and fractions: there and back, with the marginals of the data, in every kind of column."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from synthgen.data.tables.binning import NumberTokens, fit_numbers, round_to
from synthgen.data.tables.categories import fit_categories
from synthgen.data.tables.codec import TableCodec
from synthgen.data.tables.reading import table_from_frame
from synthgen.errors import SynthgenError
from tests.data.tables.tables import mixed

NUMBERS = st.one_of(
    st.none(),
    st.integers(-5, 5).map(float),
    st.floats(-1e6, 1e6).map(lambda x: round(x, 2)),
    st.floats(-1e300, 1e300),
)


def objects(values: list[str | None]) -> np.ndarray:
    found = np.empty(len(values), object)
    found[:] = values
    return found


@given(st.lists(NUMBERS, min_size=1, max_size=300), st.integers(4, 40))
def test_numbers_come_back(values: list[float | None], bins: int) -> None:
    given_ = np.array([np.nan if value is None else value for value in values]) + 0.0
    tokens = fit_numbers(given_, bins)
    codes, fractions = tokens.encode(given_)
    assert fractions.dtype == np.float32 and (fractions >= 0).all() and (fractions < 1).all()
    assert (codes >= 0).all() and (codes < tokens.size).all()
    back = tokens.decode(codes, fractions)
    assert (np.isnan(back) == np.isnan(given_)).all()
    exact = ~tokens.spread[codes]
    assert np.array_equal(back[exact], given_[exact], equal_nan=True)
    inside = codes[~exact]
    assert (tokens.low[inside] <= back[~exact]).all() and (back[~exact] <= tokens.high[inside]).all()
    assert tokens.counts.sum() == len(values)
    assert np.array_equal(np.bincount(codes, minlength=tokens.size), tokens.counts)


@given(st.lists(NUMBERS, min_size=1, max_size=200), st.integers(4, 20), st.lists(st.floats(0, 1), max_size=5))
def test_every_fraction_decodes_into_its_bin(values: list[float | None], bins: int, places: list[float]) -> None:
    tokens = fit_numbers(np.array([np.nan if value is None else value for value in values]) + 0.0, bins)
    codes = np.repeat(np.arange(tokens.size), len(places) + 2)
    fractions = np.tile(np.array([0.0, 1.0, *places], np.float32), tokens.size)
    back = tokens.decode(codes, fractions)
    present = codes < tokens.ordered
    assert np.isnan(back[~present]).all()
    assert (back[present] >= tokens.low[codes[present]]).all() and (back[present] <= tokens.high[codes[present]]).all()


@given(
    st.lists(st.one_of(st.integers(-5, 5).map(float), st.floats(-1e6, 1e6)), min_size=3, max_size=200),
    st.floats(-1e6, 1e6),
    st.floats(0, 1e6),
    st.integers(4, 20),
)
def test_allowed_numbers_hold(values: list[float], low: float, width: float, bins: int) -> None:
    tokens = fit_numbers(np.array(values) + 0.0, bins)
    allowed, intervals = tokens.allowed(low, low + width)
    codes = np.repeat(np.flatnonzero(allowed), 9)
    shares = np.tile(np.linspace(0, 1, 9, dtype=np.float32), int(allowed.sum()))
    fractions = intervals[codes, 0] + shares * (intervals[codes, 1] - intervals[codes, 0])
    back = tokens.decode(codes, fractions)
    assert ((back >= low) & (back <= low + width)).all()
    own = np.flatnonzero(tokens.low == tokens.high)
    assert np.array_equal(allowed[own], (tokens.low[own] >= low) & (tokens.low[own] <= low + width))


TEXTS = st.one_of(st.none(), st.sampled_from(["a", "b", "ü", "", "a|b"]), st.text(max_size=4))


@given(st.lists(TEXTS, min_size=1, max_size=200), st.integers(1, 4))
def test_categories_come_back(values: list[str | None], rare: int) -> None:
    tokens = fit_categories(objects(values), rare)
    codes, fractions = tokens.encode(objects(values))
    assert tokens.decode(codes, fractions).tolist() == values
    assert (codes < tokens.size).all() and (fractions < 1).all()
    wanted = np.arange(len(tokens.texts)) % 2 == 0
    allowed, intervals = tokens.allowed(wanted, False)
    for code in np.flatnonzero(allowed):
        for fraction in intervals[code]:
            text = tokens.decode(np.array([code]), np.array([fraction], np.float32))[0]
            assert wanted[tokens.texts.tolist().index(text)]


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("normal", np.random.default_rng(0).normal(size=20_000)),
        ("lognormal", np.round(np.random.default_rng(1).lognormal(5, 2, 20_000), 2)),
        ("inflated", np.random.default_rng(2).poisson(200, 20_000) * (np.random.default_rng(3).random(20_000) < 0.3)),
        ("counts", np.random.default_rng(4).geometric(0.004, 20_000)),
    ],
)
def test_marginals_and_extremes_of_random_fractions(name: str, values: np.ndarray) -> None:
    tokens = fit_numbers(values.astype(float), 100)
    codes, _ = tokens.encode(values.astype(float))
    rng = np.random.default_rng(5)
    made = [tokens.decode(codes, rng.random(len(codes), dtype=np.float32)) for _ in range(20)]
    # Each value is drawn inside its own bin: what is left is the error of the quantiles, far below .2 %.
    together = np.concatenate(made)
    grid = np.unique(values)
    here = np.searchsorted(np.sort(values), grid, "right") / len(values)
    there = np.searchsorted(np.sort(together), grid, "right") / len(together)
    assert np.abs(here - there).max() < 0.002
    reached = [(one.min() == values.min(), one.max() == values.max()) for one in made]
    assert np.mean(reached) > 0.8  # three rows' worth: 95 of 100
    assert together.min() == values.min() and together.max() == values.max()


def test_decimals_and_whole_numbers_are_kept() -> None:
    rng = np.random.default_rng(0)
    prices = np.round(rng.lognormal(3, 1, 5000), 2)
    tokens = fit_numbers(prices, 50)
    made = tokens.decode(rng.integers(0, tokens.size, 5000), rng.random(5000, dtype=np.float32))
    assert np.array_equal(made, np.round(made, 2))
    whole = fit_numbers(rng.integers(0, 10**6, 5000).astype(float), 50)
    made = whole.decode(rng.integers(0, whole.size, 5000), rng.random(5000, dtype=np.float32))
    assert np.array_equal(made, np.rint(made)) and len(np.unique(made)) > 4000
    single = rng.normal(size=5000).astype(np.float32)
    texts = np.array([float(str(value)) for value in single])
    tokens = fit_numbers(texts, 50)
    made = tokens.decode(rng.integers(0, tokens.size, 5000), rng.random(5000, dtype=np.float32))
    assert max(len(str(abs(value)).replace(".", "").lstrip("0").split("e")[0]) for value in made.tolist()) <= 10


def test_repeated_values_keep_their_share() -> None:
    values = np.where(np.arange(10_000) % 10 < 4, 0.0, np.random.default_rng(0).gamma(2, 50, 10_000))
    tokens = fit_numbers(values, 100)
    codes, _ = tokens.encode(values)
    zero = codes[values == 0]
    assert (zero == zero[0]).all() and not tokens.spread[zero[0]] and tokens.counts[zero[0]] == 4000
    assert tokens.size <= 104


def test_values_that_training_did_not_have_go_to_the_nearest() -> None:
    tokens = fit_numbers(np.array([1.0, 2.0, 10.0]), 10)
    assert tokens.encode(np.array([-5.0, 1.4, 7.0, 99.0, np.nan]))[0].tolist() == [0, 0, 2, 2, 1]
    binned = fit_numbers(np.random.default_rng(0).normal(size=1000), 10)
    codes, fractions = binned.encode(np.array([-99.0, 99.0]))
    assert binned.decode(codes, fractions).tolist() == [binned.low[0], binned.high[-1]]
    categories = fit_categories(objects(["a", "a", "b", "b", "b"]), 2)
    assert categories.encode(objects(["z", None, "b"]))[0].tolist() == [0, 1, 1]


def test_rare_categories_share_a_token_in_proportion() -> None:
    values = ["a"] * 50 + ["b"] * 30 + ["x"] * 6 + ["y"] * 3 + ["z"] * 1
    tokens = fit_categories(objects(values), 10)
    assert tokens.size == 3 and tokens.spread.tolist() == [False, False, True]
    rng = np.random.default_rng(0)
    made = tokens.decode(np.full(20_000, 2), rng.random(20_000, dtype=np.float32))
    counts = pd.Series(made).value_counts()
    assert stats.chisquare([counts["x"], counts["y"], counts["z"]], [12_000, 6_000, 2_000]).pvalue > 0.001


@pytest.fixture(scope="module")
def codec() -> TableCodec:
    return TableCodec.fit(table_from_frame(mixed(1500)), 40, 2)


def test_a_frame_of_all_kinds_comes_back(codec: TableCodec) -> None:
    data = table_from_frame(mixed(1500))
    codes, fractions = codec.encode(data.frame)
    assert codes.shape == (1500, len(codec.columns)) and codes.dtype == np.int64
    assert (codes < np.array(codec.sizes)).all()
    back = codec.decode(codes, fractions, keys=np.arange(1500), seed=0)
    assert (back.dtypes == data.frame.dtypes).all()
    assert (back.isna() == data.frame.isna()).all().all()
    for name in ("city", "member"):
        assert back[name].equals(data.frame[name])
    day = data.frame["when"].dt.normalize()
    assert (back["when"] - data.frame["when"]).abs().max() < pd.Timedelta("400D") and day.notna().any()
    assert [column.name for column in codec.columns] == [
        "amount", "count", "city", "member", "when", "when, time of day", "exact",
    ]  # fmt: skip
    for column in codec.columns:
        assert column.spread.shape == (column.size,) and column.counts.sum() == 1500
        assert (column.positions is None) == (column.kind in ("category", "boolean"))
        if column.positions is not None:
            assert np.isnan(column.positions[-1]) and (np.diff(column.positions[:-1]) > 0).all()


def test_dates_keep_day_and_time_apart() -> None:
    rng = np.random.default_rng(0)
    days = rng.integers(0, 3000, 4000)
    hours = rng.choice([8, 20], 4000)  # opened at 8, closed at 20, all year round
    frame = pd.DataFrame({"when": pd.to_datetime(days * 86_400 + hours * 3600, unit="s"), "x": rng.normal(size=4000)})
    data = table_from_frame(frame)
    fitted = TableCodec.fit(data, 50, 1)
    codes, _ = fitted.encode(data.frame)
    made = fitted.decode(codes, rng.random(codes.shape, dtype=np.float32), keys=np.arange(4000), seed=0)
    assert set(made["when"].dt.hour) == {8, 20} and (made["when"].dt.minute == 0).all()
    assert (made["when"].dt.hour.to_numpy() == hours).all()


def test_identifiers_and_constants_are_made() -> None:
    frame = pd.DataFrame({
        "No": np.arange(1, 51), "name": [f"A{i:04d}" for i in range(50)], "same": "x", "gone": None,
        "key": [f"{i:08x}-0000-4000-8000-{i:012x}" for i in range(50)], "v": np.arange(50) % 7,
    })  # fmt: skip
    data = table_from_frame(frame)
    fitted = TableCodec.fit(data, 10, 1)
    assert [column.name for column in fitted.columns] == ["v"]
    codes, fractions = fitted.encode(data.frame)
    made = fitted.decode(codes, fractions, keys=np.arange(50), seed=3)
    assert made["No"].tolist()[:2] == ["51", "52"] and made["name"].tolist()[:2] == ["A0050", "A0051"]
    assert made["same"].tolist() == ["x"] * 50 and made["gone"].isna().all()
    assert made["key"].is_unique and made["key"].str.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}").all()
    again = fitted.decode(codes[20:30], fractions[20:30], keys=np.arange(20, 30), seed=3)
    assert again["key"].tolist() == made["key"].tolist()[20:30]
    other = fitted.decode(codes, fractions, keys=np.arange(50), seed=4)
    assert not set(other["key"]) & set(made["key"])


def test_rounding() -> None:
    values = np.array([1.23456, 123.456, 99999.5, -0.00123456])
    assert round_to(values, 2).tolist() == [1.23, 123.46, 99999.5, -0.0]
    assert round_to(values, 9, 3).tolist() == [1.23, 123.0, 100000.0, -0.00123]


def parts(codec: TableCodec) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    return json.loads(json.dumps(codec.to_dict())), {name: tensor.clone() for name, tensor in codec.tensors().items()}


def test_a_codec_is_stored_and_found_again(codec: TableCodec) -> None:
    values, tensors = parts(codec)
    assert len(json.dumps(values)) < 10_000
    again = TableCodec.from_parts(values, tensors)
    frame = table_from_frame(mixed(300, seed=1)).frame
    for here, there in zip(codec.encode(frame), again.encode(frame), strict=True):
        assert np.array_equal(here, there)
    assert again.to_dict() == codec.to_dict() and again.schema == codec.schema


LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=5),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=2), st.integers(), max_size=1),
)


def places(values: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = values.items() if isinstance(values, dict) else enumerate(values) if isinstance(values, list) else ()
    return [path, *(found for key, value in inner for found in places(value, (*path, key)))]


@settings(max_examples=150)
@given(st.data())
def test_a_hostile_description_is_an_error_or_a_codec(codec: TableCodec, data: st.DataObject) -> None:
    values, tensors = parts(codec)
    path = data.draw(st.sampled_from(places(values)[1:]))
    inner: Any = values
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = data.draw(LEAVES)
    try:
        found = TableCodec.from_parts(values, tensors)
    except SynthgenError as error:
        assert len(error.message) < 500
    else:
        nothing = np.zeros((1, len(found.columns)))
        found.encode(found.decode(nothing.astype(np.int64), nothing.astype(np.float32), keys=np.arange(1), seed=0))


@settings(max_examples=150)
@given(st.data())
def test_hostile_tensors_are_an_error_or_a_codec(codec: TableCodec, data: st.DataObject) -> None:
    values, tensors = parts(codec)
    name = data.draw(st.sampled_from(sorted(tensors)))
    tensor = tensors[name]
    action = data.draw(st.sampled_from(["drop", "cut", "value", "type", "shape", "empty"]))
    if action == "drop":
        del tensors[name]
    elif action == "value":
        place = data.draw(st.integers(0, tensor.numel() - 1))
        tensor[place] = (
            data.draw(st.sampled_from([0, 1, 255, 77]))
            if tensor.dtype == torch.uint8
            else data.draw(st.sampled_from([-1, 0, 2**40, 3]))
        )
    else:
        tensors[name] = {
            "cut": tensor[:-1], "type": tensor.to(torch.float16), "shape": tensor[None], "empty": tensor[:0]
        }[action]  # fmt: skip
    try:
        found = TableCodec.from_parts(values, tensors)
    except SynthgenError as error:
        assert len(error.message) < 500
    else:
        sizes = np.array(found.sizes)
        found.decode(sizes[None] - 1, np.zeros((1, len(sizes)), np.float32), keys=np.arange(1), seed=0)


def test_a_column_without_numbers_has_one_token() -> None:
    tokens = fit_numbers(np.array([np.nan, np.nan]), 10)
    assert isinstance(tokens, NumberTokens) and tokens.size == 1
    assert np.isnan(tokens.decode(np.zeros(3, np.int64), np.zeros(3, np.float32))).all()
    assert tokens.encode(np.array([np.nan, 5.0]))[0].tolist() == [0, 0]
