"""Charts as inline SVG: lines over a number axis, and horizontal bars. Colours follow the page's theme."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from synthgen.html.page import Markup, escape

_WIDTH, _HEIGHT = 480, 270
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 12, 12, 44
_COLOURS = 6
_DIGIT = 8
"""Pixels that a digit takes at most."""


@dataclass(frozen=True)
class _Axis:
    """Maps values to pixels, linear or logarithmic."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        low, high, value = (
            (math.log10(v) for v in (self.low, self.high, value)) if self.log else (self.low, self.high, value)
        )
        share = (value - low) / (high - low) if high > low else 0.5
        return round(self.start + share * (self.end - self.start), 2)

    def ticks(self, count: int = 5) -> list[float]:
        """Round numbers inside the range: 1, 2, 5 times powers of ten; powers alone over many decades."""
        if self.log:
            first, last = math.floor(math.log10(self.low) + 1e-9), math.ceil(math.log10(self.high) - 1e-9)
            few = last - first <= 2
            stride = 1 if few else -(-(last - first) // 6)
            marks = [m * 10.0**p for p in range(first, last + 1, stride) for m in ((1, 2, 5) if few else (1,))]
            inside = [mark for mark in marks if self.low * (1 - 1e-9) <= mark <= self.high * (1 + 1e-9)]
            return inside if len(inside) > 1 else [self.low, self.high]
        span = self.high - self.low
        if span <= 0:
            return [self.low]
        raw = span / count
        power = 10.0 ** math.floor(math.log10(raw))
        step = next(m * power for m in (1, 2, 5, 10) if m * power >= raw * 0.75)
        first = math.ceil(self.low / step - 1e-9)
        return [round(index * step, 12) for index in range(first, math.floor(self.high / step + 1e-9) + 1)]


def tick_text(value: float) -> str:
    """A short text of an axis value: 0.5, 20, 15k, 3M, 1e-05."""
    size = abs(value)
    if size >= 1e6:
        return f"{value / 1e6:.3g}M"
    if size >= 1e4:
        return f"{value / 1e3:.4g}k"
    return f"{value:.0f}" if size >= 1000 else f"{value:.3g}"


def line_chart(
    series: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    *,
    x_label: str,
    y_label: str,
    log_x: bool = False,
    log_y: bool = False,
    zero: bool = False,
    reference: tuple[str, float] | None = None,
    title: str = "",
) -> Markup:
    """Curves over a common axis.

    Args:
        series: name -> (x, y); points that are not finite (or not positive on a log axis) are left out.
        x_label, y_label: what the axes are, with units.
        log_x, log_y: logarithmic axes.
        zero: the y axis starts at 0 (ignored when logarithmic).
        reference: (name, value): a dashed horizontal line.
        title: spoken description; default "y_label over x_label".
    """
    curves = {name: _usable(xs, ys, log_x, log_y) for name, (xs, ys) in series.items()}
    points = [point for curve in curves.values() for point in curve]
    if not points:
        return Markup('<p class="notice warn">nothing to draw: no finite values</p>')
    xs, ys = [p[0] for p in points], [p[1] for p in points]
    if reference is not None:
        ys.append(reference[1])
    if zero and not log_y:
        ys.append(0.0)
    x_axis = _Axis(min(xs), max(xs), _LEFT, _WIDTH - _RIGHT, log_x)
    y_axis = _padded(min(ys), max(ys), log_y, keep_zero=zero)
    parts = _frame(x_axis, y_axis, x_label, y_label)
    for index, (name, curve) in enumerate(curves.items()):
        parts.append(_curve(name, curve, index % _COLOURS, x_axis, y_axis))
    if reference is not None:
        height = y_axis(reference[1])
        parts.append(f'<line class="reference" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{height}" y2="{height}"/>')
        parts.append(
            f'<text class="ink" x="{_WIDTH - _RIGHT}" y="{height - 5}" text-anchor="end">{escape(reference[0])}</text>'
        )
    described = title or f"{y_label} over {x_label}"
    return Markup((_legend(list(curves)) if len(curves) > 1 else "") + _svg(_HEIGHT, described, parts))


def bar_chart(
    labels: Sequence[str],
    values: Sequence[float],
    *,
    unit: str = "",
    errors: Sequence[float] | None = None,
    marks: Sequence[float] | None = None,
    reference: tuple[str, float] | None = None,
    low: float = 0.0,
    digits: int = 3,
    title: str = "",
) -> Markup:
    """Horizontal bars with their values written at the end.

    Args:
        labels, values: one bar each; a value that is not finite gets no bar and the words "not available".
        unit: written behind the values ("%", " s").
        errors: half lengths of the error bars, in the values' unit.
        marks: one value per bar, shown as a tick across it, e.g. its own floor; none where it is not finite.
        reference: (name, value): a dashed vertical line, e.g. a floor.
        low: where the axis starts; say so in the caption when it is not 0.
        digits: significant digits of the written values.
    """
    spread = list(errors) if errors is not None else [0.0] * len(values)
    tops = [v + e for v, e in zip(values, spread, strict=True) if math.isfinite(v)]
    beside = [mark for mark in marks or () if math.isfinite(mark)]
    high = max([*tops, *beside, low, *([reference[1]] if reference else [])])
    high = high if high > low else low + 1.0
    left = min(190, 14 + round(7.2 * max((len(label) for label in labels), default=0)))
    axis = _Axis(low, high, left, _WIDTH - 78)
    top = 22 if reference else 4
    parts = []
    for index, (label, value, error) in enumerate(zip(labels, values, spread, strict=True)):
        line = [] if reference is None else [axis(reference[1])]
        mark = [] if marks is None or not math.isfinite(marks[index]) else [axis(max(marks[index], low))]
        parts.append(_bar(label, value, error, unit, digits, top + 30 * index, axis, [*line, *mark]))
        parts += [f'<path class="mark" d="M{x} {top + 30 * index}v26"/>' for x in mark]
    height = top + 30 * len(labels) + 2
    if reference is not None:
        x = axis(reference[1])
        parts.append(f'<line class="reference" x1="{x}" x2="{x}" y1="18" y2="{height}"/>')
        anchor = "end" if x > _WIDTH / 2 else "start"
        parts.append(f'<text x="{x}" y="12" text-anchor="{anchor}">{escape(reference[0])}</text>')
    return _svg(height, title or "bar chart", parts)


def _svg(height: int, described: str, parts: list[str]) -> Markup:
    head = f'<svg class="chart" viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{escape(described)}">'
    return Markup(head + "".join(parts) + "</svg>")


def _bar(
    label: str, value: float, error: float, unit: str, digits: int, top: int, axis: _Axis, lines: Sequence[float]
) -> str:
    """One bar; its number is moved to the right of any of the vertical `lines` that would cross it."""
    name = label if len(label) <= 25 else label[:24] + "…"
    parts = [f'<text class="ink" x="{axis.start - 8}" y="{top + 17}" text-anchor="end">{escape(name)}</text>']
    if not math.isfinite(value):
        return parts[0] + f'<text x="{axis.start + 4}" y="{top + 17}">not available</text>'
    end = max(axis(max(value, axis.low)), axis.start)
    written = f"{value:.{digits}g}{unit}"
    hint = f"<title>{escape(label)}: {escape(written)}</title>"
    width = round(max(end - axis.start, 1.0), 2)
    parts.append(f'<rect class="f0" x="{axis.start}" y="{top + 3}" width="{width}" height="20" rx="3">{hint}</rect>')
    beyond = end
    if error > 0:
        first, beyond = axis(max(value - error, axis.low)), axis(value + error)
        middle = top + 13
        parts.append(
            f'<path class="error" d="M{first} {middle}H{beyond}M{first} {middle - 4}v8M{beyond} {middle - 4}v8"/>'
        )
    at = beyond + 7
    for line in sorted(lines):
        if at - 4 < line < at + _DIGIT * len(written):
            at = round(line + 6, 2)
    parts.append(f'<text class="ink" x="{at}" y="{top + 17}">{escape(written)}</text>')
    return "".join(parts)


def _usable(xs: Sequence[float], ys: Sequence[float], log_x: bool, log_y: bool) -> list[tuple[float, float]]:
    pairs = [(float(x), float(y)) for x, y in zip(xs, ys, strict=True)]
    return [
        (x, y)
        for x, y in pairs
        if math.isfinite(x) and math.isfinite(y) and (x > 0 or not log_x) and (y > 0 or not log_y)
    ]


def _padded(low: float, high: float, log: bool, *, keep_zero: bool) -> _Axis:
    """The y axis with a little room above and below the data."""
    if log:
        room = (high / low) ** 0.06 if high > low else 2.0
        return _Axis(low / room, high * room, _HEIGHT - _BOTTOM, _TOP, True)
    room = 0.06 * (high - low) or 0.5 * abs(high) or 1.0
    bottom = low if keep_zero and low == 0 else low - room
    return _Axis(bottom, high + room, _HEIGHT - _BOTTOM, _TOP)


def _frame(x_axis: _Axis, y_axis: _Axis, x_label: str, y_label: str) -> list[str]:
    floor, right = _HEIGHT - _BOTTOM, _WIDTH - _RIGHT
    parts = []
    for value in y_axis.ticks(4):
        y = y_axis(value)
        parts.append(f'<line class="rule" x1="{_LEFT}" x2="{right}" y1="{y}" y2="{y}"/>')
        parts.append(f'<text x="{_LEFT - 7}" y="{y + 4}" text-anchor="end">{tick_text(value)}</text>')
    parts.append(f'<line class="axis" x1="{_LEFT}" x2="{right}" y1="{floor}" y2="{floor}"/>')
    for value in x_axis.ticks():
        x = x_axis(value)
        anchor = "end" if x > right - 12 else "middle"
        parts.append(f'<text x="{x}" y="{floor + 17}" text-anchor="{anchor}">{tick_text(value)}</text>')
    parts.append(f'<text x="{(_LEFT + right) / 2}" y="{_HEIGHT - 7}" text-anchor="middle">{escape(x_label)}</text>')
    middle = (_TOP + floor) / 2
    parts.append(f'<text transform="translate(14 {middle}) rotate(-90)" text-anchor="middle">{escape(y_label)}</text>')
    return parts


def _curve(name: str, curve: list[tuple[float, float]], colour: int, x_axis: _Axis, y_axis: _Axis) -> str:
    hint = f"<title>{escape(name)}</title>"
    if len(curve) == 1:
        ((x, y),) = curve
        return f'<circle class="f{colour}" cx="{x_axis(x)}" cy="{y_axis(y)}" r="3.5">{hint}</circle>'
    path = " ".join(f"{x_axis(x)},{y_axis(y)}" for x, y in curve)
    return f'<polyline class="curve s{colour}" points="{path}">{hint}</polyline>'


def _legend(names: list[str]) -> str:
    entries = "".join(
        f'<span><i class="f{index % _COLOURS}"></i>{escape(name)}</span>' for index, name in enumerate(names)
    )
    return f'<div class="legend">{entries}</div>'
