"""Small pictures of windows: many curves of two kinds over one another, and points of two kinds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from synthgen.html import Markup, escape
from synthgen.html.charts import tick_text

STYLE = """
.panels{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(260px,100%),1fr));gap:14px 22px;margin:.6rem 0}
.panels figure{margin:0}.panels figcaption{font-size:.82rem;margin-top:2px;overflow-wrap:anywhere}
.panel text{font-size:11px}.panel .none{fill:var(--line);opacity:.5}.panel .curve{stroke-width:1.8}
.panel .trace{fill:none;stroke-width:1.2;stroke-linejoin:round}
.charts{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(300px,100%),1fr));gap:8px 22px}
.charts figure{margin:.2rem 0}
"""

_WIDTH, _HEIGHT, _MARGIN, _FOOT = 300, 120, 4, 18


def traces(first: np.ndarray, second: np.ndarray, *, described: str, strong: float = 0.5) -> Markup:
    """Windows (N, L) and (M, L) of one channel, NaN where missing: the first grey, the second in colour.

    strong: how opaque the curves are.
    """
    both = np.concatenate([first, second])
    known = both[~np.isnan(both)]
    if not len(known):
        return Markup("<p>no values</p>")
    low, high = float(known.min()), float(known.max())
    span, floor = (high - low) or 1.0, _HEIGHT - _FOOT
    steps = max(both.shape[1] - 1, 1)
    parts = []
    for values, colour in ((first, 5), (second, 1)):
        for row in values:
            for points in _stretches(row):
                path = " ".join(
                    f"{_MARGIN + (_WIDTH - 2 * _MARGIN) * step / steps:.1f},"
                    f"{floor - (floor - _MARGIN) * (value - low) / span:.1f}"
                    for step, value in points
                )
                parts.append(f'<polyline class="trace s{colour}" opacity="{strong:g}" points="{path}"/>')
    parts.append(f'<line class="axis" x1="{_MARGIN}" x2="{_WIDTH - _MARGIN}" y1="{floor}" y2="{floor}"/>')
    parts.append(f'<text x="{_MARGIN}" y="{_HEIGHT - 4}">{tick_text(low)} to {tick_text(high)}</text>')
    parts.append(f'<text x="{_WIDTH - _MARGIN}" y="{_HEIGHT - 4}" text-anchor="end">{both.shape[1]} steps</text>')
    return _svg(_HEIGHT, described, parts)


def _stretches(row: np.ndarray) -> list[list[tuple[int, float]]]:
    """The parts of a curve between its gaps; a single value is drawn as a short dash."""
    found: list[list[tuple[int, float]]] = []
    before = False
    for step, value in enumerate(row.tolist()):
        if value == value:
            if not before:
                found.append([])
            found[-1].append((step, value))
        before = value == value
    return [part if len(part) > 1 else [part[0], (part[0][0], part[0][1])] for part in found]


def scatter(first: np.ndarray, second: np.ndarray, *, described: str) -> Markup:
    """Points (N, 2) in grey and (M, 2) in colour over them."""
    both = np.concatenate([first, second])
    low, high = np.quantile(both, 0.002, axis=0), np.quantile(both, 0.998, axis=0)
    size = 260
    scale = (size - 12) / np.where(high > low, high - low, 1.0)
    parts = []
    for values, colour in ((first, 5), (second, 1)):
        placed = np.clip((values - low) * scale + 6, 2, size - 2)
        parts += [
            f'<circle class="f{colour}" opacity="0.55" cx="{x:.1f}" cy="{size - y:.1f}" r="2"/>' for x, y in placed
        ]
    return _svg(size, described, parts)


def legend(names: Sequence[str]) -> Markup:
    """What grey and what colour is."""
    return Markup(
        f'<div class="legend"><span><i class="f5"></i>{escape(names[0])}</span>'
        f'<span><i class="f1"></i>{escape(names[1])}</span></div>'
    )


def _svg(height: int, described: str, parts: list[str]) -> Markup:
    return Markup(
        f'<svg class="chart panel" viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{escape(described)}">'
        f"{''.join(parts)}</svg>"
    )
