"""The evaluation as one HTML page that needs nothing beside it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from synthgen import __version__
from synthgen.data.dataset import ImageData
from synthgen.evaluation.result import Evaluation, Metric
from synthgen.html import (
    Markup,
    Section,
    bar_chart,
    command,
    details,
    escape,
    figure,
    group,
    notice,
    page,
    paragraph,
    section,
    table,
    tiles,
)
from synthgen.outputs import atomic_write, prepare_output
from synthgen.rendering import grid

REPORT, DOCUMENT = "report.html", "evaluation.json"
_COLUMNS = 10
_MOST_ROWS = 20
_STYLE = """
.pair{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(300px,100%),1fr));gap:10px 22px}
.pair figure{margin:.2rem 0}
.pair h3{margin:.2rem 0 .2rem}
.pair img{width:100%}
"""


def write_report(
    out: Path, result: Evaluation, real: ImageData, fake: ImageData, *, command_line: str = "", force: bool = False
) -> Path:
    """Write `report.html` and `evaluation.json` into the folder `out`; returns the page's path."""
    prepare_output(out, force=force)
    document = json.dumps({"schema_version": 1, **result.to_dict()}, indent=1, ensure_ascii=False)
    atomic_write(out / DOCUMENT, document.encode())
    atomic_write(out / REPORT, render_report(result, real, fake, command_line=command_line).encode())
    return out / REPORT


def render_report(result: Evaluation, real: ImageData, fake: ImageData, *, command_line: str = "") -> str:
    """The whole page."""
    sections = [*evaluation_sections(result, real, fake)]
    if command_line:
        sections.append(section("Again", command(command_line)))
    footer = f"synthgen {__version__} · seed {result.seed} · this page needs no network"
    title = f"{result.fake.name} against {result.real.name}"
    return page(title, sections, lead=result.headline, footer=footer, style=_STYLE)


def evaluation_sections(result: Evaluation, real: ImageData, fake: ImageData) -> list[Section]:
    """The page's parts, for pages that show more than an evaluation. Their style is `pair` in this module."""
    found = [_figures(result), _look(real, fake)]
    if result.classes:
        found.append(_classes(result))
    return [*found, _method(result)]


def _figures(result: Evaluation) -> Section:
    metrics = list(result.metrics.values())
    heads = [(one.title, written(one, one.value), _against(one)) for one in metrics]
    rows = [
        [
            one.title,
            written(one, one.value) + (f" ± {written(one, one.spread)}" if one.spread is not None else ""),
            None if one.floor is None else written(one, one.floor),
            f"{written(one, one.interval[0])} to {written(one, one.interval[1])}" if one.interval else None,
            f"{one.better} is better",
        ]
        for one in metrics
    ]
    caption = f"n = {result.n:,} images a side, features {result.extractor['name']}"
    charts = Markup(f'<div class="pair">{"".join(_chart(one) for one in metrics if one.floor is not None)}</div>')
    parts = [notice(text, "warn") for text in result.warnings]
    parts += [
        tiles(heads),
        table(["metric", "value", "real floor", "95 % interval", ""], rows, caption=caption),
    ]
    said = [one.sentence for one in metrics] + (
        [result.judge] if result.judge and "agreement" in result.metrics else []
    )
    listed = Markup(f"<ul>{''.join(f'<li>{escape(text)}</li>' for text in said)}</ul>")
    return section("The figures", *parts, listed, charts)


def _against(one: Metric) -> str:
    return "" if one.floor is None else f"real images: {written(one, one.floor)}"


def _chart(one: Metric) -> Markup:
    assert one.floor is not None
    low = min(0.0, one.value, one.floor)
    percent = 100.0 if one.name in ("precision", "recall", "agreement") else 1.0
    bars = bar_chart(
        ["synthetic", "real"],
        [percent * one.value, percent * one.floor],
        unit=" %" if percent == 100.0 else "",
        errors=[percent * (one.margin or 0.0), 0.0],
        low=percent * low,
        title=f"{one.title} of the synthetic images and of real ones",
    )
    remark = "" if one.margin is None else " Whisker: 95 % interval." if one.interval else " Whisker: one deviation."
    return figure(bars, f"{one.title}: {one.better} is better.{remark}")


