"""Dates as texts: read into microseconds and written back as they came."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from synthgen.data.tables.dates import date_format, parse_dates, write_dates


@pytest.mark.parametrize("digits", [3, 6, 9])
@pytest.mark.parametrize("zone", ["", "+02:00"])
def test_fractions_of_seconds(digits: int, zone: str) -> None:
    """Nine digits are what pandas writes of its nanoseconds; the last three are zeros afterwards."""
    texts = [f"2024-01-0{day} 00:00:59.{'309709114'[:digits]}{zone}" for day in range(1, 8)]
    form, remark = date_format(texts)
    assert (form["fraction"], remark) == (digits, "")
    values, wrong = parse_dates(texts, form["format"])
    assert wrong is None
    expected = pd.to_datetime(pd.Series(texts), utc=bool(zone)).dt.tz_localize(None).astype("datetime64[us]")
    np.testing.assert_array_equal(values, expected.to_numpy())
    kept = [text[: 20 + min(digits, 6)] + "0" * max(0, digits - 6) + zone for text in texts]
    assert write_dates(values, form) == kept
