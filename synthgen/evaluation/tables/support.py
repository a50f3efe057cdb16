"""Whether synthetic rows lie where real ones do, and whether all of these are reached: alpha-precision, beta-recall.

Alaa et al. 2022, "How faithful is your synthetic data?", in the form that TabSyn publishes (synthcity's `naive` one):
numbers scaled to the real table's range, categories one-hot, balls around the mean.

alpha-precision: for each share alpha, the share of synthetic rows inside the ball that holds alpha of the real rows; 1
minus twice the area between that curve and the diagonal. beta-recall: the share of real rows whose nearest synthetic
row is as near as their nearest real one and lies inside the ball that holds beta of the nearest synthetic rows; the
same summary. A perfect generator scores about 1 and, as real rows win half of the races, about 0.5: see the floors.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from synthgen.evaluation.tables.cells import Cells, cells
from synthgen.evaluation.tables.design import dense_features, range_scale
from synthgen.evaluation.tables.figures import FLOORS, percent
from synthgen.evaluation.tables.measure import Floor, FloorName, Found, Measure, TableMetric, TableParts

MOST_ROWS = 10_000
"""Rows a side: the distances of all pairs are computed."""

_STEPS = 30
_LEAST_ROWS = 20
_CELLS = 2**22
_REPLICATES = 40

Figure = tuple[float, tuple[float, float]]


@dataclass(frozen=True)
class Reach:
    """Of features: everything that both figures need.

    outward, outward_fake: distances of real and synthetic rows from the real mean. own, to_fake: distances of
    every real row to the nearest other real and to the nearest synthetic row; beyond: that row's distance from the
    synthetic mean.
    """

    outward: np.ndarray
    outward_fake: np.ndarray
    own: np.ndarray
    to_fake: np.ndarray
    beyond: np.ndarray


def reach(real: np.ndarray, fake: np.ndarray) -> Reach:
    """From features (N, d) and (M, d)."""
    centre = real.mean(axis=0)
    to_fake, which = nearest(real, fake)
    beyond = _lengths(fake - fake.mean(axis=0))[which]
    own = nearest(real, real, same=True)[0]
    return Reach(_lengths(real - centre), _lengths(fake - centre), own, to_fake, beyond)


def alpha_precision(outward: np.ndarray, outward_fake: np.ndarray) -> float:
    """At most 1; see `Reach`."""
    alphas = np.linspace(0, 1, _STEPS)
    inside = np.searchsorted(np.sort(outward_fake), np.quantile(outward, alphas), "right") / len(outward_fake)
    return _summary(alphas, inside)


def beta_recall(own: np.ndarray, to_fake: np.ndarray, beyond: np.ndarray) -> float:
    """At most 1, about 0.5 for real rows; see `Reach`."""
    alphas = np.linspace(0, 1, _STEPS)
    reached = np.sort(beyond[to_fake <= own])
    inside = np.searchsorted(reached, np.quantile(beyond, alphas), "right") / len(own)
    return _summary(alphas, inside)


def _figures(found: Reach, seed: int) -> dict[str, Figure]:
    """Both figures with normal 95 % intervals from redrawing rows of both sides."""
    random = np.random.default_rng([seed, 43])
    draws: dict[str, list[float]] = {"alpha_precision": [], "beta_recall": []}
    for _ in range(_REPLICATES):
        ours, theirs = (random.integers(0, len(one), len(one)) for one in (found.outward, found.outward_fake))
        draws["alpha_precision"].append(alpha_precision(found.outward[ours], found.outward_fake[theirs]))
        draws["beta_recall"].append(beta_recall(found.own[ours], found.to_fake[ours], found.beyond[ours]))
    values = {
        "alpha_precision": alpha_precision(found.outward, found.outward_fake),
        "beta_recall": beta_recall(found.own, found.to_fake, found.beyond),
    }
    figures = {}
    for name, value in values.items():
        margin = 1.96 * float(np.std(draws[name], ddof=1))
        figures[name] = (value, (max(0.0, value - margin), min(1.0, value + margin)))
    return figures


def _summary(alphas: np.ndarray, curve: np.ndarray) -> float:
    return float(1 - np.abs(alphas - curve).sum() / alphas.sum())


def _lengths(x: np.ndarray) -> np.ndarray:
    found: np.ndarray = np.sqrt(np.square(x, dtype=np.float64).sum(axis=1))
    return found


def nearest(queries: np.ndarray, references: np.ndarray, *, same: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Distance and place of each query's nearest reference. same: both are one set, and a row is not its own neighbour.

    Distances are computed anew for the pairs found, so that equal rows are at exactly 0.
    """
    lengths = np.square(references).sum(axis=1)
    found = np.empty(len(queries), np.int64)
    rows = max(1, _CELLS // len(references))
    for start in range(0, len(queries), rows):
        block = slice(start, start + rows)
        table = lengths - 2 * (queries[block] @ references.T)
        if same:
            here = np.arange(len(table))
            table[here, start + here] = np.inf
        found[block] = table.argmin(axis=1)
    return _lengths(queries - references[found]), found


def _compare(parts: TableParts, other: Cells, most: int) -> tuple[dict[str, Figure], int]:
    """The figures of a table against the real one, and rows a side."""
    real = cells(parts, parts.real)
    count = min(len(real), len(other), most)
    first, second = np.random.default_rng([parts.seed, 41]), np.random.default_rng([parts.seed, 42])
    scales = parts.keep("ranges", lambda: {name: range_scale(values) for name, values in real.numbers.items()})
    ours, theirs = dense_features([real.subset(count, first), other.subset(count, second)], scales)
    return _figures(reach(ours, theirs), parts.seed), count


def _floors(parts: TableParts) -> dict[FloorName, tuple[dict[str, Figure], int]]:
    found: dict[FloorName, tuple[dict[str, Figure], int]] = {}
    tables, order = parts.floor_tables(), ("holdout", "bootstrap", "smote")
    for name in sorted(tables, key=order.index):
        if len(tables[name]) >= _LEAST_ROWS:
            parts.check_stop()
            found[name] = _compare(parts, cells(parts, tables[name]), min(MOST_ROWS, len(parts.fake)))
    return found


def _measure(parts: TableParts) -> Found:
    figures, count = _compare(parts, cells(parts, parts.fake), MOST_ROWS)
    known = parts.keep(f"support floors {len(parts.fake)}", lambda: _floors(parts))
    metrics = []
    for name, title, text in (
        ("alpha_precision", "alpha-precision", "Synthetic rows lie as far out as real ones to {value}"),
        ("beta_recall", "beta-recall", "{value} of the real rows have a synthetic one as near as another real one"),
    ):
        value, bounds = figures[name]
        floors = tuple(Floor(floor, one[name][0], n, one[name][1]) for floor, (one, n) in known.items())
        beside = f" ({FLOORS[floors[0].name]}: {percent(floors[0].value)})" if floors else ""
        sentence = f"{text.format(value=percent(value))}{beside}."
        metrics.append(
            TableMetric(name, title, value, count, "higher", sentence, floors, bounds, "bootstrap", share=True)
        )
    least = min(len(parts.real), len(parts.fake))
    notes = (
        (f"alpha-precision and beta-recall from {MOST_ROWS:,} of {least:,} rows a side, drawn at random",)
        if least > MOST_ROWS
        else ()
    )
    return Found(tuple(metrics), notes=notes)


def _impossible(parts: TableParts) -> str | None:
    least = min(len(parts.real), len(parts.fake))
    return f"{least} rows a side, {_LEAST_ROWS} are the least" if least < _LEAST_ROWS else None


SUPPORT = Measure(
    "support", ("alpha_precision", "beta_recall"), _measure, _impossible, shares=("alpha_precision", "beta_recall")
)
