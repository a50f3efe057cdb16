"""Guidance against closed forms: Gaussians, for which the guided estimate has a formula."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from synthgen.diffusion.guidance import guide, guided_levels
from synthgen.diffusion.loop import run_table
from synthgen.diffusion.samplers import build_table
from synthgen.diffusion.schedule import EDMSchedule

STRONG, WEAK = (0.3, 0.5), (-0.2, 0.8)
"""Mean and deviation of the data as two denoisers believe them."""


def posterior_mean(x: torch.Tensor, sigma: float, belief: tuple[float, float]) -> torch.Tensor:
    """E[x0 | x] of x = x0 + sigma eps with x0 normal."""
    mean, deviation = belief
    return (deviation**2 * x + sigma**2 * mean) / (deviation**2 + sigma**2)


def score(x: torch.Tensor, sigma: float, belief: tuple[float, float]) -> torch.Tensor:
    mean, deviation = belief
    return (mean - x) / (deviation**2 + sigma**2)


@given(scale=st.floats(0.0, 10.0), sigma=st.floats(0.01, 50.0), point=st.floats(-5.0, 5.0))
def test_guidance_raises_the_ratio_of_densities_to_a_power(scale: float, sigma: float, point: float) -> None:
    """Its score is that of p_weak^(1 - w) p_strong^w (Karras et al. 2024, eq. 4): D = x + sigma^2 score."""
    x = torch.tensor([point], dtype=torch.float64)
    strong, weak = (posterior_mean(x, sigma, belief) for belief in (STRONG, WEAK))
    expected = (1 - scale) * score(x, sigma, WEAK) + scale * score(x, sigma, STRONG)
    torch.testing.assert_close(guide(strong, weak, scale), x + sigma**2 * expected, rtol=1e-9, atol=1e-6)


@given(scale=st.floats(0.0, 10.0))
def test_a_copy_that_agrees_guides_nowhere(scale: float) -> None:
    x = torch.linspace(-2, 2, 9)
    torch.testing.assert_close(guide(x, x, scale), x)


def test_scales_one_and_zero_are_the_two_estimates() -> None:
    strong, weak = torch.tensor([0.5, -1.0]), torch.tensor([0.25, 1.0])
    torch.testing.assert_close(guide(strong, weak, 1.0), strong)
    torch.testing.assert_close(guide(strong, weak, 0.0), weak)


def test_guided_levels_are_those_inside_the_interval() -> None:
    levels = EDMSchedule().levels(12)
    everywhere = guided_levels(levels.alphas, levels.sigmas, 2.0, (0.0, 1e9))
    assert everywhere == (True,) * 12, "the clean level at the end is never asked"
    assert guided_levels(levels.alphas, levels.sigmas, 1.0, (0.0, 1e9)) == (False,) * 12
    low, high = levels.sigmas[7], levels.sigmas[4]
    expected = tuple(4 <= index <= 7 for index in range(12))
    assert guided_levels(levels.alphas, levels.sigmas, 2.0, (low, high)) == expected, "both ends belong to it"


def test_sampling_with_guidance_lands_where_the_product_of_powers_says() -> None:
    """With equal deviations s the guided data are normal with mean m_weak + w (m_strong - m_weak), deviation s."""
    levels, scale, s = EDMSchedule().levels(60), 2.5, 0.5

    def denoise(x: torch.Tensor, level: int) -> torch.Tensor:
        sigma = float(levels.sigmas[level])
        return guide(posterior_mean(x, sigma, (0.4, s)), posterior_mean(x, sigma, (0.1, s)), scale)

    noise = torch.from_numpy(np.random.default_rng(0).standard_normal(20_000)) * levels.sigmas[0]
    table = build_table("heun", levels.alphas, levels.sigmas)
    found = run_table(table, denoise, noise, lambda draw: noise)
    assert abs(float(found.mean()) - (0.1 + scale * 0.3)) < 0.02
    assert abs(float(found.std()) - s) < 0.01
