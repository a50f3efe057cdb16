"""How windows come out of noise: the guess of every step, when each part is decided, and when the class is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from synthgen.diffusion.loop import run_table
from synthgen.diffusion.samplers import build_table
from synthgen.errors import StoppedError
from synthgen.explain.series.cells import Layout, Scene
from synthgen.explain.series.segments import Segments
from synthgen.explain.trajectory import half_steps
from synthgen.generation.noise import noise
from synthgen.stopping import ShouldStop, never_stop

if TYPE_CHECKING:
    from synthgen.diffusion.series import SeriesDenoiser

CAVEAT = (
    "A guess is the mean of all windows that the model still holds possible. It shows when a part settles; it does not "
    "say that anything seen before is why. When the class is decided is told by changing it on the way, not by reading "
    "guesses."
)


@dataclass(frozen=True)
class Recipe:
    """How windows are drawn."""

    sampler: str
    steps: int
    guidance_scale: float = 1.0


@dataclass(frozen=True, eq=False)
class Trajectory:
    """R network evaluations (rows) of N windows.

    x: float32 (R + 1, N, L, D), what the sampler holds, the last entry the result. x0: float32 (R, N, L, D), the guess
    at each row. sigmas: float64 (R,). starts: int64 (R,), the step of the sampler that a row belongs to, from 0.
    """

    x: np.ndarray
    x0: np.ndarray
    sigmas: np.ndarray
    starts: np.ndarray


def draw(
    denoiser: SeriesDenoiser,
    told: Scene,
    recipe: Recipe,
    seed: int,
    device: torch.device,
    *,
    changed: Scene | None = None,
    since: np.ndarray | None = None,
    should_stop: ShouldStop = never_stop,
) -> Trajectory:
    """Windows from the noise that samples of these keys get, every row kept.

    told: what the model is told; its values count where `told.told`. changed: what it is told instead from step
    `since`, int64 (N,), of the sampler on: a window with since[k] = 0 is told nothing else all the way, one with
    since[k] = steps only the first.
    """
    levels = denoiser.schedule.levels(recipe.steps)
    table = build_table(recipe.sampler, levels.alphas, levels.sigmas)
    shape = told.x0.shape[1:]
    facts = [_facts(one, device) for one in ([told] if changed is None else [told, changed])]
    valid = torch.from_numpy(told.valid).to(device)
    alphas, sigmas, times = (
        torch.tensor(part, dtype=torch.float32, device=device) for part in (levels.alphas, levels.sigmas, levels.times)
    )
    level_of = [row.level for row in table.rows]
    kept: list[np.ndarray] = []
    late = None if since is None else torch.from_numpy(since).to(device)
    starts = _steps_of(table.nfe, recipe.steps)

    def fresh(number: int) -> torch.Tensor:
        return torch.from_numpy(noise(seed, told.keys, shape, number)).to(device)

    def denoise(x: torch.Tensor, level: int) -> torch.Tensor:
        if should_stop():
            raise StoppedError("stopped while explaining; nothing was written")
        given, known = facts[0]
        if late is not None:
            other = (late <= starts[len(kept) // 2])[:, None, None]
            given, known = torch.where(other, facts[1][0], given), torch.where(other, facts[1][1], known)
        return denoiser.denoise(
            x,
            alphas[level],
            sigmas[level],
            times[level],
            given=given,
            known=known,
            valid=valid,
            guidance_scale=recipe.guidance_scale,
        )

    def keep(row: int, x: torch.Tensor, x0: torch.Tensor) -> None:
        kept.extend((x.float().cpu().numpy(), x0.float().cpu().numpy()))

    with torch.inference_mode():
        last = run_table(table, denoise, fresh(0) * sigmas[0], lambda number: fresh(number + 1), callback=keep)
    x = np.stack([*kept[::2], last.float().cpu().numpy()])
    return Trajectory(x, np.stack(kept[1::2]), np.asarray(levels.sigmas)[level_of], starts)


def _facts(scene: Scene, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    given = np.where(scene.told, scene.x0, np.float32(0.0))
    return torch.from_numpy(given).to(device), torch.from_numpy(scene.told).to(device)


def _steps_of(rows: int, steps: int) -> np.ndarray:
    """The step that each row belongs to: Heun's method asks twice in every step but the last, the others once."""
    return np.arange(rows) // -(-rows // steps)


