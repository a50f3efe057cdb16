"""Autoguidance: finding the weaker copy of a model, and refusing what is none."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from synthgen.checkpoints import load_checkpoint
from synthgen.errors import UsageError

if TYPE_CHECKING:
    from synthgen.generation.model import Model


def weaker_copy(model: Model, other: str | Path | Model) -> Model:
    """The model that guides `model` away from its own mistakes: it learned the same, for a shorter time for example.

    other: a model, a run or a checkpoint file. The model itself stands for the other moving average of its weights that
    its run keeps. Raises UsageError for one of another network, image size, noise schedule or classes, and for the
    model itself where there is no other average.
    """
    from synthgen.generation.model import load_image_model

    weaker = load_image_model(other, device=str(model.device)) if isinstance(other, (str, Path)) else other
    if weaker.sha256 == model.sha256:
        weaker = _other_average(weaker)
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
    if weaker.config.distill is not None:
        raise UsageError(f"{weaker.path} is a distilled model, which has no mean to be guided by")
    weaker.denoiser.precision = model.denoiser.precision
    return weaker


def _other_average(model: Model) -> Model:
    """The model with the moving average of its weights that its checkpoint does not hold, from the run's state.

    Training keeps two averages and the sampler card chooses between them (`synthgen.training.carding`).
    """
    state = model.path.with_name(f"state{model.path.name.removeprefix('step')}")
    if not (model.path.name.startswith("step-") and state.is_file()):
        raise UsageError(
            f"{model.path} is the model itself: guided by itself nothing changes",
            "give an earlier checkpoint, or a run with a shorter --budget: no state with another average is beside it",
        )
    header, tensors = load_checkpoint(state, kind="state")
    own = {name: tensor.cpu() for name, tensor in model.denoiser.network.state_dict().items()}
    for prefix in ("short.", "ema."):
        found = {name.removeprefix(prefix): one for name, one in tensors.items() if name.startswith(prefix)}
        fits = found.keys() == own.keys() and all(found[name].shape == own[name].shape for name in own)
        if fits and not all(torch.equal(found[name], own[name]) for name in own):
            denoiser = copy.deepcopy(model.denoiser)
            denoiser.network.load_state_dict(found)
            about = {**model.header, "sha256": header["sha256"]}
            return type(model)(model.path, about, denoiser, model.codec, model.device)
    raise UsageError(
        f"{state} holds no other average of the weights than {model.path}: guided by itself nothing changes",
        "give an earlier checkpoint, or a run with a shorter --budget",
    )
