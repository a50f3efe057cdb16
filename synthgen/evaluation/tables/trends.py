"""Whether columns hang together as in the real table: SDMetrics' Column Pair Trends, as an error, and with fixed bins.

SDMetrics cuts a number that is paired with a category into ten equally wide bins over the range of *each table by
itself*: one extreme value more or less moves every bin, and a resample of the real table can score badly. `trend_fixed`
is the same with bins that are cut once, at the real table's deciles, missing values being a bin of their own.

All pairs count, as in published tables; the QualityReport of sdmetrics 0.32 leaves weakly related ones out by default.
"""

from __future__ import annotations

from functools import partial
from itertools import combinations

import numpy as np

from synthgen.evaluation.tables.cells import Cells, cells
from synthgen.evaluation.tables.figures import finite, percent, replicates, spread_figure
from synthgen.evaluation.tables.measure import Found, Measure, TableParts

MOST_PAIRS = 10_000
"""Of tables with more pairs of columns, so many are drawn at random."""

_SHOWN = 40
_BINS = 10
_DENSE = 2**22
_NOISE = 1e-12

Pair = tuple[str, str]


def pairs_of(table: Cells, seed: int) -> list[Pair]:
    """All pairs of columns, or `MOST_PAIRS` of them."""
    count = len(table.names)
    if count * (count - 1) // 2 <= MOST_PAIRS:
        return list(combinations(table.names, 2))
    random = np.random.default_rng([seed, 21])
    drawn: dict[Pair, None] = {}
    while len(drawn) < MOST_PAIRS:
        first, second = sorted(random.choice(count, 2, replace=False).tolist())
        drawn[table.names[first], table.names[second]] = None
    return list(drawn)


def pair_errors(real: Cells, fake: Cells, pairs: list[Pair], edges: dict[str, np.ndarray] | None = None) -> np.ndarray:
    """float64 (len(pairs),) between 0 and 1; NaN where it is undefined (a constant column).

    Two numbers: half the difference of Pearson's correlations over rows where both are present. Otherwise: the total
    variation distance of the contingency tables, missing values being a category of their own. edges: where numbers are
    cut; None: each table's own range, in ten, as SDMetrics does.
    """
    sides = [_binned(side, edges) for side in (real, fake)]
    numeric = [pair for pair in pairs if pair[0] in real.numbers and pair[1] in real.numbers]
    apart = dict(zip(numeric, _correlation_errors(real, fake, numeric), strict=True))
    return np.array([apart[pair] if pair in apart else _contingency_error(sides[0], sides[1], pair) for pair in pairs])


def fixed_edges(real: Cells) -> dict[str, np.ndarray]:
    """By numeric column, the distinct inner deciles of its values."""
    return {
        name: np.unique(np.nanquantile(values, np.linspace(0.1, 0.9, 9))) if not np.isnan(values).all() else np.zeros(0)
        for name, values in real.numbers.items()
    }


