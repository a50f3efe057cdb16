"""What the service answers, as its OpenAPI document tells it; the shapes are those that the makers write."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

NDJSON = "application/x-ndjson"


class Health(BaseModel):
    """The process is alive."""

    status: str = "ok"


class Ready(BaseModel):
    """Requests are taken: how many wait or are computed, and how many may wait."""

    status: str = "ready"
    waiting: int
    queue: int


class Column(BaseModel):
    """A column of a table or of series."""

    name: str
    kind: str


class Card(BaseModel):
    """Facts of a model's header, and what can be asked of it."""

    modality: str
    sha256: str | None
    class_names: list[str] | None
    columns: list[Column] | None
    sampler_card: Any
    data: dict[str, Any] | None
    training: dict[str, Any] | None
    sampling: dict[str, Any] | None
    versions: dict[str, Any] | None


_TEXT = {"type": "string"}
_BYTES = {"type": "string", "format": "binary"}
_NUMBERS = {"seed": {"type": "integer", "minimum": 0}, "start": {"type": "integer", "minimum": 0}}
_CELL = {"type": ["string", "number", "boolean", "null"]}


def _document(name: str, items: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A JSON answer: seed and number of the first sample, and the samples."""
    properties = {**_NUMBERS, name: {"type": "array", "items": items}, **more}
    return {"schema": {"type": "object", "properties": properties, "required": list(properties)}}


_PICTURE = {"type": "string", "contentEncoding": "base64", "contentMediaType": "image/png"}
_LABELS = {"anyOf": [{"type": "array", "items": _TEXT}, {"type": "null"}]}
_ROW = {"type": "object", "additionalProperties": _CELL}
_SEQUENCE = {"type": "object", "additionalProperties": {"type": "array", "items": _CELL}}

SAMPLES: dict[str, dict[str, Any]] = {
    "images": {
        "application/json": _document("images", _PICTURE, labels=_LABELS),
        "application/octet-stream": {"schema": _BYTES},
        NDJSON: {"schema": _TEXT},
    },
    "tables": {
        "application/json": _document("rows", _ROW),
        "text/csv": {"schema": _TEXT},
        "application/vnd.apache.parquet": {"schema": _BYTES},
        NDJSON: {"schema": _TEXT},
    },
    "series": {
        "application/json": _document("sequences", _SEQUENCE),
        "text/csv": {"schema": _TEXT},
        "application/octet-stream": {"schema": _BYTES},
        NDJSON: {"schema": _TEXT},
    },
}
"""The bodies of POST /generate's answers by media type, by the modality of the model."""

_REASONS = {
    400: "The body is no JSON.",
    401: "The key is missing or wrong.",
    413: "The body is too large.",
    422: "A field is wrong, or the model cannot do it.",
    503: "Too many requests wait; Retry-After says when to come back.",
    504: "It took too long and was given up.",
}
_PLACE = {
    "type": "object",
    "properties": {"loc": {"type": "array", "items": {"type": ["string", "integer"]}}, "msg": _TEXT, "type": _TEXT},
    "required": ["loc", "msg", "type"],
}
_PROBLEM = {
    "type": "object",
    "properties": {"detail": {"anyOf": [_TEXT, {"type": "array", "items": _PLACE}]}},
    "required": ["detail"],
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Refusals for an operation's `responses`, with what they mean and how their bodies look."""
    found: dict[int | str, dict[str, Any]] = {}
    for status in statuses:
        found[status] = {"description": _REASONS[status], "content": {"application/json": {"schema": _PROBLEM}}}
        if status == 503:
            found[status]["headers"] = {"Retry-After": {"schema": {"type": "string"}, "description": "Seconds."}}
    return found
