"""What the header of a table's model may say: checked, with limits, before anything is built from it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, Field

from synthgen import devices
from synthgen.checkpoints import Header, Tensors
from synthgen.config.tables import TableConfig
from synthgen.data.tables.codec import TableCodec
from synthgen.data.tables.schema import TableSchema
from synthgen.errors import SynthgenError
from synthgen.generation.facts import WRONG, SourceFacts, TrainingFacts, build_checked, codec_tensors, parse_as, reason
from synthgen.generation.tables.building import build_table_denoiser

_MOST_COLUMNS = 100_000


class TableHeader(BaseModel):
    """The parts of a header that are relied on; further entries are kept as they are."""

    config: TableConfig
    codec: dict[str, Any]
    schema_: dict[str, Any] = Field(alias="schema")
    data: SourceFacts
    training: TrainingFacts
    versions: dict[str, str]


def parse_header(path: Path, header: Header) -> TableHeader:
    """The header of the model at `path`, checked. Raises SynthgenError naming what is wrong with it."""
    return parse_as(TableHeader, path, header)


def build_codec(path: Path, header: TableHeader, tensors: Tensors) -> TableCodec:
    """The codec in the header and the tensors `codec.*`. Raises SynthgenError for one that does not hold together."""
    try:
        schema = TableSchema.from_dict(header.schema_)
        if not 1 <= len(schema.columns) <= _MOST_COLUMNS:
            raise ValueError(f"{len(schema.columns):,} columns")
        codec = TableCodec.from_parts(header.codec, codec_tensors(tensors))
        if codec.schema.to_dict() != schema.to_dict():
            raise ValueError("its codec is of other columns than its schema")
        return codec
    except SynthgenError as error:
        raise SynthgenError(f"{path}: {error.message}", error.hint) from error
    except WRONG as error:
        raise SynthgenError(f"the codec of {path} cannot be read: {reason(error)}") from error


def build_denoiser(path: Path, header: TableHeader, codec: TableCodec, tensors: Tensors, device: torch.device) -> Any:
    """The denoiser in the header with the weights in `tensors`; refuses weights that do not belong to it."""
    precision = devices.pick_precision(header.config.training.precision, device)
    return build_checked(path, lambda: build_table_denoiser(header.config, codec, precision), tensors, device)
