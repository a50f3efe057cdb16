"""Whether every column by itself is distributed as in the real table: SDMetrics' Column Shapes, as an error."""

from __future__ import annotations

import numpy as np

from synthgen.evaluation.tables.cells import Cells, cells
from synthgen.evaluation.tables.figures import finite, percent, replicates, spread_figure
from synthgen.evaluation.tables.measure import Found, Measure, TableParts

_DECIMALS = 14
"""SDMetrics rounds numbers to this many decimals before it compares them."""


def column_errors(real: Cells, fake: Cells) -> dict[str, float]:
    """By column, between 0 and 1; NaN where one side has no values.

    Numbers and dates: the Kolmogorov-Smirnov distance. Categories and booleans: the total variation distance. Missing
    values are left out on both sides, as SDMetrics does (KSComplement, TVComplement; `missing` measures these).
    """
    found = {}
    for name in real.names:
        if name in real.numbers:
            found[name] = kolmogorov_smirnov(real.numbers[name], fake.numbers[name])
        else:
            found[name] = total_variation(real.codes[name], fake.codes[name])
    return found


def kolmogorov_smirnov(real: np.ndarray, fake: np.ndarray) -> float:
    """The largest distance of the two empirical distribution functions; NaN is left out."""
    first, second = (np.sort(np.round(side[~np.isnan(side)], _DECIMALS)) for side in (real, fake))
    if not len(first) or not len(second):
        return float("nan")
    places = np.concatenate([first, second])
    apart = np.searchsorted(first, places, "right") / len(first) - np.searchsorted(second, places, "right") / len(
        second
    )
    return float(np.abs(apart).max())


def total_variation(real: np.ndarray, fake: np.ndarray) -> float:
    """Half of the summed differences of the shares of codes; negative codes are left out."""
    first, second = real[real >= 0], fake[fake >= 0]
    if not len(first) or not len(second):
        return float("nan")
    size = int(max(first.max(), second.max())) + 1
    shares = np.bincount(first, minlength=size) / len(first) - np.bincount(second, minlength=size) / len(second)
    return float(0.5 * np.abs(shares).sum())


def shape_error(real: Cells, fake: Cells) -> float:
    """The mean over columns; NaN when no column can be compared."""
    values = np.array(list(column_errors(real, fake).values()))
    return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")


def _measure(parts: TableParts) -> Found:
    real, fake = cells(parts, parts.real), cells(parts, parts.fake)
    value = shape_error(real, fake)
    cost = len(real.names) * (len(real) + len(fake)) * 12  # sorting
    floors = parts.keep("shape floors", lambda: replicates(parts, shape_error, cost))
    metric = spread_figure(
        parts,
        "shape",
        "shape error",
        value,
        shape_error,
        floors,
        cost,
        "A column differs from the real one by {value} on average",
    )
    columns = column_errors(real, fake)
    base = parts.keep("shape columns", lambda: column_errors(real, cells(parts, parts.bootstrap)))
    details = {
        "columns": [
            {"name": name, "error": finite(error), "floor": finite(base[name])} for name, error in columns.items()
        ]
    }
    worst = max(columns, key=lambda name: np.nan_to_num(columns[name], nan=-1.0))
    notes = (
        () if len(columns) < 2 else (f"the column furthest from the real one is {worst}: {percent(columns[worst])}",)
    )
    return Found((metric,), details | {"worst": list(notes)})


def _impossible(parts: TableParts) -> str | None:
    return None if parts.real.schema.modelled else "the table has no columns that could be compared"


SHAPES = Measure("shape", ("shape",), _measure, _impossible, shares=("shape",))
