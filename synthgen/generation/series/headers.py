"""What the header of a model of series may say: checked, with limits, before anything is built from it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, Field

from synthgen import devices
from synthgen.checkpoints import Header, Tensors
from synthgen.config.series import SeriesConfig
from synthgen.data.series.codec import SeriesCodec
from synthgen.data.series.schema import SeriesSchema
from synthgen.diffusion.series import SeriesDenoiser, build_series_denoiser
from synthgen.errors import SynthgenError
from synthgen.generation.facts import WRONG, SourceFacts, TrainingFacts, build_checked, codec_tensors, parse_as, reason
from synthgen.models.series_known import Shares

_MOST_COLUMNS = 100_000


class SeriesHeader(BaseModel):
    """The parts of a header that are relied on; further entries are kept as they are."""

    config: SeriesConfig
    codec: dict[str, Any]
    schema_: dict[str, Any] = Field(alias="schema")
    data: SourceFacts
    training: TrainingFacts
    versions: dict[str, str]


def parse_header(path: Path, header: Header) -> SeriesHeader:
    """The header of the model at `path`, checked. Raises SynthgenError naming what is wrong with it."""
    return parse_as(SeriesHeader, path, header)


def build_codec(path: Path, header: SeriesHeader, tensors: Tensors) -> SeriesCodec:
    """The codec in the header and the tensors `codec.*`. Raises SynthgenError for one that does not hold together."""
    try:
        schema = SeriesSchema.from_dict(header.schema_)
        if not 1 <= len(schema.table.columns) <= _MOST_COLUMNS:
            raise ValueError(f"{len(schema.table.columns):,} columns")
        codec = SeriesCodec.from_parts(header.codec, codec_tensors(tensors))
        if codec.schema.to_dict() != schema.to_dict():
            raise ValueError("its codec is of other columns than its schema")
        if codec.window < 1 or codec.dimensions < 1:
            raise ValueError(f"windows of {codec.window:,} steps and {codec.dimensions:,} dimensions")
        return codec
    except SynthgenError as error:
        raise SynthgenError(f"{path}: {error.message}", error.hint) from error
    except WRONG as error:
        raise SynthgenError(f"the codec of {path} cannot be read: {reason(error)}") from error


def build_denoiser(
    path: Path, header: SeriesHeader, codec: SeriesCodec, tensors: Tensors, device: torch.device
) -> SeriesDenoiser:
    """The denoiser in the header with the weights in `tensors`; refuses weights that do not belong to it."""
    precision = devices.pick_precision(header.config.training.precision, device)
    tensors = {"shares.told": Shares(codec.dimensions).told, **tensors}  # models of earlier days have none
    found: SeriesDenoiser = build_checked(
        path, lambda: build_series_denoiser(header.config, codec, precision), tensors, device
    )
    return found
