"""Consistency models: pairs of noise levels, the loss on them, the sampler's table against its published algorithm."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from synthgen.diffusion.consistency import consistency_levels, consistency_loss, gap_of, partner
from synthgen.diffusion.denoiser import Denoiser
from synthgen.diffusion.samplers import build_table
from synthgen.diffusion.schedule import SCHEDULES, EDMSchedule, build_schedule
from synthgen.diffusion.timesteps import sampling_levels
from synthgen.errors import UsageError


def test_the_sampler_is_algorithm_1_of_song_et_al(run, mixture) -> None:
    """Written out as in the paper, with eps = 0: x <- f(x, T), then x <- f(x + tau z, tau) for each tau."""
    generator = torch.Generator().manual_seed(3)
    first, *noises = torch.randn(4, 50, generator=generator, dtype=torch.float64)
    x = mixture(80.0 * first, 1.0, 80.0)
    for tau, z in zip([5.0, 0.8, 0.1], noises, strict=True):
        x = mixture(x + tau * z, 1.0, tau)
    table = build_table("consistency", [1, 1, 1, 1, 1], [80.0, 5.0, 0.8, 0.1, 0.0])
    torch.testing.assert_close(run(table, 80.0 * first, noises), x, rtol=0, atol=1e-12)
    assert table.nfe == 4 and table.draws == 3


def test_one_step_is_the_answer_itself(run, mixture) -> None:
    x = torch.linspace(-2, 2, 9, dtype=torch.float64) * 80
    table = build_table("consistency", [1.0, 1.0], [80.0, 0.0])
    torch.testing.assert_close(run(table, x), mixture(x, 1.0, 80.0))


def test_the_sampler_noises_to_the_level_of_any_path(run) -> None:
    """With the truth as its answer, x' has the moments alpha' x0 and sigma' of the path."""
    x0 = torch.full((20_000,), 0.7, dtype=torch.float64)
    z = torch.randn(20_000, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    seen = []

    def denoise(x: torch.Tensor, alpha: float, sigma: float) -> torch.Tensor:
        seen.append((x, alpha, sigma))
        return x0

    run(build_table("consistency", [0.1, 0.6, 1.0], [0.9, 0.4, 0.0]), z, [z], denoise)
    x, alpha, sigma = seen[1]
    assert (alpha, sigma) == (0.6, 0.4)
    assert float(x.mean()) == pytest.approx(0.6 * 0.7, abs=0.01) and float(x.std()) == pytest.approx(0.4, abs=0.01)


def test_levels_of_few_steps() -> None:
    assert consistency_levels(1) == (80.0,)
    assert consistency_levels(2) == pytest.approx((80.0, 0.8))
    for steps in range(3, 12):
        levels = consistency_levels(steps)
        assert len(levels) == steps and (np.diff(levels) < 0).all()
        assert math.exp(np.log(levels[1:]).mean()) == pytest.approx(0.8)


def test_pairs_close_up_by_stages_and_are_wider_at_low_noise() -> None:
    """r / t = 1 - q^-stage (1 + k sigmoid(-b t)), by hand."""
    assert [gap_of(progress, 4.0, 3) for progress in (0.0, 0.33, 0.34, 0.67, 1.0)] == [
        1 / 4,
        1 / 4,
        1 / 16,
        1 / 64,
        1 / 64,
    ]
    t = torch.tensor([0.002, 1.0, 80.0])
    by_hand = [t_ * (1 - (1 + 8 / (1 + math.exp(t_))) / 256) for t_ in t.tolist()]
    assert partner(t, 1 / 256, 8.0, 1.0).tolist() == pytest.approx(by_hand, rel=1e-6)
    assert partner(t, 1 / 4, 8.0, 1.0).tolist() == pytest.approx([0.0, 0.2121, 60.0], abs=1e-3)


class Toward(nn.Module):
    """A network that answers its input times one weight, behind dropout."""

    def __init__(self, dropout: float = 0.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(0.3))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: torch.Tensor, time: torch.Tensor, labels: torch.Tensor | None) -> torch.Tensor:
        return self.dropout(x * self.weight)


def denoiser(dropout: float = 0.0) -> Denoiser:
    return Denoiser(Toward(dropout), EDMSchedule(), sigma_data=0.5)


def pairs(r_over_t: float) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    x0, noise = torch.randn(2, 6, 1, 4, 4, generator=generator)
    t = torch.tensor([0.01, 0.1, 0.5, 1.0, 5.0, 60.0])
    return x0, t, t * r_over_t, noise


