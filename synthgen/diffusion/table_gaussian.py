"""Gaussian diffusion over rows: the second process of tables, by the core that images use.

After TabDDPM (Kotelnikov et al. 2023): numbers are normal scores and one perceptron sees the whole row. Categories
are one-hot vectors under the same noise (analog bits, Chen et al. 2023), decoded by their largest entry, not tokens of
a multinomial process as there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import nn

from synthgen.config.tables import TableConfig
from synthgen.diffusion.denoiser import Denoiser
from synthgen.diffusion.loop import run_table
from synthgen.diffusion.permitted import Permitted
from synthgen.diffusion.samplers import build_table
from synthgen.diffusion.schedule import EDMSchedule
from synthgen.errors import UsageError
from synthgen.models.table_gaussian import GaussianTableNetwork, RowSpace

if TYPE_CHECKING:
    from synthgen.data.tables.codec import TableCodec

STEPS = 30
"""Network evaluations per row unless asked otherwise."""


class GaussianTableDenoiser(nn.Module):
    """Rows by Gaussian diffusion, with the face of `synthgen.diffusion.masked.MaskedDenoiser`.

    precision: dtype in which the network computes. noise_mean, noise_std: of log sigma in training.
    """

    def __init__(
        self,
        network: GaussianTableNetwork,
        *,
        noise_mean: float,
        noise_std: float,
        precision: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        self.network = network
        self.schedule = EDMSchedule(noise_mean, noise_std)
        self.precision = precision

    @property
    def denoiser(self) -> Denoiser:
        """The same network in the contract of the Gaussian core."""
        return Denoiser(self.network, self.schedule, sigma_data=1.0, precision=self.precision)

    def loss(
        self, tokens: torch.Tensor, fractions: torch.Tensor, order: torch.Tensor, depth: torch.Tensor
    ) -> torch.Tensor:
        """Weighted squared error per row, float32 (B,); see `Denoiser.loss`.

        tokens, fractions: int64, float32 (B, C). order: float32 (B, C) uniforms from which the noise is made. depth:
        float32 (B,) uniforms that decide how much there is.
        """
        x0 = self.network.space.encode(tokens, fractions)
        return self.denoiser.loss(x0, None, depth, spread_out(order, x0.shape[1]))

    @torch.no_grad()
    def sample(
        self,
        uniforms: torch.Tensor,
        *,
        tokens: torch.Tensor | None = None,
        fractions: torch.Tensor | None = None,
        known: torch.Tensor | None = None,
        allowed: Sequence[Permitted] | None = None,
        steps: int | None = None,
        temperature: float = 1.0,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Rows from noise made of `uniforms`, float32 (B, 3 * C): tokens int64, fractions float32 (B, C).

        steps: of DPM-Solver++ (2M); None: 30. Raises UsageError for known cells, conditions and temperatures: this
        process has no exact way to keep them.
        """
        if (known is not None and bool(known.any())) or any(one is not None for one in allowed or ()):
            raise UsageError(
                "a model of process gaussian cannot keep known cells or conditions",
                "train with diffusion.process=masked, which conditions exactly",
            )
        if temperature != 1.0:
            raise UsageError("a temperature belongs to process masked; this model's process is gaussian")
        levels = self.schedule.levels(steps or STEPS)
        alphas, sigmas, times = (
            torch.tensor(part, dtype=torch.float32, device=uniforms.device)
            for part in (levels.alphas, levels.sigmas, levels.times)
        )
        denoiser = self.denoiser
        x = spread_out(uniforms, self.network.space.dimensions) * sigmas[0]
        x = run_table(
            build_table("dpm++2m", levels.alphas, levels.sigmas),
            lambda x, level: denoiser(x, alphas[level], sigmas[level], times[level].expand(len(x))),
            x,
            lambda draw: torch.zeros_like(x),  # the solver of an ordinary equation draws none
        )
        return self.network.space.decode(x)


def spread_out(uniforms: torch.Tensor, count: int) -> torch.Tensor:
    """Standard normal float32 (B, count) made from uniforms (B, n) of 24 bits each, row by row.

    Entry j mixes all bits of its row's uniforms j and j + 1 (in a circle) with j itself by the finaliser of splitmix64
    (Steele et al. 2014).
    """
    bits = (uniforms.double() * 2**24).long()
    number = torch.arange(count, device=uniforms.device)
    width = uniforms.shape[1]
    first, second = bits[:, number % width], bits[:, (number + 1) % width]
    z = (first << 24) ^ second ^ (number * -0x61C8864680B583EB)
    for shift, factor in ((30, -0x40A7B892E31B1A47), (27, -0x6B2FB644ECCEEE15)):
        z = (z ^ ((z >> shift) & ((1 << (64 - shift)) - 1))) * factor
    z = z ^ ((z >> 31) & ((1 << 33) - 1))
    place = ((z >> 11) & (2**53 - 1)).double() * 2.0**-53
    noise: torch.Tensor = torch.special.ndtri(place.clamp(2.0**-53, 1 - 2.0**-53)).float()
    return noise


def build_gaussian_table_denoiser(
    config: TableConfig, codec: TableCodec, precision: torch.dtype
) -> GaussianTableDenoiser:
    """The denoiser of a codec's columns."""
    space = RowSpace(codec.sizes, [column.positions for column in codec.columns])
    return GaussianTableDenoiser(
        GaussianTableNetwork(config.model, space),
        noise_mean=config.diffusion.noise_mean,
        noise_std=config.diffusion.noise_std,
        precision=precision,
    )
