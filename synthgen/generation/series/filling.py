"""Sequences of any length, filled window by window: what was drawn is known to the windows after it.

A sequence that fits one window is drawn in one. In a longer one the window moves: it stands so that the first step
with an unknown cell is its middle, and the half before that, known from the recording or drawn already, is told to the
network. So the pieces meet without a seam as far as the model has learned what follows what. Where a recording knows
something behind the gap, the last quarter of a window is drawn again by the next one, which sees more of what follows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from synthgen.errors import StoppedError
from synthgen.stopping import ShouldStop, never_stop

if TYPE_CHECKING:
    from synthgen.data.series.codec import Part
    from synthgen.generation.series.engine import SeriesEngine

GENERATED = ("channel", "static", "gap")
"""Roles of parts that are drawn; labels and calendars are given."""


@dataclass
class Canvas:
    """Sequences beside each other, encoded; filled in place.

    given: float32 (B, T, D), values of known cells. known: bool (B, T, D). lengths: int64 (B,), the steps that are
    wanted. exists: bool (B, T), the steps that the network is told to exist. keys, draws: int64 (B,), whose random
    numbers each has. recorded: the cells that are known come from a recording that ends where the sequence does.
    spread: float32 (B, T, D), see `SeriesDenoiser.sample`; None: 1.
    """

    given: torch.Tensor
    known: torch.Tensor
    lengths: np.ndarray
    exists: torch.Tensor
    keys: np.ndarray
    draws: np.ndarray
    recorded: bool = False
    spread: torch.Tensor | None = None


def steps_needed(length: int, window: int) -> int:
    """Steps that a canvas must have for a sequence of `length`: whole windows, each half over the one before."""
    if length <= window:
        return window
    hop = window - window // 2
    return window + -(-(length - window) // hop) * hop


def fill(engine: SeriesEngine, canvas: Canvas, seed: int, should_stop: ShouldStop = never_stop) -> None:
    """Draw all unknown cells of channels and static covariates within `canvas.lengths`. Raises StoppedError."""
    plan = _Plan(canvas, engine.denoiser.parts, engine.window)
    piece = 0
    while (starts := plan.starts()) is not None:
        if should_stop():  # a long sequence takes hundreds of windows
            raise StoppedError(f"stopped after {piece:,} windows")
        steps = torch.from_numpy(starts)[:, None] + torch.arange(engine.window)
        rows = torch.arange(len(starts))[:, None]
        drawn = engine.windows(
            canvas.keys,
            canvas.draws,
            piece,
            seed,
            given=canvas.given[rows, steps],
            known=canvas.known[rows, steps],
            valid=canvas.exists[rows, steps],
            spread=None if canvas.spread is None else canvas.spread[rows, steps],
        )
        plan.keep(drawn.cpu(), starts)
        piece += 1


class _Plan:
    """Where the next windows stand, and what of them is kept."""

    def __init__(self, canvas: Canvas, parts: Sequence[Part], window: int) -> None:
        self.canvas, self.parts, self.window = canvas, parts, window
        self.size = canvas.given.shape[1]
        self.generated, wanted, values = (torch.zeros(canvas.given.shape[2], dtype=torch.bool) for _ in range(3))
        for part in parts:
            cells = slice(part.start, part.stop)
            self.generated[cells] = part.role in GENERATED
            # The time since the step before is known, or drawn along with what happens then.
            wanted[cells] = part.role in ("channel", "static")
            values[cells] = part.role == "channel"
            if part.missing is not None:
                self.generated[part.missing] = wanted[part.missing] = True
        static = [part for part in parts if part.role == "static"]
        bits = {part.missing for part in static if part.missing is not None}
        self.static = [cell for part in static for cell in range(part.start, part.stop)] + sorted(bits)
        inside = torch.arange(self.size) < torch.from_numpy(canvas.lengths)[:, None]
        # Unknown steps, those behind the end left out; and steps where a recording knows something.
        self.open = ((~canvas.known & wanted).any(-1) & inside).numpy()
        self.recorded = ((canvas.known & values).any(-1) & inside).numpy()

    def starts(self) -> np.ndarray | None:
        """First step of each sequence's next window, int64 (B,); None when nothing is left to draw."""
        left = self.open.any(1)
        if not left.any():
            return None
        first = self.open.argmax(1)
        last = self.size - self.window
        if self.canvas.recorded:
            last = np.clip(self.canvas.lengths - self.window, 0, last)
        found: np.ndarray = np.where(left, np.clip(first - self.window // 2, 0, last), 0).astype(np.int64)
        return found

    def keep(self, drawn: torch.Tensor, starts: np.ndarray) -> None:
        """Write what was drawn into the canvas, as far as it counts."""
        canvas = self.canvas
        snapped = snap(drawn, self.parts)
        for row, start in enumerate(starts.tolist()):
            if not self.open[row].any():
                continue
            self._settle_static(row, drawn[row], start)
            stop = self._stop(row, start)
            place = slice(start, stop)
            fresh = ~canvas.known[row, place] & self.generated
            canvas.given[row, place] = torch.where(fresh, snapped[row, : stop - start], canvas.given[row, place])
            canvas.known[row, place] |= self.generated
            self.open[row, place] = False

    def _stop(self, row: int, start: int) -> int:
        """The step behind the last one of this window that is kept."""
        stop, quarter = start + self.window, self.window // 4
        if stop >= self.canvas.lengths[row] or not quarter:
            return stop
        ahead = self.recorded[row, stop - quarter : stop + quarter]
        return stop - quarter if ahead.any() else stop

    def _settle_static(self, row: int, drawn: torch.Tensor, start: int) -> None:
        """Static covariates hold for the whole sequence: the mean over the steps of its first window."""
        canvas = self.canvas
        if canvas.known[row][:, self.static].all():
            return
        exists = canvas.exists[row, start : start + self.window]
        mean = snap(drawn[exists].mean(0, keepdim=True)[None], self.parts)[0, 0]
        for cell in self.static:
            canvas.given[row, ~canvas.known[row, :, cell], cell] = mean[cell]
            canvas.known[row, :, cell] = True


def snap(x: torch.Tensor, parts: Sequence[Part]) -> torch.Tensor:
    """Windows (B, L, D) whose categories and missing bits are as the encoding writes them: 1 and -1 only.

    The network was trained with such cells as known ones.
    """
    x = x.clone()
    for part in parts:
        if part.role in GENERATED and part.stop - part.start > 1:
            cells = x[..., part.start : part.stop]
            x[..., part.start : part.stop] = torch.where(
                torch.nn.functional.one_hot(cells.argmax(-1), part.stop - part.start).bool(), 1.0, -1.0
            )
        if part.role in GENERATED and part.missing is not None:
            x[..., part.missing] = torch.where(x[..., part.missing] > 0, 1.0, -1.0)
    return x
