"""Noise levels fitted to a model: nearer to the exact trajectories than a schedule's, on noise that they never saw."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
import torch

from synthgen.diffusion import fitting
from synthgen.diffusion.fitting import fit_noise_levels
from synthgen.diffusion.loop import run_table
from synthgen.diffusion.samplers import build_table
from synthgen.diffusion.schedule import Levels, NoiseSchedule, build_schedule
from synthgen.errors import UsageError


class Exact:
    """The posterior mean of a mixture in closed form, where a denoiser is expected."""

    sigma_data = 0.6

    def __init__(self, mixture, schedule: NoiseSchedule) -> None:
        self.mixture, self.schedule = mixture, schedule

    def __call__(self, x, alpha, sigma, time, labels=None):
        return self.mixture(x, alpha, sigma)

    def end(self, sampler: str, levels: Levels, noise: torch.Tensor) -> torch.Tensor:
        table = build_table(sampler, levels.alphas, levels.sigmas)
        place = [(float(a), float(s)) for a, s in zip(levels.alphas, levels.sigmas, strict=True)]
        x = noise * float(levels.sigmas[0])
        return run_table(table, lambda z, level: self.mixture(z, *place[level]), x, pytest.fail)


@pytest.mark.parametrize("sampler", ["euler", "dpm++2m", "dpm++3m"])
def test_fitted_levels_are_nearer_to_the_exact_end(mixture, sampler: str) -> None:
    """At least half nearer with six steps; measured against 200 steps of Heun's method on other noise."""
    model = Exact(mixture, build_schedule("edm"))
    generator = torch.Generator().manual_seed(0)
    seen, new = torch.randn(32, 20, generator=generator), torch.randn(300, 20, generator=generator)
    ratios = fit_noise_levels(model, [(seen, None)], sampler=sampler, steps=6, fine_steps=24)  # type: ignore[arg-type]
    assert len(ratios) == 6 and (np.diff(ratios) < 0).all()
    exact = model.end("heun", model.schedule.levels(200), new)
    plain = model.end(sampler, model.schedule.levels(6), new)
    fitted = model.end(sampler, model.schedule.at(ratios), new)
    assert float((fitted - exact).square().mean()) < 0.25 * float((plain - exact).square().mean())


def test_where_nothing_is_gained_the_levels_stay_the_schedules_own(mixture) -> None:
    """Even spacing in t suits a flow already, and errors of single steps do not add up to that of all."""
    model = Exact(mixture, build_schedule("flow"))
    noise = torch.randn(32, 20, generator=torch.Generator().manual_seed(0))
    ratios = fit_noise_levels(model, [(noise, None)], sampler="dpm++2m", steps=6, fine_steps=24)  # type: ignore[arg-type]
    own = model.schedule.levels(6)
    assert ratios == pytest.approx(own.sigmas[:-1] / own.alphas[:-1])


def test_blocks_are_averaged(mixture) -> None:
    model = Exact(mixture, build_schedule("edm"))
    noise = torch.randn(12, 5, generator=torch.Generator().manual_seed(1))
    whole = fit_noise_levels(model, [(noise, None)], sampler="euler", steps=4, fine_steps=12)  # type: ignore[arg-type]
    parts = fit_noise_levels(model, [(noise[:8], None), (noise[8:], None)], sampler="euler", steps=4, fine_steps=12)  # type: ignore[arg-type]
    assert whole == parts


def test_what_is_kept_is_the_trajectory(mixture) -> None:
    """The points at which Heun's method stands, not those at which it looks ahead."""
    model = Exact(mixture, build_schedule("edm"))
    levels = model.schedule.levels(5)
    table = build_table("heun", levels.alphas, levels.sigmas)
    x = 80 * torch.randn(7, generator=torch.Generator().manual_seed(2))
    kept = fitting._trajectory(table, fitting._at(model, levels, None, x.device), x)  # type: ignore[arg-type]
    assert kept.shape == (11, 7)
    for stop in range(6):
        short = Levels(levels.alphas[: stop + 1], levels.sigmas[: stop + 1], levels.times[:stop])
        state = x
        for i in range(stop):  # Heun's step, as in algorithm 1 of Karras et al.
            s, t = short.sigmas[i], short.sigmas[i + 1]
            d = (state - mixture(state, 1.0, s)) / s
            ahead = state + (t - s) * d
            state = ahead if t == 0 else state + (t - s) * (d + (ahead - mixture(ahead, 1.0, t)) / t) / 2
        torch.testing.assert_close(kept[stop], state, rtol=1e-4, atol=1e-4)


def test_the_path_is_the_cheapest_of_all() -> None:
    """Against every path, for random costs."""
    rng = np.random.default_rng(0)
    costs = {move: float(rng.random()) for move in fitting._moves(9)}
    for steps in (2, 3, 5, 8):

        def total(inner: tuple[int, ...]) -> float:
            path = (-1, 0, *inner, 8)
            return sum(costs[move] for move in zip(path, path[1:], path[2:], strict=False))

        best = min(combinations(range(1, 8), steps - 1), key=total)
        assert fitting._shortest(steps, 8, costs) == [0, *best]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"sampler": "heun"}, "not for 'heun'"),
        ({"sampler": "ddpm"}, "not for 'ddpm'"),
        ({"steps": 1}, "for 2 to 40 steps, not for 1"),
        ({"steps": 41}, "for 2 to 40 steps, not for 41"),
    ],
)
def test_what_cannot_be_fitted_is_refused(mixture, change: dict[str, object], reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        fit_noise_levels(Exact(mixture, build_schedule("edm")), [], **{"sampler": "euler", "steps": 6, **change})  # type: ignore[arg-type]
