"""What the dimensions of a step mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from synthgen.data.series.coding import Coding
from synthgen.data.series.schema import SeriesData

Role = Literal["channel", "static", "label", "calendar", "gap"]


@dataclass(frozen=True)
class Part:
    """Dimensions start..stop-1 of a step, and the dimension of its missing bit (-1 there, +1 missing), if any.

    Parts that are always missing together share one bit. role: `gap` is the time since the step before, of times
    without an interval; it is learned like a channel and belongs to none of the input. group: parts of different groups
    do not depend on each other; see `synthgen.data.series.independence`.
    """

    name: str
    role: Role
    start: int
    stop: int
    missing: int | None = None
    group: int = 0


def layout(
    data: SeriesData, codings: dict[str, Coding], gap: bool, classes: int, calendar: Sequence[str]
) -> tuple[Part, ...]:
    """Values first, then one bit for each pattern of missing cells."""
    schema, place = data.schema, 0
    found: list[Part] = []
    patterns: dict[str, bytes] = {}
    for role, names in (("channel", schema.channels), ("static", schema.static)):
        for name in names:
            width = codings[name].width
            if not width:
                continue
            found.append(Part(name, role, place, place + width))  # type: ignore[arg-type]
            place += width
            gone = data.frame[name].isna().to_numpy(bool)
            if gone.any():
                patterns[name] = role.encode() + np.packbits(gone).tobytes()
    if gap:
        found.append(Part("time since the step before", "gap", place, place + 1))
        place += 1
    if classes:
        assert schema.label is not None
        found.append(Part(schema.label, "label", place, place + classes))
        place += classes
    for name in calendar:
        found.append(Part(name, "calendar", place, place + 2))
        place += 2
    bits = {pattern: place + number for number, pattern in enumerate(dict.fromkeys(patterns.values()))}
    return tuple(
        Part(p.name, p.role, p.start, p.stop, bits[patterns[p.name]])
        if p.role in ("channel", "static") and p.name in patterns
        else p
        for p in found
    )
