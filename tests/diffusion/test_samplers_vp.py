"""DDPM and DDIM against the peer's schedulers, at the peer's own timesteps.

A fault of the peer that the comparison has to avoid: DDIMScheduler takes the previous timestep to be
`t - 1000 // n`, which with `trailing` and `linspace` spacing is not the next one that it will visit unless n
divides 1,000 (diffusers #11347, #12633). Here n divides 1,000, or the spacing is `leading`.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, DDPMScheduler
from diffusers.schedulers import scheduling_ddpm

from synthgen.diffusion.samplers import build_table

BETAS = ["linear", "squaredcos_cap_v2"]


def peer_levels(scheduler, timesteps):
    """alphas, sigmas at the peer's timesteps, and the clean level."""
    bar = scheduler.alphas_cumprod[timesteps].numpy()
    return np.append(np.sqrt(bar), 1.0), np.append(np.sqrt(1 - bar), 0.0)


def in_float64(scheduler):
    scheduler.alphas_cumprod = scheduler.alphas_cumprod.double()
    return scheduler


def run_peer(scheduler, mixture, x, **step_arguments):
    for t in scheduler.timesteps:
        bar = scheduler.alphas_cumprod[t]
        x0 = mixture(x, bar.sqrt(), (1 - bar).sqrt())
        noise = step_arguments.get("noises")
        extra = {"eta": step_arguments["eta"]} if "eta" in step_arguments else {}
        if noise is not None and step_arguments.get("eta"):
            extra["variance_noise"] = noise.pop(0)
        x = scheduler.step(x0, int(t), x, **extra).prev_sample
    return x


@pytest.mark.parametrize("betas", BETAS)
@pytest.mark.parametrize("clip", [False, True])
@pytest.mark.parametrize(
    ("steps", "spacing"),
    [(1, "trailing"), (2, "trailing"), (5, "trailing"), (7, "linspace"), (5, "leading"), (1000, "trailing")],
)
def test_ddpm_agrees_with_the_peer(betas, clip, steps, spacing, mixture, run, draws, start, monkeypatch):
    peer = in_float64(
        DDPMScheduler(
            1000,
            beta_schedule=betas,
            prediction_type="sample",
            timestep_spacing=spacing,
            variance_type="fixed_small",
            clip_sample=clip,
            clip_sample_range=0.6,
        )
    )
    peer.set_timesteps(steps)
    mine = run(build_table("ddpm", *peer_levels(peer, peer.timesteps)), start, draws, clip=0.6 if clip else None)
    queue = list(draws)
    monkeypatch.setattr(scheduling_ddpm, "randn_tensor", lambda *a, **k: queue.pop(0))
    # at its last timestep the peer multiplies noise by 1e-10: no difference here
    torch.testing.assert_close(mine, run_peer(peer, mixture, start), atol=1e-5, rtol=0)


@pytest.mark.parametrize("betas", BETAS)
@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
@pytest.mark.parametrize(
    ("steps", "spacing"),
    [(1, "trailing"), (2, "trailing"), (5, "trailing"), (7, "leading"), (1000, "trailing")],
)
def test_ddim_agrees_with_the_peer(betas, eta, steps, spacing, mixture, run, draws, start):
    peer = in_float64(
        DDIMScheduler(
            1000,
            beta_schedule=betas,
            prediction_type="sample",
            clip_sample=False,
            timestep_spacing=spacing,
            set_alpha_to_one=True,
        )
    )
    peer.set_timesteps(steps)
    mine = run(build_table("ddim", *peer_levels(peer, peer.timesteps), eta=eta), start, draws)
    theirs = run_peer(peer, mixture, start, eta=eta, noises=list(draws))
    torch.testing.assert_close(mine, theirs, atol=1e-5, rtol=0)


def test_a_tiny_random_network_gives_the_same_answer(run, draws, start):
    """The agreement is no property of the mixture: any function of (x, level) will do."""
    torch.manual_seed(3)
    layer = torch.nn.Conv2d(1, 1, 3, padding=1).double()

    @torch.no_grad()
    def network(x, alpha, sigma):
        return torch.tanh(layer(x) + float(sigma))

    peer = in_float64(DDPMScheduler(1000, prediction_type="sample", clip_sample=False, timestep_spacing="trailing"))
    peer.set_timesteps(5)
    queue = list(draws)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scheduling_ddpm, "randn_tensor", lambda *a, **k: queue.pop(0))
        theirs = run_peer(peer, network, start)
    mine = run(build_table("ddpm", *peer_levels(peer, peer.timesteps)), start, draws, denoise=network)
    torch.testing.assert_close(mine, theirs, atol=1e-5, rtol=0)
