"""Which channels are found to depend on each other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from synthgen.config.series import SeriesDataConfig
from synthgen.data.series.codec import SeriesCodec
from synthgen.data.series.independence import FEWEST_WINDOWS, dependent, grouped, independent_groups
from synthgen.data.series.reading import series_from_array, series_from_frame
from synthgen.data.series.sines import sines
from synthgen.errors import SynthgenError

COUNT = 3000


@pytest.fixture
def walks() -> np.ndarray:
    """Three channels that know nothing of each other, (N, L, 3)."""
    return np.asarray(np.random.default_rng(0).normal(size=(COUNT, 12, 3)).cumsum(1) * 0.3)


def groups(values: np.ndarray) -> tuple[int, ...]:
    return independent_groups([values[..., place : place + 1] for place in range(values.shape[2])])


def test_independent_channels(walks: np.ndarray) -> None:
    assert groups(walks) == (0, 1, 2)
    assert groups(sines(COUNT)) == (0, 1, 2, 3, 4)


@pytest.mark.parametrize("how", ["level", "volatility", "sign", "frequency", "delay"])
def test_dependence_of_two_channels(walks: np.ndarray, how: str) -> None:
    random = np.random.default_rng(1)
    values = walks.copy()
    if how == "level":
        values[..., 2] += 0.15 * walks[..., 0]
    elif how == "volatility":
        values[..., [0, 2]] *= np.exp(0.4 * random.normal(size=(COUNT, 1, 1)))
    elif how == "sign":  # no correlation at all
        values[..., 2] = np.abs(walks[..., 0]) + 0.5 * walks[..., 2]
    elif how == "frequency":
        phase, speed = random.uniform(0, 2 * np.pi, (COUNT, 1, 3)), random.uniform(0.3, 0.9, (COUNT, 1, 3))
        speed[..., 2] = speed[..., 0]
        values = np.sin(speed * np.arange(12)[:, None] + phase)
    else:
        values[:, 4:, 2] = walks[:, :-4, 0] + 0.3 * walks[:, 4:, 2]
    assert groups(values) == (0, 1, 0)


@pytest.mark.parametrize("how", ["product", "parity"])
def test_dependence_of_three_channels_that_no_two_show(walks: np.ndarray, how: str) -> None:
    random = np.random.default_rng(2)
    level = random.normal(size=(COUNT, 1, 3)) if how == "product" else random.choice([-1.0, 1.0], (COUNT, 1, 3))
    level[..., 2] = level[..., 0] * level[..., 1]
    assert groups(level + 0.3 * walks) == (0, 0, 0)


def test_chance_is_rarely_taken_for_dependence() -> None:
    random = np.random.default_rng(3)
    by_chance = missed = 0
    for first, second in random.normal(size=(100, 2, 1000, 12)):
        by_chance += dependent(first, np.hstack([second, (second**2 - 1) / 2**0.5]))
        missed += not dependent(first, (second + 0.2 * first) / 1.04**0.5)
    assert by_chance <= 2
    assert missed == 0


def fitted(values: np.ndarray) -> SeriesCodec:
    data = series_from_array(values)
    codec = SeriesCodec.fit(data, SeriesDataConfig())
    return grouped(codec, codec.encode(data))


def numbers(codec: SeriesCodec) -> list[int]:
    return [part.group for part in codec.parts]


def test_parts_of_a_codec(walks: np.ndarray) -> None:
    codec = fitted(walks)
    assert numbers(codec) == [0, 1, 2]
    assert numbers(SeriesCodec.from_parts(codec.to_dict(), codec.tensors())) == [0, 1, 2]
    assert numbers(fitted(walks[: FEWEST_WINDOWS - 1])) == [0, 0, 0]  # too few to say
    gone = walks.copy()
    gone[:500, 3, :2] = np.nan  # missing together: one bit, one group
    assert numbers(fitted(gone)) == [0, 0, 1]
    short = walks.copy()
    short[::2, 8:] = np.nan  # lengths are common to all channels
    assert numbers(fitted(short)) == [0, 0, 0]


def test_dates_may_be_behind_it_all() -> None:
    values = np.random.default_rng(0).normal(size=(12 * 1500, 2))
    frame = pd.DataFrame(values, columns=["a", "b"])
    config = SeriesDataConfig(window=12)
    plain = series_from_frame(frame, config)
    codec = SeriesCodec.fit(plain, config)
    assert numbers(grouped(codec, codec.encode(plain))) == [0, 1]
    frame.insert(0, "time", pd.date_range("2024-01-01", periods=len(frame), freq="h"))
    dated = series_from_frame(frame, config)
    codec = SeriesCodec.fit(dated, config)
    assert set(numbers(grouped(codec, codec.encode(dated)))) == {0}


def test_altered_groups_are_refused(walks: np.ndarray) -> None:
    codec = fitted(walks)
    tensors = codec.tensors()
    older = codec.to_dict()
    older["parts"] = [part[:5] for part in older["parts"]]
    assert numbers(SeriesCodec.from_parts(older, tensors)) == [0, 0, 0]
    for wrong in (-1, 1.5, None, "1", 10**9):
        values = codec.to_dict()
        values["parts"][1][5] = wrong
        with pytest.raises(SynthgenError, match="cannot be read"):
            SeriesCodec.from_parts(values, tensors)
    gone = walks.copy()
    gone[:500, 3, :2] = np.nan
    torn = fitted(gone)
    parts = (replace(torn.parts[0], group=2), *torn.parts[1:])
    with pytest.raises(SynthgenError, match="several groups"):
        SeriesCodec.from_parts(replace(torn, parts=parts).to_dict(), torn.tensors())
