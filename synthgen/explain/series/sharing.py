"""SHAP on spans of channels: what each adds to a judge's opinion, with the model filling in what is hidden."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from synthgen.errors import SynthgenError
from synthgen.explain.series.cells import Scene
from synthgen.explain.series.probe import Probe
from synthgen.explain.series.segments import Segments
from synthgen.reporting import NullReporter, Reporter

LARGEST_GAP = 1e-6
"""By which the shares may miss what they share out."""

_BUDGET = 256
_MOST_PAIRS = 6

Opinions = Callable[[Scene, np.ndarray], np.ndarray]
"""(windows, which window each was, int64 (M,)) -> float64 (M, T): the judge's opinion, and those of shuffled judges."""

CAVEAT = (
    "The shares explain the judge on windows that the model holds possible; they do not say what causes what. A piece "
    "whose content its neighbours tell as well shares the credit with them."
)


@dataclass(frozen=True, eq=False)
class Shares:
    """Shapley values of P pieces of N windows for T opinions.

    halves: float64 (2, T, N, P), from two independent halves of the orders. full: float64 (T, N), the opinion of the
    window as it is. empty: float64 (T, N), the mean opinion of windows drawn anew as a whole. gap: the largest |sum of
    shares - (full - empty)|.
    """

    halves: np.ndarray
    full: np.ndarray
    empty: np.ndarray
    gap: float

    @property
    def values(self) -> np.ndarray:
        """float64 (T, N, P)."""
        return np.asarray(self.halves.mean(axis=0))


def share_out(
    probe: Probe,
    scene: Scene,
    segments: Segments,
    opinions: Opinions,
    *,
    seed: int = 0,
    reporter: Reporter | None = None,
) -> Shares:
    """Share the judge's opinion of each window among its pieces.

    What a set of pieces is worth is the judge's opinion of a window in which they are as they were and the model, told
    no class, drew all others anew given them. Shapley values by random orders, each with its reverse (Castro et al.
    2009; Mitchell et al. 2022, antithetic); an order has one noise for all its windows, and the shares of an order add
    up to the opinion of the window minus that of the one drawn as a whole. Raises StoppedError, SynthgenError.
    """
    pieces, count = len(segments), len(scene)
    pairs = int(np.clip(_BUDGET // pieces, 1, _MOST_PAIRS))
    full = opinions(scene, np.arange(count)).T
    halves = np.zeros((2, len(full), count, pieces))
    empty = np.zeros_like(full)
    with (reporter or NullReporter()).progress("hiding pieces", 4 * pairs, "orders") as progress:
        for half in range(2):
            random = np.random.default_rng([seed, 43, half])
            for pair in range(pairs):
                order = random.permutation(pieces)
                for turn, one in enumerate((order, order[::-1])):
                    number = (half * pairs + pair) * 2 + turn
                    added, start = _added(probe, scene, segments, opinions, one, number, full)
                    halves[half] += added / (2 * pairs)
                    empty += start / (4 * pairs)
                    progress.update(number + 1)
    gap = float(np.abs(halves.mean(axis=0).sum(axis=2) - (full - empty)).max())
    if not gap <= LARGEST_GAP * (1 + float(np.abs(full).max())):
        raise SynthgenError(f"the shares of the pieces miss what they share out by {gap:.2g}")
    return Shares(halves, full, empty, gap)


def _added(
    probe: Probe,
    scene: Scene,
    segments: Segments,
    opinions: Opinions,
    order: np.ndarray,
    number: int,
    full: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """float64 (T, N, P): what each piece adds when the pieces come to be known in this order; and the opinion (T, N)
    before the first."""
    pieces, count = len(segments), len(scene)
    known = np.zeros((pieces, pieces), bool)  # the first row knows nothing; knowing everything is `full`
    for place in range(1, pieces):
        known[place:, order[place - 1]] = True
    hidden = segments.cells(~known, probe.layout.channels)
    rows = np.tile(np.arange(count), pieces)
    cells = np.repeat(hidden, count, axis=0) & scene.valid[rows][..., None]
    anew = probe.regenerated(scene.select(rows), cells, np.full(len(rows), number))
    found = opinions(anew, rows).T.reshape(len(full), pieces, count)
    steps = np.diff(np.concatenate([found, full[:, None]], axis=1), axis=1)
    added = np.empty((len(full), count, pieces))
    added[:, :, order] = steps.transpose(0, 2, 1)
    return added, found[:, 0]


def over_cells(shares: np.ndarray, scene: Scene, segments: Segments, parts: int, channels: int) -> np.ndarray:
    """Shares float64 (..., N, P) spread evenly over the cells of their piece: (..., N, L, parts).

    The share of a piece without a step that exists (it is 0) is dropped.
    """
    there = np.repeat(scene.valid[..., None], channels, axis=2).astype(np.float64)
    each = shares / np.maximum(segments.sums(there), 1.0)
    lead = shares.shape[:-2]
    found = np.zeros((*lead, *there.shape[:2], parts))
    groups = len(segments.groups)
    steps = np.repeat(each.reshape(*each.shape[:-1], segments.spans, groups), np.diff(segments.edges), axis=-2)
    for number, group in enumerate(segments.groups):
        found[..., list(group)] = steps[..., number, None]
    return np.asarray(found * scene.valid[..., None])
