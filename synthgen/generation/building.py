"""From a config to a denoiser and a recipe: the one place that puts schedule, network and precision together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch

from synthgen import devices
from synthgen.config.schema import Config, SamplingConfig
from synthgen.data.captions import TokenTable
from synthgen.data.dataset import ImageCodec
from synthgen.diffusion.denoiser import Denoiser
from synthgen.diffusion.samplers import check_name
from synthgen.diffusion.schedule import build_schedule
from synthgen.errors import UsageError
from synthgen.evaluation.sampler_card import choose, fields_of, needed_card
from synthgen.generation.engine import Recipe
from synthgen.models.images import build_network


def build_denoiser(
    config: Config,
    codec: ImageCodec,
    num_classes: int,
    sigma_data: float,
    device: torch.device,
    table: TokenTable | None = None,
) -> Denoiser:
    """A freshly initialised denoiser on `device`; `num_classes` 0 means unconditional.

    table: what the labels say to a network with cross-attention; None: one token for each class.
    """
    schedule = build_schedule(
        config.diffusion.schedule,
        noise_mean=config.diffusion.noise_mean,
        noise_std=config.diffusion.noise_std,
    )
    shape = (codec.height, codec.width, codec.channels)
    return Denoiser(
        build_network(config.model, shape, num_classes, table),
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
        noise_levels=config.noise_levels,
    )


def recipe_with(config: Config, given: Mapping[str, Any]) -> Recipe:
    """The recipe of a model with the parts in `given` replaced.

    Noise levels belong to one sampler with one number of steps: with others, those of the config are forgotten.
    Raises UsageError for a recipe that the model cannot follow.
    """
    own = recipe_of(config.sampling)
    given = dict(given)
    if "noise_levels" in given:
        given.setdefault("steps", len(given["noise_levels"]))
    elif any(name in given and given[name] != getattr(own, name) for name in ("sampler", "steps")):
        given["noise_levels"] = ()
    recipe = replace(own, **given)
    if recipe.steps < 1:
        raise UsageError(f"a sampler needs 1 step or more, not {recipe.steps}")
    check_name(recipe.sampler)
    _check_consistency(config, recipe)
    _check_guidance(recipe)
    return recipe


def recipe_of_quality(header: Mapping[str, Any], place: str, quality: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The parts of a recipe that a quality means by the model's sampler card.

    given: what else was asked for. Raises UsageError when that is anything: a quality is a whole setting.
    """
    if given:
        names = ", ".join(name.replace("_", " ") for name in given)
        raise UsageError(
            f"quality '{quality}' is a whole setting, and {names} would change it", "give one or the other"
        )
    return fields_of(choose(needed_card(header, place).complete, quality).sampling)


def _check_guidance(recipe: Recipe) -> None:
    low, high = recipe.guidance_interval
    if not 0 <= low <= high:
        raise UsageError(f"the guidance interval is LOW,HIGH with 0 <= LOW <= HIGH, not {low:g},{high:g}")
    if recipe.autoguidance is not None and recipe.guidance_scale == 1.0:
        raise UsageError("guidance of scale 1 changes nothing", "give a guidance scale too; 1.5 is a good first try")


def _check_consistency(config: Config, recipe: Recipe) -> None:
    """A consistency model and its sampler need each other: anything else draws images that nobody wants."""
    if config.distill is None:
        if recipe.sampler == "consistency":
            raise UsageError(
                "sampler 'consistency' is for models tuned for it, and this one is not",
                "`synthgen train --distill RUN` makes one, or choose another sampler",
            )
        return
    if recipe.sampler != "consistency":
        raise UsageError(
            f"this model was distilled for sampler 'consistency': '{recipe.sampler}' would draw poor images from it",
            f"leave out the sampler, or sample the model that it was distilled from ({config.distill.teacher})",
        )
    if recipe.guidance_scale != 1.0:
        raise UsageError(
            "guidance has no meaning for a distilled model, which answers with a sample and not with a mean",
            "leave out the guidance",
        )
