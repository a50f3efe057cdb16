"""What the header of a table's model may say: checked, with limits, before anything is built from it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, Field, ValidationError

from synthgen import devices
from synthgen.checkpoints import Header, Tensors
from synthgen.config.tables import TableConfig
from synthgen.data.tables.codec import TableCodec
from synthgen.data.tables.schema import TableSchema
from synthgen.errors import SynthgenError
from synthgen.generation.tables.building import build_table_denoiser

CODEC_PREFIX = "codec."
_WRONG = (ValueError, TypeError, KeyError, IndexError, AttributeError, RuntimeError, ArithmeticError, OSError)
_MOST_COLUMNS = 100_000


class _Data(BaseModel):
    """Where the training rows came from: shown to people and compared, never opened."""

    name: str
    split: str
    count: int = Field(ge=0)
    fingerprint: str
    licence: str = ""


class _Training(BaseModel):
    """How the weights came to be: shown to people."""

    steps: int = Field(ge=0)
    seconds: float = Field(ge=0, allow_inf_nan=False)
    loss: float | None
    finished: bool
    device: str
    precision: str


class TableHeader(BaseModel):
    """The parts of a header that are relied on; further entries are kept as they are."""

    config: TableConfig
    codec: dict[str, Any]
    schema_: dict[str, Any] = Field(alias="schema")
    data: _Data
    training: _Training
    versions: dict[str, str]


def parse_header(path: Path, header: Header) -> TableHeader:
    """The header of the model at `path`, checked. Raises SynthgenError naming what is wrong with it."""
    try:
        return TableHeader.model_validate(header)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise SynthgenError(
            f"the header of {path} is not one that this synthgen understands: {place}: {first['msg']}",
            "the file was made by another version (update synthgen) or altered (copy it again)",
        ) from error


def build_codec(path: Path, header: TableHeader, tensors: Tensors) -> TableCodec:
    """The codec in the header and the tensors `codec.*`. Raises SynthgenError for one that does not hold together."""
    parts = {name.removeprefix(CODEC_PREFIX): one for name, one in tensors.items() if name.startswith(CODEC_PREFIX)}
    try:
        schema = TableSchema.from_dict(header.schema_)
        if not 1 <= len(schema.columns) <= _MOST_COLUMNS:
            raise ValueError(f"{len(schema.columns):,} columns")
        codec = TableCodec.from_parts(header.codec, parts)
        if codec.schema.to_dict() != schema.to_dict():
            raise ValueError("its codec is of other columns than its schema")
        return codec
    except SynthgenError as error:
        raise SynthgenError(f"{path}: {error.message}", error.hint) from error
    except _WRONG as error:
        raise SynthgenError(f"the codec of {path} cannot be read: {_reason(error)}") from error


def build_denoiser(path: Path, header: TableHeader, codec: TableCodec, tensors: Tensors, device: torch.device) -> Any:
    """The denoiser in the header with the weights in `tensors`; refuses weights that do not belong to it.

    It is laid out first without memory for its weights, so that a header that asks for a hundred gigabytes costs
    nothing. Raises SynthgenError.
    """
    weights = {name: tensor for name, tensor in tensors.items() if not name.startswith(CODEC_PREFIX)}
    precision = devices.pick_precision(header.config.training.precision, device)
    try:
        with torch.device("meta"):
            layout = build_table_denoiser(header.config, codec, precision)
    except (*_WRONG, SynthgenError) as error:
        raise SynthgenError(f"the header of {path} describes no network that can be built: {_reason(error)}") from error
    expected = {name: tensor.shape for name, tensor in layout.network.state_dict().items()}
    for name in sorted(expected.keys() | weights.keys()):
        given = weights.get(name)
        if given is None or name not in expected or given.shape != expected[name] or not given.is_floating_point():
            raise SynthgenError(
                f"{path}: the weights do not fit the network in its header ({name} does not)",
                "the file was altered, or made by another version of synthgen",
            )
    denoiser = build_table_denoiser(header.config, codec, precision)
    denoiser.network.load_state_dict(weights)
    return denoiser.to(device).eval().requires_grad_(False)


def _reason(error: Exception) -> str:
    text = str(getattr(error, "message", error))
    return text.splitlines()[0] if text else type(error).__name__
