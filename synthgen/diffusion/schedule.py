"""Noise schedules: how much signal (alpha) and noise (sigma) there is in x_t = alpha_t * x0 + sigma_t * eps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Protocol

import numpy as np
import torch

from synthgen.devices import wide
from synthgen.errors import UsageError, nearest

SCHEDULES = ("edm", "linear", "cosine", "flow")


@dataclass(frozen=True)
class Levels:
    """The noise levels that a sampler visits, noisiest first; the last entry is clean (alpha 1, sigma 0).

    alphas, sigmas: float64 (n + 1,). times: float64 (n,), what the network is told at each level.
    """

    alphas: np.ndarray
    sigmas: np.ndarray
    times: np.ndarray


class NoiseSchedule(Protocol):
    """alpha and sigma by noise level, the levels to train on and the levels to sample on."""

    @property
    def name(self) -> str:
        """The schedule's name in a config."""

    @property
    def scales_input(self) -> bool:
        """True when x_t does not have unit scale and the network's input must be brought to it (sigma up to 80)."""

    def draw(self, uniform: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Training levels for uniform numbers (B,) in [0, 1): alpha, sigma, network time, each float32 (B,)."""

    def levels(self, steps: int) -> Levels:
        """The levels of a sampler with `steps` steps (1 or more)."""

    def at(self, ratios: Sequence[float] | np.ndarray) -> Levels:
        """The levels with these noise-to-signal ratios sigma / alpha (finite, above 0, falling), then the clean one.

        A schedule of discrete steps takes the nearest of its own.
        """

    def velocity(self, alpha: torch.Tensor, sigma: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(p, q) in the velocity v = p * eps - q * x0 that a `v` network predicts."""


def _normal(uniform: torch.Tensor) -> torch.Tensor:
    """Standard normal numbers at these probabilities, float32, by way of float64."""
    normal: torch.Tensor = torch.special.ndtri(wide(uniform).clamp(1e-6, 1 - 1e-6)).float()
    return normal.to(uniform.device)


@dataclass(frozen=True)
class EDMSchedule:
    """Variance exploding, alpha = 1 (Karras et al. 2022): log-normal sigma in training (table 1), rho-spaced
    sigma in sampling (eq. 5), network time log(sigma) / 4."""

    noise_mean: float = -1.2
    noise_std: float = 1.2
    sigma_min: float = 0.002
    sigma_max: float = 80.0
    rho: float = 7.0
    name: str = "edm"
    scales_input: bool = True

    def draw(self, uniform: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        normal = _normal(uniform)
        log_sigma = self.noise_mean + self.noise_std * normal
        sigma = log_sigma.exp().clamp(self.sigma_min, self.sigma_max)
        return torch.ones_like(sigma), sigma, self.time(sigma)

    def time(self, sigma: torch.Tensor) -> torch.Tensor:
        """What the network is told at noise level sigma (above 0)."""
        return sigma.log() / 4

    def levels(self, steps: int) -> Levels:
        ramp = np.linspace(0.0, 1.0, steps) if steps > 1 else np.zeros(1)
        low, high = self.sigma_min ** (1 / self.rho), self.sigma_max ** (1 / self.rho)
        return self.at((high + ramp * (low - high)) ** self.rho)

    def at(self, ratios: Sequence[float] | np.ndarray) -> Levels:
        sigmas = np.asarray(ratios, np.float64)
        return Levels(np.ones(len(sigmas) + 1), np.append(sigmas, 0.0), np.log(sigmas) / 4)

    def velocity(self, alpha: torch.Tensor, sigma: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return alpha, sigma


def _linear_alpha_bar() -> np.ndarray:
    """Ho et al. 2020, section 4: 1,000 betas from 1e-4 to 0.02."""
    return np.cumprod(1.0 - np.linspace(1e-4, 0.02, 1000))


def _cosine_alpha_bar() -> np.ndarray:
    """Nichol and Dhariwal 2021, eq. 17, with every beta capped at 0.999."""

    def bar(t: np.ndarray) -> np.ndarray:
        return np.asarray(np.cos((t + 0.008) / 1.008 * math.pi / 2) ** 2)

    index = np.arange(1000)
    betas = np.minimum(1.0 - bar((index + 1) / 1000) / bar(index / 1000), 0.999)
    return np.cumprod(1.0 - betas)


@lru_cache(maxsize=8)
@torch.inference_mode(False)
def _alpha_bar_on(name: str, device: torch.device) -> torch.Tensor:
    """float32 (1000,), sent to a device once: to send it in every step would be to wait in every step."""
    return torch.as_tensor(DDPMSchedule(name).alpha_bar, dtype=torch.float32, device=device)


@dataclass(frozen=True)
class DDPMSchedule:
    """Variance preserving with 1,000 discrete steps; network time is the step's index."""

    name: str
    scales_input: bool = False

    @cached_property
    def alpha_bar(self) -> np.ndarray:
        """float64 (1000,): the share of signal variance left after step t."""
        return _linear_alpha_bar() if self.name == "linear" else _cosine_alpha_bar()

    def draw(self, uniform: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        index = (uniform * 1000).long().clamp(0, 999)
        bar = _alpha_bar_on(self.name, uniform.device)[index]
        return bar.sqrt(), (1 - bar).sqrt(), index.float()

    def levels(self, steps: int) -> Levels:
        """Trailing spacing (Lin et al. 2024, section 3.3): the noisiest step is always visited."""
        if steps > 1000:
            raise UsageError(f"the {self.name} schedule has 1,000 steps; {steps} were asked for")
        return self._levels(np.round(np.arange(steps, 0, -1) * (1000 / steps)).astype(int) - 1)

    def at(self, ratios: Sequence[float] | np.ndarray) -> Levels:
        own = np.log((1 - self.alpha_bar) / self.alpha_bar) / 2
        return self._levels(np.abs(np.log(np.asarray(ratios, np.float64))[:, None] - own).argmin(1))

    def _levels(self, index: np.ndarray) -> Levels:
        bar = self.alpha_bar[index]
        return Levels(np.append(np.sqrt(bar), 1.0), np.append(np.sqrt(1 - bar), 0.0), index.astype(float))

    def velocity(self, alpha: torch.Tensor, sigma: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return alpha, sigma


@dataclass(frozen=True)
class FlowSchedule:
    """Straight paths alpha = 1 - t, sigma = t (Lipman et al. 2023; rectified flow), logit-normal t in training
    (Esser et al. 2024, eq. 19), network time 1000 t. Sampling starts at t = 0.999 so that sigma / alpha is finite."""

    t_max: float = 0.999
    name: str = "flow"
    scales_input: bool = False

    def draw(self, uniform: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        normal = _normal(uniform)
        t = torch.sigmoid(normal).clamp(1e-3, self.t_max)
        return 1 - t, t, 1000 * t

    def levels(self, steps: int) -> Levels:
        t = np.linspace(self.t_max, 0.0, steps + 1)
        return Levels(1 - t, t, 1000 * t[:-1])

    def at(self, ratios: Sequence[float] | np.ndarray) -> Levels:
        ratio = np.asarray(ratios, np.float64)
        t = np.append(ratio / (1 + ratio), 0.0)
        return Levels(1 - t, t, 1000 * t[:-1])

    def velocity(self, alpha: torch.Tensor, sigma: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.ones_like(alpha), torch.ones_like(sigma)


def build_schedule(name: str, *, noise_mean: float = -1.2, noise_std: float = 1.2) -> NoiseSchedule:
    """The schedule called `name`: edm, linear, cosine or flow."""
    if name == "edm":
        return EDMSchedule(noise_mean, noise_std)
    if name in ("linear", "cosine"):
        return DDPMSchedule(name)
    if name == "flow":
        return FlowSchedule()
    raise UsageError(f"unknown noise schedule '{name}'{nearest(name, SCHEDULES)}")
