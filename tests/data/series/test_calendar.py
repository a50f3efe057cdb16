"""Which cycles of the calendar a model is told of."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from synthgen.config.series import SeriesDataConfig
from synthgen.data.series.calendar import TURNS_LEAKY, calendar_of
from synthgen.data.series.codec import SeriesCodec
from synthgen.data.series.reading import series_from_frame
from synthgen.data.series.times import DAY

HOURLY = {"kind": "datetime", "unit": "regular", "interval": DAY // 24}


@pytest.mark.parametrize(
    ("days", "known"),
    [(2, ()), (3, ("hour",)), (20, ("hour",)), (21, ("hour", "weekday")), (1095, ("hour", "weekday")),
     (1096, ("hour", "weekday", "season"))],
)  # fmt: skip
def test_a_cycle_is_known_that_came_three_times(days: int, known: tuple[str, ...]) -> None:
    assert calendar_of(HOURLY, days * DAY) == known


def test_other_intervals_and_the_fields_protocol() -> None:
    assert calendar_of(HOURLY | {"interval": DAY}, 2000 * DAY) == ("weekday", "season")
    assert calendar_of(HOURLY | {"interval": 7 * DAY}, 2000 * DAY) == ("season",)
    assert calendar_of({"kind": "datetime", "unit": "business"}, 400 * DAY) == ("weekday",)
    assert calendar_of({"kind": "datetime", "unit": "irregular"}, 2000 * DAY) == ()
    assert calendar_of(HOURLY, 700 * DAY, TURNS_LEAKY) == ("hour", "weekday", "season")


@pytest.mark.parametrize(("protocol", "season"), [("honest", False), ("leaky", True)])
def test_the_season_of_two_years(protocol: str, season: bool) -> None:
    times = pd.date_range("2024-01-01", periods=700, freq="D")
    frame = pd.DataFrame({"date": times, "a": np.random.default_rng(0).normal(size=700)})
    config = SeriesDataConfig.model_validate({"window": 24, "protocol": protocol})
    codec = SeriesCodec.fit(series_from_frame(frame, config), config)
    assert ("season" in {part.name for part in codec.parts}) is season
