"""What a client may ask for, by modality: the bodies of POST /generate."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from synthgen.evaluation.sampler_card import Quality

Label = Annotated[str, Field(max_length=200)] | Annotated[int, Field(ge=0, lt=2**31)]

Prompt = Annotated[str, Field(min_length=1, max_length=1000)]


class Wish(BaseModel):
    """What every modality understands."""

    model_config = ConfigDict(extra="forbid", strict=True)

    count: Annotated[int, Field(ge=1, lt=2**31, description="how many samples")] = 1
    seed: Annotated[int, Field(ge=0, lt=2**63, description="the same seed, the same samples")] = 0
    start: Annotated[int, Field(ge=0, lt=2**53, description="number of the first sample")] = 0
    steps: Annotated[int | None, Field(ge=1, le=1000, description="steps of the sampler; null: the model's own")] = None
    stream: Annotated[bool, Field(description="one JSON document a line, as they are made")] = False


class ImageWish(Wish):
    """Images."""

    labels: Annotated[
        Label | Annotated[list[Label], Field(min_length=1, max_length=1000)] | None,
        Field(description="class by name or index; a list takes turns; null: all in turn"),
    ] = None
    prompts: Annotated[
        Prompt | Annotated[list[Prompt], Field(min_length=1, max_length=1000)] | None,
        Field(description="what to show, in place of labels, by a model that knows captions; a list takes turns"),
    ] = None
    sampler: Annotated[str | None, Field(max_length=40, description="null: the model's own")] = None
    guidance_scale: Annotated[float | None, Field(ge=0, le=100, description="1: off; null: the model's own")] = None
    quality: Annotated[
        Quality | None, Field(description="a setting of the model's sampler card, in place of sampler and steps")
    ] = None
    format: Annotated[Literal["png", "npz"], Field(description="png: JSON with a list of base64 PNGs")] = "png"


Condition = Annotated[str, Field(min_length=1, max_length=2000)]


class RowWish(Wish):
    """Rows of a table."""

    where: Annotated[list[Condition], Field(max_length=100, description="conditions that every row keeps")] = []
    balance: Annotated[str | None, Field(max_length=200, description="a column whose values take turns")] = None
    temperature: Annotated[float | None, Field(gt=0, le=10, description="below 1: likelier values only")] = None
    format: Annotated[Literal["json", "csv", "parquet"], Field(description="json: a list of objects")] = "json"


class SeriesWish(Wish):
    """Sequences."""

    labels: Annotated[
        Label | Annotated[list[Label], Field(min_length=1, max_length=1000)] | None,
        Field(description="class by name or place; a list takes turns; null: as often as in the data"),
    ] = None
    where: Annotated[list[Condition], Field(max_length=100, description="conditions on static covariates")] = []
    length: Annotated[int | None, Field(ge=1, le=10_000, description="steps; null: those of the windows")] = None
    start_time: Annotated[str | None, Field(max_length=100, description="of the first step; null: as in the data")] = (
        None
    )
    sampler: Annotated[str | None, Field(max_length=40, description="null: the model's own")] = None
    guidance_scale: Annotated[float | None, Field(ge=0, le=100, description="1: off; null: the model's own")] = None
    format: Annotated[
        Literal["json", "csv", "npz"], Field(description="json: a list of sequences, each a list of values by column")
    ] = "json"


WISHES: dict[str, type[Wish]] = {"images": ImageWish, "tables": RowWish, "series": SeriesWish}
"""The body of a request, by the modality of the model."""

_SECOND: dict[str, dict[str, Any]] = {
    "images": {"format": "npz"},
    "tables": {"format": "csv"},
    "series": {"length": 24, "format": "csv"},
}
_NULL = {"type": "null"}


def wish_of(
    modality: str,
    class_names: tuple[str, ...],
    samplers: tuple[str, ...],
    max_count: int,
    *,
    carded: bool = False,
    captioned: bool = False,
) -> type[Wish]:
    """The body of a request to one model: its OpenAPI schema names the model's own classes, samplers and limits.

    What is accepted is the same: the model itself says what it does not know, and what is nearest. carded: it has a
    sampler card, which `quality` chooses from. captioned: it understands prompts.
    """
    first: dict[str, Any] = {"count": min(4, max_count), "seed": 0}
    if class_names:
        first["labels"] = class_names[0]
    examples = [first, {"count": min(64, max_count), **_SECOND[modality]}]

    def tell(schema: dict[str, Any]) -> None:
        schema["examples"] = examples
        fields = schema["properties"]
        fields["count"]["maximum"] = max_count
        if "sampler" in fields:
            _narrow(fields["sampler"], {"enum": [*samplers, None]})
        if "labels" in fields and class_names:
            index = {"type": "integer", "minimum": 0, "maximum": len(class_names) - 1}
            label = {"anyOf": [{"enum": list(class_names)}, index]}
            several = {"type": "array", "items": label, "minItems": 1, "maxItems": 1000}
            _narrow(fields["labels"], {"anyOf": [label, several, _NULL]})
        elif "labels" in fields:
            _narrow(fields["labels"], _NULL)
            _narrow(fields["guidance_scale"], {"enum": [1.0, None]})
        if "prompts" in fields and not captioned:
            _narrow(fields["prompts"], _NULL)
        if "quality" in fields and not carded:
            _narrow(fields["quality"], _NULL)

    config = ConfigDict(json_schema_extra=tell)
    base = WISHES[modality]
    return type(base.__name__, (base,), {"model_config": config, "__doc__": base.__doc__, "__module__": __name__})


def _narrow(field: dict[str, Any], to: dict[str, Any]) -> None:
    """Replace what a field's schema permits; its title, description and default stay."""
    kept = {name: field[name] for name in ("title", "description", "default") if name in field}
    field.clear()
    field.update(kept | to)
