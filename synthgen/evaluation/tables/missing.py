"""Whether values are missing as often as in the real table, and together with the same other values.

missing_rate: the differences of the columns' rates, summed, over the sum of the real rates. missing_dependence: for a
column with missing values and each other column, the rate within each of that column's categories (numbers: its real
deciles; missing: one of its own); the differences, weighted by the real share of the category, over the real rate; the
mean over the other columns, and over columns with missing values weighted by how much is missing. missing_information:
the mutual information (nats, less its bias (K - 1) / 2n; Miller 1955) of "is missing" with each other column: the
differences, summed over all pairs, over their sum in the real table.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from synthgen.evaluation.tables.cells import Cells, cells
from synthgen.evaluation.tables.figures import replicates, spread_figure
from synthgen.evaluation.tables.measure import Found, Measure, TableParts
from synthgen.evaluation.tables.trends import fixed_bins, fixed_edges

_LEAST_MISSING = 20
"""A column with fewer missing values says nothing about what they depend on."""

_LEAST_INFORMATION = 1e-4
_MOST_COLUMNS = 50
Edges = dict[str, np.ndarray]


def rates(table: Cells) -> dict[str, float]:
    """The share of missing values by column."""
    return {name: float(table.missing(name).mean()) if len(table) else 0.0 for name in table.names}


def rate_error(real: Cells, fake: Cells) -> float:
    """See `missing_rate` above; NaN when nothing is missing in the real table."""
    ours, theirs = rates(real), rates(fake)
    total = sum(ours.values())
    return sum(abs(ours[name] - theirs[name]) for name in ours) / total if total else float("nan")


def affected(real: Cells) -> list[str]:
    """Columns with enough missing and enough present values, those with most missing ones first, at most 50."""
    counts = {name: int(real.missing(name).sum()) for name in real.names}
    names = [name for name in real.names if _LEAST_MISSING <= counts[name] < len(real)]
    return sorted(names, key=lambda name: -counts[name])[:_MOST_COLUMNS]


def dependence(real: Cells, fake: Cells, edges: Edges) -> dict[tuple[str, str], tuple[float, float, float]]:
    """By (column with missing values, other column): relative error, information in the real table, in the fake one."""
    groups = {name: [_groups(side, name, edges) for side in (real, fake)] for name in real.names}
    found = {}
    for name in affected(real):
        here, there = real.missing(name), fake.missing(name)
        for other in real.names:
            if other != name:
                found[name, other] = _pair(here, there, *groups[other])
    return found


def _groups(table: Cells, name: str, edges: Edges) -> np.ndarray:
    return fixed_bins(table.numbers[name], edges[name]) if name in table.numbers else table.codes[name] + 1


def _pair(here: np.ndarray, there: np.ndarray, ours: np.ndarray, theirs: np.ndarray) -> tuple[float, float, float]:
    size = int(max(ours.max(initial=0), theirs.max(initial=0))) + 1
    real, fake = np.bincount(ours, minlength=size), np.bincount(theirs, minlength=size)
    gone, gone_fake = (np.bincount(groups[mask], minlength=size) for groups, mask in ((ours, here), (theirs, there)))
    rate = gone / np.maximum(real, 1)
    # A group that the synthetic table does not have has no rate there: its overall rate stands in.
    other = np.where(fake > 0, gone_fake / np.maximum(fake, 1), there.mean() if len(there) else 0.0)
    error = float((real * np.abs(rate - other)).sum() / gone.sum())
    return error, information(gone, real), information(gone_fake, fake)


def information(gone: np.ndarray, counts: np.ndarray) -> float:
    """Mutual information (nats) of a group's number and whether the value is missing; less its bias, at least 0."""
    total = counts.sum()
    if not total:
        return 0.0
    table = np.stack([gone, counts - gone]) / total
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0)
    known = table > 0
    value = float((table[known] * np.log(table[known] / expected[known])).sum())
    return max(0.0, value - (int((counts > 0).sum()) - 1) / (2 * float(total)))


def dependence_error(real: Cells, fake: Cells, edges: Edges) -> float:
    """See `missing_dependence` above; NaN when no column has enough missing values."""
    found = dependence(real, fake, edges)
    weights = np.array([real.missing(name).sum() for name, _ in found], np.float64)
    if not len(weights):
        return float("nan")
    return float(np.average([error for error, _, _ in found.values()], weights=weights))


def information_error(real: Cells, fake: Cells, edges: Edges) -> float:
    """See `missing_information` above; NaN when missing values depend on nothing in the real table."""
    found = list(dependence(real, fake, edges).values())
    total = sum(one[1] for one in found)
    if total < _LEAST_INFORMATION:
        return float("nan")
    return sum(abs(one[1] - one[2]) for one in found) / total


def _measure(parts: TableParts) -> Found:
    real, fake = cells(parts, parts.real), cells(parts, parts.fake)
    edges = parts.keep("deciles", lambda: fixed_edges(real))
    ours, theirs = rates(real), rates(fake)
    new = [name for name in ours if not ours[name] and theirs[name]]
    warnings = (f"values are missing that are never missing in the real table: {', '.join(new[:5])}",) if new else ()
    rows: list[dict[str, Any]] = [
        {"name": name, "real": ours[name], "fake": theirs[name]} for name in ours if ours[name] or theirs[name]
    ]
    details = {"columns": sorted(rows, key=lambda row: -row["real"]), "pairs": _shown(real, fake, edges)}
    metrics = []
    wide = len(real.names) * max(1, len(affected(real))) * (len(real) + len(fake))
    for name, title, error, words, cost in (
        ("missing_rate", "missing rate, relative error", rate_error, "Missing rates differ by {value}", len(real)),
        (
            "missing_dependence",
            "missing given other columns, relative error",
            partial(dependence_error, edges=edges),
            "Missing rates within groups of other columns differ by {value}",
            wide,
        ),
        (
            "missing_information",
            "missing: information, relative error",
            partial(information_error, edges=edges),
            "What missing values have to do with other columns differs by {value}",
            wide,
        ),
    ):
        value = error(real, fake)
        if np.isfinite(value):
            floors = parts.keep(f"{name} floors", partial(replicates, parts, error, 4.0 * cost))
            metrics.append(spread_figure(parts, name, title, value, error, floors, 4.0 * cost, words))
    return Found(tuple(metrics), details, warnings)


def _shown(real: Cells, fake: Cells, edges: Edges) -> list[dict[str, object]]:
    found = dependence(real, fake, edges)
    order = sorted(found, key=lambda pair: -found[pair][1])[:_MOST_COLUMNS]
    return [
        {
            "missing": name,
            "given": other,
            "error": found[name, other][0],
            "real_information": found[name, other][1],
            "fake_information": found[name, other][2],
        }
        for name, other in order
    ]


def _impossible(parts: TableParts) -> str | None:
    names = [column.name for column in parts.real.schema.modelled]
    gone = any(bool(data.frame[name].isna().any()) for data in (parts.real, parts.fake) for name in names)
    return None if gone else "no values are missing, in the real table or in the synthetic one"


MISSING = Measure("missing", ("missing_rate", "missing_dependence", "missing_information"), _measure, _impossible)
