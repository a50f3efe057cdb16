"""Windows of numbers as arrays and as rows of the input's columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from synthgen.data.series.framing import times_from
from synthgen.data.series.levels import from_codes
from synthgen.data.series.naming import make_ids
from synthgen.data.series.parts import Part
from synthgen.data.series.roles import SEQUENCE
from synthgen.data.series.schema import SeriesSchema
from synthgen.data.tables.schema import ColumnSchema, TableSchema

if TYPE_CHECKING:
    import pandas as pd
    import torch

    from synthgen.data.series.codec import SeriesCodec


def decode_arrays(codec: SeriesCodec, x: torch.Tensor, lengths: np.ndarray, *, clip: bool) -> np.ndarray:
    """See `SeriesCodec.arrays`."""
    steps = np.asarray(x.detach().cpu().numpy(), np.float32)
    valid = np.arange(steps.shape[1]) < lengths[:, None]
    rows = steps[valid]
    found = np.full((*steps.shape[:2], len(codec.schema.channels)), np.nan)
    by_name = {part.name: part for part in codec.parts if part.role == "channel"}
    for place, name in enumerate(codec.schema.channels):
        z, gone = _cells(rows, by_name.get(codec.codings[name].copy_of or name))
        found[valid, place] = codec.codings[name].numbers(z, gone, clip=clip)
    return found


def decoded_table(schema: SeriesSchema, *, numbered: bool) -> TableSchema:
    """See `SeriesCodec.table`."""
    table = schema.table
    if schema.id is not None or not numbered:
        return table
    header = table.format.get("header")
    form: dict[str, Any] = table.format | ({} if not header else {"header": [SEQUENCE, *header]})
    return TableSchema((ColumnSchema(SEQUENCE, "integer", {"style": "integer"}), *table.columns), form)


def decode_frame(
    codec: SeriesCodec,
    x: torch.Tensor,
    lengths: np.ndarray,
    keys: np.ndarray,
    seed: int,
    starts: np.ndarray,
    *,
    numbered: bool,
    clip: bool,
) -> pd.DataFrame:
    """See `SeriesCodec.decode`."""
    import pandas as pd

    schema = codec.schema
    steps = np.asarray(x.detach().cpu().numpy(), np.float32)
    valid = np.arange(steps.shape[1]) < lengths[:, None]
    rows = steps[valid]
    by_name = {part.name: part for part in codec.parts if part.role in ("channel", "static", "label")}
    found: dict[str, pd.Series] = {}
    for column in decoded_table(schema, numbered=numbered).columns:
        name = column.name
        if name == schema.time:
            found[name] = times_from(codec, steps, valid, starts, column)
        elif name == schema.id:
            found[name] = make_ids(column, keys, seed, lengths)
        elif name in codec.codings:
            part = by_name.get(codec.codings[name].copy_of or name)
            # One value for each sequence comes from all of its steps.
            z, gone = _of_sequence(steps, valid, part) if name in schema.static else _cells(rows, part)
            found[name] = codec.codings[name].decode(z, gone, clip=clip)
        elif name == schema.label:
            found[name] = from_codes(_of_sequence(steps, valid, by_name[name])[0].argmax(1), column, codec.classes)
        else:
            found[name] = pd.Series(np.repeat(keys + 1, lengths)).astype("Int64")
    return pd.DataFrame(found)


def _cells(rows: np.ndarray, part: Part | None) -> tuple[np.ndarray, np.ndarray]:
    """(values (T, width), whether missing, bool (T,)) of a part of rows (T, D); constants have none."""
    if part is None:
        return rows[:, :0], np.zeros(len(rows), bool)
    gone = np.zeros(len(rows), bool) if part.missing is None else rows[:, part.missing] > 0
    return rows[:, part.start : part.stop], gone


def _of_sequence(steps: np.ndarray, valid: np.ndarray, part: Part | None) -> tuple[np.ndarray, np.ndarray]:
    """As `_cells`, with the mean over each sequence in all of its rows."""
    if part is None:
        return _cells(steps[valid], None)
    weights = valid[..., None] / np.maximum(valid.sum(1), 1)[:, None, None]
    means = (steps * weights).sum(1).astype(np.float32)
    z, gone = _cells(means, part)
    lengths = valid.sum(1)
    return np.repeat(z, lengths, axis=0), np.repeat(gone, lengths)
