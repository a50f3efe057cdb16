"""Noise levels fitted to a model: where a sampler with few steps strays least from the exact trajectories.

The levels of a schedule suit no model in particular. Tong et al. 2024 (LD3, arXiv:2405.15506) and Chen et al. 2024
(GITS, arXiv:2405.11326) choose them by the model's own trajectories. Here it is as in GITS: a few samples are drawn
in many small steps, and the levels are the shortest path through a table of local errors. What a linear sampler makes
of points of a trajectory is a combination of what was kept of it, so that the inner products of what was kept are all
that the search needs: no network, no pixels.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import combinations

import numpy as np
import torch

from synthgen.devices import wide
from synthgen.diffusion.denoiser import Denoiser
from synthgen.diffusion.loop import Denoise, run_table
from synthgen.diffusion.samplers import SamplerTable, build_table
from synthgen.diffusion.schedule import Levels
from synthgen.errors import UsageError

FITTED = ("euler", "ddim", "dpm++2m", "dpm++3m")
"""Samplers without fresh noise that call the network once a step."""

FINE_STEPS = 40
"""Steps of the exact trajectories, at whose levels the fitted ones lie."""

Block = tuple[torch.Tensor, torch.Tensor | None]
"""Standard normal noise (B, ...) and labels (B,) or None."""


class LevelFitter:
    """Trajectories of a few samples of one model, drawn once, to which the levels of any sampler can be fitted."""

    def __init__(self, denoiser: Denoiser, blocks: Iterable[Block], fine_steps: int = FINE_STEPS) -> None:
        """denoiser: on the device of the blocks. blocks: a hundred samples are enough; each is drawn with
        2 fine_steps - 1 network calls.
        """
        self.denoiser, self._blocks = denoiser, list(blocks)
        self._fine = denoiser.schedule.levels(fine_steps)
        self._inner, self._ends = _trajectories(denoiser, self._fine, self._blocks)
        self._costs: dict[str, Costs] = {}

    def fit(self, sampler: str, steps: int) -> tuple[float, ...]:
        """sigma/alpha of each of `steps` steps of `sampler`, falling, to be given as noise levels of a recipe.

        The cost of a step from level i to j is what it adds to the error of the sample: the distance of its result
        from the trajectory at j, times d / sqrt(d^2 + s_j^2), the factor by which the flow of Gaussian data of
        deviation d takes a difference at noise s_j to the end. For a multistep sampler a state is the pair of the last
        two levels. Errors of several steps need not add up: when the schedule's own levels end nearer to the
        trajectories, they are returned.

        Raises: UsageError for a sampler that draws noise or corrects itself, and for steps that are not between 2 and
            the fine ones.
        """
        last = len(self._fine.times)
        if sampler not in FITTED:
            raise UsageError(f"noise levels can be fitted for {', '.join(FITTED)}, not for '{sampler}'")
        if not 2 <= steps <= last:
            raise UsageError(f"noise levels can be fitted for 2 to {last} steps, not for {steps}")
        if sampler not in self._costs:
            self._costs[sampler] = _costs(self._fine, self._inner, sampler, self.denoiser.sigma_data)
        path = _shortest(steps, last, self._costs[sampler])
        schedule = self.denoiser.schedule
        fitted = schedule.at((self._fine.sigmas[:-1] / self._fine.alphas[:-1])[path])
        nearest = min((fitted, schedule.levels(steps)), key=lambda levels: self._distance(sampler, levels))
        return tuple((nearest.sigmas[:-1] / nearest.alphas[:-1]).tolist())

    @torch.inference_mode()
    def _distance(self, sampler: str, levels: Levels) -> float:
        """How far from the ends of the trajectories the sampler ends, as a sum of squares."""
        table = build_table(sampler, levels.alphas, levels.sigmas)
        total = 0.0
        for (noise, labels), end in zip(self._blocks, self._ends, strict=True):
            denoise = _at(self.denoiser, levels, labels, noise.device)
            made = run_table(table, denoise, float(levels.sigmas[0]) * noise, _none)
            total += float((made - end).square().sum())
        return total


def fit_noise_levels(
    denoiser: Denoiser, blocks: Iterable[Block], *, sampler: str, steps: int, fine_steps: int = FINE_STEPS
) -> tuple[float, ...]:
    """`LevelFitter.fit` for one sampler with one number of steps."""
    return LevelFitter(denoiser, blocks, fine_steps).fit(sampler, steps)


@torch.inference_mode()
def _trajectories(denoiser: Denoiser, levels: Levels, blocks: Iterable[Block]) -> tuple[np.ndarray, list[torch.Tensor]]:
    """Mean inner products of what `_trajectory` keeps, float64 (2 n + 1, 2 n + 1), and where each block ends."""
    table = build_table("heun", levels.alphas, levels.sigmas)
    total, entries, ends = np.zeros((2 * len(levels.sigmas) - 1,) * 2), 0, []
    for noise, labels in blocks:
        kept = _trajectory(table, _at(denoiser, levels, labels, noise.device), float(levels.sigmas[0]) * noise)
        ends.append(kept[len(levels.sigmas) - 1].reshape(noise.shape))
        kept = wide(kept)
        total += (kept @ kept.T).cpu().numpy()
        entries += noise.numel()
    return total / max(1, entries), ends


def _trajectory(table: SamplerTable, denoise: Denoise, x: torch.Tensor) -> torch.Tensor:
    """x at every level, then x0_hat at every level but the last, each flat: (2 n + 1, entries of x)."""
    states: list[torch.Tensor] = []
    answers: list[torch.Tensor] = []

    def keep(index: int, x: torch.Tensor, x0: torch.Tensor) -> None:
        if len(table.rows[index].x0) == 1:  # the second call of a step, its correction, is not on the trajectory
            states.append(x.flatten().clone())
            answers.append(x0.flatten().clone())

    end = run_table(table, denoise, x, _none, callback=keep)
    return torch.stack([*states, end.flatten(), *answers])


def _at(denoiser: Denoiser, levels: Levels, labels: torch.Tensor | None, device: torch.device) -> Denoise:
    alphas, sigmas, times = (
        torch.tensor(part, dtype=torch.float32, device=device) for part in (levels.alphas, levels.sigmas, levels.times)
    )
    return lambda x, level: denoiser(x, alphas[level], sigmas[level], times[level], labels)


def _none(draw: int) -> torch.Tensor:
    raise AssertionError("no sampler here draws noise")


Costs = dict[tuple[int, int, int], float]
"""(level before, level, next level) -> the error that the step adds; -1 before the first step."""


def _costs(levels: Levels, inner: np.ndarray, sampler: str, deviation: float) -> Costs:
    count = len(levels.sigmas)
    costs: Costs = {}
    for before, here, there in _moves(count):
        chain = [level for level in (before, here, there) if level >= 0]
        visited = chain if there == count - 1 else [*chain, count - 1]
        row = build_table(sampler, levels.alphas[visited], levels.sigmas[visited]).rows[len(chain) - 2]
        vector = np.zeros(2 * count - 1)
        vector[here] += row.x
        vector[there] -= 1.0
        for weight, level in zip(row.x0, (here, before), strict=False):
            vector[count + level] += weight
        squared = max(0.0, float(vector @ inner @ vector)) / levels.alphas[there] ** 2
        noise = levels.sigmas[there] / levels.alphas[there]
        costs[before, here, there] = float(np.sqrt(squared) * deviation / np.hypot(deviation, noise))
    return costs


def _moves(count: int) -> Iterator[tuple[int, int, int]]:
    """Every step from level `here` to a later one, with the level before it; the first step begins at level 0."""
    yield from ((-1, 0, there) for there in range(1, count))
    yield from combinations(range(count), 3)


def _shortest(steps: int, last: int, costs: Costs) -> list[int]:
    """The levels of the cheapest way from level 0 to `last` in `steps` steps, without the last one."""
    best = {(0, there): (costs[-1, 0, there], [0]) for there in range(1, last + 1)}
    for _ in range(steps - 1):
        longer: dict[tuple[int, int], tuple[float, list[int]]] = {}
        for (before, here), (cost, path) in best.items():
            for there in range(here + 1, last + 1):
                total = cost + costs[before, here, there]
                if (here, there) not in longer or total < longer[here, there][0]:
                    longer[here, there] = (total, [*path, here])
        best = longer
    return min((found for (_, there), found in best.items() if there == last), key=lambda found: found[0])[1]
