"""Sequences from a model: the same whatever stands around them, of any length, under conditions."""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from synthgen.errors import SynthgenError, UsageError
from synthgen.generation.model import load
from synthgen.generation.series.model import SeriesModel, load_series_model
from synthgen.generation.tables.model import load_table_model
from tests.conftest import sensors

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def model(series_run: Path) -> SeriesModel:
    return load_series_model(series_run, device="cpu")


def same(first: np.ndarray, second: np.ndarray) -> bool:
    return np.array_equal(first, second, equal_nan=True)


def test_load_gives_a_model_of_series(series_run: Path) -> None:
    model = load(series_run, device="cpu")
    assert isinstance(model, SeriesModel) and model.modality == "series" and model.window == 12
    assert model.class_names == ("down", "up") and len(model.sha256) == 64 and model.precision == "float32"
    with pytest.raises(UsageError, match="a model of a table is needed"):
        load_table_model(series_run)


@pytest.mark.parametrize("length", [None, 5, 31])
def test_a_sequence_depends_on_its_number_and_the_seed_alone(model: SeriesModel, length: int | None) -> None:
    whole = model.sample(40, seed=3, length=length)
    assert same(whole[17:23], model.sample(6, seed=3, start=17, length=length))
    assert same(whole[:1], model.sample(1, seed=3, length=length))
    assert not same(whole, model.sample(40, seed=4, length=length))
    assert len({row.tobytes() for row in np.nan_to_num(whole, nan=-1e9)}) == 40
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        assert same(whole, model.sample(40, seed=3, length=length))
    finally:
        torch.set_num_threads(before)


def test_a_longer_sequence_begins_as_a_shorter_one(model: SeriesModel) -> None:
    long = model.sample(3, seed=1, length=300)
    assert long.shape == (3, 300, 3)
    for shorter in (13, 18, 19, 100):
        assert same(long[:, :shorter], model.sample(3, seed=1, length=shorter))
    assert same(model.sample(3, seed=1)[:, :4], model.sample(3, seed=1, length=4))
    steps = np.abs(np.diff(long[..., 1], axis=1))  # the integer channel moves by as much at a seam as elsewhere
    seams = steps[:, 11::6]
    assert abs(np.nanmean(seams) - np.nanmean(steps)) < 0.5


def test_values_are_those_of_the_data(model: SeriesModel) -> None:
    values, data = model.sample(200, seed=2), sensors()
    level, jumps, state = np.moveaxis(values, -1, 0)
    assert np.nanmin(level) >= data["level"].min() and np.nanmax(level) <= data["level"].max()
    assert set(np.unique(jumps)) <= set(data["jumps"].unique()) and set(np.unique(state)) <= {0.0, 1.0}
    missing = data["level"].isna().mean()
    assert 0.2 * missing < np.isnan(level).mean() < 5 * missing


def test_frames_have_the_form_of_the_data(model: SeriesModel) -> None:
    frame, data = model.sample_frame(20, seed=2), sensors()
    assert list(frame.columns) == list(data.columns) and len(frame) == 240
    read = pd.read_csv(io.StringIO(data.to_csv(index=False)), parse_dates=["when"])
    assert {name: kind.kind for name, kind in frame.dtypes.items()} == {n: k.kind for n, k in read.dtypes.items()}
    groups = frame.groupby("sensor", sort=False)
    assert len(groups) == 20 and not set(frame["sensor"]) & set(data["sensor"])
    assert (groups["when"].diff().dropna() == pd.Timedelta("1h")).all()
    assert (groups[["site", "mood"]].nunique() == 1).all().all()
    values = model.sample(20, seed=2)
    assert same(frame["level"].to_numpy().reshape(20, 12), values[..., 0])
    assert (frame["jumps"].to_numpy().reshape(20, 12) == values[..., 1]).all()