@dataclass(frozen=True, eq=False)
class Settling:
    """When parts of N windows settle.

    pieces: int64 (N, pieces), the first row from which on the guess of a piece stays within half
    of its first distance to the result; -1 where it has no step. whole: int64 (N,), the same of all cells.
    rms: float64 (R, N), distance of the guess to the result, root mean square over the cells, in deviations.
    """

    pieces: np.ndarray
    whole: np.ndarray
    rms: np.ndarray


def settling(found: Trajectory, scene: Scene, layout: Layout, segments: Segments) -> Settling:
    """When each span of each channel is decided."""
    squares = np.square(found.x0.astype(np.float64) - found.x[-1]) * scene.valid[..., None]
    cells = layout.gathered(squares)[..., : layout.channels]
    there = segments.sums(np.repeat(scene.valid[..., None], layout.channels, axis=2).astype(np.float64))
    pieces = np.stack([segments.sums(row) for row in cells])
    distance = np.sqrt(pieces / np.maximum(there, 1.0))
    count = np.maximum(scene.lengths * layout.channels, 1)
    whole = np.sqrt(cells.sum(axis=(2, 3)) / count)
    flat = half_steps(distance.reshape(len(distance), -1)).reshape(there.shape)
    return Settling(np.where(there > 0, flat, -1), half_steps(whole), whole)


@dataclass(frozen=True, eq=False)
class Commitment:
    """When the class of N windows is decided, in steps of the sampler.

    margins: float64 (steps + 1, N), the judge's margin of the class over the rival when the model is told the rival
    from step k on (k = steps: never). committed: int64 (N,), the first k from which on the class stays; steps + 1 where
    even the unchanged window is not of its class. read: int64 (N,), the first step from which on the judge reads the
    class in the guess; steps + 1 where it never does.
    """

    margins: np.ndarray
    committed: np.ndarray
    read: np.ndarray

    @property
    def right(self) -> np.ndarray:
        """bool (N,): windows that are of their class for the judge when the model is told nothing else."""
        return np.asarray(self.margins[-1] > 0)

    @property
    def quartiles(self) -> tuple[float, float, float] | None:
        """Of `committed` over the windows that are of their class; None where none is."""
        if not self.right.any():
            return None
        low, middle, high = np.quantile(self.committed[self.right], [0.25, 0.5, 0.75], method="inverted_cdf")
        return float(low), float(middle), float(high)


def commitment(
    drawn: Callable[[np.ndarray, np.ndarray], np.ndarray],
    margins_of: Callable[[np.ndarray, np.ndarray], np.ndarray],
    guesses: np.ndarray,
    count: int,
    steps: int,
) -> Commitment:
    """Change what class the model is told at every step, and see what becomes of the window.

    drawn: (windows, first step with the rival) -> results float32 (M, L, D). margins_of: (results, windows) -> the
    judge's margins (M,). guesses: float32 (steps, N, L, D), the guess at the first row of every step.
    """
    rows = np.repeat(np.arange(count), steps + 1)
    since = np.tile(np.arange(steps + 1), count)
    margins = margins_of(drawn(rows, since), rows).reshape(count, steps + 1).T
    every = np.tile(np.arange(count), steps)
    read = margins_of(guesses.reshape(-1, *guesses.shape[2:]), every).reshape(steps, count)
    return Commitment(margins, _stays(margins > 0), _stays(read > 0))


def _stays(holds: np.ndarray) -> np.ndarray:
    """First index from which on a column (K, N) is True to the end; K where it never is."""
    settled = np.logical_and.accumulate(holds[::-1], axis=0)[::-1]
    return np.where(settled.any(axis=0), settled.argmax(axis=0), len(holds)).astype(np.int64)
