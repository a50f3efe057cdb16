"""Several synthetic sets against the same real images, side by side on one page."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from synthgen.data.dataset import ImageData
from synthgen.evaluation.page import DOCUMENT, REPORT, footer
from synthgen.evaluation.page_copies import copies_section
from synthgen.evaluation.page_pieces import (
    STYLE,
    class_rows,
    columns,
    common_classes,
    short_names,
    together,
    written,
)
from synthgen.evaluation.page_verdict import findings_block, unknowns_block
from synthgen.evaluation.result import ClassFigures, Evaluation
from synthgen.html import (
    Markup,
    Section,
    Text,
    bar_chart,
    command,
    details,
    escape,
    figure,
    group,
    line_chart,
    notice,
    page,
    paragraph,
    section,
    table,
)
from synthgen.outputs import atomic_write, prepare_output

_SETS = 6
"""More curves than this have no colours of their own."""


def write_comparison(
    out: Path,
    results: Sequence[Evaluation],
    real: ImageData,
    fakes: Sequence[ImageData],
    *,
    command_line: str = "",
    force: bool = False,
) -> Path:
    """Write `report.html` and `evaluation.json` into the folder `out`; returns the page's path.

    results: one per synthetic set, against the same real images. real, fakes: the sets that were given, whole.
    """
    prepare_output(out, force=force)
    document = {
        "schema_version": 1,
        "kind": "synthgen-comparison",
        "evaluations": [one.to_dict() for one in results],
    }
    atomic_write(out / DOCUMENT, json.dumps(document, indent=1, ensure_ascii=False).encode())
    text = render_comparison(results, real, fakes, command_line=command_line)
    atomic_write(out / REPORT, text.encode())
    return out / REPORT


def render_comparison(
    results: Sequence[Evaluation], real: ImageData, fakes: Sequence[ImageData], *, command_line: str = ""
) -> str:
    """The whole page."""
    names = short_names([one.fake.name for one in results])
    sections = [_verdicts(results, names), _figures(results, names), _look(real, fakes, names)]
    sections += [one for one in (_classes(results, names), _copies(results, names, real, fakes)) if one is not None]
    sections.append(_sets(results, names))
    if command_line:
        sections.append(section("Again", command(command_line)))
    title = f"{len(results)} synthetic sets against {results[0].real.name}"
    return page(title, sections, lead=_lead(results, names), footer=footer(results[0]), style=STYLE)


def _lead(results: Sequence[Evaluation], names: Sequence[str]) -> str:
    text = f"{', '.join(names[:-1])} and {names[-1]}, measured alike." if len(names) > 1 else names[0]
    ranked = sorted(
        ((one.metrics["fid"], name) for one, name in zip(results, names, strict=True) if "fid" in one.metrics),
        key=lambda pair: pair[0].value,
    )
    if len(ranked) < 2:
        return text
    (first, best), (second, other) = ranked[:2]
    if first.interval and second.interval and first.interval[1] >= second.interval[0]:
        return f"{text} By FID, {best} and {other} cannot be told apart: their intervals overlap."
    return f"{text} By FID, {best} is nearest to the real images: {first.value:.3g} against {second.value:.3g}."


def _verdicts(results: Sequence[Evaluation], names: Sequence[str]) -> Section:
    blocks = [
        Markup(f"<div><h3>{escape(name)}</h3>{findings_block(one)}</div>")
        for one, name in zip(results, names, strict=True)
    ]
    warned = [
        notice(f"{name}: {text}", "warn") for one, name in zip(results, names, strict=True) for text in one.warnings
    ]
    return section("Verdict", columns(*blocks), *warned, unknowns_block(results[0]))


def _figures(results: Sequence[Evaluation], names: Sequence[str]) -> Section:
    """A row per metric, a column per set; then a chart per metric."""
    titles = {name: one.title for result in results for name, one in result.metrics.items()}
    rows: list[list[Text]] = []
    charts = []
    for metric, title in titles.items():
        found = [one.metrics.get(metric) for one in results]
        known = next(one for one in found if one is not None)
        floors = {one.floor for one in found if one is not None}
        shown = "different" if len(floors) > 1 else written(known, known.floor) if known.floor is not None else None
        cells = [None if one is None else together(written(one, one.value)) for one in found]
        rows.append([title, *cells, together(shown), known.better])
        factor, nan = 100.0 if known.share else 1.0, float("nan")
        values = [nan if one is None else factor * one.value for one in found]
        floor = None if len(floors) > 1 or known.floor is None else ("real images", factor * known.floor)
        least = min([0.0, *(value for value in values if value == value), *([floor[1]] if floor else [])])
        bars = bar_chart(
            names,
            values,
            errors=[0.0 if one is None else factor * (one.margin or 0.0) for one in found],
            reference=floor,
            unit=" %" if known.share else "",
            low=least,
            title=f"{title} of every set",
        )
        charts.append(figure(bars, f"{title}: {known.better} is better."))
    n = {one.n for one in results}
    same = f"n = {results[0].n:,} images a side" if len(n) == 1 else "different n: compare only with the floors"
    caption = f"{same}, features {results[0].extractor['name']}; whiskers: 95 % intervals or deviations"
    heads = ["metric", *names, "real floor", "better"]
    return section("The figures", table(heads, rows, caption=caption), columns(*charts))


def _look(real: ImageData, fakes: Sequence[ImageData], names: Sequence[str]) -> Section:
    classes = common_classes(real, fakes[0])
    for fake in fakes[1:]:
        classes = [name for name in classes if name in common_classes(real, fake)]
    pieces = []
    for name, data in (("real images", real), *zip(names, fakes, strict=True)):
        picture = class_rows(data, classes)
        shown = figure(picture, data.name, scale=max(1, 340 // picture.shape[1]))
        pieces.append(Markup(f"<div><h3>{escape(name)}</h3>{shown}</div>"))
    text = "The first of each class, nothing picked." if classes else "The first of each, nothing picked."
    return section("Side by side", paragraph(text), columns(*pieces))


def _classes(results: Sequence[Evaluation], names: Sequence[str]) -> Section | None:
    """FID and agreement of every class, a column per set."""
    tables = []
    for title, value, floor in (
        ("FID", lambda one: _number(one.fid), lambda one: _number(one.fid_floor)),
        ("class agreement", lambda one: _share(one.agreement), lambda one: _share(one.agreement_floor)),
    ):
        rows = _class_rows(results, value, floor)
        if rows:
            caption = f"{title} of every class"
            tables.append(table(["class", *names, "real floor"], rows, caption=caption))
    return section("Class by class", columns(*tables)) if tables else None


def _class_rows(
    results: Sequence[Evaluation],
    value: Callable[[ClassFigures], str | None],
    floor: Callable[[ClassFigures], str | None],
) -> list[list[Text]]:
    by_name = [{figures.name: figures for figures in one.classes} for one in results]
    classes = [figures.name for figures in results[0].classes]
    rows: list[list[Text]] = []
    for name in classes:
        cells = [value(known[name]) if name in known else None for known in by_name]
        rows.append([name, *cells, floor(by_name[0][name])])
    return rows if any(cell is not None for row in rows for cell in row[1:-1]) else []


def _number(value: float | None) -> str | None:
    return None if value is None else f"{value:.3g}"


def _share(value: float | None) -> str | None:
    return None if value is None else f"{100 * value:.1f} %"


def _copies(
    results: Sequence[Evaluation], names: Sequence[str], real: ImageData, fakes: Sequence[ImageData]
) -> Section | None:
    """The distributions of all sets in one chart, and each one's pairs folded away."""
    found = [one.details.get("memorised") for one in results]
    parts: list[Markup] = []
    curves: dict[str, tuple[list[float], list[float]]] = {}
    for name, known in zip(names, found, strict=True):
        if known is not None and len(curves) < _SETS - 1:
            curves[name] = _curve(known["histogram"], "samples")
    first = next((known for known in found if known is not None), None)
    if first is not None:
        curves["held-out real"] = _curve(first["histogram"], "held_out")
        label = "distance to nearest / to tenth nearest training image"
        chart = line_chart(curves, x_label=label, y_label="% of images per 0.01", zero=True)
        parts.append(figure(chart, "How near the nearest training image is. Copies would stand at the left end."))
    for one, name, fake in zip(results, names, fakes, strict=True):
        part = copies_section(one, real, fake)
        if part is not None:
            parts.append(details(f"nearest training images of {name}", part.body))
    return section("Copies", *parts) if parts else None


def _curve(bins: dict[str, list[float]], key: str) -> tuple[list[float], list[float]]:
    """Shares per 0.01, so that sets with different bins can be laid over one another."""
    edges = np.array(bins["edges"])
    width = np.diff(edges)
    return ((edges[1:] + edges[:-1]) / 2).tolist(), (100 * np.array(bins[key]) * 0.01 / width).tolist()


def _sets(results: Sequence[Evaluation], names: Sequence[str]) -> Section:
    rows: list[list[Text]] = [
        [name, one.fake.name, f"{one.fake.used:,} of {one.fake.count:,}", one.exact_copies]
        for one, name in zip(results, names, strict=True)
    ]
    first = results[0]
    text = (
        f"Real images: {first.real.name} ({first.real.split}), {first.real.used:,} of {first.real.count:,} as "
        f"reference. Reference: {first.reference}. Features: {first.extractor['name']}. Every set is measured against "
        "the same real images at the same n; the floor is what other real images score."
    )
    heads = ["set", "images", "used", "exact copies of real images"]
    return section("How it was measured", group(paragraph(text), table(heads, rows)))
