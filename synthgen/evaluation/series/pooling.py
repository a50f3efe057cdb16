"""Figures that are distances of pooled sums: computed once for groups of windows, so that drawing anew is cheap."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from synthgen.data.series.windows import WindowSet
from synthgen.evaluation.series.measure import Floor, SeriesMetric, SeriesParts, beside, deviation, floor_of

GROUPS = 40
"""Groups of windows, drawn anew as wholes for the deviation."""

Sums = Callable[[np.ndarray], np.ndarray]
"""From scaled windows (N, L, C), NaN where missing, to what is added up over windows: (..) of any shape."""

Distance = Callable[[np.ndarray, np.ndarray], float]


def grouped(parts: SeriesParts, windows: WindowSet, key: str, sums: Sums) -> np.ndarray:
    """(G, ...): the sums of every group of these windows, kept."""

    def compute() -> np.ndarray:
        values = parts.space.scaled(windows)
        order = np.random.default_rng(8).permutation(len(values))
        found = []
        for members in np.array_split(order, min(GROUPS, len(values))):
            parts.check_stop()
            found.append(sums(values[members]))
        return np.stack(found)

    return parts.keep(f"sums {key} {windows.fingerprint}", compute)


def pooled(parts: SeriesParts, windows: WindowSet, key: str, sums: Sums) -> np.ndarray:
    """The sums over all of these windows."""
    found: np.ndarray = grouped(parts, windows, key, sums).sum(0)
    return found


def pooled_metric(
    parts: SeriesParts,
    name: str,
    title: str,
    sums: Sums,
    distance: Distance,
    text: str,
    written: Callable[[float], str],
    *,
    key: str | None = None,
    share: bool = False,
) -> SeriesMetric:
    """The distance of the synthetic windows' sums to the real ones', with floors.

    spread: over seeds, for each of which groups of synthetic windows are drawn anew. text: the sentence, with {value}.
    key: of the sums, where several figures share them.
    """
    key = key or name
    real = pooled(parts, parts.reference, key, sums)

    def redrawn(windows: WindowSet, seed: int) -> float:
        groups = grouped(parts, windows, key, sums)
        random = np.random.default_rng([seed, 9])
        return distance(real, groups[random.integers(0, len(groups), len(groups))].sum(0))

    def compute() -> tuple[Floor, ...]:
        found = []
        if parts.divided:
            sides = [pooled(parts, parts.half(which), key, sums) for which in (0, 1)]
            found.append(Floor("halves", distance(*sides), min(len(half) for half in parts.halves)))
        found.append(floor_of("redrawn", [redrawn(parts.reference, seed) for seed in parts.seeds], parts.n))
        if parts.later is not None:
            later = pooled(parts, parts.later, key, sums)
            found.append(Floor("later", distance(real, later), len(parts.later)))
        return tuple(found)

    value = distance(real, pooled(parts, parts.fake, key, sums))
    floors = parts.keep(f"floors {name}", compute)
    values = tuple(redrawn(parts.fake, seed) for seed in parts.seeds)
    sentence = f"{text.format(value=written(value))}{beside(floors, written)}."
    return SeriesMetric(name, title, value, parts.n, "lower", sentence, floors, deviation(values), values, share=share)
