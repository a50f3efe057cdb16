"""Euler and Heun against the peer's schedulers, at the peer's own sigmas.

What the comparison avoids: the peer looks its first step up by timestep and takes the second of two equal
ones, which skips a step when rounding makes the first two equal; `set_begin_index(0)` prevents that.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from diffusers import (
    EDMEulerScheduler,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    HeunDiscreteScheduler,
)

from synthgen.diffusion.samplers import build_table

STEPS = [1, 2, 5, 1000]
BETAS = ["linear", "squaredcos_cap_v2"]


def exploding(sigmas):
    return np.ones(len(sigmas)), np.asarray(sigmas, dtype=np.float64)


def preserving(sigmas):
    """The same noise-to-signal ratios on a path that keeps the variance."""
    alphas = 1 / np.sqrt(1 + np.asarray(sigmas, dtype=np.float64) ** 2)
    return alphas, sigmas * alphas


def run_peer(peer, mixture, x):
    for t in peer.timesteps:
        peer.scale_model_input(x, t)
        sigma = peer.sigmas[peer.step_index]
        x = peer.step(mixture(x, 1.0, sigma), t, x).prev_sample
    return x


@pytest.mark.parametrize("betas", BETAS)
@pytest.mark.parametrize("karras", [False, True])
@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize("kind", ["euler", "heun"])
def test_agrees_with_the_peer(kind, steps, karras, betas, mixture, run, start):
    make = {"euler": EulerDiscreteScheduler, "heun": HeunDiscreteScheduler}[kind]
    peer = make(
        1000,
        beta_start=1e-4,
        beta_end=0.02,
        beta_schedule=betas,
        prediction_type="sample",
        use_karras_sigmas=karras,
        timestep_spacing="trailing",
    )
    peer.set_timesteps(steps)
    peer.set_begin_index(0)
    peer.sigmas = peer.sigmas.double()
    sigmas = peer.sigmas.numpy()
    if kind == "heun":  # the peer lists inner levels twice
        sigmas = np.concatenate([sigmas[:1], sigmas[1:-1:2], sigmas[-1:]])
    x = start * sigmas[0]
    theirs = run_peer(peer, mixture, x)
    torch.testing.assert_close(run(build_table(kind, *exploding(sigmas)), x), theirs, atol=1e-5, rtol=0)
    alphas, scaled = preserving(sigmas)
    torch.testing.assert_close(run(build_table(kind, alphas, scaled), x * alphas[0]), theirs, atol=1e-5, rtol=0)


@pytest.mark.parametrize("steps", STEPS)
def test_edm_euler_agrees_with_the_peer(steps, mixture, run, start):
    peer = EDMEulerScheduler(sigma_min=0.002, sigma_max=80.0, sigma_data=0.5, rho=7.0)
    peer.set_timesteps(steps)
    peer.set_begin_index(0)
    peer.sigmas = peer.sigmas.double()
    sigmas = peer.sigmas.numpy()
    x = first = start * sigmas[0]
    for t in peer.timesteps:
        peer.scale_model_input(x, t)
        sigma = peer.sigmas[peer.step_index]
        skip = 0.25 / (sigma**2 + 0.25)
        out = sigma * 0.5 / (sigma**2 + 0.25).sqrt()
        x = peer.step((mixture(x, 1.0, sigma) - skip * x) / out, t, x).prev_sample  # the network's raw output
    torch.testing.assert_close(run(build_table("euler", *exploding(sigmas)), first), x, atol=1e-5, rtol=0)


@pytest.mark.parametrize("shift", [1.0, 3.0])
@pytest.mark.parametrize("steps", STEPS)
def test_flow_euler_agrees_with_the_peer(steps, shift, mixture, run, start):
    """From t = 1: pure noise, alpha = 0."""
    peer = FlowMatchEulerDiscreteScheduler(1000, shift=shift)
    peer.set_timesteps(steps)
    sigmas = peer.sigmas.double().numpy()
    x = start
    for i, t in enumerate(peer.timesteps):
        sigma = float(sigmas[i])
        x = peer.step((x - mixture(x, 1 - sigma, sigma)) / sigma, t, x).prev_sample
    torch.testing.assert_close(run(build_table("euler", 1 - sigmas, sigmas), start), x, atol=1e-5, rtol=0)
