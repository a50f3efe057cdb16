"""The codec against what it is said to do: scalers, parts, conditions, times, names, and descriptions that lie."""

from __future__ import annotations

import copy
import json

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

from synthgen.config.series import SeriesDataConfig
from synthgen.data.series.codec import SeriesCodec
from synthgen.data.series.reading import series_from_array, series_from_frame
from synthgen.data.series.scaling import choose, fit_scaler
from synthgen.data.series.schema import SeriesData
from synthgen.data.series.times import advance
from synthgen.data.series.windows import windows_of
from synthgen.errors import SynthgenError, UsageError


def hourly(count: int = 400) -> pd.DataFrame:
    generator = np.random.default_rng(0)
    frame = pd.DataFrame({"when": pd.date_range("2024-01-01", periods=count, freq="h")})
    frame["load"] = np.sin(2 * np.pi * np.arange(count) / 24) + generator.normal(scale=0.1, size=count)
    frame["rain"] = np.where(generator.random(count) < 0.7, 0.0, generator.gamma(1.0, size=count))
    frame["state"] = generator.choice(["on", "off", "idle"], count)
    frame.loc[50:60, "load"] = np.nan
    return frame


def fitted(frame: pd.DataFrame, **settings: object) -> tuple[SeriesData, SeriesCodec]:
    config = SeriesDataConfig.model_validate({"window": 24} | settings)
    data = series_from_frame(frame, config, split="train")
    return data, SeriesCodec.fit(data, config)


def test_standard_and_min_max_are_what_their_names_say() -> None:
    x = np.random.default_rng(0).normal(3.0, 2.0, 500)
    standard, minmax = fit_scaler(x, "standard", whole=False), fit_scaler(x, "minmax", whole=False)
    np.testing.assert_allclose(standard.encode(x), stats.zscore(x))
    np.testing.assert_allclose(minmax.encode(x), 2 * (x - x.min()) / np.ptp(x) - 1)
    assert standard.decode(np.array([99.0]))[0] == x.max()
    assert standard.decode(np.array([99.0]), clip=False)[0] > 100


def test_normal_scores_are_normal() -> None:
    x = np.random.default_rng(0).exponential(size=5000) ** 3
    scaler = fit_scaler(x, "quantile", whole=False)
    assert stats.kstest(scaler.encode(x), "norm").statistic < 0.01
    np.testing.assert_allclose(scaler.decode(scaler.encode(x)), x, atol=1e-9 * x.max())
    assert scaler.decode(np.array([-40.0, 40.0])).tolist() == [x.min(), x.max()]
    made = scaler.decode(np.random.default_rng(1).normal(size=50_000))
    assert stats.ks_2samp(made, x).statistic < 0.02


def test_values_that_repeat_come_back_exactly_and_as_often() -> None:
    generator = np.random.default_rng(0)
    x = np.where(generator.random(20_000) < 0.6, 0.0, generator.lognormal(size=20_000))
    scaler = fit_scaler(x, "auto", whole=False)
    assert scaler.kind == "quantile"
    made = scaler.decode(generator.normal(size=100_000))
    assert (made == 0).mean() == pytest.approx((x == 0).mean(), abs=0.01)
    near = scaler.decode(scaler.encode(np.zeros(1)) + np.linspace(-0.5, 0.5, 11))
    assert (near == 0).all()


def test_which_scaling_is_chosen() -> None:
    generator = np.random.default_rng(0)
    assert choose(generator.normal(size=5000)) == "standard"
    assert choose(generator.normal(size=5000).cumsum()) == "standard"
    assert choose(generator.standard_cauchy(5000)) == "quantile"
    assert choose(generator.choice([0.0, 10.0, 20.0, 30.0], 5000)) == "quantile"
    assert choose(np.maximum(generator.normal(size=5000), 0.0)) == "quantile"
    assert choose(generator.uniform(size=5000)) == "quantile"  # noise whose law is not normal
    assert choose(generator.uniform(size=40)) == "standard"  # too few to tell
    assert choose(np.sin(np.arange(5000) / 50)) == "standard"  # smooth: what counts is how it moves


def test_numbers_keep_their_decimals() -> None:
    _, codec = fitted(hourly().assign(load=np.random.default_rng(0).normal(size=400).round(2)))
    made = codec.codings["load"].decode(np.random.default_rng(1).normal(size=(50, 1)), np.zeros(50, bool))
    np.testing.assert_array_equal(made, made.round(2))


