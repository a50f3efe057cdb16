"""The manifest of a table of samples: beside a file as FILE.manifest.json, in a folder as manifest.json."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from synthgen.data.classes import SAMPLES_KIND
from synthgen.errors import SynthgenError
from synthgen.generation.plans import ItemPlan
from synthgen.generation.tables.plan import TablePlan, plan_from_dict

if TYPE_CHECKING:
    from synthgen.generation.tables.model import TableModel

FORMAT_VERSION = 1
MODALITY = "tables"


@dataclass(frozen=True)
class TableOrigin:
    """What rows or sequences inherit from their model.

    schema: their columns. model: path, data, training of the checkpoint.
    """

    schema: dict[str, Any]
    model: dict[str, Any]
    versions: dict[str, Any]

    @property
    def names(self) -> list[str]:
        return [str(column["name"]) for column in self.columns]

    @property
    def columns(self) -> list[dict[str, Any]]:
        """The columns of the file; a schema of series has a table's in it."""
        found: list[dict[str, Any]] = self.schema.get("table", self.schema)["columns"]
        return found


def origin_of(model: TableModel) -> TableOrigin:
    """Of a loaded model."""
    header = model.header
    about = {"path": str(model.path), "data": header["data"], "training": header["training"]}
    return TableOrigin(model.schema.to_dict(), about, header["versions"])


def describe(plan: ItemPlan, origin: TableOrigin, *, finished: bool, modality: str = MODALITY, **state: Any) -> bytes:
    """The manifest as JSON; `state`: what is there (files or shards)."""
    document = {
        "kind": SAMPLES_KIND,
        "modality": modality,
        "format_version": FORMAT_VERSION,
        "finished": finished,
        "plan": plan.to_dict(),
        "schema": origin.schema,
        **state,
        "model": origin.model,
        "versions": origin.versions,
    }
    return json.dumps(document, indent=1, ensure_ascii=False).encode()


def plan_and_origin(document: dict[str, Any], place: str) -> tuple[TablePlan, TableOrigin]:
    """What a table was made from, read back. Raises SynthgenError for a manifest that does not say it."""
    return plan_from_dict(document["plan"]), read_origin(document, place)


def read_origin(document: dict[str, Any], place: str) -> TableOrigin:
    """What rows or sequences inherit from their model. Raises SynthgenError."""
    try:
        model = {**document["model"], **{part: dict(document["model"][part]) for part in ("data", "training")}}
        origin = TableOrigin(dict(document["schema"]), model, dict(document["versions"]))
        "".join(origin.names).encode()  # half a character, which JSON can hold, is a ValueError
        return origin
    except (KeyError, TypeError, ValueError) as error:
        raise SynthgenError(f"{place} does not describe its data ({error})") from error
