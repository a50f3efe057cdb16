"""Channels one by one, without regard to time: values, moments, categories, gaps and their persistence, lengths."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from synthgen.data.series.windows import WindowSet
from synthgen.evaluation.series.measure import (
    Floor,
    Found,
    Measure,
    SeriesMetric,
    SeriesParts,
    beside,
    deviation,
    floor_of,
    percent,
    plain,
)

_MOST = 50_000
"""Values of a channel that distances of distributions are computed from."""

_POINTS = 1001


@dataclass(frozen=True)
class Side:
    """What is compared of one set of windows. numbers: sorted scaled values by channel; the rest by channel too."""

    numbers: dict[int, np.ndarray]
    shares: dict[int, np.ndarray]
    missing: np.ndarray
    persistence: np.ndarray
    lengths: np.ndarray


def side_of(parts: SeriesParts, windows: WindowSet) -> Side:
    """The marginals of windows."""
    space = parts.space
    valid = np.arange(windows.values.shape[1]) < windows.lengths[:, None]
    random = np.random.default_rng(10)
    numbers = {}
    scaled = space.scaled(windows)
    for index, place in enumerate(space.numbers):
        known = scaled[:, :, index].ravel()
        known = known[~np.isnan(known)]
        numbers[place] = np.sort(known if len(known) <= _MOST else random.choice(known, _MOST, replace=False))
    shares = {}
    for place, levels in space.levels.items():
        column = windows.values[:, :, place]
        counts = np.array([(column == level).sum() for level in levels], np.float64)
        known_count = max(int((~np.isnan(column)).sum()), 1)
        shares[place] = np.append(counts, known_count - counts.sum()) / known_count
    gone = np.isnan(windows.values) & valid[:, :, None]
    steps = max(int(valid.sum()), 1)
    return Side(numbers, shares, gone.sum((0, 1)) / steps, persistence(gone, valid), np.sort(windows.lengths))


def persistence(gone: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """(C,): how often a value is missing right after a missing one; NaN for channels without any.

    gone: bool (N, L, C); valid: bool (N, L), steps that exist.
    """
    before, after = gone[:, :-1] & valid[:, 1:, None], gone[:, 1:]
    count = before.sum((0, 1)).astype(np.float64)
    both = (before & after).sum((0, 1))
    found: np.ndarray = np.divide(both, count, out=np.full(len(count), np.nan), where=count > 0)
    return found


def wasserstein(first: np.ndarray, second: np.ndarray) -> float:
    """Wasserstein-1 distance of two sorted samples: the mean distance of their quantile functions."""
    if not len(first) or not len(second):
        return float("nan")
    at = (np.arange(_POINTS) + 0.5) / _POINTS
    return float(np.abs(np.quantile(first, at) - np.quantile(second, at)).mean())


def kolmogorov(first: np.ndarray, second: np.ndarray) -> float:
    """The largest distance of the distribution functions of two sorted samples; 1 where one of them is empty."""
    if not len(first) or not len(second):
        return float("nan") if len(first) == len(second) else 1.0
    both = np.concatenate([first, second])
    one = np.searchsorted(first, both, "right") / len(first)
    other = np.searchsorted(second, both, "right") / len(second)
    return float(np.abs(one - other).max())


Figure = Callable[[Side, Side], float]


def _mean(values: list[float]) -> float:
    known = [value for value in values if np.isfinite(value)]
    return float(np.mean(known)) if known else float("nan")


def _figures(parts: SeriesParts, side: Side) -> dict[str, tuple[str, Figure, str, bool]]:
    """name -> (title, figure, sentence, share), those that these windows have. side: the synthetic ones."""
    found: dict[str, tuple[str, Figure, str, bool]] = {}
    if parts.space.numbers:
        found["wasserstein"] = (
            "Wasserstein distance of values",
            lambda a, b: _mean([wasserstein(a.numbers[p], b.numbers[p]) for p in a.numbers]),
            "Values of a channel are {value} of its range away from the real ones",
            True,
        )
        found["ks"] = (
            "Kolmogorov-Smirnov distance of values",
            lambda a, b: _mean([kolmogorov(a.numbers[p], b.numbers[p]) for p in a.numbers]),
            "Distribution functions of channels are {value} apart at most, averaged over channels",
            True,
        )
    if parts.space.levels:
        found["categories"] = (
            "categories, total variation",
            lambda a, b: _mean([0.5 * float(np.abs(a.shares[p] - b.shares[p]).sum()) for p in a.shares]),
            "Shares of categories differ by {value}",
            True,
        )
    gaps = parts.space.gaps
    holed = gaps | side.missing.astype(bool)
    if holed.any():
        found["missing_rate"] = (
            "missing rate, difference",
            lambda a, b: float(np.abs(a.missing - b.missing)[holed].mean()),
            "Missing rates of channels differ by {value}",
            True,
        )
    if gaps.any():
        found["persistence"] = (
            "persistence of gaps, difference",
            lambda a, b: _persistence_apart(a, b, gaps),
            "How often a missing value follows a missing one differs by {value}",
            True,
        )
    if parts.space.uneven or (parts.fake.lengths < parts.fake.values.shape[1]).any():
        found["lengths"] = (
            "lengths, Kolmogorov-Smirnov distance",
            lambda a, b: kolmogorov(a.lengths, b.lengths),
            "Distribution functions of lengths are {value} apart at most",
            True,
        )
    return found


def _persistence_apart(first: Side, second: Side, gaps: np.ndarray) -> float:
    """The mean difference; a side that has no gaps at all in a channel counts as 0."""
    one, other = np.nan_to_num(first.persistence), np.nan_to_num(second.persistence)
    return float(np.abs(one - other)[gaps].mean())


def _measure(parts: SeriesParts) -> Found:
    def side(windows: WindowSet, what: str) -> Side:
        parts.check_stop()
        return parts.keep(f"marginals {what} {windows.fingerprint}", lambda: side_of(parts, windows))

    real, fake = side(parts.reference, "real"), side_of(parts, parts.fake)
    drawn = [_redrawn(parts, parts.fake, seed) for seed in parts.seeds]
    figures = _figures(parts, fake)

    def floors() -> dict[str, tuple[Floor, ...]]:
        again = [_redrawn(parts, parts.reference, seed) for seed in parts.seeds]
        found: dict[str, tuple[Floor, ...]] = {}
        for name, (_, figure, _, _) in figures.items():
            some = [floor_of("redrawn", [figure(real, one) for one in again], parts.n)]
            if parts.divided:
                sides = [side(parts.half(which), "half") for which in (0, 1)]
                some.insert(0, Floor("halves", figure(*sides), min(len(half) for half in parts.halves)))
            if parts.later is not None:
                some.append(Floor("later", figure(real, side(parts.later, "later")), len(parts.later)))
            found[name] = tuple(one for one in some if np.isfinite(one.value))
        return found

    holed = np.flatnonzero(fake.missing).tolist()  # which channels a missing rate is the mean of
    known = parts.keep(f"marginal floors {' '.join(figures)} {holed}", floors)
    metrics = []
    for name, (title, figure, text, share) in figures.items():
        value = figure(real, fake)
        values = [figure(real, one) for one in drawn]
        written = percent if share else plain
        sentence = f"{text.format(value=written(value))}{beside(known[name], written)}."
        metrics.append(
            SeriesMetric(
                name, title, value, parts.n, "lower", sentence, known[name], deviation(values), tuple(values), share
            )
        )
    return Found(tuple(one for one in metrics if np.isfinite(one.value)), {"channels": _rows(parts, real, fake)})


def _redrawn(parts: SeriesParts, windows: WindowSet, seed: int) -> Side:
    parts.check_stop()
    index = np.random.default_rng([seed, 11]).integers(0, len(windows), len(windows))
    return side_of(parts, windows.select(index))


def _rows(parts: SeriesParts, real: Side, fake: Side) -> list[dict[str, Any]]:
    """What the report shows of every channel, in the channel's own units."""
    rows = []
    for place, name in enumerate(parts.space.channels):
        row: dict[str, Any] = {"name": name, "kind": parts.space.kinds[place]}
        if place in real.numbers:
            row |= {
                "wasserstein": wasserstein(real.numbers[place], fake.numbers[place]),
                "ks": kolmogorov(real.numbers[place], fake.numbers[place]),
                "real": _moments(parts, real.numbers[place], place),
                "fake": _moments(parts, fake.numbers[place], place),
            }
        if place in real.shares:
            row["total_variation"] = 0.5 * float(np.abs(real.shares[place] - fake.shares[place]).sum())
        for key, one in (
            ("missing", (real.missing, fake.missing)),
            ("persistence", (real.persistence, fake.persistence)),
        ):
            row[key] = [None if np.isnan(side[place]) else float(side[place]) for side in one]
        rows.append(row)
    return rows


def _moments(parts: SeriesParts, values: np.ndarray, place: int) -> dict[str, float | None]:
    """Mean and deviation in the channel's units, skewness and excess kurtosis."""
    if not len(values):
        return dict.fromkeys(("mean", "deviation", "skewness", "kurtosis"))
    low, span = parts.space.low[place], parts.space.high[place] - parts.space.low[place]
    mean, spread = float(values.mean()), float(values.std())
    z = (values - mean) / (spread or 1.0)
    return {
        "mean": float(low + span * mean),
        "deviation": float(span * spread),
        "skewness": float((z**3).mean()),
        "kurtosis": float((z**4).mean() - 3.0) if spread else 0.0,
    }


NAMES = ("wasserstein", "ks", "categories", "missing_rate", "persistence", "lengths")
MARGINALS = Measure("marginals", NAMES, _measure, shares=NAMES)
