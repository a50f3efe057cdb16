"""How far the completions of a recording ought to lie apart, told by the cells that it knows.

A model is too sure of what it has not seen, above all of another time. By how much, the recording itself says: some of
its known numbers are hidden, by its own pattern of gaps moved in time, and drawn several times. A channel's spread is
the factor by which these draws should have been farther from their middle for 80 % intervals to hold 80 % of the hidden
cells (split conformal prediction with normalised residuals; Lei, G'Sell, Rinaldo, Tibshirani, Wasserman 2018, section
5.2). What is drawn for the gaps is spread by it; see `SeriesDenoiser.sample`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy.stats import t as student

from synthgen.generation.series.filling import Canvas, fill

if TYPE_CHECKING:
    from synthgen.generation.series.engine import SeriesEngine

DRAWS = 8
LEVEL = 0.8
FEWEST = 50
"""Hidden cells of a channel: of fewer, its draws stay as they are."""
LEAST, MOST = 0.5, 8.0
_SHARE = 0.1
_COPIES = 8
_GOLDEN = (5**0.5 - 1) / 2
_STREAM = 1 << 63
"""Random numbers of their own: this bit of the seed is turned."""


def to_hide(known: torch.Tensor, numbers: torch.Tensor) -> torch.Tensor:
    """Known numbers to hide, bool (T, D): what is unknown elsewhere, until a tenth of them is hidden.

    known: bool (T, D). numbers: bool (D,), dimensions of numbers.
    """
    steps, there = len(known), known & numbers
    found = torch.zeros_like(known)
    for copy in range(1, _COPIES + 1):
        found |= (~known & numbers).roll(round(copy * _GOLDEN * steps) % steps, 0) & there
        if found.sum() >= _SHARE * there.sum():
            break
    return found


def measure_spread(engine: SeriesEngine, canvas: Canvas, seed: int) -> torch.Tensor | None:
    """float32 (T, D): the spread of the gaps of one recording, 1 behind its last known step; None: 1 everywhere.

    canvas: of `DRAWS` draws of it; filled in place.
    """
    numbers = torch.zeros(engine.dimensions, dtype=torch.bool)
    for part in engine.denoiser.parts:
        numbers[part.start : part.stop] = part.role == "channel" and part.stop - part.start == 1
    steps = int(canvas.lengths[0])
    known = canvas.known[0, :steps]
    hidden = to_hide(known, numbers)
    if int(hidden.sum(0).max()) < FEWEST:
        return None
    truth, seen = canvas.given[0, :steps].double().numpy(), torch.nonzero((known & numbers).any(1))[:, 0]
    canvas.known[:, :steps] &= ~hidden
    fill(engine, canvas, seed ^ _STREAM)
    factors = factors_of(canvas.given[:, :steps].double().numpy(), truth, hidden.numpy())
    found = torch.ones(canvas.given.shape[1:])
    inside = slice(int(seen[0]), int(seen[-1]) + 1)
    found[inside] = torch.from_numpy(factors).float()
    return found


def factors_of(drawn: np.ndarray, truth: np.ndarray, hidden: np.ndarray) -> np.ndarray:
    """float64 (D,): how many times farther from their mean draws should lie for `LEVEL` of the truth to be inside.

    drawn: float64 (draws, T, D). truth: float64 and hidden: bool (T, D), the cells that count.
    """
    count, found = len(drawn), np.ones(truth.shape[1])
    # the distance from a mean of few normal draws, in deviations of these draws
    usual = student.ppf((1 + LEVEL) / 2, count - 1) * (1 + 1 / count) ** 0.5
    for place in range(truth.shape[1]):
        cells = hidden[:, place]
        if cells.sum() < FEWEST:
            continue
        draws = drawn[:, cells, place]
        far = np.abs(truth[cells, place] - draws.mean(0)) / np.maximum(draws.std(0, ddof=1), 1e-6)
        found[place] = np.clip(np.quantile(far, LEVEL) / usual, LEAST, MOST)
    return found
