"""How `synthgen evaluate` shows what it found: one set in full, several side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from synthgen.console import Console

if TYPE_CHECKING:
    from synthgen.evaluation.result import Evaluation, Metric


def show_one(console: Console, result: Evaluation) -> None:
    """Figures with floors and intervals, classes, sentences."""
    metrics = list(result.metrics.values())
    if metrics:
        title = f"{result.fake.name} against {result.real.name}"
        rows = [
            (one.title, _value(one), _text(one, one.floor), _interval(one), f"{one.better} is better")
            for one in metrics
        ]
        headings = ("metric", "value", "real floor", "95 % interval", "")
        console.table(title, headings, rows, right=(1, 2, 3))
    if result.classes:
        _show_classes(console, result)
    for one in metrics:
        console.line(one.sentence)
    if result.judge and "agreement" in result.metrics:
        console.line(result.judge)
    _show_protocol(console, result)
    _show_gates(console, result, "")


def show_several(console: Console, results: Sequence[Evaluation], sentence: str | None) -> None:
    """One row per figure, one column per synthetic set, and the floor that they share."""
    names = _short([one.fake.name for one in results])
    figures = list(dict.fromkeys(name for one in results for name in one.metrics))
    rows = []
    for figure in figures:
        found = [one.metrics.get(figure) for one in results]
        known = next(one for one in found if one is not None)
        floor = next((one for one in found if one is not None and one.floor is not None), known)
        cells = ["" if one is None else _with_margin(one) for one in found]
        rows.append((known.title, *cells, _text(floor, floor.floor), f"{known.better} is better"))
    title = f"against {results[0].real.name}; ± is half of the 95 % interval"
    columns = ("metric", *names, "real floor", "")
    console.table(title, columns, rows, right=tuple(range(1, len(names) + 2)))
    if sentence:
        console.line(sentence)
    _show_protocol(console, results[0])
    for one, name in zip(results, names, strict=True):
        _show_gates(console, one, f"{name}: ")


def quiet_figure(result: Evaluation) -> str | None:
    """What --quiet prints: the first figure."""
    first = next(iter(result.metrics.values()), None)
    return None if first is None else f"{first.value:.6g}"


def _show_classes(console: Console, result: Evaluation) -> None:
    rows = [
        (
            one.name,
            one.n,
            _plain(one.fid),
            _plain(one.fid_floor),
            _percent(one.agreement),
            _percent(one.agreement_floor),
        )
        for one in result.classes
    ]
    columns = ("class", "n", "FID", "real floor", "agreement", "real images")
    console.table("class by class", columns, rows, right=(1, 2, 3, 4, 5))


def _show_protocol(console: Console, result: Evaluation) -> None:
    console.line(f"n = {result.n:,} a side, features {result.extractor['name']}. Reference: {result.reference}.", "dim")
    for text in result.notes:
        console.line(f"left out {text}", "dim")


def _show_gates(console: Console, result: Evaluation, prefix: str) -> None:
    for gate in result.gates:
        console.line(f"gate {prefix}{gate.sentence}", "green" if gate.passed else "red")


def _short(names: Sequence[str]) -> list[str]:
    """Last parts of paths where these tell the sets apart."""
    short = [Path(name).name or name for name in names]
    return short if len(set(short)) == len(short) else list(names)


def _value(one: Metric) -> str:
    spread = f" ± {_text(one, one.spread)}" if one.spread is not None and one.interval is None else ""
    return _text(one, one.value) + spread


def _with_margin(one: Metric) -> str:
    return _text(one, one.value) + (f" ± {_text(one, one.margin)}" if one.interval else "")


def _interval(one: Metric) -> str:
    return f"{_text(one, one.interval[0])} to {_text(one, one.interval[1])}" if one.interval else ""


def _text(one: Metric, value: float | None) -> str:
    return _percent(value) if one.share else _plain(value)


def _plain(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"


def _percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f} %"