def test_levels_are_those_of_the_training_part() -> None:
    frame = hourly()
    frame.loc[390, "state"] = "fault"  # in the test part, and the first by the alphabet
    data, codec = fitted(frame)
    assert codec.codings["state"].levels == ("idle", "off", "on")
    whole = series_from_frame(frame, SeriesDataConfig(window=24))
    np.testing.assert_array_equal(
        codec.arrays(codec.encode(data).gather(torch.tensor([0]))[0], np.array([24]))[0, :, 2],
        windows_of(whole, 24).values[0, :, 2],
    )
    assert codec.encode(whole).values.isfinite().all()
    again = SeriesCodec.from_parts(json.loads(json.dumps(codec.to_dict())), codec.tensors())
    assert again.codings["state"] == codec.codings["state"]


def test_parts_follow_each_other_and_share_bits() -> None:
    frame = hourly()
    frame["twin"] = frame["load"] * 2 + 1
    frame["other"] = np.where(np.arange(400) % 7 == 0, np.nan, np.arange(400.0))
    _, codec = fitted(frame)
    parts = {part.name: part for part in codec.parts}
    assert [part.start for part in codec.parts][1:] == [part.stop for part in codec.parts][:-1]
    assert (parts["state"].stop - parts["state"].start, parts["hour"].role) == (3, "calendar")
    assert parts["load"].missing == parts["twin"].missing != parts["other"].missing
    assert parts["rain"].missing is None
    assert codec.dimensions == codec.parts[-1].stop + 2


def test_missing_values_are_filled_in_time_and_marked() -> None:
    data, codec = fitted(hourly(), scaling="standard")
    part = next(part for part in codec.parts if part.name == "load")
    values = codec.encode(data).values.numpy()
    gone = data.frame["load"].isna().to_numpy()
    np.testing.assert_array_equal(values[:, part.missing] > 0, gone)
    steps = np.arange(data.steps)
    wanted = np.interp(steps, steps[~gone], values[~gone, part.start])
    np.testing.assert_allclose(values[:, part.start], wanted, rtol=1e-5, atol=1e-6)


def test_draws_keep_hours_with_values() -> None:
    data, codec = fitted(hourly(900))
    frame = codec.draw(np.arange(40), seed=3)
    starts = pd.Series(frame.starts.astype("datetime64[us]"))
    assert starts.isin(data.frame["when"]).all()
    part = next(part for part in codec.parts if part.name == "hour")
    hours = starts.dt.hour.to_numpy()[:, None] + np.arange(24)
    np.testing.assert_allclose(frame.given[..., part.start], np.sin(2 * np.pi * hours / 24), atol=1e-6)
    assert frame.known[..., part.start : part.stop].all()
    assert frame.known.sum() == 40 * 24 * 4  # hour and weekday
    again = codec.draw(np.arange(20, 40), seed=3)
    assert torch.equal(again.given, frame.given[20:])


def test_start_and_length_are_asked_for_and_checked() -> None:
    _, codec = fitted(hourly())
    frame = codec.draw(np.arange(3), 0, start="2031-05-01 07:00", length=5)
    made = codec.decode(torch.zeros(3, 24, codec.dimensions), frame.lengths, np.arange(3), 0, frame.starts)
    assert len(made) == 15
    assert made["when"].iloc[:5].tolist() == pd.date_range("2031-05-01 07:00", periods=5, freq="h").tolist()
    for wrong in ({"start": "soon"}, {"length": 0}, {"length": 25}, {"labels": 0}):
        with pytest.raises(UsageError):
            codec.draw(np.arange(3), 0, **wrong)


def test_lengths_follow_the_class() -> None:
    generator = np.random.default_rng(0)
    labels = np.arange(60) % 2
    lengths = np.where(labels == 0, generator.integers(3, 6, 60), generator.integers(8, 11, 60))
    data = series_from_array(generator.normal(size=(60, 10, 2)), labels=labels, lengths=lengths)
    codec = SeriesCodec.fit(data, SeriesDataConfig())
    assert (codec.window, codec.classes) == (10, ("0", "1"))
    frame = codec.draw(np.arange(500), 0, labels=1)
    assert set(frame.lengths.tolist()) == {8, 9, 10}
    np.testing.assert_array_equal(frame.valid.sum(1), frame.lengths)
    free = codec.draw(np.arange(500), 0)
    assert free.labels.mean() == pytest.approx(0.5, abs=0.1)
    assert ((free.lengths < 7) == (free.labels == 0)).all()
    with pytest.raises(UsageError, match="numbered from 0 to 1"):
        codec.draw(np.arange(2), 0, labels=2)


def test_times_go_on_by_months_and_business_days() -> None:
    values = np.random.default_rng(0).normal(size=60)
    for times in (pd.date_range("2000-01-31", periods=60, freq="ME"), pd.bdate_range("2020-01-01", periods=60)):
        data, codec = fitted(pd.DataFrame({"date": times, "v": values}), window=12)
        made = codec.decode(torch.zeros(1, 40, codec.dimensions), np.array([40]), np.zeros(1, int), 0,
                            codec.starts_of(data))  # fmt: skip
        assert made["date"].tolist() == times[:40].tolist()


