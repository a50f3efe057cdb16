"""A codec in a checkpoint: a small description and tensors, checked with limits before anything relies on them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from synthgen.data.series.codec import SeriesCodec
from synthgen.data.series.coding import Coding
from synthgen.data.series.laws import MOST_BEGINNINGS, Beginnings
from synthgen.data.series.parts import Part
from synthgen.data.series.scaling import KINDS, Scaler
from synthgen.data.series.schema import SeriesSchema
from synthgen.errors import SynthgenError

if TYPE_CHECKING:
    import torch

MOST_DIMENSIONS = 100_000
MOST_CELLS = 2**26
"""Cells of one window, at most: 4,096 steps of 16,384 dimensions."""
_LONGEST = 4096
_MOST_KNOTS = 100_000
_ROLES = ("channel", "static", "label", "calendar", "gap")
_CALENDAR = ("hour", "weekday", "season")
_WRONG = (ValueError, TypeError, KeyError, IndexError, AttributeError, ArithmeticError, RuntimeError, StopIteration)


def codec_to_dict(codec: SeriesCodec) -> dict[str, Any]:
    """See `SeriesCodec.to_dict`."""
    return {
        "schema": codec.schema.to_dict(),
        "window": codec.window,
        "parts": [[part.name, part.role, part.start, part.stop, part.missing, part.group] for part in codec.parts],
        "classes": list(codec.classes),
        "codings": [_coding_to_dict(coding) for coding in codec.codings.values()],
        "gap": None if codec.gap is None else _scaler_to_dict(codec.gap),
    }


def _coding_to_dict(coding: Coding) -> dict[str, Any]:
    return {
        "name": coding.column.name,
        "scaler": None if coding.scaler is None else _scaler_to_dict(coding.scaler),
        "levels": list(coding.levels),
        "constant": coding.constant,
        "number": None if np.isnan(coding.number) else coding.number,
        "copy_of": coding.copy_of,
    }


def _scaler_to_dict(scaler: Scaler) -> dict[str, Any]:
    names = ("kind", "shift", "scale", "low", "high", "decimals", "digits", "whole")
    return {name: getattr(scaler, name) for name in names}


def codec_tensors(codec: SeriesCodec) -> dict[str, torch.Tensor]:
    """See `SeriesCodec.tensors`."""
    import torch

    found = {f"beginnings.{name}": getattr(codec.beginnings, name) for name in ("classes", "lengths", "starts")}
    for place, coding in enumerate(codec.codings.values()):
        if coding.scaler is not None and coding.scaler.kind == "quantile":
            found |= {f"{place}.values": coding.scaler.values, f"{place}.scores": coding.scaler.scores}
    return {name: torch.from_numpy(np.ascontiguousarray(part)) for name, part in found.items()}


def codec_from_parts(values: dict[str, Any], tensors: Mapping[str, torch.Tensor]) -> SeriesCodec:
    """See `SeriesCodec.from_parts`."""
    try:
        return _from_parts(values, {name: one.cpu().numpy() for name, one in tensors.items()})
    except SynthgenError:
        raise
    except _WRONG as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise SynthgenError(
            f"the description of the windows cannot be read ({reason})",
            "the file was made by another version of synthgen, or altered",
        ) from error


def _from_parts(values: dict[str, Any], tensors: dict[str, np.ndarray]) -> SeriesCodec:
    schema = SeriesSchema.from_dict(values["schema"])
    window = _whole(values["window"], 1, _LONGEST)
    classes = tuple(map(str, values["classes"]))
    codings: dict[str, Coding] = {}
    for place, given in enumerate(values["codings"]):
        coding = _coding(schema, given, tensors.get(f"{place}.values"), tensors.get(f"{place}.scores"))
        _check_copy(coding, schema, codings)
        codings[coding.column.name] = coding
    if list(codings) != [*schema.channels, *schema.static]:
        raise ValueError("codings that do not fit the columns")
    if bool(classes) != (schema.label is not None) or len(set(classes)) != len(classes):
        raise ValueError("classes that do not fit the columns")
    parts = _parts(values["parts"], schema, codings, len(classes))
    gap = None if values["gap"] is None else _scaler(values["gap"], None, None)
    if (gap is not None) != any(part.role == "gap" for part in parts):
        raise ValueError("times that do not fit the parts")
    codec = SeriesCodec(
        schema, window, parts, classes, codings, _beginnings(tensors, window, max(1, len(classes))), gap
    )
    if window * codec.dimensions > MOST_CELLS:
        raise ValueError(f"windows of {window:,} steps and {codec.dimensions:,} dimensions")
    _try(codec)
    return codec


def _whole(value: Any, least: int, most: int) -> int:
    if type(value) is not int or not least <= value <= most:
        raise ValueError(f"{value!r} where a whole number from {least} to {most} belongs")
    return value


def _coding(
    schema: SeriesSchema, given: dict[str, Any], values: np.ndarray | None, scores: np.ndarray | None
) -> Coding:
    column = schema.table[str(given["name"])]
    numeric = column.kind in ("number", "integer")
    if numeric != (given["scaler"] is not None) or column.kind in ("identifier", "datetime"):
        raise ValueError(f"a coding that does not fit the column '{column.name}'")
    scaler = _scaler(given["scaler"], values, scores) if numeric else None
    levels = tuple(map(str, given["levels"]))
    if len(set(levels)) != len(levels) or (column.kind in ("category", "boolean")) != bool(levels):
        raise ValueError(f"levels that do not fit the column '{column.name}'")
    constant = None if given["constant"] is None else str(given["constant"])
    number = np.nan if given["number"] is None else float(given["number"])
    copy_of = None if given.get("copy_of") is None else str(given["copy_of"])
    return Coding(column, scaler, levels, constant, number, copy_of)


def _check_copy(coding: Coding, schema: SeriesSchema, earlier: dict[str, Coding]) -> None:
    """A copy is a channel of numbers like an earlier one that is no copy."""
    if coding.copy_of is None:
        return
    original = earlier.get(coding.copy_of)
    fits = original is not None and original.copy_of is None and original.column.kind == coding.column.kind
    if not fits or coding.scaler is None or not {coding.column.name, coding.copy_of} <= set(schema.channels):
        raise ValueError(f"a copy that does not fit the column '{coding.column.name}'")


def _scaler(given: dict[str, Any], values: np.ndarray | None, scores: np.ndarray | None) -> Scaler:
    kind = given["kind"]
    numbers = [float(given[name]) for name in ("shift", "scale", "low", "high")]
    if kind not in KINDS or not np.isfinite(numbers).all() or numbers[1] <= 0 or numbers[2] > numbers[3]:
        raise ValueError("a scale that cannot be")
    decimals, digits = _whole(given["decimals"], 0, 400), _whole(given["digits"], 1, 400)
    if type(given["whole"]) is not bool:
        raise ValueError("whole is true or false")
    empty = np.empty(0)
    if kind == "quantile":
        if values is None or scores is None:
            raise ValueError("quantiles that are not there")
        fine = values.ndim == 1 and values.shape == scores.shape and 1 <= len(values) <= _MOST_KNOTS
        fine = fine and values.dtype == scores.dtype == np.float64
        if not fine or not np.isfinite([values, scores]).all() or (np.diff([values, scores]) < 0).any():
            raise ValueError("quantiles that do not rise")
    shift, scale, low, high = numbers
    values, scores = empty if values is None else values, empty if scores is None else scores
    return Scaler(kind, shift, scale, low, high, decimals, digits, given["whole"], values, scores)


def _parts(given: Any, schema: SeriesSchema, codings: dict[str, Coding], classes: int) -> tuple[Part, ...]:
    """Parts whose dimensions follow each other without a gap, and whose bits follow the values."""
    found, place = [], 0
    for name, role, start, stop, missing, *group in given:  # older ones have no group
        ends = (_whole(start, 0, MOST_DIMENSIONS), _whole(stop, 1, MOST_DIMENSIONS))
        number = _whole(group[0], 0, MOST_DIMENSIONS) if group else 0
        part = Part(str(name), role, *ends, missing, number)
        names = {"channel": schema.channels, "static": schema.static, "label": (schema.label,)}.get(role)
        width = {"label": classes, "calendar": 2, "gap": 1}.get(role)
        width = codings[part.name].width if width is None else width
        fits = role in _ROLES and part.start == place and part.stop - part.start == width
        if not fits or (names is not None and part.name not in names) or (role == "calendar" and name not in _CALENDAR):
            raise ValueError("parts that do not fit the columns")
        place = part.stop
        found.append(part)
    bits = {_whole(part.missing, place, place + len(found)) for part in found if part.missing is not None}
    if len({(part.role, part.name) for part in found}) != len(found) or bits != set(range(place, place + len(bits))):
        raise ValueError("parts that do not fit together")
    if any(len({part.group for part in found if part.missing == bit}) > 1 for bit in bits):
        raise ValueError("a missing bit of several groups")
    if len({part.group for part in found}) > 1 and any(part.role != "channel" for part in found):
        raise ValueError("groups beside conditions")
    if any(part.role in ("label", "calendar", "gap") and part.missing is not None for part in found):
        raise ValueError("a missing bit where nothing can be missing")
    if any(part.role == "calendar" for part in found) and schema.step.get("kind") != "datetime":
        raise ValueError("a calendar without dates")
    return tuple(found)


def _beginnings(tensors: dict[str, np.ndarray], window: int, classes: int) -> Beginnings:
    parts = [tensors[f"beginnings.{name}"] for name in ("classes", "lengths", "starts")]
    count = len(parts[0])
    if not 1 <= count <= MOST_BEGINNINGS or any(part.shape != (count,) for part in parts):
        raise ValueError("beginnings of windows that do not fit together")
    own, lengths, starts = parts
    if own.dtype != np.int64 or lengths.dtype != np.int64 or starts.dtype not in (np.int64, np.float64):
        raise ValueError("beginnings of another type")
    fine = own.min() >= 0 and own.max() < classes and (np.diff(own) >= 0).all()
    if not fine or lengths.min() < 1 or lengths.max() > window or not np.isfinite(starts.astype(np.float64)).all():
        raise ValueError("beginnings of windows that cannot be")
    return Beginnings(own, lengths, starts)


def _try(codec: SeriesCodec) -> None:
    """Draw and decode two windows: what a description leaves out or contradicts fails here, not in sampling."""
    import torch

    frame = codec.draw(np.arange(2), 0)
    x = torch.zeros(2, codec.window, codec.dimensions)
    codec.decode(x, frame.lengths, np.arange(2), 0, frame.starts, numbered=True)
    codec.arrays(x, frame.lengths)
