"""`metadata.csv` and `metadata.jsonl`: one row per image, as Hugging Face's imagefolder lays them out."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from synthgen.data.captions import plain_caption
from synthgen.data.stores import Store, inside
from synthgen.errors import UsageError, nearest

NAMES = ("metadata.csv", "metadata.jsonl")
CAPTION_COLUMNS = ("text", "caption")
_LABEL_COLUMNS = ("label", "class", "class_name", "label_name", "category", "labels")
_MAX_BYTES = 2**30


@dataclass(frozen=True)
class Row:
    """One image: its name relative to the store, its label and its caption as text (None without such a column).

    The caption is in its plain form, see `synthgen.data.captions.plain_caption`.
    """

    name: str
    label: str | None
    caption: str | None = None


def read_metadata(store: Store, name: str, images: set[str], *, captions: bool = False) -> list[Row]:
    """The rows of the table `name`, whose `file_name`s are relative to the folder that it lies in.

    captions: read those, too. Raises UsageError with file and line for a missing column, a row without name, label or
    caption, a name that leaves the folder, is listed twice, or is no image there.
    """
    folder = name.rpartition("/")[0]
    where = f"{store.path}/{name}"
    rows: list[Row] = []
    seen: set[str] = set()
    for line, record in _records(store, name, where):
        given = str(record.get("file_name") or "").replace("\\", "/").strip()
        if not given:
            raise UsageError(f"{where}:{line}: no file_name", 'Every row names its image in the column "file_name".')
        path = _relative(store, folder, given)
        if path is None:
            raise UsageError(f"{where}:{line}: '{given}' lies outside of the folder")
        if path not in images:
            known = [image.removeprefix(f"{folder}/") for image in sorted(images)[:10_000]]
            raise UsageError(f"{where}:{line}: there is no image '{given}'{nearest(given, known)}")
        if path in seen:
            raise UsageError(f"{where}:{line}: '{given}' is listed a second time")
        seen.add(path)
        caption = _caption(record, where, line) if captions else None
        rows.append(Row(path, _label(record, where, line), caption))
    if not rows:
        raise UsageError(f"{where} has no rows")
    return rows


def _relative(store: Store, folder: str, given: str) -> str | None:
    """The store's name of a file given relative to `folder`; None when it points out of that folder."""
    parts: list[str] = []
    for part in given.split("/"):
        if part == "..":
            if not parts:
                return None
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    if given.startswith("/") or ":" in given.split("/", 1)[0]:
        return None
    name = "/".join([*([folder] if folder else []), *parts])
    root = store.path / folder if folder else store.path
    if root.is_dir() and inside(root, "/".join(parts)) is None:  # a link that leads out
        return None
    return name


def _label(record: dict[str, Any], where: str, line: int) -> str | None:
    column = next((name for name in _LABEL_COLUMNS if name in record), None)
    if column is None:
        return None
    value = record[column]
    if value is None or str(value).strip() == "":
        raise UsageError(f"{where}:{line}: the {column} is empty", "Label every image, or drop the column.")
    if isinstance(value, (list, dict)):
        raise UsageError(f"{where}:{line}: the {column} is {json.dumps(value)[:60]}; one class per image is understood")
    return str(value).strip()


def _caption(record: dict[str, Any], where: str, line: int) -> str | None:
    column = next((name for name in CAPTION_COLUMNS if name in record), None)
    if column is None:
        return None
    value = record[column]
    if value is not None and not isinstance(value, str):
        raise UsageError(
            f"{where}:{line}: the {column} is {json.dumps(value)[:60]}; one caption per image is understood"
        )
    caption = plain_caption(value or "")
    if not caption:
        raise UsageError(f"{where}:{line}: the {column} has no words", "Caption every image, or drop the column.")
    return caption


def _records(store: Store, name: str, where: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """(line number, columns) of every row."""
    if store.size(name) > _MAX_BYTES:
        raise UsageError(f"{where} is larger than {_MAX_BYTES:,} bytes")
    try:
        with store.open(name) as stream:
            text = io.TextIOWrapper(stream, encoding="utf-8-sig", newline="")
            yield from _jsonl(text, where) if name.endswith(".jsonl") else _csv(text, where)
    except UnicodeDecodeError as error:
        raise UsageError(f"{where} is not UTF-8 text: {error.reason} at byte {error.start}") from error


def _csv(text: io.TextIOWrapper, where: str) -> Iterator[tuple[int, dict[str, Any]]]:
    reader = csv.DictReader(text, strict=True)
    try:
        columns = [column or "" for column in reader.fieldnames or []]
        if "file_name" not in columns:
            raise UsageError(
                f"{where}:1: there is no column 'file_name'{nearest('file_name', tuple(columns))}",
                f"Its columns: {', '.join(columns) or 'none'}.",
            )
        for record in reader:
            yield reader.line_num, record
    except csv.Error as error:
        raise UsageError(f"{where}:{reader.reader.line_num}: {error}") from error


def _jsonl(text: io.TextIOWrapper, where: str) -> Iterator[tuple[int, dict[str, Any]]]:
    columns: set[str] | None = None
    for line, raw in enumerate(text, start=1):
        if not raw.strip():
            continue
        try:
            record = json.loads(raw)
        except (ValueError, RecursionError) as error:
            raise UsageError(f"{where}:{line}: not JSON: {error}") from error
        if not isinstance(record, dict):
            raise UsageError(f"{where}:{line}: not a JSON object")
        labelled = columns is None or any(name in record for name in _LABEL_COLUMNS)
        if columns is None:
            columns = set(record)
        elif labelled != any(name in columns for name in _LABEL_COLUMNS):
            raise UsageError(f"{where}:{line}: some rows have a label and some have none")
        yield line, record
