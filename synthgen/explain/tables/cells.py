"""Pieces of the page: the cells of one row in a table, and bars that go both ways."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from synthgen.html import Markup, escape, table

if TYPE_CHECKING:
    from synthgen.explain.tables.run import TableExplanation

MOST_BARS = 12

STYLE = """
.both{display:grid;grid-template-columns:minmax(70px,max-content) 1fr;gap:3px 10px;margin:8px 0 14px;font-size:.93rem;
align-items:center}
.both b{font-weight:400;overflow-wrap:anywhere}
.both span{position:relative;display:block;height:20px;
background:linear-gradient(var(--line),var(--line)) 50%/1px 100% no-repeat}
.both i{position:absolute;top:3px;height:14px;border-radius:2px}
.both i.for{left:50%;background:var(--c0)}.both i.against{right:50%;background:var(--c1)}
.both em{position:absolute;top:0;font-style:normal;font-variant-numeric:tabular-nums;color:var(--soft);font-size:.85rem}
"""


def signed_bars(names: Sequence[str], values: Sequence[float]) -> Markup:
    """Bars to the right for positive values, to the left for negative ones, largest first, at most `MOST_BARS`."""
    order = sorted(range(len(values)), key=lambda place: -abs(values[place]))[:MOST_BARS]
    largest = max((abs(values[place]) for place in order), default=0.0) or 1.0
    parts = []
    for place in order:
        value = values[place]
        width = 36.0 * abs(value) / largest
        side, number = ("for", "left") if value >= 0 else ("against", "right")
        bar = f'<i class="{side}" style="width:{width:.1f}%"></i>'
        text = f'<em style="{number}:{50 + width + 1:.1f}%">{value:+.2f}</em>'
        parts.append(f"<b>{escape(names[place])}</b><span>{bar}{text}</span>")
    return Markup(f'<div class="both">{"".join(parts)}</div>')


def cell_table(found: TableExplanation, row: int) -> Markup:
    """Every cell of a row: value, surprise, and the value of the nearest training row."""
    heads = ["column", "value"]
    nearest = _nearest(found, row)
    if found.likelihood is not None:
        heads.append("surprise, bits")
    if nearest is not None:
        heads.append("nearest training row")
    rows = []
    for place, column in enumerate(found.columns):
        cells: list[str | float | Markup] = [column, found.text(column, row)]
        if found.likelihood is not None:
            cells.append(f"{found.likelihood.surprise[row, place]:.2f}")
        if nearest is not None:
            same = nearest[column] == found.text(column, row)
            cells.append(nearest[column] if same else Markup(f"<strong>{escape(nearest[column])}</strong>"))
        rows.append(cells)
    caption = None if nearest is None else "Where the nearest training row differs, its value is bold."
    return table(heads, rows, caption=caption)


def _nearest(found: TableExplanation, row: int) -> dict[str, str] | None:
    """By column of the model, the texts of the nearest training row."""
    if found.neighbours is None or found.real.train is None:
        return None
    index = int(found.neighbours.index[row, 0])
    one = found.real.train.select(np.array([index]))
    return {name: texts[0] for name, texts in found.texts_of(one).items()}
