"""Small pictures that come in numbers: two histograms over one another, and a map of values of pairs."""

from __future__ import annotations

from collections.abc import Sequence

from synthgen.html.page import Markup, escape

_WIDTH, _HEIGHT = 300, 96
_MARGIN = 4
_CELL = 20
_LETTER = 6.4


def histogram(
    first: Sequence[float], second: Sequence[float], *, low: str, high: str, names: tuple[str, str], described: str
) -> Markup:
    """Two series of shares per bin: the first as bars, the second as a line of steps over them.

    low, high: what stands at the ends of the axis. names: of the two, for the legend that `legend` draws.
    """
    top = max([*first, *second, 1e-12])
    width = (_WIDTH - 2 * _MARGIN) / max(1, len(first))
    floor = _HEIGHT - 18
    parts = []
    points = [f"{_MARGIN},{floor}"]
    for index, (one, other) in enumerate(zip(first, second, strict=True)):
        x = _MARGIN + index * width
        tall = round((floor - 4) * one / top, 2)
        parts.append(
            f'<rect class="f5" opacity="0.45" x="{x + 0.5:.2f}" y="{floor - tall:.2f}" '
            f'width="{max(width - 1, 0.5):.2f}" height="{tall:.2f}"/>'
        )
        step = floor - (floor - 4) * other / top
        points += [f"{x:.2f},{step:.2f}", f"{x + width:.2f},{step:.2f}"]
    points.append(f"{_WIDTH - _MARGIN},{floor}")
    parts.append(f'<polyline class="curve s1" points="{" ".join(points)}"/>')
    parts.append(f'<line class="axis" x1="{_MARGIN}" x2="{_WIDTH - _MARGIN}" y1="{floor}" y2="{floor}"/>')
    parts.append(f'<text x="{_MARGIN}" y="{_HEIGHT - 4}">{escape(_short(low))}</text>')
    parts.append(f'<text x="{_WIDTH - _MARGIN}" y="{_HEIGHT - 4}" text-anchor="end">{escape(_short(high))}</text>')
    label = f"{described}; {names[0]} as bars, {names[1]} as a line"
    return _svg(_WIDTH, _HEIGHT, label, parts)


def legend(names: tuple[str, str]) -> Markup:
    """What the bars and the line of `histogram` are."""
    return Markup(
        f'<div class="legend"><span><i class="f5" style="height:10px;opacity:.45"></i>{escape(names[0])}</span>'
        f'<span><i class="f1"></i>{escape(names[1])}</span></div>'
    )


def heat_map(
    names: Sequence[str], values: dict[tuple[str, str], float], *, top: float, unit: str = " %", described: str = ""
) -> Markup:
    """A lower triangle: one square per pair, the stronger its colour the nearer its value is to `top`.

    values: by pair of names, in either order; a pair without one stays empty. The value is written on hovering.
    """
    left = round(12 + _LETTER * max(len(_short(name)) for name in names))
    parts = []
    for row, name in enumerate(names[1:], start=1):
        y = (row - 1) * _CELL
        parts.append(f'<text class="ink" x="{left - 6}" y="{y + 14}" text-anchor="end">{escape(_short(name))}</text>')
        for column, other in enumerate(names[:row]):
            found = values.get((name, other), values.get((other, name)))
            x = left + column * _CELL
            if found is None:
                parts.append(f'<rect class="none" x="{x}" y="{y}" width="{_CELL - 2}" height="{_CELL - 2}"/>')
                continue
            strength = min(1.0, max(0.0, found / top)) if top > 0 else 0.0
            hint = f"{name} and {other}: {found:.3g}{unit}"
            parts.append(f'<rect class="rule" fill="none" x="{x}" y="{y}" width="{_CELL - 2}" height="{_CELL - 2}"/>')
            parts.append(
                f'<rect class="f1" opacity="{strength:.3f}" x="{x}" y="{y}" width="{_CELL - 2}" '
                f'height="{_CELL - 2}"><title>{escape(hint)}</title></rect>'
            )
    bottom = (len(names) - 1) * _CELL + 8
    for column, other in enumerate(names[:-1]):
        x = left + column * _CELL + 12
        parts.append(
            f'<text transform="translate({x} {bottom}) rotate(-60)" text-anchor="end">{escape(_short(other))}</text>'
        )
    height = round(bottom + 0.9 * _LETTER * max(len(_short(name)) for name in names) + 12)
    width = left + (len(names) - 1) * _CELL + 8
    return _svg(width, height, described or "map of pairs", parts, natural=True)


def _short(name: str) -> str:
    return name if len(name) <= 18 else name[:17] + "…"


def _svg(width: int, height: int, described: str, parts: list[str], *, natural: bool = False) -> Markup:
    size = f' style="width:{width}px;max-width:none"' if natural else ""
    return Markup(
        f'<svg class="chart panel"{size} viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="{escape(described)}">{"".join(parts)}</svg>'
    )
