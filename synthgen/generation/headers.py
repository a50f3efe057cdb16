"""What a model's header may say: checked, with limits, before anything is built from it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from synthgen.checkpoints import Header, Tensors
from synthgen.config.schema import Config
from synthgen.data.captions import LONGEST_WORD, MOST_TOKENS, MOST_WORDS, TokenTable, Vocabulary, is_word
from synthgen.data.dataset import ImageCodec
from synthgen.errors import SynthgenError
from synthgen.models.images import build_network

_Name = Annotated[str, Field(max_length=1000)]


class _Codec(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    height: int = Field(ge=1, le=4096)
    width: int = Field(ge=1, le=4096)
    channels: int = Field(ge=1, le=4)


class _Data(BaseModel):
    """Where the training images came from: shown to people and compared, never opened."""

    name: str
    split: str
    count: int = Field(ge=0)
    fingerprint: str
    licence: str = ""


class _Training(BaseModel):
    """How the weights came to be: shown to people."""

    steps: int = Field(ge=0)
    images_seen: int = Field(ge=0)
    seconds: float = Field(ge=0, allow_inf_nan=False)
    loss: float | None
    finished: bool
    device: str
    precision: str


class _Vocabulary(BaseModel):
    """The words of a model that learned from captions."""

    model_config = ConfigDict(extra="forbid")

    words: tuple[Annotated[str, Field(max_length=LONGEST_WORD)], ...] = Field(min_length=1, max_length=MOST_WORDS)
    length: int = Field(ge=2, le=MOST_TOKENS, strict=True)

    @field_validator("words")
    @classmethod
    def _plain(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        odd = next((word for word in value if not is_word(word)), None)
        if odd is not None:
            raise ValueError(f"{odd!r:.40} is not a word in small letters")
        if len(set(value)) != len(value):
            raise ValueError("a word stands there twice")
        return value


class ModelHeader(BaseModel):
    """The parts of a model's header that are relied on; further entries are kept as they are."""

    config: Config
    codec: _Codec
    class_names: tuple[_Name, ...] = Field(max_length=100_000)
    sigma_data: float = Field(gt=0, le=1e6, allow_inf_nan=False)
    vocabulary: _Vocabulary | None = None
    data: _Data
    training: _Training
    versions: dict[str, str]

    @property
    def image_codec(self) -> ImageCodec:
        return ImageCodec(self.codec.height, self.codec.width, self.codec.channels)

    @property
    def words(self) -> Vocabulary | None:
        """The vocabulary of a model that learned from captions."""
        return None if self.vocabulary is None else Vocabulary(self.vocabulary.words, self.vocabulary.length)

    @property
    def table(self) -> TokenTable | None:
        """What the class names, which are captions, say; None for a model of classes."""
        return None if self.words is None else self.words.table(self.class_names, lenient=True)

    @model_validator(mode="after")
    def _told(self) -> ModelHeader:
        if self.vocabulary is not None and self.config.model.conditioning != "cross-attention":
            raise ValueError("a vocabulary is for models whose conditioning is cross-attention")
        return self


def parse_header(path: Path, header: Header) -> ModelHeader:
    """The header of the model at `path`, checked. Raises SynthgenError naming what is wrong with it."""
    try:
        found = ModelHeader.model_validate(header)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise SynthgenError(
            f"the header of {path} is not one that this synthgen understands: {place}: {first['msg']}",
            "the file was made by another version (update synthgen) or altered (copy it again)",
        ) from error
    if len(set(found.class_names)) != len(found.class_names):
        raise SynthgenError(f"the header of {path} names a class twice")
    return found


def check_weights(path: Path, header: ModelHeader, tensors: Tensors) -> None:
    """Refuse weights that do not belong to the network which the header describes.

    The network is laid out without memory for its weights, so that a header that asks for a hundred gigabytes costs
    nothing. Raises SynthgenError.
    """
    codec = header.image_codec
    try:
        with torch.device("meta"):
            network = build_network(
                header.config.model,
                (codec.height, codec.width, codec.channels),
                len(header.class_names),
                header.table,
            )
    except (ValueError, TypeError, RuntimeError, ArithmeticError, SynthgenError) as error:
        reason = str(getattr(error, "message", error)).splitlines()[0] if str(error) else type(error).__name__
        raise SynthgenError(f"the header of {path} describes no network that can be built: {reason}") from error
    expected = {name: tensor.shape for name, tensor in network.state_dict().items()}
    for name in sorted(expected.keys() | tensors.keys()):
        given = tensors.get(name)
        if given is None or name not in expected or given.shape != expected[name] or not given.is_floating_point():
            raise SynthgenError(
                f"{path}: the weights do not fit the network in its header ({name} does not)",
                "the file was altered, or made by another version of synthgen",
            )