def fixed_bins(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """int64 (N,): 0 for missing values, then a bin (edge, next edge] each."""
    return np.asarray(np.where(np.isnan(values), 0, 1 + np.searchsorted(edges, values, "left")))


def own_bins(values: np.ndarray) -> np.ndarray:
    """int64 (N,): ten equal parts of the values' range, as SDMetrics; the maximum and missing values share the last."""
    known = values[~np.isnan(values)]
    if not len(known):
        return np.zeros(len(values), np.int64)
    return np.asarray(np.digitize(values, np.histogram_bin_edges(known, _BINS)))


def _binned(table: Cells, edges: dict[str, np.ndarray] | None) -> dict[str, np.ndarray]:
    found = {name: codes + 1 for name, codes in table.codes.items()}
    for name, values in table.numbers.items():
        found[name] = own_bins(values) if edges is None else fixed_bins(values, edges[name])
    return found


def _contingency_error(real: dict[str, np.ndarray], fake: dict[str, np.ndarray], pair: Pair) -> float:
    first, second = pair
    width = int(max(real[second].max(initial=0), fake[second].max(initial=0))) + 1
    ours, theirs = real[first] * width + real[second], fake[first] * width + fake[second]
    size = int(max(ours.max(initial=0), theirs.max(initial=0))) + 1
    if size > _DENSE:
        _, both = np.unique(np.concatenate([ours, theirs]), return_inverse=True)
        ours, theirs, size = both[: len(ours)], both[len(ours) :], int(both.max()) + 1
    apart = np.bincount(ours, minlength=size) / len(ours) - np.bincount(theirs, minlength=size) / len(theirs)
    return float(0.5 * np.abs(apart).sum())


def _correlation_errors(real: Cells, fake: Cells, pairs: list[Pair]) -> np.ndarray:
    if not pairs:
        return np.zeros(0)
    place = {name: index for index, name in enumerate(real.numbers)}
    first, second = (np.array([place[pair[side]] for pair in pairs]) for side in (0, 1))
    tables = [correlations(np.column_stack(list(side.numbers.values()))) for side in (real, fake)]
    found: np.ndarray = np.abs(tables[0] - tables[1])[first, second] / 2
    return found


def correlations(values: np.ndarray) -> np.ndarray:
    """Pearson's correlations (C, C) of the columns of (N, C), each over the rows where both are present."""
    known = ~np.isnan(values)
    scale = np.where(known.any(axis=0), np.nanstd(np.where(known.any(axis=0), values, 0.0), axis=0), 0.0)
    centre = np.nanmean(np.where(known.any(axis=0), values, 0.0), axis=0)
    usable = scale > 0
    x = np.where(known, (values - centre) / np.where(usable, scale, 1.0), 0.0)
    mask = known.astype(np.float64)
    count, total, square = mask.T @ mask, x.T @ mask, (x**2).T @ mask
    with np.errstate(divide="ignore", invalid="ignore"):
        covariance = (x.T @ x) / count - (total / count) * (total.T / count)
        variance = square / count - (total / count) ** 2
        variance = np.where(variance > _NOISE, variance, np.nan)
        found = covariance / np.sqrt(variance * variance.T)
    found[~usable] = np.nan
    found[:, ~usable] = np.nan
    return np.asarray(found)


def trend_error(real: Cells, fake: Cells, pairs: list[Pair], edges: dict[str, np.ndarray] | None = None) -> float:
    """The mean over pairs; NaN when no pair can be compared."""
    values = pair_errors(real, fake, pairs, edges)
    return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")


def _measure(parts: TableParts) -> Found:
    real, fake = cells(parts, parts.real), cells(parts, parts.fake)
    pairs = pairs_of(real, parts.seed)
    edges = parts.keep("deciles", lambda: fixed_edges(real))
    cost = len(pairs) * (len(real) + len(fake))
    metrics, details = [], {}
    for name, title, cut, words in (
        ("trend", "trend error", None, "How two columns hang together differs by {value} on average"),
        ("trend_fixed", "trend error, fixed bins", edges, "With bins fixed on the real table's deciles it is {value}"),
    ):
        error = partial(trend_error, pairs=pairs, edges=cut)
        errors = pair_errors(real, fake, pairs, cut)
        if not np.isfinite(errors).any():
            continue
        floors = parts.keep(f"{name} floors", partial(replicates, parts, error, cost))
        value = float(np.nanmean(errors))
        metrics.append(spread_figure(parts, name, title, value, error, floors, cost, words))
        other = partial(pair_errors, real, cells(parts, parts.bootstrap), pairs, cut)
        details[name] = _shown(pairs, errors, parts.keep(f"{name} pairs", other))
    count = len(real.names) * (len(real.names) - 1) // 2
    notes = () if len(pairs) == count else (f"trends of {len(pairs):,} of {count:,} pairs of columns, drawn at random",)
    return Found(tuple(metrics), {**details, "columns": list(real.names)}, notes=notes)


def _shown(pairs: list[Pair], errors: np.ndarray, floors: np.ndarray) -> list[dict[str, object]]:
    """The pairs with the largest errors first; all of a narrow table, the worst of a wide one."""
    order = np.argsort(-np.nan_to_num(errors, nan=-1.0), kind="stable")[: _SHOWN * (_SHOWN - 1) // 2]
    return [
        {"columns": list(pairs[place]), "error": finite(errors[place]), "floor": finite(floors[place])}
        for place in order.tolist()
    ]


def worst_pair(details: dict[str, list[dict[str, object]]]) -> str:
    """The pair with the largest error, in words."""
    first = details["trend_fixed"][0]
    columns, error = first["columns"], first["error"]
    assert isinstance(columns, list) and isinstance(error, float)
    return f"{columns[0]} and {columns[1]}: {percent(error)}"


def _impossible(parts: TableParts) -> str | None:
    return None if len(parts.real.schema.modelled) > 1 else "a table with one column has no pairs of columns"


TRENDS = Measure("trend", ("trend", "trend_fixed"), _measure, _impossible, shares=("trend", "trend_fixed"))
