"""How windows come out of noise: the guess of every step, when each part is decided, and when the class is."""

from __future__ import annotations

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
