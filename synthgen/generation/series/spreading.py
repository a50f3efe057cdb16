"""How far the completions of a recording ought to lie apart, told by the cells that it knows.

A model is too sure of what it has not seen, above all of another time. By how much, the recording itself says: some of
its known numbers are hidden, by its own pattern of gaps moved in time, and drawn several times. A channel's spread is
the factor by which these draws should have been farther from their mean, for the hidden numbers to lie between the
lowest and the highest draw as often as another draw would (split conformal prediction with normalised residuals; Lei,
G'Sell, Rinaldo, Tibshirani, Wasserman 2018, section 5.2). What is drawn for the gaps is spread by it; see
`SeriesDenoiser.sample`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from synthgen.generation.series.filling import Canvas, fill
from synthgen.stopping import ShouldStop, never_stop

if TYPE_CHECKING:
    from synthgen.data.series.codec import SeriesCodec
    from synthgen.generation.series.engine import SeriesEngine

DRAWS = 8
"""Between the lowest and the highest lies another one in 7 of 9 cases, which is nearly an 80 % interval."""
ENOUGH = 100
FEWEST = 50
"""Hidden cells of a channel: of fewer, its draws stay as they are."""
LEAST, MOST = 0.5, 8.0
_COPIES = 8
_GOLDEN = (5**0.5 - 1) / 2
_STREAM = 1 << 63
"""Random numbers of their own: this bit of the seed is turned."""


def to_hide(known: torch.Tensor, numbers: torch.Tensor) -> torch.Tensor:
    """Known numbers to hide, bool (T, D): gaps that are elsewhere, and few beside those that are there.

    A hidden number is harder to draw the more of its neighbours are unknown, too: about `ENOUGH` of each channel are
    hidden, or a quarter of those that are unknown. known: bool (T, D). numbers: bool (D,), dimensions of numbers.
    """
    steps, there, unknown = len(known), known & numbers, ~known & numbers
    found = torch.zeros_like(known)
    seen = torch.nonzero(there.any(1))[:, 0]
    if not len(seen):
        return found
    unknown[: int(seen[0])] = unknown[int(seen[-1]) + 1 :] = False  # a forecast is no gap, and is spread by nothing
    wanted = max(ENOUGH * int((unknown & there.any(0)).any(0).sum()), int((unknown & there.any(0)).sum()) // 4)
    for copy in range(1, _COPIES + 1):
        found |= unknown.roll(round(copy * _GOLDEN * steps) % steps, 0) & there
        if found.sum() >= wanted:
            break
    return _some_gaps(found, wanted / max(int(found.sum()), 1))


def _some_gaps(found: torch.Tensor, share: float) -> torch.Tensor:
    """A share of the gaps; those of several channels that begin and end together stay together."""
    if share >= 1:
        return found
    random, drawn = np.random.default_rng(0), dict[tuple[int, int], float]()
    kept = found.numpy().copy()
    for place in np.flatnonzero(kept.any(0)):
        edges = np.diff(kept[:, place].astype(np.int8), prepend=0, append=0)
        for gap in zip(np.flatnonzero(edges == 1).tolist(), np.flatnonzero(edges == -1).tolist(), strict=True):
            if drawn.setdefault(gap, random.random()) >= share:
                kept[slice(*gap), place] = False
    return torch.from_numpy(kept)


def measure_spread(
    engine: SeriesEngine, codec: SeriesCodec, canvas: Canvas, seed: int, should_stop: ShouldStop = never_stop
) -> torch.Tensor | None:
    """float32 (T, D): the spread of the gaps of one recording, 1 behind its last known step; None: 1 everywhere.

    canvas: of `DRAWS` draws of it; filled in place. Raises StoppedError.
    """
    numbers = torch.zeros(engine.dimensions, dtype=torch.bool)
    scalers = {}
    for part in engine.denoiser.parts:
        scaler = codec.codings[part.name].scaler if part.role == "channel" else None
        if scaler is not None:
            numbers[part.start], scalers[part.start] = True, scaler
    steps = int(canvas.lengths[0])
    known = canvas.known[0, :steps]
    hidden = to_hide(known, numbers)
    if int(hidden.sum(0).max()) < FEWEST:
        return None
    truth, seen = canvas.given[0, :steps].double().numpy(), torch.nonzero((known & numbers).any(1))[:, 0]
    canvas.known[:, :steps] &= ~hidden
    canvas.lengths = np.minimum(canvas.lengths, int(seen[-1]) + 1)
    fill(engine, canvas, seed ^ _STREAM, should_stop)
    drawn, cells = canvas.given[:, :steps].double().numpy(), hidden.numpy()
    found = torch.ones(canvas.given.shape[1:])
    inside = slice(int(seen[0]), int(seen[-1]) + 1)
    for place, scaler in scalers.items():
        own = cells[:, place]
        if own.sum() >= FEWEST:
            values = scaler.decode(truth[own, place], clip=False)
            ends = (scaler.encode(values - scaler.half), scaler.encode(values + scaler.half))
            found[inside, place] = factor_of(drawn[:, own, place], *ends)
    return found


def factor_of(drawn: np.ndarray, low: np.ndarray, high: np.ndarray) -> float:
    """How many times farther from their mean draws, float64 (draws, N), should lie, for true values to be among them.

    low, high: float64 (N,), the numbers that are written as the true value is, which is rounded.
    """
    count, mean = len(drawn), drawn.mean(0)
    above = (low - mean) / np.maximum(drawn.max(0) - mean, 1e-6)
    below = (mean - high) / np.maximum(mean - drawn.min(0), 1e-6)
    needed = np.maximum(np.maximum(above, below), 0.0)
    return float(np.clip(np.quantile(needed, (count - 1) / (count + 1)), LEAST, MOST))
