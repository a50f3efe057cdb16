"""Autoguidance: finding the weaker copy of a model, and refusing what is none."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from synthgen.errors import UsageError

if TYPE_CHECKING:
    from synthgen.generation.model import Model


def weaker_copy(model: Model, other: str | Path | Model) -> Model:
    """The model that guides `model` away from its own mistakes: it learned the same, for a shorter time for example.

    other: a model, a run or a checkpoint file. Raises UsageError for one of another network, image size, noise
    schedule or classes, and for the very same weights.
    """
    from synthgen.generation.model import load_image_model

    weaker = load_image_model(other, device=str(model.device)) if isinstance(other, (str, Path)) else other
    if model.prompts and weaker.vocabulary == model.vocabulary:
        weaker = weaker.told(model.prompts)
    parts = {
        "network": (model.config.model, weaker.config.model),
        "image size": (model.codec, weaker.codec),
        "noise schedule": (model.config.diffusion.schedule, weaker.config.diffusion.schedule),
        "words": (model.vocabulary, weaker.vocabulary),
        "classes": (model.class_names, weaker.class_names),
    }
    different = [name for name, (mine, theirs) in parts.items() if mine != theirs]
    if different:
        raise UsageError(
            f"{weaker.path} cannot guide {model.path}: they differ in {' and '.join(different)}",
            "autoguidance needs a copy that learned the same with the same settings, such as a run with a shorter "
            "--budget",
        )
    if weaker.sha256 == model.sha256:
        raise UsageError(
            f"{weaker.path} is the model itself: guided by itself nothing changes",
            "give an earlier checkpoint, or a run with a shorter --budget",
        )
    if weaker.config.distill is not None:
        raise UsageError(f"{weaker.path} is a distilled model, which has no mean to be guided by")
    weaker.denoiser.precision = model.denoiser.precision
    return weaker
