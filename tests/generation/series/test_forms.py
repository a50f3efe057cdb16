"""Sequences of data in every form: with times of every kind and without, in arrays, with covariates of every kind."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from synthgen.config.series import SeriesConfig, SeriesDataConfig, SeriesModelConfig, SeriesSamplingConfig
from synthgen.data.series.codec import SeriesCodec
from synthgen.data.series.reading import read_series, series_from_array, series_from_frame
from synthgen.data.series.schema import SeriesData
from synthgen.diffusion.series import build_series_denoiser
from synthgen.errors import UsageError
from synthgen.generation.series.model import SeriesModel
from synthgen.generation.series.work import SeriesRequest, default_count, series_work

pytestmark = pytest.mark.usefixtures("one_thread")

STEPS = 120


def untrained(data: SeriesData, settings: SeriesDataConfig) -> SeriesModel:
    """A model that has learned nothing: what stands around the values does not need it."""
    config = SeriesConfig(
        data=settings,
        model=SeriesModelConfig(width=16, blocks=1, heads=2),
        sampling=SeriesSamplingConfig(steps=2, block_size=8),
    )
    codec = SeriesCodec.fit(data, config.data)
    denoiser = build_series_denoiser(config, codec, torch.float32).eval()
    header = {
        "config": config.model_dump(mode="json"),
        "sha256": "0" * 64,
        "data": {"name": data.name},
        "training": {},
        "versions": {},
    }
    return SeriesModel(Path("none"), header, denoiser, codec, torch.device("cpu"))


def of_frame(frame: pd.DataFrame, **settings: object) -> SeriesModel:
    config = SeriesDataConfig(window=8, **settings)  # type: ignore[arg-type]
    return untrained(series_from_frame(frame, config), config)


def wide(times: object = None, name: str = "date") -> pd.DataFrame:
    generator = np.random.default_rng(0)
    columns = {"x": generator.normal(size=STEPS).cumsum(), "on": generator.random(STEPS) < 0.5, "const": "k"}
    return pd.DataFrame(columns if times is None else {name: times, **columns})


TIMES = {
    "business": pd.bdate_range("2020-01-01", periods=STEPS),
    "months": pd.date_range("1990-01-31", periods=STEPS, freq="ME"),
    "quarters": pd.date_range("2020-01-01", periods=STEPS, freq="15min"),
    "zone": pd.date_range("2020-01-01", periods=STEPS, freq="h", tz="Europe/Rome"),
    "whole": np.arange(STEPS) * 5,
    "real": np.arange(STEPS) * 0.25,
}


@pytest.mark.parametrize("kind", TIMES)
def test_times_go_on(kind: str) -> None:
    frame = wide(TIMES[kind], "time")
    model = of_frame(frame, time="time")
    made = model.sample_frame(1, length=20, seed=1)
    assert list(made.columns) == list(frame.columns) and (made["const"] == "k").all() and made["on"].dtype == bool
    longer = pd.Index(frame["time"]) if kind in ("whole", "real") else pd.DatetimeIndex(frame["time"])
    place = list(longer).index(made["time"].iloc[0])
    assert made["time"].tolist() == list(longer[place : place + 20])
    done = model.complete(frame[:100], length=120)
    assert done["time"].tolist() == frame["time"].tolist()
    np.testing.assert_array_equal(done["x"][:100], frame["x"][:100])
    assert len(model.sample_frame(3)["sequence"].unique()) == 3  # several need a column that tells them apart


def test_irregular_times_are_drawn() -> None:
    generator = np.random.default_rng(0)
    times = pd.Timestamp("2020-01-01") + pd.to_timedelta(generator.integers(1, 90_000, STEPS).cumsum(), "s")
    model = of_frame(wide(times))
    assert model.schema.step["unit"] == "irregular"
    made = model.sample_frame(1, length=30)
    assert (made["date"].diff().dropna() >= pd.Timedelta("1s")).all() and made["date"].diff().nunique() > 5
    frame = wide(times)
    frame.loc[40:50, "x"] = np.nan
    assert model.complete(frame)["date"].tolist() == frame["date"].tolist()
    made = model.complete(frame[:30], length=33)
    assert made["date"].diff().iloc[-3:].nunique() == 1  # the median gap, until somebody writes other times


def test_a_start_is_on_the_clocks_of_the_data() -> None:
    texts = TIMES["zone"].map(lambda moment: moment.isoformat())  # +01:00
    model = of_frame(wide(texts))
    for start, first in (("2021-01-05 06:00", "06:00"), ("2021-01-05 06:00Z", "07:00")):
        made = model.sample_frame(1, start_time=start)
        assert pd.Timestamp(made["date"].iloc[0]).strftime("%H:%M") == first
    with pytest.raises(UsageError, match="no times to start at"):
        of_frame(wide()).sample(1, start_time="2020-01-01")


def test_arrays_of_other_lengths_and_classes(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    values = generator.normal(size=(40, 10, 2))
    labels = np.arange(40) % 2 + 1
    lengths = np.where(labels == 1, 4, 9)
    values[np.arange(10) >= lengths[:, None]] = np.nan
    settings = SeriesDataConfig()
    model = untrained(series_from_array(values, labels=labels, config=settings), settings)
    assert model.class_names == ("1", "2") and model.window == 9
    made = model.sample(30, seed=1)
    assert made.shape == (30, 9, 2) and set((~np.isnan(made[..., 0])).sum(1)) == {4, 9}
    assert ((~np.isnan(model.sample(8, labels="1")[..., 0])).sum(1) == 4).all()
    assert np.isfinite(model.sample(4, length=6)).all() and np.isfinite(model.sample(4, length=40)).all()
    work = series_work(model, SeriesRequest(count=30, seed=1, format="npz"))
    work.to_file(tmp_path / "made.npz")
    with np.load(tmp_path / "made.npz") as found:
        np.testing.assert_array_equal(found["X"], made)
        assert found["lengths"].tolist() == (~np.isnan(made[..., 0])).sum(1).tolist()
        assert found["y"].dtype == np.int64 and set(found["y"]) <= {1, 2}
    values[:2, 2:4, 0] = np.nan
    np.savez(tmp_path / "part.npz", X=values[:2], y=labels[:2], lengths=lengths[:2])
    series_work(model, SeriesRequest(complete=tmp_path / "part.npz", format="npz")).to_file(tmp_path / "done.npz")
    with np.load(tmp_path / "done.npz") as found:
        assert found["lengths"].tolist() == [4, 9] and not np.isnan(found["X"][0, :4]).any()
        assert np.array_equal(found["X"][..., 1], values[:2, :9, 1], equal_nan=True)


def patients() -> pd.DataFrame:
    """Sequences with covariates: age (whole numbers), weight (numbers, some missing), smoker (truth values)."""
    generator = np.random.default_rng(0)
    rows = []
    for number in range(30):
        weight = np.nan if number % 5 == 0 else round(60 + number * 1.5, 1)
        fixed = {"patient": f"p{number}", "age": 20 + 2 * number, "weight": weight, "smoker": number % 2 == 0}
        rows += [{**fixed, "day": day, "pulse": generator.normal(70, 5)} for day in range(10)]
    return pd.DataFrame(rows)


def test_covariates_that_are_asked_for() -> None:
    model = of_frame(patients(), id="patient", time="day")
    assert set(model.schema.static) == {"age", "weight", "smoker"}

    def drawn(*where: str) -> pd.DataFrame:
        return model.sample_frame(40, where=where, length=20).groupby("patient", sort=False).first()

    assert (drawn("age=44")["age"] == 44).all() and (drawn("smoker=true")["smoker"]).all()
    ages = drawn("age=30..40")["age"]
    assert ages.between(30, 40).all() and ages.nunique() > 4
    assert set(drawn("age=22|60")["age"]) == {22, 60}
    assert model.sample_frame(20, where={"weight": None})["weight"].isna().all()
    assert drawn("weight=70.5", "smoker=false")[["weight", "smoker"]].drop_duplicates().to_numpy().tolist() == [
        [70.5, False]
    ]
    for where, message in (
        ("age=200", "no value of the training data satisfies age=200"),
        ("age=20..30|40..50", "one range, or single values"),
        ("age=", "never missing"),
        ("patient=p1", "no covariate 'patient'"),
    ):
        with pytest.raises(UsageError, match=message):
            model.sample(1, where=[where])


def test_how_many_unless_it_is_said() -> None:
    model = of_frame(wide())
    assert default_count(model, SeriesRequest()) == default_count(model, SeriesRequest(length=8)) == 1000
    assert default_count(model, SeriesRequest(length=9)) == 1


def test_several_recordings_are_told_apart_by_a_column_of_ours() -> None:
    model, part = of_frame(wide(TIMES["quarters"])), wide(TIMES["quarters"])[:9].assign(x=[0.5] * 6 + [None] * 3)
    twice = pd.concat([part, part])
    with pytest.raises(UsageError, match="twice, in row 0 and row 9") as told:
        model.complete(twice)
    assert "a column 'sequence' tells them apart" in str(told.value.hint)
    assert model.complete(twice.assign(sequence=[1] * 9 + [2] * 9))["x"].notna().all()


def test_columns_that_are_added_to_those_of_parquet_are_numbers(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    frame = wide(TIMES["quarters"])
    frame.to_parquet(tmp_path / "a.parquet")
    config = SeriesDataConfig(window=8)
    model = untrained(read_series(tmp_path / "a.parquet", config), config)
    assert model.sample_frame(2)["sequence"].tolist() == [1] * 8 + [2] * 8
    part = frame[:9].assign(x=[0.5] * 6 + [None] * 3)
    assert model.complete(part, draws=2)["draw"].tolist() == [0] * 9 + [1] * 9
    assert model.complete(part, draws=9, quantiles=[0.1, 0.9])["quantile"].tolist() == [0.1] * 9 + [0.9] * 9
