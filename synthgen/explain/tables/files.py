"""The files of an explanation that other programs read: rows and cells as CSV, arrays as safetensors."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors.numpy import save

from synthgen.data.tables.writing import format_rows

if TYPE_CHECKING:
    from synthgen.explain.tables.run import TableExplanation


def add_tables(found: TableExplanation) -> None:
    """The files for other programs: the rows as they are, cells and columns as CSV, arrays."""
    rows = found.asked.rows
    found.files["rows.csv"] = format_rows(rows.frame, rows.schema, header=True).encode()
    arrays: dict[str, np.ndarray] = {"tokens": found.tokens}
    cells: list[tuple[Any, ...]] = []
    if found.likelihood is not None:
        one = found.likelihood
        arrays |= {"log2_likelihood": one.total, "log2_likelihood_error": one.error, "surprise": one.surprise}
    if found.sharing is not None:
        shared = found.sharing
        arrays |= {"shares": shared.shares, "alone": shared.alone, "share_columns": shared.columns}
        arrays |= {"full": shared.full, "empty": shared.empty}
    for row in range(len(rows)):
        for place, column in enumerate(found.columns):
            cells.append((row, column, found.text(column, row), *_cell(found, row, place)))
    if found.neighbours is not None:
        arrays |= {"neighbours": found.neighbours.index, "distances": found.neighbours.distances}
    if found.detection is not None:
        one_by_one = zip(found.detection.names, found.detection.scores, found.detection.p, strict=True)
        found.files["columns.csv"] = _csv(("column", "towards_truth", "p"), [tuple(one) for one in one_by_one])
        arrays |= {"contributions": found.detection.verdicts.contributions}
        arrays |= {"probability": found.detection.verdicts.probability}
    heads = ("row", "column", "value", "surprise_bits", "share_bits", "alone_bits")
    found.files["cells.csv"] = _csv(heads, cells)
    found.files["explanation.safetensors"] = save({name: np.ascontiguousarray(one) for name, one in arrays.items()})


def _cell(found: TableExplanation, row: int, place: int) -> tuple[float | str, float | str, float | str]:
    """Surprise, share and share alone of one cell; empty where there is none."""
    surprise: float | str = "" if found.likelihood is None else float(found.likelihood.surprise[row, place])
    if found.sharing is None or place == found.sharing.target:
        return surprise, "", ""
    at = int(np.flatnonzero(found.sharing.columns == place)[0])
    return surprise, float(found.sharing.shares[row, at]), float(found.sharing.alone[row, at])


def _csv(heads: tuple[str, ...], rows: list[tuple[Any, ...]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(heads)
    writer.writerows([f"{cell:.6g}" if isinstance(cell, float) else cell for cell in row] for row in rows)
    return text.getvalue().encode()
