"""What the date of a step says: the hour, the weekday and the season as points on a circle."""

from __future__ import annotations

from typing import Any

import numpy as np

from synthgen.data.series.times import DAY

_YEAR = 365.2425 * DAY
_CYCLES = {"hour": DAY, "weekday": 7 * DAY, "season": _YEAR}
"""Microseconds of one turn."""
_SEEN = 1.25 * _YEAR
"""A recording of at least this many microseconds shows some season twice."""


def calendar_of(step: dict[str, Any], span: int) -> tuple[str, ...]:
    """Which of hour, weekday and season are worth knowing: those longer than a step that the recording goes through.

    step: of `SeriesSchema`. span: microseconds from the first to the last step. Irregular times have none, since the
    times of made steps are not known beforehand.
    """
    if step.get("kind") != "datetime" or step["unit"] == "irregular":
        return ()
    found = []
    if step["unit"] == "regular":
        interval = step["interval"]
        found += ["hour"] if interval < DAY <= span else []
        found += ["weekday"] if interval < 7 * DAY and span >= 7 * DAY and interval % (7 * DAY) else []
    if step["unit"] == "business":
        found.append("weekday")
    return tuple(found + (["season"] if span >= _SEEN else []))


def calendar_values(name: str, times: np.ndarray) -> np.ndarray:
    """float32 (..., 2): sine and cosine of the part of the cycle that has gone by, times int64 microseconds (...)."""
    cycle = _CYCLES[name]
    angle = 2 * np.pi * ((times % cycle) / cycle)
    return np.stack([np.sin(angle), np.cos(angle)], axis=-1).astype(np.float32)
