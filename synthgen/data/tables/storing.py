"""A codec in a checkpoint: a small description and tensors, checked with limits before anything relies on them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from synthgen.data.tables.binning import NumberTokens
from synthgen.data.tables.categories import CategoryTokens
from synthgen.data.tables.codec import CodecColumn, TableCodec, Tokens
from synthgen.data.tables.plain import pack_texts, unpack_texts
from synthgen.data.tables.schema import KINDS, TableSchema
from synthgen.data.tables.transforms import DAY, transform_from_dict, transform_to_dict
from synthgen.errors import SynthgenError

if TYPE_CHECKING:
    import torch

MOST_SIZE = 1_000_000
_FLOATS = ("low", "high", "knots", "at")
_WHOLES = ("counts", "ends")
_WRONG = (ValueError, TypeError, KeyError, IndexError, AttributeError, ArithmeticError, RuntimeError)


def codec_to_dict(codec: TableCodec) -> dict[str, Any]:
    """See `TableCodec.to_dict`."""
    return {
        "schema": codec.schema.to_dict(),
        "columns": [_column_to_dict(column) for column in codec.columns],
        "steps": [transform_to_dict(step) for step in codec.steps],
        "units": dict(codec.units),
        "constants": dict(codec.constants),
    }


def _column_to_dict(column: CodecColumn) -> dict[str, Any]:
    tokens = column.tokens
    found: dict[str, Any] = {
        "name": column.name,
        "kind": column.kind,
        "sources": list(column.sources),
        "missing": tokens.missing,
    }
    if isinstance(tokens, NumberTokens):
        return found | {"tokens": "numbers", "decimals": tokens.decimals, "digits": tokens.digits}
    return found | {"tokens": "categories", "common": tokens.common}


def codec_tensors(codec: TableCodec) -> dict[str, torch.Tensor]:
    """See `TableCodec.tensors`."""
    import torch

    found: dict[str, torch.Tensor] = {}
    for place, column in enumerate(codec.columns):
        tokens = column.tokens
        if isinstance(tokens, NumberTokens):
            parts = {name: getattr(tokens, name) for name in (*_FLOATS, *_WHOLES)}
            parts["smooth"] = tokens.smooth.astype(np.uint8)
        else:
            texts, ends = pack_texts(tokens.texts)
            parts = {"texts": texts, "ends": ends, "counts": tokens.counts}
        found |= {f"{place}.{name}": torch.from_numpy(np.ascontiguousarray(part)) for name, part in parts.items()}
    return found


def codec_from_parts(values: dict[str, Any], tensors: Mapping[str, torch.Tensor]) -> TableCodec:
    """See `TableCodec.from_parts`."""
    try:
        return _from_parts(values, tensors)
    except SynthgenError:
        raise
    except _WRONG as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise SynthgenError(
            f"the description of the columns' tokens cannot be read ({reason})",
            "the file was made by another version of synthgen, or altered",
        ) from error


def _from_parts(values: dict[str, Any], tensors: Mapping[str, torch.Tensor]) -> TableCodec:
    schema = TableSchema.from_dict(values["schema"])
    columns = []
    for place, given in enumerate(values["columns"]):
        parts = {name.partition(".")[2]: one for name, one in tensors.items() if name.startswith(f"{place}.")}
        columns.append(_column_from_parts(given, {name: one.cpu().numpy() for name, one in parts.items()}))
    names = {column.name for column in columns}
    if len(names) != len(columns):
        raise ValueError("a column stands twice")
    steps = tuple(transform_from_dict(step) for step in values["steps"])
    units = {str(name): _whole(unit, 1, DAY) for name, unit in values["units"].items()}
    constants = {str(name): None if text is None else str(text) for name, text in values["constants"].items()}
    codec = TableCodec(schema, tuple(columns), steps, units, constants)
    _try(codec)
    return codec


def _whole(value: Any, least: int, most: int) -> int:
    if type(value) is not int or not least <= value <= most:
        raise ValueError(f"{value!r} where a whole number from {least} to {most} belongs")
    return value


def _column_from_parts(given: dict[str, Any], parts: dict[str, np.ndarray]) -> CodecColumn:
    if given["kind"] not in KINDS or type(given["missing"]) is not bool:
        raise ValueError("an unknown kind of column")
    numbers = given["tokens"] == "numbers"
    tokens = _numbers(given, parts) if numbers else _categories(given, parts)
    if not 1 <= tokens.size <= MOST_SIZE:
        raise ValueError(f"{tokens.size:,} tokens")
    return CodecColumn(str(given["name"]), given["kind"], tuple(map(str, given["sources"])), tokens)


def _numbers(given: dict[str, Any], parts: dict[str, np.ndarray]) -> Tokens:
    for name in _FLOATS:
        if parts[name].ndim != 1 or parts[name].dtype != np.float64 or not np.isfinite(parts[name]).all():
            raise ValueError(f"{name} is not a row of finite numbers")
    for name in _WHOLES:
        if parts[name].ndim != 1 or parts[name].dtype != np.int64:
            raise ValueError(f"{name} is not a row of whole numbers")
    low, high, at, ends = parts["low"], parts["high"], parts["at"], parts["ends"]
    size, count = len(low), len(low) + given["missing"]
    shapes = len(high) == len(ends) == len(parts["smooth"]) == size and len(parts["counts"]) == count
    bins = np.flatnonzero(low < high)
    fine = (
        shapes
        and len(parts["knots"]) == len(at) == (int(ends[-1]) if size else 0)
        and (np.diff(ends, prepend=0) >= 2).all()
        and (np.diff(at) >= 0).all()
        and (low <= high).all()
        and (np.diff(high[bins]) > 0).all()
        and (np.diff(low[low == high]) > 0).all()
        and (parts["counts"] >= 0).all()
    )
    if not fine or (size and not (at[0] == 0 and at[-1] <= size and _at_home(at, ends))):
        raise ValueError("bins that do not fit together")
    smooth = parts["smooth"].astype(bool)
    decimals, digits = _whole(given["decimals"], 0, 400), _whole(given["digits"], 1, 400)
    return NumberTokens(
        low, high, parts["counts"], parts["knots"], at, ends, smooth, decimals, digits, given["missing"]
    )


def _at_home(at: np.ndarray, ends: np.ndarray) -> bool:
    """Whether the knots of every token lie between its number and the next."""
    token = np.repeat(np.arange(len(ends)), np.diff(ends, prepend=0))
    return bool(((at >= token) & (at <= token + 1)).all())


def _categories(given: dict[str, Any], parts: dict[str, np.ndarray]) -> Tokens:
    if parts["texts"].dtype != np.uint8 or parts["ends"].dtype != np.int64 or parts["counts"].dtype != np.int64:
        raise ValueError("texts of another type")
    texts = unpack_texts(parts["texts"], parts["ends"])
    common = _whole(given["common"], 0, len(texts))
    counts = parts["counts"]
    if counts.shape != (len(texts) + given["missing"],) or (counts < 0).any() or len(set(texts.tolist())) != len(texts):
        raise ValueError("categories that do not fit together")
    if common < len(texts) and counts[common : len(texts)].sum() <= 0:
        raise ValueError("rare categories without rows")
    return CategoryTokens(texts, counts, common, given["missing"])


def _try(codec: TableCodec) -> None:
    """Decode and encode a row per corner: what a description leaves out or contradicts fails here, not in sampling."""
    sizes = np.array(codec.sizes, np.int64)
    rows = np.stack([np.zeros(len(sizes), np.int64), sizes - 1])
    frame = codec.decode(rows, np.full(rows.shape, 0.5, np.float32), keys=np.arange(2), seed=0)
    codec.encode(frame)
    names = set(codec.schema.names)
    if any(source not in names for column in codec.columns for source in column.sources):
        raise ValueError("a column made from none of the table")