def test_a_day_that_a_month_lacks_is_its_last() -> None:
    step = {"kind": "datetime", "unit": "month", "interval": 1, "end": False, "whole": True}
    start = np.array([np.datetime64("2024-01-31", "us").astype(np.int64)])
    made = advance(step, start, np.arange(4)).astype("datetime64[us]").astype("datetime64[D]").astype(str)
    assert made.tolist() == ["2024-01-31", "2024-02-29", "2024-03-31", "2024-04-30"]


def test_irregular_times_rise() -> None:
    generator = np.random.default_rng(0)
    times = pd.Timestamp("2024-01-01") + pd.to_timedelta(np.cumsum(generator.integers(1, 90, 300)), "min")
    data, codec = fitted(pd.DataFrame({"time": times, "v": generator.normal(size=300)}))
    x, _ = codec.encode(data).gather(torch.arange(1))
    made = codec.decode(x, np.array([24]), np.zeros(1, int), 0, codec.starts_of(data))
    assert made["time"].tolist() == data.frame["time"][:24].tolist()
    noise = torch.randn(20, 24, codec.dimensions, generator=torch.Generator().manual_seed(0))
    frame = codec.draw(np.arange(20), 0)
    made = codec.decode(noise, frame.lengths, np.arange(20), 0, frame.starts, numbered=True)
    assert (made.groupby("sequence")["time"].diff().dropna() > pd.Timedelta(0)).all()
    assert (made["time"].dt.second == 0).all()


def test_new_names_have_the_form_of_the_old_ones() -> None:
    forms = {"P007": "P008", "north": "synthetic-1"}
    for old, new in forms.items():
        frame = hourly(50).drop(columns="state").assign(unit=old)
        both = pd.concat([frame, frame.assign(unit=old[:-1] + "6")])
        _, codec = fitted(both, id="unit", time="when")
        made = codec.decode(torch.zeros(1, 24, codec.dimensions), np.array([24]), np.zeros(1, int), 0, np.zeros(1, int))
        assert made["unit"].unique().tolist() == [new if old == "P007" else "synthetic-1"]


def test_a_constant_and_an_empty_channel_are_repeated() -> None:
    _, codec = fitted(hourly(900).assign(same=7, none=np.nan))
    assert {part.name for part in codec.parts} == {"load", "rain", "state", "hour", "weekday"}
    made = codec.decode(torch.zeros(1, 24, codec.dimensions), np.array([24]), np.zeros(1, int), 0, np.zeros(1, int))
    assert (made["same"] == "7").all() and made["none"].isna().all()
    arrays = codec.arrays(torch.zeros(1, 24, codec.dimensions), np.array([24]))
    names = list(codec.schema.channels)
    assert (arrays[..., names.index("same")] == 7).all() and np.isnan(arrays[..., names.index("none")]).all()


def lies(values: dict[str, object], rng: np.random.Generator) -> dict[str, object]:
    """The description with one of its leaves changed."""
    values = copy.deepcopy(values)
    holder: object = values
    while True:
        keys = list(holder) if isinstance(holder, dict) else range(len(holder))  # type: ignore[arg-type]
        key = keys[int(rng.integers(len(keys)))]
        inner = holder[key]  # type: ignore[index]
        if not isinstance(inner, dict | list) or not len(inner):
            junk = [None, -1, 10**9, "x", [], {}, float("nan"), True]
            holder[key] = junk[int(rng.integers(len(junk)))]  # type: ignore[index]
            return values
        holder = inner


def refused(values: dict[str, object], tensors: dict[str, torch.Tensor]) -> bool:
    try:
        SeriesCodec.from_parts(values, tensors)
    except SynthgenError:
        return True
    return False


def test_a_description_that_lies_is_refused_or_works() -> None:
    frame = hourly(120)
    frame["unit"] = np.repeat(["a1", "a2", "a3"], 40)
    frame["size"] = frame["unit"].map({"a1": 1.5, "a2": 2.5, "a3": 4.0})
    frame["label"] = frame["unit"].map({"a1": "x", "a2": "y", "a3": "x"})
    _, codec = fitted(frame, label="label", id="unit", window=10)
    values, tensors = json.loads(json.dumps(codec.to_dict())), codec.tensors()
    rng = np.random.default_rng(0)
    assert sum(refused(lies(values, rng), tensors) for _ in range(150)) > 50
    for name in tensors:
        for wrong in (torch.zeros(0), torch.full((5,), -7), torch.full((3,), float("nan")), torch.zeros(2, 2)):
            with pytest.raises(SynthgenError):
                SeriesCodec.from_parts(values, tensors | {name: wrong})
