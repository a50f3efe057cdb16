"""DPM-Solver++ against the peer's schedulers, at the peer's own sigmas and with the same noise.

Faults of the peer that the comparison has to avoid (diffusers 0.42):
- the result keeps noise unless `final_sigmas_type="zero"` (#5689), which is what our tables always do;
- with `linspace` spacing and about as many steps as timesteps, rounding repeats a timestep; the peer then
  divides by a step of width 0 and returns NaN. Our tables refuse such levels; the comparison uses `trailing`;
- the first step is looked up by timestep, and of two equal ones the second is taken: `set_begin_index(0)`;
- EDMDPMSolverMultistepScheduler sets sde-dpmsolver++ of order 3 without noise and fails; we do not offer
  that.
The state of the peer is float32 whatever it is given.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from diffusers import DPMSolverMultistepScheduler, EDMDPMSolverMultistepScheduler
from diffusers.schedulers import scheduling_edm_dpmsolver_multistep

from synthgen.diffusion.samplers import build_table

# our name -> the peer's algorithm and order; order 1 is ddim for the ODE and ddpm for the SDE
PEERS = {
    "ddim": ("dpmsolver++", 1),
    "dpm++2m": ("dpmsolver++", 2),
    "dpm++3m": ("dpmsolver++", 3),
    "ddpm": ("sde-dpmsolver++", 1),
    "dpm++2m-sde": ("sde-dpmsolver++", 2),
}
STEPS = [1, 2, 3, 5, 14, 15, 16, 1000]  # 15: from there on the peer keeps order 3 to the last but one step


def peer_for(name, **config):
    algorithm, order = PEERS[name]
    return DPMSolverMultistepScheduler(
        1000,
        algorithm_type=algorithm,
        solver_order=order,
        solver_type="midpoint",
        lower_order_final=True,
        final_sigmas_type="zero",
        **config,
    )


def run_vp(peer, mixture, x, draws):
    for i, t in enumerate(peer.timesteps):
        alpha, sigma = peer._sigma_to_alpha_sigma_t(peer.sigmas[i])
        x = peer.step(mixture(x, alpha, sigma), t, x, variance_noise=draws[i]).prev_sample
    return x


@pytest.mark.parametrize("betas", ["linear", "squaredcos_cap_v2"])
@pytest.mark.parametrize("karras", [False, True])
@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize("name", PEERS)
def test_agrees_with_the_peer(name, steps, karras, betas, mixture, run, draws, start):
    peer = peer_for(
        name,
        beta_schedule=betas,
        use_karras_sigmas=karras,
        timestep_spacing="trailing",
        prediction_type="sample",
    )
    peer.set_timesteps(steps)
    peer.set_begin_index(0)
    peer.sigmas = peer.sigmas.double()
    sigmas = peer.sigmas.numpy()
    alphas = 1 / np.sqrt(1 + sigmas**2)
    mine = run(build_table(name, alphas, sigmas * alphas), start, draws)
    torch.testing.assert_close(mine, run_vp(peer, mixture, start, draws), atol=1e-5, rtol=0)


@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize("name", PEERS)
def test_agrees_with_the_peer_on_flow_levels(name, steps, mixture, run, draws, start):
    peer = peer_for(name, use_flow_sigmas=True, flow_shift=2.0, prediction_type="flow_prediction")
    peer.set_timesteps(steps)
    peer.set_begin_index(0)
    peer.sigmas = peer.sigmas.double()
    sigmas = peer.sigmas.numpy()
    x = start
    for i, t in enumerate(peer.timesteps):
        velocity = (x - mixture(x, 1 - sigmas[i], sigmas[i])) / sigmas[i]
        x = peer.step(velocity, t, x, variance_noise=draws[i]).prev_sample
    torch.testing.assert_close(run(build_table(name, 1 - sigmas, sigmas), start, draws), x, atol=1e-5, rtol=0)


@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize("name", PEERS)
def test_agrees_with_the_edm_peer(name, steps, mixture, run, draws, start, monkeypatch):
    algorithm, order = PEERS[name]
    peer = EDMDPMSolverMultistepScheduler(
        sigma_min=0.002,
        sigma_max=80.0,
        sigma_data=0.5,
        rho=7.0,
        algorithm_type=algorithm,
        solver_order=order,
        solver_type="midpoint",
        lower_order_final=True,
        final_sigmas_type="zero",
    )
    peer.set_timesteps(steps)
    peer.set_begin_index(0)
    peer.sigmas = peer.sigmas.double()
    queue = list(draws)
    monkeypatch.setattr(scheduling_edm_dpmsolver_multistep, "randn_tensor", lambda *a, **k: queue.pop(0))
    sigmas = peer.sigmas.numpy()
    x = first = start * sigmas[0]
    for i, t in enumerate(peer.timesteps):
        skip = 0.25 / (sigmas[i] ** 2 + 0.25)
        out = sigmas[i] * 0.5 / np.sqrt(sigmas[i] ** 2 + 0.25)
        x = peer.step((mixture(x, 1.0, sigmas[i]) - skip * x) / out, t, x).prev_sample
    mine = run(build_table(name, np.ones(steps + 1), sigmas), first, draws)
    torch.testing.assert_close(mine, x, atol=1e-5, rtol=0)
