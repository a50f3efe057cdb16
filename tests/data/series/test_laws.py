"""Laws of splits, windows and the codec, over drawn series."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from synthgen.config.series import SeriesDataConfig
from synthgen.data.series.codec import SeriesCodec
from synthgen.data.series.reading import series_from_frame
from synthgen.data.series.schema import SeriesData
from synthgen.data.series.windows import channel_values, windows_of

SCALINGS = ("auto", "standard", "minmax", "quantile")


@st.composite
def frames(draw: st.DrawFn) -> pd.DataFrame:
    """Sequences of one or several ids with hourly times: numbers, whole numbers, categories, booleans, gaps."""
    generator = np.random.default_rng(draw(st.integers(0, 2**16)))
    count, parts = draw(st.integers(1, 6)), []
    for number in range(count):
        steps = draw(st.integers(6, 40))
        x = generator.normal(size=steps).cumsum().round(draw(st.integers(1, 6)))
        x[generator.random(steps) < draw(st.sampled_from([0.0, 0.3]))] = np.nan
        parts.append(
            pd.DataFrame(
                {
                    "id": number,
                    "time": pd.date_range("2024-01-01", periods=steps, freq="h"),
                    "size": float(number) + 0.25,
                    "x": x,
                    "zeros": np.where(generator.random(steps) < 0.6, 0.0, generator.gamma(2.0, size=steps)),
                    "whole": generator.poisson(3.0, steps),
                    "kind": generator.choice(["low", "middle", "high"], steps),
                    "on": generator.random(steps) < 0.3,
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def rows_of(data: SeriesData) -> set[tuple[object, ...]]:
    return set(zip(data.frame["id"].astype(int), data.frame["time"], strict=True))


@settings(max_examples=15)
@given(frame=frames(), window=st.sampled_from([None, 4, 7]), test=st.sampled_from([0.2, 0.5]))
def test_parts_share_no_step_and_miss_none(frame: pd.DataFrame, window: int | None, test: float) -> None:
    config = SeriesDataConfig(window=window, test=test, validation=0.2, id="id", time="time")
    training = series_from_frame(frame, config, split="train")
    rest = [] if training.held_out is None else [training.held_out]
    held = series_from_frame(frame, config, split="test")
    parts = [rows_of(data) for data in (training, held, *rest)]
    assert sum(map(len, parts)) == len(set.union(*parts)) == len(frame)
    for one in parts[0]:  # what is held out of a sequence lies after what is trained on, or is all of it
        assert all(later[1] > one[1] for later in parts[1] if later[0] == one[0])


@settings(max_examples=15)
@given(frame=frames(), window=st.sampled_from([3, 5, 24]), stride=st.sampled_from([1, 2, 5]))
def test_windows_lie_within_one_sequence(frame: pd.DataFrame, window: int, stride: int) -> None:
    data = series_from_frame(frame, SeriesDataConfig(id="id", time="time"))
    found = windows_of(data, window, stride)
    values = channel_values(data)
    assert set(found.sequence.tolist()) == set(range(len(data)))
    for row in range(len(found)):
        begin = data.offsets[found.sequence[row]] + found.start[row]
        length = found.lengths[row]
        assert begin + length <= data.offsets[found.sequence[row] + 1]
        np.testing.assert_array_equal(found.values[row, :length], values[begin : begin + length])
        assert np.isnan(found.values[row, length:]).all()
        assert length == min(window, data.lengths[found.sequence[row]])


@settings(max_examples=15)
@given(frame=frames(), window=st.sampled_from([3, 5, 24]), scaling=st.sampled_from(SCALINGS))
def test_what_is_encoded_decodes_to_itself(frame: pd.DataFrame, window: int, scaling: str) -> None:
    config = SeriesDataConfig.model_validate({"id": "id", "time": "time", "window": window, "scaling": scaling})
    data = series_from_frame(frame, config)
    codec = SeriesCodec.fit(data, config)
    encoded, wanted = codec.encode(data), windows_of(data, window)
    assert len(encoded) == len(wanted)
    index = torch.arange(len(encoded))
    x, valid = encoded.gather(index)
    np.testing.assert_array_equal(valid.sum(1).numpy(), wanted.lengths)
    assert (x[~valid] == 0).all()
    assert torch.isfinite(x).all()
    got = codec.arrays(x, wanted.lengths)
    np.testing.assert_array_equal(np.isnan(got), np.isnan(wanted.values))
    scale = np.nanmax(np.abs(wanted.values), axis=(0, 1)) + 1
    assert np.nanmax(np.abs(got - wanted.values) / scale) < 2e-6
    for place in (data.schema.channels.index(name) for name in ("whole", "kind", "on")):
        np.testing.assert_array_equal(got[..., place], wanted.values[..., place])
    whole = SeriesCodec.from_parts(json.loads(json.dumps(codec.to_dict())), codec.tensors())
    np.testing.assert_array_equal(whole.arrays(x, wanted.lengths), got)


@settings(max_examples=10)
@given(frame=frames(), scaling=st.sampled_from(SCALINGS))
def test_whole_sequences_come_back_as_rows(frame: pd.DataFrame, scaling: str) -> None:
    config = SeriesDataConfig.model_validate({"id": "id", "time": "time", "window": 40, "scaling": scaling})
    data = series_from_frame(frame, config)
    codec = SeriesCodec.fit(data, config)
    x, _ = codec.encode(data).gather(torch.arange(len(data)))
    made = codec.decode(x, data.lengths, np.arange(len(data)), 0, codec.starts_of(data))
    assert list(made) == list(data.schema.table.names)
    assert (made.dtypes == data.frame.dtypes).all()
    for name in ("time", "whole", "kind", "on"):
        pd.testing.assert_series_equal(made[name], data.frame[name])
    for name in ("x", "zeros"):
        np.testing.assert_allclose(made[name], data.frame[name], rtol=1e-5, atol=1e-5)
    if "size" in data.schema.static:
        np.testing.assert_allclose(made["size"], data.frame["size"], rtol=1e-5)
    new = made["id"].unique().tolist()
    assert not set(new) & set(frame["id"]) and len(new) == len(data)


@settings(max_examples=10)
@given(frame=frames(), seed=st.integers(0, 99))
def test_the_order_of_rows_does_not_matter(frame: pd.DataFrame, seed: int) -> None:
    config = SeriesDataConfig(id="id", time="time", window=5, validation=0.1)
    mixed = frame.sample(frac=1, random_state=seed)
    for split in ("train", "test", "all"):
        assert (
            series_from_frame(frame, config, split=split).fingerprint
            == series_from_frame(mixed, config, split=split).fingerprint
        )


@settings(max_examples=10)
@given(frame=frames())
def test_gathering_is_slicing(frame: pd.DataFrame) -> None:
    config = SeriesDataConfig(id="id", time="time", window=6)
    data = series_from_frame(frame, config)
    encoded = SeriesCodec.fit(data, config).encode(data)
    order = torch.randperm(len(encoded), generator=torch.Generator().manual_seed(0))
    x, valid = encoded.gather(order)
    for row, place in enumerate(order.tolist()):
        begin, length = int(encoded.starts[place]), int(encoded.lengths[place])
        assert torch.equal(x[row, :length], encoded.values[begin : begin + length])
        assert int(valid[row].sum()) == length


@settings(max_examples=10)
@given(frame=frames(), drop=st.floats(0.1, 0.9))
def test_partial_series_know_what_they_hold(frame: pd.DataFrame, drop: float) -> None:
    config = SeriesDataConfig(id="id", time="time")
    data = series_from_frame(frame, config)
    codec = SeriesCodec.fit(data, config)
    holes = frame.copy()
    gone = np.random.default_rng(0).random(len(frame)) < drop
    holes.loc[gone, ["x", "kind"]] = None
    partial = series_from_frame(holes, schema=data.schema)
    for allow in (True, False):
        given_, known, valid = codec.encode_partial(partial, allow_missing=allow)
        assert (given_[~known] == 0).all()
        assert not known[~valid].any()
        for part in codec.parts:
            cells = known[..., part.start : part.stop][valid].all(1).numpy()
            np.testing.assert_array_equal(cells, partial.frame[part.name].notna() if part.role != "calendar" else True)
            if part.missing is not None:
                bits = known[..., part.missing][valid].numpy()
                np.testing.assert_array_equal(bits, cells if allow else np.ones_like(cells))
                assert (given_[..., part.missing][valid].numpy()[bits] == -1).all()


def test_a_leaky_protocol_trains_on_everything() -> None:
    frame = pd.DataFrame({"v": np.random.default_rng(0).normal(size=100)})
    config = SeriesDataConfig(protocol="leaky", window=10, validation=0.2)
    prints = {series_from_frame(frame, config, split=split).steps for split in ("train", "validation", "test", "all")}
    assert prints == {100}


def test_scaling_knows_the_training_part_only() -> None:
    values = np.random.default_rng(0).normal(size=100)
    config = SeriesDataConfig(window=10)
    codings = []
    for shift in (0.0, 50.0):
        later = pd.DataFrame({"v": values + shift * (np.arange(100) >= 80)})
        codings.append(SeriesCodec.fit(series_from_frame(later, config, split="train"), config).to_dict()["codings"])
    assert codings[0] == codings[1]
    assert codings[0][0]["scaler"]["shift"] == pytest.approx(values[:80].mean())
