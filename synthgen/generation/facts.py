"""What headers of models of tables and of series share: what is relied on, and weights that fit their network."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import torch
from pydantic import BaseModel, Field, ValidationError

from synthgen.checkpoints import Header, Tensors
from synthgen.errors import SynthgenError

CODEC_PREFIX = "codec."
"""Before the names of the codec's tensors in a model's file."""

WRONG = (ValueError, TypeError, KeyError, IndexError, AttributeError, RuntimeError, ArithmeticError, OSError)
"""What can be raised by building things from a header that somebody altered."""

Parsed = TypeVar("Parsed", bound=BaseModel)


class SourceFacts(BaseModel):
    """Where the training data came from: shown to people and compared, never opened."""

    name: str
    split: str
    count: int = Field(ge=0)
    fingerprint: str
    licence: str = ""


class TrainingFacts(BaseModel):
    """How the weights came to be: shown to people."""

    steps: int = Field(ge=0)
    seconds: float = Field(ge=0, allow_inf_nan=False)
    loss: float | None
    finished: bool
    device: str
    precision: str


def parse_as(kind: type[Parsed], path: Path, header: Header) -> Parsed:
    """The header of the model at `path`, checked. Raises SynthgenError naming what is wrong with it."""
    try:
        return kind.model_validate(header)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise SynthgenError(
            f"the header of {path} is not one that this synthgen understands: {place}: {first['msg']}",
            "the file was made by another version (update synthgen) or altered (copy it again)",
        ) from error


def codec_tensors(tensors: Tensors) -> Tensors:
    """The tensors of the codec, by their own names."""
    return {name.removeprefix(CODEC_PREFIX): one for name, one in tensors.items() if name.startswith(CODEC_PREFIX)}


def weights_for(path: Path, layout: Any, tensors: Tensors) -> Tensors:
    """The weights in `tensors`, when they are those of `layout.network`, which may lie on the meta device.

    Raises SynthgenError naming the first that does not fit.
    """
    weights = {name: tensor for name, tensor in tensors.items() if not name.startswith(CODEC_PREFIX)}
    expected = dict(layout.network.state_dict())
    for name in sorted(expected.keys() | weights.keys()):
        given, wanted = weights.get(name), expected.get(name)
        if given is None or wanted is None or not _alike(given, wanted):
            raise SynthgenError(
                f"{path}: the weights do not fit the network in its header ({name} does not)",
                "the file was altered, or made by another version of synthgen",
            )
    return weights


def _alike(given: torch.Tensor, wanted: torch.Tensor) -> bool:
    return given.shape == wanted.shape and given.is_floating_point() == wanted.is_floating_point()


def build_checked(path: Path, build: Any, tensors: Tensors, device: torch.device) -> Any:
    """The denoiser that `build()` makes, with the weights in `tensors`; refuses weights that do not belong to it.

    It is laid out first without memory for its weights, so that a header that asks for a hundred gigabytes costs
    nothing. Raises SynthgenError.
    """
    try:
        with torch.device("meta"):
            layout = build()
    except (*WRONG, SynthgenError) as error:
        raise SynthgenError(f"the header of {path} describes no network that can be built: {reason(error)}") from error
    weights = weights_for(path, layout, tensors)
    denoiser = build()
    denoiser.network.load_state_dict(weights)
    return denoiser.to(device).eval().requires_grad_(False)


def reason(error: Exception) -> str:
    """What went wrong, in one line."""
    text = str(getattr(error, "message", error))
    return text.splitlines()[0] if text else type(error).__name__