def f(model: Denoiser, x: torch.Tensor, sigma: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """The preconditioned answer of `Toward`, from table 1 of Karras et al."""
    s, d = sigma.view(-1, 1, 1, 1), model.sigma_data
    total = s**2 + d**2
    return d**2 / total * x + s * d / total.sqrt() * (weight * x / total.sqrt())


def test_the_loss_and_its_gradient_by_hand() -> None:
    """The lower answer is a target: no gradient flows through it."""
    model, c = denoiser(), 0.01
    x0, t, r, noise = pairs(0.9)
    losses = consistency_loss(model, x0, None, t, r, noise, c=c)
    losses.sum().backward()
    free, fixed = torch.tensor(0.3, requires_grad=True), torch.tensor(0.3)
    apart = f(model, x0 + t.view(-1, 1, 1, 1) * noise, t, free) - f(model, x0 + r.view(-1, 1, 1, 1) * noise, r, fixed)
    expected = ((apart.square().flatten(1).mean(1) + c**2).sqrt() - c) / (t - r)
    expected.sum().backward()
    torch.testing.assert_close(losses, expected)
    torch.testing.assert_close(model.network.weight.grad, free.grad)


def test_with_r_at_zero_the_data_is_the_target() -> None:
    model = denoiser()
    x0, t, _, noise = pairs(0.0)
    losses = consistency_loss(model, x0, None, t, torch.zeros_like(t), noise, c=1e-3)
    apart = f(model, x0 + t.view(-1, 1, 1, 1) * noise, t, torch.tensor(0.3)) - x0
    torch.testing.assert_close(losses, ((apart.square().flatten(1).mean(1) + 1e-6).sqrt() - 1e-3) / t)


def test_both_answers_have_the_same_dropout_mask() -> None:
    """At nearly the same level nothing is left but the masks."""
    model = denoiser(dropout=0.5).train()
    x0, t, r, noise = pairs(0.9999)
    torch.manual_seed(0)
    same = consistency_loss(model, x0, None, t, r, noise, c=1e-4).detach() * (t - r)
    assert float(same.max()) < 1e-2
    after = torch.rand(1)
    torch.manual_seed(0)
    model.network.dropout(torch.ones(6, 1, 4, 4))  # one mask is what a step costs of the generator
    assert torch.equal(after, torch.rand(1))


@pytest.mark.parametrize("name", SCHEDULES)
def test_levels_may_be_given(name: str) -> None:
    """By their ratio sigma/alpha; a schedule of a thousand steps takes the nearest that it has."""
    schedule = build_schedule(name)
    asked = (20.0, 3.0, 0.5, 0.05)
    levels = sampling_levels(schedule, "dpm++2m", 4, asked)
    found = levels.sigmas[:-1] / levels.alphas[:-1]
    assert found == pytest.approx(asked, rel=0.05 if name in ("linear", "cosine") else 1e-12)
    assert levels.alphas[-1] == 1.0 and levels.sigmas[-1] == 0.0
    own = schedule.levels(4)
    again = schedule.at(own.sigmas[:-1] / own.alphas[:-1])
    np.testing.assert_allclose(again.times, own.times)
    np.testing.assert_allclose(again.alphas, own.alphas)


@pytest.mark.parametrize(
    ("name", "steps", "levels", "reason"),
    [
        ("edm", 2, (80.0,), "1 noise levels were given for 2 steps"),
        ("edm", 2, (0.8, 80.0), "do not fall"),
        ("edm", 2, (1.0, 1.0), "do not fall"),
        ("edm", 2, (1.0, -1.0), "do not fall"),
        ("edm", 2, (math.inf, 1.0), "do not fall"),
        ("linear", 2, (1.0, 0.9999), "do not fall"),
    ],
)
def test_levels_that_cannot_be_are_refused(name: str, steps: int, levels: tuple[float, ...], reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        sampling_levels(build_schedule(name), "dpm++2m", steps, levels)


def test_without_levels_the_schedule_spaces_them() -> None:
    schedule = build_schedule("edm")
    assert np.array_equal(sampling_levels(schedule, "heun", 7).sigmas, schedule.levels(7).sigmas)
    assert sampling_levels(schedule, "consistency", 2).sigmas == pytest.approx([80.0, 0.8, 0.0])
