"""What a client may ask for, by modality: the bodies of POST /generate."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Label = Annotated[str, Field(max_length=200)] | Annotated[int, Field(ge=0, lt=2**31)]


class Wish(BaseModel):
    """What every modality understands."""

    model_config = ConfigDict(extra="forbid")

    count: Annotated[int, Field(ge=1, lt=2**31, description="how many samples")] = 1
    seed: Annotated[int, Field(ge=0, lt=2**63, description="the same seed, the same samples")] = 0
    start: Annotated[int, Field(ge=0, lt=2**53, description="number of the first sample")] = 0
    steps: Annotated[int | None, Field(ge=1, le=1000, description="steps of the sampler; null: the model's own")] = None
    stream: Annotated[bool, Field(description="one JSON document a line, as they are made")] = False


class ImageWish(Wish):
    """Images."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"count": 4, "labels": 3, "seed": 0}, {"count": 64, "format": "npz"}]},
    )

    labels: Annotated[
        Label | Annotated[list[Label], Field(min_length=1, max_length=1000)] | None,
        Field(description="class by name or index; a list takes turns; null: all in turn"),
    ] = None
    sampler: Annotated[str | None, Field(max_length=40, description="null: the model's own")] = None
    guidance_scale: Annotated[float | None, Field(ge=0, le=100, description="1: off; null: the model's own")] = None
    format: Annotated[Literal["png", "npz"], Field(description="png: JSON with a list of base64 PNGs")] = "png"


Condition = Annotated[str, Field(min_length=1, max_length=2000)]


class RowWish(Wish):
    """Rows of a table."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"count": 5}, {"count": 100, "where": ["age=30..40"], "format": "csv"}]},
    )

    where: Annotated[list[Condition], Field(max_length=100, description="conditions that every row keeps")] = []
    balance: Annotated[str | None, Field(max_length=200, description="a column whose values take turns")] = None
    temperature: Annotated[float | None, Field(gt=0, le=10, description="below 1: likelier values only")] = None
    format: Annotated[Literal["json", "csv", "parquet"], Field(description="json: a list of objects")] = "json"


class SeriesWish(Wish):
    """Sequences."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"count": 2}, {"count": 10, "length": 48, "format": "csv"}]},
    )

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
