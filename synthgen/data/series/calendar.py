"""What the date of a step says: the hour, the weekday and the season as points on a circle."""

from __future__ import annotations

from typing import Any

import numpy as np

from synthgen.data.series.times import DAY

_YEAR = 365.2425 * DAY
_CYCLES = {"hour": DAY, "weekday": 7 * DAY, "season": _YEAR}
"""Microseconds of one turn."""
TURNS = 3.0
"""So many turns of a cycle a recording must show: the season of one year is its date by another name, and what is
learned of it says nothing of the next year."""

TURNS_LEAKY = 1.25
"""The same where what is tested is what was trained on: some of the cycle is seen twice."""


def calendar_of(step: dict[str, Any], span: int, turns: float = TURNS) -> tuple[str, ...]:
    """Which of hour, weekday and season are worth knowing: those longer than a step that the recording goes through.

    step: of `SeriesSchema`. span: microseconds from the first to the last step. turns: how often the recording must go
    through them. Irregular times have none, since the times of made steps are not known beforehand.
    """
    if step.get("kind") != "datetime" or step["unit"] == "irregular":
        return ()
    found = []
    if step["unit"] == "regular":
        interval = step["interval"]
        found += ["hour"] if interval < DAY else []
        found += ["weekday"] if interval < 7 * DAY else []
    if step["unit"] == "business":
        found.append("weekday")
    return tuple(name for name in [*found, "season"] if span >= turns * _CYCLES[name])


def calendar_values(name: str, times: np.ndarray) -> np.ndarray:
    """float32 (..., 2): sine and cosine of the part of the cycle that has gone by, times int64 microseconds (...)."""
    cycle = _CYCLES[name]
    angle = 2 * np.pi * ((times % cycle) / cycle)
    return np.stack([np.sin(angle), np.cos(angle)], axis=-1).astype(np.float32)
