"""Gaussian diffusion over windows of series, by the core that images use, with cells that may be known.

The process is that of Karras et al. 2022. Conditioning is by masks, so that completion, forecasting and conditions are
one thing: the network is told the values of known cells (after CSDI, Tashiro et al. 2021). Where that was measured to
be better, it is asked again with the known numbers under the noise of the moment, and what it gets wrong there puts
right the rest of its estimate; see `synthgen.models.series_known`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch
from torch import nn

from synthgen.config.series import SeriesConfig
from synthgen.diffusion.denoiser import Denoiser
from synthgen.diffusion.loop import Callback, run_table
from synthgen.diffusion.samplers import build_table
from synthgen.diffusion.schedule import EDMSchedule
from synthgen.models.series import SeriesNetwork
from synthgen.models.series_known import KnownNumbers

if TYPE_CHECKING:
    from synthgen.data.series.codec import Part, SeriesCodec

_EXPECTED = 20.0
"""A noise level that still hides what is drawn: what the network estimates there is what is to be expected from known
cells alone."""


class SeriesDenoiser(nn.Module):
    """Windows by Gaussian diffusion; values have about unit scale.

    precision: dtype in which the network computes. parts: what the dimensions mean. noise_mean, noise_std: of log sigma
    in training.
    """

    numbers: torch.Tensor

    def __init__(
        self,
        network: SeriesNetwork,
        parts: Sequence[Part],
        *,
        noise_mean: float,
        noise_std: float,
        precision: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        self.network = network
        self.parts = tuple(parts)
        self.schedule = EDMSchedule(noise_mean, noise_std)
        self.precision = precision
        numbers = torch.zeros(network.dimensions, dtype=torch.bool)
        for part in self.parts:
            numbers[part.start : part.stop] = part.role in ("channel", "gap") and part.stop - part.start == 1
        self.register_buffer("numbers", numbers, persistent=False)  # follows from the parts

    def denoiser(self, given: torch.Tensor, known: torch.Tensor, valid: torch.Tensor) -> Denoiser:
        """The same network in the contract of the Gaussian core, for these known cells and steps."""
        return Denoiser(
            _Given(self.network, given, known, valid), self.schedule, sigma_data=1.0, precision=self.precision
        )

    def loss(
        self,
        x0: torch.Tensor,
        valid: torch.Tensor,
        known: torch.Tensor,
        uniform: torch.Tensor,
        noise: torch.Tensor,
    ) -> torch.Tensor:
        """Weighted squared error of the cells to generate, per window, float32 (B,); see `Denoiser.loss`.

        A cell's error counts in units of what the linear estimate leaves open there, so that the small movements of a
        smooth channel are learned as well as large ones of a rough channel, and 1 means nothing beyond that estimate.

        x0: float32 (B, L, D), anything at steps that do not exist. valid: bool (B, L), steps that exist. known: bool
        (B, L, D), cells that the network is told. uniform: float32 (B,) in [0, 1), the noise level. noise: standard
        normal (B, L, D).
        """
        exists = valid[..., None]
        x0 = x0.masked_fill(~exists, 0.0)
        cells = exists & ~known & ~self.network.conditions
        weight = cells / self.network.linear.deviation(self.schedule.draw(uniform)[2]).square()
        mean = self.denoiser(x0, known, valid).loss(x0, None, uniform, noise, cells=weight)
        total, count = (part.flatten(1).sum(1).clamp(min=1) for part in (weight, cells))
        return mean * (total / count)

    def denoise(
        self,
        x: torch.Tensor,
        alpha: torch.Tensor,
        sigma: torch.Tensor,
        time: torch.Tensor,
        *,
        given: torch.Tensor,
        known: torch.Tensor,
        valid: torch.Tensor,
        guidance_scale: float = 1.0,
        right: KnownNumbers | None = None,
    ) -> torch.Tensor:
        """Posterior mean of the windows, float32 (B, L, D): `given` at known cells, 0 at steps that do not exist.

        x: float32 (B, L, D) at the noise level alpha, sigma, time (scalars or (B,)), in known cells too.
        guidance_scale: s in `without + s (with - without)`, with and without the label (Ho and Salimans 2022); 1: no
        guidance. right: that of these known cells; None: made anew. Labels and calendar features that are not known
        are 0 in the answer.
        """
        exists = valid[..., None]
        known = known & exists
        right = self.right(known) if right is None else right
        at = (x, alpha, sigma, time)
        if right:
            share = self.network.shares(time.expand(len(x)), known)
            told, better = self.estimates(at, given, known, valid, right, share, guidance_scale)
            x0 = torch.where(right.numbers, better.lerp(told, share), told)
        else:
            x0 = self.asked(at, given, known, valid, guidance_scale)
        x0 = x0.masked_fill(self.network.conditions | ~exists, 0.0)
        return torch.where(known, given, x0)

    def right(self, known: torch.Tensor) -> KnownNumbers:
        """What puts estimates right for these known cells, bool (B, L, D); nothing where the network is best told."""
        return KnownNumbers(self.network.linear, known, self.numbers & (self.network.shares.told < 1).any((0, 1)))

    def estimates(
        self,
        at: tuple[torch.Tensor, ...],
        given: torch.Tensor,
        known: torch.Tensor,
        valid: torch.Tensor,
        right: KnownNumbers,
        share: torch.Tensor,
        guidance_scale: float = 1.0,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """(the estimate when the network is told all known cells, that which known numbers put right), (B, L, D).

        share: how much the first counts; what counts nothing is not asked for. at: x, alpha, sigma, time.
        """
        told = better = None
        if right.open or bool(share.any()):
            told = self.asked(at, given, known, valid, guidance_scale)
        if told is None or bool((share < 1).any()):
            seen = known & ~right.numbers
            free = self.asked(at, given, seen, valid, guidance_scale)
            better = right(torch.where(seen, given, free), given, at[2] / at[1])
        first = better if told is None else told
        assert first is not None
        return first, first if better is None else better

    def asked(
        self,
        at: tuple[torch.Tensor, ...],
        given: torch.Tensor,
        told: torch.Tensor,
        valid: torch.Tensor,
        guidance_scale: float,
    ) -> torch.Tensor:
        """The network's estimate float32 (B, L, D), told the cells `told`, guided by the label. at: x and its level."""
        x0: torch.Tensor = self.denoiser(given, told, valid)(*at)
        if guidance_scale != 1.0 and any(part.role == "label" for part in self.parts):
            blind = told.clone()
            for part in self.parts:
                if part.role == "label":
                    blind[..., part.start : part.stop] = False
            without = self.denoiser(given, blind, valid)(*at)
            x0 = without + guidance_scale * (x0 - without)
        return x0

    @torch.no_grad()
    def sample(
        self,
        noise: torch.Tensor,
        *,
        given: torch.Tensor,
        known: torch.Tensor,
        valid: torch.Tensor,
        sampler: str = "heun",
        steps: int = 18,
        eta: float = 0.0,
        fresh: Callable[[int], torch.Tensor] | None = None,
        guidance_scale: float = 1.0,
        spread: torch.Tensor | None = None,
        callback: Callback | None = None,
    ) -> torch.Tensor:
        """Windows from standard normal `noise`, float32 (B, L, D); known cells are exactly those of `given`.

        eta: share of fresh noise of ddim. fresh: draw number -> standard normal (B, L, D) for samplers that add noise.
        spread: float32 (B, L, D), how many times as far from what was to be expected unknown numbers come to lie; see
        `synthgen.generation.series.spreading`. callback: see `run_table`.
        """
        levels = self.schedule.levels(steps)
        alphas, sigmas, times = (
            torch.tensor(part, dtype=torch.float32, device=noise.device)
            for part in (levels.alphas, levels.sigmas, levels.times)
        )
        right = self.right(known & valid[..., None])
        expected: list[torch.Tensor] = []

        def denoise(x: torch.Tensor, level: int) -> torch.Tensor:
            x0 = self.denoise(
                x,
                alphas[level],
                sigmas[level],
                times[level],
                given=given,
                known=known,
                valid=valid,
                guidance_scale=guidance_scale,
                right=right,
            )
            if spread is not None and not expected and sigmas[level] <= _EXPECTED * alphas[level]:
                expected.append(x0)
            return x0

        table = build_table(sampler, levels.alphas, levels.sigmas, eta=eta)
        x = noise * sigmas[0]
        if right:  # elsewhere nothing looks at known cells
            x = torch.where(known & valid[..., None], given + x, x)
        x = run_table(table, denoise, x, fresh or _none, callback=callback)
        if spread is None or not expected:
            return x
        return torch.where(self.numbers & ~known & valid[..., None], torch.lerp(expected[0], x, spread), x)


class _Given(nn.Module):
    """The network with what is known, as the Gaussian core calls it."""

    def __init__(self, network: nn.Module, *facts: torch.Tensor) -> None:
        super().__init__()
        self.network, self.facts = network, facts

    def forward(self, x: torch.Tensor, time: torch.Tensor, labels: torch.Tensor | None) -> torch.Tensor:
        out: torch.Tensor = self.network(x, time, *self.facts)
        return out


def _none(draw: int) -> torch.Tensor:
    raise ValueError("this sampler adds noise: say where it comes from (`fresh`)")


def build_series_denoiser(config: SeriesConfig, codec: SeriesCodec, precision: torch.dtype) -> SeriesDenoiser:
    """A freshly initialised denoiser of a codec's windows; on the meta device within `torch.device("meta")`."""
    return SeriesDenoiser(
        SeriesNetwork(config.model, codec.window, codec.parts),
        codec.parts,
        noise_mean=config.diffusion.noise_mean,
        noise_std=config.diffusion.noise_std,
        precision=precision,
    )
