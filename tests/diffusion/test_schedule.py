"""Noise schedules against diffusers' own, and what must hold for any of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from diffusers import DDPMScheduler, EDMEulerScheduler

from synthgen.diffusion.schedule import SCHEDULES, build_schedule
from synthgen.errors import UsageError


@pytest.mark.parametrize(("name", "peer"), [("linear", "linear"), ("cosine", "squaredcos_cap_v2")])
def test_discrete_schedules_equal_diffusers(name: str, peer: str) -> None:
    theirs = DDPMScheduler(1000, beta_schedule=peer).alphas_cumprod.double().numpy()
    levels = build_schedule(name).levels(1000)
    np.testing.assert_allclose(levels.alphas[:-1] ** 2, theirs[::-1], rtol=2e-3)  # theirs is a float32 product
    np.testing.assert_array_equal(levels.times, np.arange(999, -1, -1))


def test_edm_levels_equal_diffusers() -> None:
    peer = EDMEulerScheduler(sigma_min=0.002, sigma_max=80.0, rho=7.0)
    peer.set_timesteps(18)
    levels = build_schedule("edm").levels(18)
    np.testing.assert_allclose(levels.sigmas, peer.sigmas.numpy(), rtol=1e-5)
    np.testing.assert_allclose(levels.times, peer.timesteps.numpy(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("steps", [1, 2, 5, 50, 1000])
def test_levels_fall_to_clean_data(name: str, steps: int) -> None:
    levels = build_schedule(name).levels(steps)
    assert levels.alphas.dtype == levels.sigmas.dtype == np.float64
    assert len(levels.alphas) == len(levels.sigmas) == steps + 1
    assert len(levels.times) == steps
    assert (levels.alphas[-1], levels.sigmas[-1]) == (1.0, 0.0)
    assert np.all(np.diff(levels.sigmas / levels.alphas) < 0)
    assert levels.sigmas[0] / levels.alphas[0] > 50, "sampling must start from noise that hides the data"


@pytest.mark.parametrize("name", SCHEDULES)
def test_training_levels_lie_on_the_sampling_path(name: str) -> None:
    schedule = build_schedule(name)
    alpha, sigma, time = schedule.draw((torch.arange(4096) + 0.5) / 4096)
    assert torch.isfinite(torch.stack([alpha, sigma, time])).all()
    if name in ("linear", "cosine"):
        torch.testing.assert_close(alpha**2 + sigma**2, torch.ones(4096))
    if name == "flow":
        torch.testing.assert_close(alpha + sigma, torch.ones(4096))
    levels = schedule.levels(1000)
    # Where sampling visits a level, training told the network the same time for the same noise.
    ratio, seen = np.log(levels.sigmas[:-1] / levels.alphas[:-1]), np.log((sigma / alpha).numpy())
    inside = (ratio > seen.min()) & (ratio < seen.max())
    expected = np.interp(ratio[inside], seen, time.numpy())
    np.testing.assert_allclose(levels.times[inside], expected, atol=1.0 if name != "edm" else 1e-2)


def test_edm_training_noise_is_log_normal() -> None:
    _, sigma, _ = build_schedule("edm", noise_mean=-1.0, noise_std=0.8).draw((torch.arange(10_000) + 0.5) / 10_000)
    assert float(sigma.log().mean()) == pytest.approx(-1.0, abs=1e-3)
    assert float(sigma.log().std()) == pytest.approx(0.8, abs=2e-3)


def test_bad_requests_are_usage_errors() -> None:
    with pytest.raises(UsageError, match="did you mean 'cosine'"):
        build_schedule("cosin")
    with pytest.raises(UsageError, match=r"1,000 steps; 1001"):
        build_schedule("linear").levels(1001)
