"""From a config to a denoiser and a recipe: the one place that puts schedule, network and precision together."""

from __future__ import annotations

import torch

from synthgen import devices
from synthgen.config.schema import Config, SamplingConfig
from synthgen.data.dataset import ImageCodec
from synthgen.diffusion.denoiser import Denoiser
from synthgen.diffusion.schedule import build_schedule
from synthgen.generation.engine import Recipe
from synthgen.models.images import build_network


def build_denoiser(
    config: Config, codec: ImageCodec, num_classes: int, sigma_data: float, device: torch.device
) -> Denoiser:
    """A freshly initialised denoiser on `device`; `num_classes` 0 means unconditional."""
    schedule = build_schedule(
        config.diffusion.schedule,
        noise_mean=config.diffusion.noise_mean,
        noise_std=config.diffusion.noise_std,
    )
    shape = (codec.height, codec.width, codec.channels)
    return Denoiser(
        build_network(config.model, shape, num_classes),
        schedule,
        prediction=config.diffusion.prediction,
        sigma_data=sigma_data,
        null_label=num_classes or None,
        precision=devices.pick_precision(config.training.precision, device),
    ).to(device)


def recipe_of(config: SamplingConfig) -> Recipe:
    """The recipe that a config asks for."""
    return Recipe(
        config.sampler,
        config.steps,
        config.eta,
        config.guidance_scale,
        config.guidance_interval,
        config.block_size,
    )
