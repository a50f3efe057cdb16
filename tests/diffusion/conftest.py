"""What the sampler tests share: a denoiser in closed form, and noise that two samplers can both be given."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from synthgen.diffusion.loop import run_table
from synthgen.diffusion.samplers import SamplerTable

Mixture = Callable[[torch.Tensor, torch.Tensor | float, torch.Tensor | float], torch.Tensor]


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def mixture() -> Mixture:
    """E[x0 | alpha x0 + sigma eps = x] for a mixture of three Gaussians per coordinate, in x's dtype."""
    means, deviations = (-0.8, 0.1, 0.7), (0.05, 0.3, 0.1)
    log_weights = torch.tensor([0.5, 0.2, 0.3]).log()

    def posterior_mean(x: torch.Tensor, alpha: torch.Tensor | float, sigma: torch.Tensor | float) -> torch.Tensor:
        wide = x.double()
        alpha, sigma = torch.as_tensor(alpha).double(), torch.as_tensor(sigma).double()
        scores, centres = [], []
        for weight, mean, deviation in zip(log_weights, means, deviations, strict=True):
            variance = (alpha * deviation) ** 2 + sigma**2
            scores.append(weight - 0.5 * variance.log() - (wide - alpha * mean) ** 2 / (2 * variance))
            centres.append(mean + alpha * deviation**2 / variance * (wide - alpha * mean))
        share = torch.softmax(torch.stack(scores), 0)
        return (share * torch.stack(centres)).sum(0).to(x.dtype)

    return posterior_mean


@pytest.fixture
def run(mixture: Mixture) -> Callable[..., torch.Tensor]:
    """run(table, x, noises=None, denoise=mixture): the loop with that denoiser and those tensors of noise."""

    def go(
        table: SamplerTable,
        x: torch.Tensor,
        noises: list[torch.Tensor] | None = None,
        denoise: Mixture = mixture,
        clip: float | None = None,
    ) -> torch.Tensor:
        def at_level(state: torch.Tensor, level: int) -> torch.Tensor:
            return denoise(state, float(table.alphas[level]), float(table.sigmas[level]))

        def noise(draw: int) -> torch.Tensor:
            assert noises is not None, "this table should draw nothing"
            return noises[draw].to(x.dtype)

        return run_table(table, at_level, x, noise, clip=clip)

    return go


@pytest.fixture(scope="session")
def draws() -> list[torch.Tensor]:
    """1,000 tensors of standard normal noise, float64 (4, 1, 3, 3)."""
    return list(torch.randn(1000, 4, 1, 3, 3, generator=torch.Generator().manual_seed(7), dtype=torch.float64))


@pytest.fixture(scope="session")
def start() -> torch.Tensor:
    """Unit noise to begin from, float64 (4, 1, 3, 3)."""
    return torch.randn(4, 1, 3, 3, generator=torch.Generator().manual_seed(8), dtype=torch.float64)