def _look(real: ImageData, fake: ImageData) -> Section:
    names = [name for name in real.class_names if name in fake.class_names][:_MOST_ROWS]
    text = (
        "The first of each class, nothing picked: one row per class." if names else "The first of each, nothing picked."
    )
    sides = []
    for title, data in (("real", real), ("synthetic", fake)):
        picture = _rows(data, names)
        piece = figure(picture, f"{title}: {data.name}", scale=max(1, 340 // picture.shape[1]))
        sides.append(f"<div><h3>{title}</h3>{piece}</div>")
    return section("Side by side", paragraph(text), Markup(f'<div class="pair">{"".join(sides)}</div>'))


def _rows(data: ImageData, names: Sequence[str]) -> np.ndarray:
    if not names or data.labels is None:
        return grid(np.asarray(data.images[: _COLUMNS * 6]), _COLUMNS)
    blank = np.full((1, *data.shape), 32, np.uint8)
    rows = []
    for name in names:
        index = np.flatnonzero(data.labels == data.class_names.index(name))[:_COLUMNS]
        images = np.asarray(data.images[index])
        rows.append(np.concatenate([images, np.repeat(blank, _COLUMNS - len(images), axis=0)]))
    return grid(np.concatenate(rows), _COLUMNS)


def _classes(result: Evaluation) -> Section:
    shown = result.classes
    names = [one.name for one in shown]
    nan = float("nan")
    parts = []
    if any(one.fid is not None for one in shown):
        values = [nan if one.fid is None else one.fid for one in shown]
        floors = [one.fid_floor for one in shown if one.fid_floor is not None]
        line = ("floor, mean of the classes", float(np.mean(floors))) if floors else None
        bars = bar_chart(names, values, reference=line, title="FID of every class")
        parts.append(figure(bars, "FID of every class; lower is better."))
    if any(one.agreement is not None for one in shown):
        shares = [nan if one.agreement is None else 100 * one.agreement for one in shown]
        low = max(0.0, 10 * ((min(share for share in shares if share == share) - 3) // 10))
        bars = bar_chart(names, shares, unit=" %", low=low, title="class agreement of every class")
        axis = f" The axis begins at {low:.0f} %." if low else ""
        parts.append(figure(bars, f"How often the judge reads the label that was asked for.{axis}"))
    rows = [
        [one.name, one.n, one.fid, one.fid_floor, _percent(one.agreement), _percent(one.agreement_floor)]
        for one in shown
    ]
    columns = ["class", "n", "FID", "real floor", "agreement", "real images"]
    both = Markup(f'<div class="pair">{"".join(parts)}</div>')
    return section("Class by class", both, details("the numbers", table(columns, rows)))


def _method(result: Evaluation) -> Section:
    card = result.extractor
    facts = [
        [
            "real images",
            f"{result.real.name} ({result.real.split}): {result.real.used:,} of {result.real.count:,} as reference",
        ],
        ["synthetic images", f"{result.fake.name}: {result.fake.used:,} of {result.fake.count:,}"],
        ["reference", result.reference],
        ["features", card["name"]],
        ["exact copies of real images", result.exact_copies],
    ]
    if card.get("data"):
        trained = card["data"]
        accuracy = card.get("test_accuracy")
        reads = "" if accuracy is None else f"; reads {100 * accuracy:.2f} % of {card['test_count']:,} test images"
        facts.append(["features trained on", f"{trained['count']:,} images of {trained['name']}{reads}"])
    facts += [["left out", text] for text in result.notes]
    words = [
        paragraph(
            "The floor is what real images score against the reference at the same n: a perfect generator would score "
            "it. FID, KID and recall depend on n and on the features; compare figures only where both are equal."
        )
    ]
    if str(card["name"]).startswith("domain"):
        words.append(
            paragraph(
                "Domain features come from a small classifier of these very data. They are scaled so that the real "
                "images' variances add up to 100: an FID of 1 is one hundredth of that. Inception's figures have "
                "another unit."
            )
        )
    return section("How it was measured", table(["", ""], facts), group(*words))


def written(one: Metric, value: float) -> str:
    """A value of this metric as text: shares in percent, others with three digits."""
    if one.name in ("precision", "recall", "agreement"):
        return f"{100 * value:.1f} %"
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"


def _percent(value: float | None) -> str | None:
    return None if value is None else f"{100 * value:.1f} %"
