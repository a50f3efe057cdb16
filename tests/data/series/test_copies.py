"""Channels that repeat another one: not learned twice, written alike, and known where either of them is."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import torch

from synthgen.config.series import SeriesDataConfig
from synthgen.data.series.codec import SeriesCodec
from synthgen.data.series.reading import series_from_frame
from synthgen.data.series.schema import SeriesData
from synthgen.errors import SynthgenError


@pytest.fixture
def fitted() -> tuple[SeriesData, SeriesCodec]:
    generator = np.random.default_rng(0)
    close = np.cumsum(generator.normal(size=300)).round(3)
    close[40:50] = np.nan
    frame = pd.DataFrame({"open": close + 1, "close": close, "volume": generator.normal(size=300), "adjusted": close})
    config = SeriesDataConfig(window=12, test=0.0)
    data = series_from_frame(frame, config)
    return data, SeriesCodec.fit(data, config)


def test_a_copy_takes_no_dimension_and_is_written_as_its_original(fitted: tuple[SeriesData, SeriesCodec]) -> None:
    data, codec = fitted
    assert [part.name for part in codec.parts] == ["open", "close", "volume"]
    assert codec.codings["adjusted"].copy_of == "close"
    assert codec.dimensions == 4, "three values and the missing bit that they share"
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(5, 12, codec.dimensions, generator=generator)
    made = codec.decode(x, np.full(5, 12), np.arange(5), 0, np.zeros(5, np.int64))
    assert list(made.columns) == list(data.schema.table.names)
    pd.testing.assert_series_equal(made["adjusted"], made["close"], check_names=False)
    assert made["close"].isna().any()
    arrays = codec.arrays(x, np.full(5, 12))
    np.testing.assert_array_equal(arrays[..., 1], arrays[..., 3])


def test_either_of_them_is_known(fitted: tuple[SeriesData, SeriesCodec]) -> None:
    data, codec = fitted
    partial = data.frame.iloc[:12].copy()
    partial.loc[:5, "close"] = np.nan
    partial.loc[6:, "adjusted"] = np.nan
    config = SeriesDataConfig(window=12, test=0.0)
    given, known, _ = codec.encode_partial(series_from_frame(partial, config, schema=data.schema), allow_missing=False)
    place = next(part.start for part in codec.parts if part.name == "close")
    whole, _ = codec.encode(data).gather(torch.tensor([0]))
    assert known[0, :, place].all()
    torch.testing.assert_close(given[0, :, place], whole[0, :, place])


def test_a_description_keeps_them_and_refuses_what_cannot_be(fitted: tuple[SeriesData, SeriesCodec]) -> None:
    _, codec = fitted
    values = json.loads(json.dumps(codec.to_dict()))
    assert SeriesCodec.from_parts(values, codec.tensors()).codings["adjusted"].copy_of == "close"
    for wrong in ("adjusted", "no such", "volumes"):
        hostile = json.loads(json.dumps(values))
        hostile["codings"][3]["copy_of"] = wrong
        with pytest.raises(SynthgenError):
            SeriesCodec.from_parts(hostile, codec.tensors())
    earlier = json.loads(json.dumps(values))
    earlier["codings"][1]["copy_of"] = "adjusted"
    with pytest.raises(SynthgenError):
        SeriesCodec.from_parts(earlier, codec.tensors())


def test_nearly_the_same_is_not_the_same() -> None:
    generator = np.random.default_rng(0)
    a = generator.normal(size=200)
    frame = pd.DataFrame({"a": a, "b": np.where(np.arange(200) == 7, a + 1e-6, a), "n": np.arange(200) % 5})
    config = SeriesDataConfig(window=8, test=0.0)
    codec = SeriesCodec.fit(series_from_frame(frame, config), config)
    assert all(coding.copy_of is None for coding in codec.codings.values())
