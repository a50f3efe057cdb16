"""The manifest of a set of sequences: beside a file as FILE.manifest.json, in a folder as manifest.json."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from synthgen.generation.series.plan import SeriesPlan, plan_from_dict
from synthgen.generation.tables.manifest import TableOrigin as SeriesOrigin
from synthgen.generation.tables.manifest import describe as describe_items
from synthgen.generation.tables.manifest import read_origin

if TYPE_CHECKING:
    from synthgen.generation.series.model import SeriesModel

MODALITY = "series"

__all__ = ["MODALITY", "SeriesOrigin", "describe", "origin_of", "plan_and_origin"]


def origin_of(model: SeriesModel) -> SeriesOrigin:
    """Of a loaded model. Its schema is one of series; `reading` says how its data were read, and what was held out."""
    header = model.header
    about = {"path": str(model.path), "data": header["data"], "training": header["training"]}
    about["reading"] = model.config.data.model_dump(mode="json", exclude={"source"})
    return SeriesOrigin(model.schema.to_dict(), about, header["versions"])


def describe(plan: SeriesPlan, origin: SeriesOrigin, *, finished: bool, **state: Any) -> bytes:
    """The manifest as JSON; `state`: what is there (files or shards)."""
    return describe_items(plan, origin, finished=finished, modality=MODALITY, **state)


def plan_and_origin(document: dict[str, Any], place: str) -> tuple[SeriesPlan, SeriesOrigin]:
    """What sequences were made from, read back. Raises SynthgenError for a manifest that does not say it."""
    return plan_from_dict(document["plan"]), read_origin(document, place)
