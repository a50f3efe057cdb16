"""SHAP on spans of channels: what each adds to a judge's opinion, with the model filling in what is hidden."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from synthgen.explain import shapley
from synthgen.explain.series.cells import Scene
from synthgen.explain.series.probe import Probe
from synthgen.explain.series.segments import Segments
from synthgen.explain.shapley import Shares
from synthgen.reporting import Reporter

_BUDGET = 256
_MOST_PAIRS = 6

Opinions = Callable[[Scene, np.ndarray], np.ndarray]
"""(windows, which window each was, int64 (M,)) -> float64 (M, T): the judge's opinion, and those of shuffled judges."""

CAVEAT = (
    "The shares explain the judge on windows that the model holds possible; they do not say what causes what. A piece "
    "whose content its neighbours tell as well shares the credit with them."
)


def share_out(
    probe: Probe,
    scene: Scene,
    segments: Segments,
    opinions: Opinions,
    *,
    seed: int = 0,
    reporter: Reporter | None = None,
) -> Shares:
    """Share the judge's opinion of each window among its pieces; see `synthgen.explain.shapley`.

    What a set of pieces is worth is the judge's opinion of a window in which they are as they were and the model, told
    no class, drew all others anew given them. Raises StoppedError, SynthgenError.
    """

    def worth(hidden: np.ndarray, rows: np.ndarray, number: int) -> np.ndarray:
        cells = segments.cells(hidden, probe.layout.channels) & scene.valid[rows][..., None]
        anew = probe.regenerated(scene.select(rows), cells, np.full(len(rows), number))
        return opinions(anew, rows)

    pairs = int(np.clip(_BUDGET // len(segments), 1, _MOST_PAIRS))
    full = opinions(scene, np.arange(len(scene))).T
    return shapley.share_out(worth, full, len(segments), pairs=pairs, seed=seed, reporter=reporter)


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