def test_classes_covariates_and_start(model: SeriesModel) -> None:
    frame = model.sample_frame(
        30, labels=["up", "down"], where={"site": "south"}, start_time="2018-07-01 06:00", length=30
    )
    first = frame.groupby("sensor", sort=False).first()
    assert first["mood"].tolist() == ["up", "down"] * 15 and (frame["site"] == "south").all()
    assert (first["when"] == pd.Timestamp("2018-07-01 06:00")).all()
    assert frame["when"].max() == pd.Timestamp("2018-07-02 11:00")
    up, down = (model.sample(60, labels=name) for name in ("up", 0))
    assert np.nanmean(up[..., 0]) > np.nanmean(down[..., 0]) + 2
    both = model.sample_frame(60, where=["site=north|south"], labels=1)
    assert 10 < (both.groupby("sensor")["site"].first() == "north").sum() < 50


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"labels": "upp"}, r"unknown class 'upp' \(did you mean 'up'\?\)"),
        ({"labels": 7}, "unknown class '7'"),
        ({"where": ["level=3"]}, "'level' is a channel"),
        ({"where": ["mood=up"]}, "--class NAME"),
        ({"where": ["sit=north"]}, r"'sit' \(did you mean 'site'\?\)"),
        ({"where": ["site=nord"]}, r"no value 'nord' \(did you mean 'north'\?\)"),
        ({"where": ["site="]}, "never missing"),
        ({"where": ["site=north", "site=south"]}, "asked for twice"),
        ({"length": 0}, "between 1 and 10,000,000 steps"),
        ({"start_time": "2018-13-01"}, "no date"),
        ({"start": -1}, "counted from 0"),
        ({"steps": 0}, "between 1 and 10,000 steps"),
        ({"eta": 0.5}, "eta is a setting of ddim|no meaning"),
        ({"guidance_scale": -1.0}, "0 or more"),
        ({"sampler": "hen"}, "unknown sampler 'hen'"),
    ],
)
def test_requests_that_cannot_be(model: SeriesModel, request_: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        model.sample(2, **request_)  # type: ignore[arg-type]
    assert re.search(message, f"{caught.value.message} {caught.value.hint}")


@pytest.mark.parametrize("sampler", ["ddpm", "dpm++2m-sde", "ddim"])
def test_samplers_that_add_noise_keep_the_promise(model: SeriesModel, sampler: str) -> None:
    settings = {"sampler": sampler, "eta": 0.7 if sampler == "ddim" else None, "steps": 4, "length": 20}
    whole = model.sample(18, seed=9, **settings)  # type: ignore[arg-type]
    assert same(whole[16:], model.sample(2, seed=9, start=16, **settings))  # type: ignore[arg-type]
    assert np.isfinite(whole[..., 1:]).all()


def test_guidance_strengthens_the_class(model: SeriesModel) -> None:
    plain, guided = (model.sample(64, labels="up", guidance_scale=scale, seed=5) for scale in (1.0, 3.0))
    assert not same(plain, guided) and np.nanmean(guided[..., 1]) >= np.nanmean(plain[..., 1]) - 0.2


def test_headers_and_weights_that_do_not_fit(model: SeriesModel, series_run: Path) -> None:
    from synthgen.checkpoints import load_checkpoint
    from synthgen.runs import resolve_run

    header, tensors = load_checkpoint(resolve_run(series_run))
    path, cpu = Path("x.safetensors"), torch.device("cpu")

    def refused(match: str, header: dict[str, object], tensors: dict[str, torch.Tensor]) -> None:
        with pytest.raises(SynthgenError, match=match):
            SeriesModel.from_parts(path, header, tensors, cpu)

    wide = {**header["config"], "model": {**header["config"]["model"], "width": 2048, "blocks": 64}}
    refused("the weights do not fit the network", {**header, "config": wide}, tensors)
    lacking = {name: one for name, one in tensors.items() if not name.endswith("place")}
    refused("place does not", header, lacking)
    refused("codec|description", {**header, "codec": {**header["codec"], "window": 10**9}}, tensors)
    refused("of other columns than its schema", {**header, "schema": {**header["schema"], "form": "wide"}}, tensors)
    refused("schema", {name: one for name, one in header.items() if name != "schema"}, tensors)
