"""Curves as inline SVG: channels of a window with maps laid under them, and small ones for steps side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np

from synthgen.html import Markup, escape

WIDTH, HEIGHT = 440, 92
_LEFT, _RIGHT, _TOP, _BOTTOM = 6, 6, 20, 6

STYLE = """
.windows{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(400px,100%),1fr));gap:18px 22px;margin:12px 0}
.window>b{display:block;margin-bottom:2px;overflow-wrap:anywhere}.window small{color:var(--soft);display:block}
svg.strip{display:block;width:100%;height:auto;margin:3px 0;border-radius:4px;background:var(--code)}
svg.strip text{fill:var(--soft);font:12px system-ui,"DejaVu Sans",sans-serif}
svg.strip text.ink{fill:var(--ink)}
svg.strip polyline,svg.mini polyline{fill:none;stroke:var(--ink);stroke-width:1.6;stroke-linejoin:round}
svg.strip polyline.other,svg.mini polyline.other{stroke:var(--c5);stroke-width:1.2;stroke-dasharray:4 3}
svg .plus{fill:var(--c1)}svg .minus{fill:var(--c0)}
svg.strip g.map{display:none}
.pick{position:sticky;top:0;background:var(--panel);padding:8px 0;z-index:1;border-bottom:1px solid var(--line);
display:flex;flex-wrap:wrap;gap:8px;align-items:center}
.pick button[aria-pressed=true]{background:var(--c0);color:#fff;border-color:var(--c0)}
.minis{display:grid;gap:6px 6px;overflow-x:auto;margin:8px 0}
.minis small{color:var(--soft);font-size:.78rem;white-space:nowrap}
svg.mini{display:block;width:100%;min-width:70px;height:auto;border-radius:3px;background:var(--code)}
.swatch{display:inline-block;width:12px;height:12px;border-radius:2px;vertical-align:-1px;margin:0 6px 0 0}
.swatch~.swatch{margin-left:14px}
.look{display:flex;flex-wrap:wrap;gap:10px 16px;margin:8px 0}
.look label{font-size:.9rem;color:var(--soft)}
.look select{font:inherit;font-size:.9rem;color:var(--ink);background:var(--panel);border:1px solid var(--line);
border-radius:6px;padding:3px 6px;max-width:100%}
.square{width:min(320px,100%)}.square img{width:100%;border:1px solid var(--line)}
.square img[hidden]{display:none}
td.heat{text-align:center;font-variant-numeric:tabular-nums}
"""


def strip(
    name: str,
    values: np.ndarray,
    length: int,
    maps: Mapping[str, tuple[np.ndarray, float]],
    *,
    other: np.ndarray | None = None,
    note: str = "",
) -> Markup:
    """One channel of a window, float64 (L,), NaN where missing. maps: by name, (values (L,), the largest of all): a
    bar behind each step, orange for positive and blue for negative values. other: a second curve, dashed."""
    low, high = _limits([values, *([] if other is None else [other])])
    parts = []
    for number, (kind, (cells, largest)) in enumerate(maps.items()):
        parts.append(f'<g class="map m{number}" data-map="{escape(kind)}">{_bars(cells[:length], length, largest)}</g>')
    if other is not None:
        parts.append(_lines(other, len(other), low, high, "other"))
    parts.append(_lines(values[:length], length, low, high, ""))
    parts.append(f'<text class="ink" x="{_LEFT}" y="14">{escape(_short(name))}</text>')
    told = note or f"{low:.4g} to {high:.4g}"
    parts.append(f'<text x="{WIDTH - _RIGHT}" y="14" text-anchor="end">{escape(told)}</text>')
    label = f"{name} over {length} steps, from {low:.4g} to {high:.4g}"
    return Markup(
        f'<svg class="strip" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(label)}">'
        f"{''.join(parts)}</svg>"
    )


def mini(values: np.ndarray, final: np.ndarray, low: float, high: float, label: str) -> Markup:
    """A small curve (L,) over a dashed one, cut at `low` and `high`."""
    shown = np.clip(values, low, high)
    parts = _lines(final, len(final), low, high, "other", 120, 60, 4) + _lines(
        shown, len(shown), low, high, "", 120, 60, 4
    )
    return Markup(f'<svg class="mini" viewBox="0 0 120 60" role="img" aria-label="{escape(label)}">{parts}</svg>')


def limits(values: Sequence[np.ndarray]) -> tuple[float, float]:
    """The smallest and the largest finite value, apart by something."""
    return _limits(values)


def _limits(values: Sequence[np.ndarray]) -> tuple[float, float]:
    every = np.concatenate([one[np.isfinite(one)] for one in values])
    if not len(every):
        return 0.0, 1.0
    low, high = float(every.min()), float(every.max())
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _bars(cells: np.ndarray, length: int, largest: float) -> str:
    """Bars of the map's strength; neighbours of the same strength are one."""
    width = (WIDTH - _LEFT - _RIGHT) / max(1, length)
    strength = np.rint(20 * np.clip(cells / (largest or 1.0), -1, 1)).astype(int)
    edges = np.flatnonzero(np.diff(strength, prepend=99, append=99))
    found = []
    for first, last in pairwise(edges):
        value = int(strength[first])
        if value:
            kind = "plus" if value > 0 else "minus"
            found.append(
                f'<rect class="{kind}" opacity="{0.04 * abs(value):.2f}" x="{_LEFT + first * width:.1f}" y="{_TOP}" '
                f'width="{(last - first) * width:.1f}" height="{HEIGHT - _TOP}"/>'
            )
    return "".join(found)


def _lines(
    values: np.ndarray,
    length: int,
    low: float,
    high: float,
    kind: str,
    width: float = WIDTH,
    height: float = HEIGHT,
    top: float = _TOP,
) -> str:
    """The runs of finite values as polylines; a value alone as a short one."""
    step = (width - _LEFT - _RIGHT) / max(1, length)
    x = _LEFT + (np.arange(len(values)) + 0.5) * step
    y = height - _BOTTOM - (np.nan_to_num(values) - low) / (high - low) * (height - top - _BOTTOM - 4)
    there = np.isfinite(values)
    edges = np.flatnonzero(np.diff(there.astype(int), prepend=0, append=0))
    found = []
    for first, last in zip(edges[::2], edges[1::2], strict=True):
        points = [f"{a:.1f},{b:.1f}" for a, b in zip(x[first:last], y[first:last], strict=True)]
        if last - first == 1:
            points = [f"{x[first] - 1.5:.1f},{y[first]:.1f}", f"{x[first] + 1.5:.1f},{y[first]:.1f}"]
        found.append(f'<polyline{f" class={kind!r}" if kind else ""} points="{" ".join(points)}"/>')
    return "".join(found)


def _short(name: str) -> str:
    return name if len(name) <= 34 else name[:33] + "…"
