"""Sequences completed: known cells untouched, forecasts of any length, draws and their quantiles."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from synthgen.data.series.schema import SeriesSchema
from synthgen.data.tables.schema import ColumnSchema, TableSchema
from synthgen.errors import UsageError
from synthgen.generation.series.completing import read_known
from synthgen.generation.series.merging import quantiles_of
from synthgen.generation.series.model import SeriesModel, load_series_model
from synthgen.generation.series.work import SeriesRequest, series_work
from tests.conftest import sensors

pytestmark = pytest.mark.usefixtures("one_thread")

CELLS = ["level", "jumps", "state"]


@pytest.fixture(scope="module")
def model(series_run: Path) -> SeriesModel:
    return load_series_model(series_run, device="cpu")


def partial(count: int = 3, known: int = 9) -> pd.DataFrame:
    """The first sequences, of which only the first steps are known."""
    frame = sensors(count).astype({"jumps": "Int64"})
    frame.loc[frame.groupby("sensor").cumcount() >= known, CELLS] = None
    return frame


def test_a_forecast_keeps_what_is_known(model: SeriesModel) -> None:
    frame = partial()
    done = model.complete(frame, seed=4)
    known = frame["jumps"].notna()
    assert list(done.columns) == list(frame.columns) and len(done) == len(frame)
    assert not done[CELLS].isna().any().any()
    for name in frame.columns:
        there = known & frame[name].notna()
        assert done[name][there].astype(str).tolist() == frame[name][there].astype(str).tolist()
    assert (done["jumps"].dtype, done["when"].tolist()) == (np.dtype("int64"), frame["when"].tolist())
    pd.testing.assert_frame_equal(done, model.complete(frame, seed=4))
    assert not done.equals(model.complete(frame, seed=5))


def test_rows_to_forecast_need_no_class_and_no_covariate(model: SeriesModel) -> None:
    frame = partial()
    bare = frame.copy()
    bare.loc[bare["jumps"].isna(), ["site", "mood"]] = None  # as a file with nothing but a time in these rows
    pd.testing.assert_frame_equal(model.complete(bare, seed=4), model.complete(frame, seed=4))


def test_what_is_shorter_than_a_window_is_the_same_beside_what_is_longer(model: SeriesModel) -> None:
    short, long = partial(1).iloc[:10], sensors(2, steps=40).iloc[40:].assign(state=None)
    alone, beside = model.complete(short), model.complete(pd.concat([short, long]))
    columns = ["level", "jumps", "state"]
    np.testing.assert_allclose(beside.iloc[:10]["level"], alone["level"], atol=2e-3)
    assert (beside.iloc[:10][columns[1:]].to_numpy() == alone[columns[1:]].to_numpy()).all()


def test_a_sequence_is_the_same_beside_others_and_among_more_draws(model: SeriesModel) -> None:
    frame = partial(5)
    several = model.complete(frame, draws=7)
    assert several["draw"].tolist() == sorted(several["draw"].iloc[:126].tolist()) * 5
    other = model.complete(frame, draws=3)
    # Blocks are cut at other places: equal up to what the shape of a batch does to the last bit, which rounding hides.
    joined = other.merge(several, on=["sensor", "when", "draw"])
    assert len(joined) == len(other) and (joined["jumps_x"] == joined["jumps_y"]).all()
    np.testing.assert_allclose(joined["level_x"], joined["level_y"], atol=2e-3)


def test_length_asks_for_steps_in_all(model: SeriesModel) -> None:
    frame = partial(2)
    short = frame[frame["jumps"].notna()]
    done = model.complete(short, length=30)
    assert done.groupby("sensor").size().tolist() == [30, 30]
    steps = done.groupby("sensor")["when"].diff().dropna()
    assert (steps == pd.Timedelta("1h")).all() and (done.groupby("sensor")["mood"].nunique() == 1).all()
    with pytest.raises(UsageError, match="have 9 or more already"):
        model.complete(short, length=9)


def test_long_recordings_are_completed_by_windows_that_move(model: SeriesModel) -> None:
    frame = sensors(1, steps=200).assign(state=None)
    frame.loc[50:60, "level"] = np.nan
    done = model.complete(frame)
    assert len(done) == 200 and not done[CELLS].isna().any().any()
    known = frame["level"].notna()
    assert (done["level"][known] == frame["level"][known]).all() and (done["jumps"] == frame["jumps"]).all()
    assert done["level"][~known].between(-6, 6).all()


def test_columns_and_steps_may_be_absent(model: SeriesModel) -> None:
    frame = sensors(2)[["sensor", "when", "jumps"]].drop(index=[4, 5])
    done = model.complete(frame)
    assert len(done) == 36 and not done[["level", "state", "site", "jumps"]].isna().any().any()
    assert (done.groupby("sensor")["site"].nunique() == 1).all() and done["mood"].isna().all()
    only = sensors(1)[["when", "jumps"]]
    assert model.complete(only)["sensor"].tolist() == ["1"] * 18


def test_cells_may_stay_missing(model: SeriesModel) -> None:
    frame = sensors(20).assign(level=np.nan)
    assert not model.complete(frame)["level"].isna().any()
    rate = model.complete(frame, allow_missing=True)["level"].isna().mean()
    assert 0.01 < rate < 0.5


def test_quantiles_rise_and_known_cells_are_exact(model: SeriesModel) -> None:
    frame = partial(2)
    levels = (0.1, 0.5, 0.9)
    done = model.complete(frame, draws=20, quantiles=levels)
    assert done["quantile"].unique().tolist() == list(levels) and len(done) == 3 * len(frame)
    wide = done.pivot_table(index=["sensor", "when"], columns="quantile", values=["level", "jumps"])
    for name in ("level", "jumps"):
        assert (wide[name][0.1] <= wide[name][0.5]).all() and (wide[name][0.5] <= wide[name][0.9]).all()
    known = frame[frame["level"].notna()].set_index(["sensor", "when"])["level"]
    for level in levels:
        assert (wide["level"][level].loc[known.index] == known).all()
    draws = model.complete(frame, draws=20)
    expected = draws.groupby(["sensor", "when"])["level"].quantile(0.5)  # pandas' own
    np.testing.assert_allclose(wide["level"][0.5], expected, rtol=1e-12)


def test_quantiles_by_kind() -> None:
    kinds = {"a": "number", "n": "integer", "c": "category", "b": "boolean"}
    columns = tuple(ColumnSchema(name, kind) for name, kind in kinds.items())  # type: ignore[arg-type]
    schema = SeriesSchema(TableSchema(columns), tuple(kinds))
    draws = [
        pd.DataFrame(
            {
                "a": [float(draw), np.nan if draw < 4 else 1.0],
                "n": pd.array([draw, draw], dtype="Int64"),
                "c": ["x" if draw < 3 else "y", None],
                "b": pd.array([True, draw == 0], dtype="boolean"),
            }
        )
        for draw in range(5)
    ]
    low, high = quantiles_of(draws, (0.3, 1.0), schema)
    assert low["a"].tolist()[0] == pytest.approx(0.8) and np.isnan(low["a"][1]) and high["a"][0] == 4.0
    assert low["n"].tolist() == [1, 1] and str(low["n"].dtype) == "Int64"  # the second of five reaches 0.3
    assert low["c"][0] == "x" and pd.isna(low["c"][1]) and low["b"].tolist() == [True, False]
    assert low["quantile"].tolist() == [0.3, 0.3]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda f: f.rename(columns={"jumps": "jump"}),
            r"column 'jump' that .* not know \(did you mean 'jumps'",
        ),
        (lambda f: f.drop(columns="when"), "no column 'when'"),
        (
            lambda f: f.assign(state="idel"),
            r"step 0, column 'state': .* 'idel' \(did you mean 'idle'",
        ),
        (lambda f: f.assign(mood="upp"), "column 'mood': the model has never seen 'upp'"),
        (lambda f: f.assign(level="abc"), "level"),
        (lambda f: f.assign(when=f["when"].astype(str) + "Z"), "has a zone, and the dates that were learned have none"),
        (lambda f: f.assign(when=f["when"].iloc[0]), "twice"),
    ],
)
def test_what_cannot_be_completed(model: SeriesModel, change: object, message: str, tmp_path: Path) -> None:
    change(partial(2)).to_csv(tmp_path / "part.csv", index=False)  # type: ignore[operator]
    with pytest.raises(UsageError, match=message) as told:
        read_known(model, tmp_path / "part.csv")
    assert "--set" not in str(told.value.hint)  # `synthgen sample` has none


def test_draws_and_quantiles_are_checked(model: SeriesModel) -> None:
    for settings, message in (
        ({"draws": 0}, "between 1 and 65,535 draws"),
        ({"quantiles": (0.5,)}, "several draws"),
        ({"draws": 5, "quantiles": (1.5,)}, "between 0 and 1"),
    ):
        with pytest.raises(UsageError, match=message):
            model.complete(partial(1), **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("suffix", ["csv", "npz"])
def test_arrays_are_completed(model: SeriesModel, tmp_path: Path, suffix: str) -> None:
    values = model.sample(4, seed=8)
    lengths = np.full(4, 12)
    values[:, 6:] = np.nan
    np.savez(tmp_path / "part.npz", X=values, lengths=lengths)
    request = SeriesRequest(complete=tmp_path / "part.npz", draws=3, format=suffix)
    if suffix == "csv":
        with pytest.raises(UsageError, match="no times"):
            series_work(model, request)
        return
    series_work(model, request).to_file(tmp_path / "done.npz")
    with np.load(tmp_path / "done.npz") as done:
        assert done["X"].shape == (12, 12, 3) and done["draw"].tolist() == [0, 1, 2] * 4
        known = ~np.isnan(values)
        for draw in range(3):
            assert (done["X"][draw::3][known] == values[known]).all()
        assert not np.isnan(done["X"]).any()


def test_intervals_of_few_draws_hold_their_share() -> None:
    """The truth lies between the 10 % and 90 % quantiles of ten draws of its own law in 80 of 100 cells, not in 65."""
    schema = SeriesSchema(TableSchema((ColumnSchema("x", "number"),)), ("x",))
    values = np.random.default_rng(0).normal(size=(11, 4000))
    low, high = quantiles_of([pd.DataFrame({"x": row}) for row in values[1:]], (0.1, 0.9), schema)
    inside = (low["x"] <= values[0]) & (values[0] <= high["x"])
    assert inside.mean() == pytest.approx(0.8, abs=0.03)


def test_quantiles_have_no_digits_that_only_rounding_made() -> None:
    column = ColumnSchema("level", "number", {})
    schema = SeriesSchema(TableSchema((column,)), ("level",))
    draws = [pd.DataFrame({"level": [value / 100, 1 / 3]}) for value in (210, 225, 231, 236, 241)]
    for level in (0.2, 0.3, 0.5, 0.7):
        (found,) = quantiles_of(draws, [level], schema)
        assert len(repr(float(found["level"][0]))) <= 6
        assert found["level"][1] == 1 / 3, "what is known stays as it is"
