"""Values, floors and intervals as the measures of tables build them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from synthgen.evaluation.tables.cells import Cells, cells
from synthgen.evaluation.tables.measure import Floor, FloorName, TableMetric, TableParts

_MOST_REPLICATES, _LEAST_REPLICATES = 25, 4
_WORK = 4e8
"""Cells that the replicates of one figure may touch: about ten seconds."""

FLOORS: dict[FloorName, str] = {
    "bootstrap": "the training rows drawn anew",
    "holdout": "real rows that were held out",
    "smote": "SMOTE",
    "real": "the real training rows",
}
"""How sentences call the floors."""

Error = Callable[[Cells, Cells], float]


def replicate_count(cost: float) -> int:
    """How often something that touches `cost` cells is done again for its interval."""
    return int(np.clip(_WORK / max(cost, 1.0), _LEAST_REPLICATES, _MOST_REPLICATES))


def replicates(parts: TableParts, error: Error, cost: float) -> tuple[Floor, ...]:
    """The floors of an error of two tables, at the number of rows of `fake`.

    bootstrap: the mean over draws of the training rows, with 95 % of them. holdout: as many held-out rows as there are,
    at most that many. smote: one draw.
    """
    real, count = cells(parts, parts.real), len(parts.fake)
    random = np.random.default_rng([parts.seed, 11])
    values = []
    for _ in range(replicate_count(cost)):
        parts.check_stop()
        values.append(error(real, real.resample(count, random)))
    margin = 1.96 * float(np.std(values, ddof=1))
    mean = float(np.mean(values))
    found = [Floor("bootstrap", mean, count, (max(0.0, mean - margin), mean + margin))]
    for name, data in parts.floor_tables().items():
        if name != "bootstrap":
            other = cells(parts, data).subset(count, random)
            found.append(Floor(name, error(real, other), len(other)))
    return tuple(one for one in found if np.isfinite(one.value))


def spread_figure(
    parts: TableParts,
    name: str,
    title: str,
    value: float,
    error: Error,
    floors: tuple[Floor, ...],
    cost: float,
    text: str,
) -> TableMetric:
    """An error of two tables with a normal 95 % interval, whose deviation comes from redrawing the synthetic rows.

    text: the sentence, with {value}. The deviation is used and not the quantiles: rows drawn anew repeat themselves,
    which makes every such error larger.
    """
    real, fake = cells(parts, parts.real), cells(parts, parts.fake)
    random = np.random.default_rng([parts.seed, 12])
    values = []
    for _ in range(replicate_count(cost)):
        parts.check_stop()
        values.append(error(real, fake.resample(len(fake), random)))
    margin = 1.96 * float(np.std(values, ddof=1))
    sentence = f"{text.format(value=percent(value))}{against(value, floors)}."
    bounds = (max(0.0, value - margin), value + margin)
    return TableMetric(name, title, value, len(fake), "lower", sentence, floors, bounds, "bootstrap", share=True)


def against(value: float, floors: tuple[Floor, ...]) -> str:
    """How an error stands to its first floor, in words."""
    if not floors:
        return ""
    floor = floors[0]
    if floor.value <= 0:
        return f" ({FLOORS[floor.name]}: {percent(floor.value)})"
    return f", {value / floor.value:,.1f} times the {percent(floor.value)} of {FLOORS[floor.name]}"


def percent(value: float) -> str:
    """A share as text; two digits after the point below ten percent."""
    if not np.isfinite(value):
        return "not a number"
    return f"{100 * value:.2f} %" if abs(value) < 0.1 else f"{100 * value:.1f} %"


def finite(value: float) -> float | None:
    """For JSON: NaN is null."""
    return float(value) if np.isfinite(value) else None
