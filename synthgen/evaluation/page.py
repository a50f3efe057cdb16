"""The evaluation as one HTML page that needs nothing beside it."""

from __future__ import annotations

import json
import platform
from pathlib import Path

import torch

from synthgen import __version__
from synthgen.data.dataset import ImageData
from synthgen.evaluation.page_copies import copies_section
from synthgen.evaluation.page_pieces import (
    STYLE,
    bullets,
    class_rows,
    columns,
    common_classes,
    percent,
    together,
    written,
)
from synthgen.evaluation.page_verdict import verdict_block
from synthgen.evaluation.result import Evaluation, Metric
from synthgen.html import (
    Markup,
    Section,
    bar_chart,
    command,
    details,
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

REPORT, DOCUMENT = "report.html", "evaluation.json"
_HEADS = ("fid", "precision", "recall", "agreement", "memorised", "vendi")
"""Figures that stand in tiles at the top; the table holds all."""


def write_report(
    out: Path, result: Evaluation, real: ImageData, fake: ImageData, *, command_line: str = "", force: bool = False
) -> Path:
    """Write `report.html` and `evaluation.json` into the folder `out`; returns the page's path.

    real, fake: the sets that were given to `evaluate_images`, whole.
    """
    prepare_output(out, force=force)
    document = json.dumps({"schema_version": 1, **result.to_dict()}, indent=1, ensure_ascii=False)
    atomic_write(out / DOCUMENT, document.encode())
    atomic_write(out / REPORT, render_report(result, real, fake, command_line=command_line).encode())
    return out / REPORT


def render_report(result: Evaluation, real: ImageData, fake: ImageData, *, command_line: str = "") -> str:
    """The whole page."""
    sections = evaluation_sections(result, real, fake)
    if command_line:
        sections.append(section("Again", command(command_line)))
    title = f"{result.fake.name} against {result.real.name}"
    return page(title, sections, lead=result.headline, footer=footer(result), style=STYLE)


def evaluation_sections(result: Evaluation, real: ImageData, fake: ImageData) -> list[Section]:
    """The page's parts, for pages that show more than an evaluation; they need `page_pieces.STYLE`."""
    found = [section("Verdict", verdict_block(result)), _figures(result), _look(real, fake)]
    copies = copies_section(result, real, fake)
    if copies is not None:
        found.append(copies)
    if result.classes:
        found.append(_classes(result))
    return [*found, _method(result)]


def footer(result: Evaluation) -> str:
    """Versions and seed."""
    return (
        f"synthgen {__version__} · torch {torch.__version__} · Python {platform.python_version()} · "
        f"seed {result.seed} · this page needs no network"
    )


def _figures(result: Evaluation) -> Section:
    metrics = list(result.metrics.values())
    shown = [one for one in metrics if one.name in _HEADS] or metrics
    heads = [(one.title, written(one, one.value), _against(one)) for one in shown]
    rows = [
        [
            one.title,
            together(written(one, one.value) + (f" ± {written(one, one.spread)}" if one.spread is not None else "")),
            together(None if one.floor is None else written(one, one.floor)),
            together(one.interval and f"{written(one, one.interval[0])} to {written(one, one.interval[1])}"),
            one.better,
        ]
        for one in metrics
    ]
    caption = f"n = {result.n:,} images a side, features {result.extractor['name']}"
    charts = columns(*(_chart(one) for one in metrics if one.floor is not None))
    said = [one.sentence for one in metrics]
    if result.judge and "agreement" in result.metrics:
        said.append(result.judge)
    return section(
        "The figures",
        *(notice(text, "warn") for text in result.warnings),
        tiles(heads),
        table(["metric", "value", "real floor", "95 % interval", "better"], rows, caption=caption),
        details("in words", bullets(said)),
        details("as bars", charts),
    )


def _against(one: Metric) -> str:
    return "" if one.floor is None else f"real images: {written(one, one.floor)}"


def _chart(one: Metric) -> Markup:
    assert one.floor is not None
    low = min(0.0, one.value, one.floor)
    factor = 100.0 if one.share else 1.0
    bars = bar_chart(
        ["synthetic", "real"],
        [factor * one.value, factor * one.floor],
        unit=" %" if one.share else "",
        errors=[factor * (one.margin or 0.0), 0.0],
        low=factor * low,
        title=f"{one.title} of the synthetic images and of real ones",
    )
    remark = "" if one.margin is None else " Whisker: 95 % interval." if one.interval else " Whisker: one deviation."
    return figure(bars, f"{one.title}: {one.better} is better.{remark}")


def _look(real: ImageData, fake: ImageData) -> Section:
    names = common_classes(real, fake)
    text = (
        "The first of each class, nothing picked: one row per class." if names else "The first of each, nothing picked."
    )
    sides = []
    for title, data in (("real", real), ("synthetic", fake)):
        picture = class_rows(data, names)
        piece = figure(picture, f"{title}: {data.name}", scale=max(1, 340 // picture.shape[1]))
        sides.append(Markup(f"<div><h3>{title}</h3>{piece}</div>"))
    return section("Side by side", paragraph(text), columns(*sides))


def _classes(result: Evaluation) -> Section:
    shown = result.classes
    names, nan = [one.name for one in shown], float("nan")
    parts = []
    if any(one.fid is not None for one in shown):
        values = [nan if one.fid is None else one.fid for one in shown]
        floors = [nan if one.fid_floor is None else one.fid_floor for one in shown]
        bars = bar_chart(names, values, marks=floors, title="FID of every class")
        parts.append(figure(bars, "FID of every class; lower is better. Tick: real images."))
    if any(one.agreement is not None for one in shown):
        shares = [nan if one.agreement is None else 100 * one.agreement for one in shown]
        floors = [nan if one.agreement_floor is None else 100 * one.agreement_floor for one in shown]
        low = max(0.0, 10 * ((min(share for share in (*shares, *floors) if share == share) - 3) // 10))
        bars = bar_chart(names, shares, marks=floors, unit=" %", low=low, title="class agreement of every class")
        axis = f" The axis begins at {low:.0f} %." if low else ""
        parts.append(figure(bars, f"How often the judge reads the label asked for. Tick: real images.{axis}"))
    spread = result.details.get("diversity", {}).get("classes", [])
    if spread:
        marks = [nan if row["real"] is None else row["real"] for row in spread]
        bars = bar_chart([row["name"] for row in spread], [row["distance"] for row in spread], marks=marks)
        parts.append(figure(bars, "Mean distance of two images of the class in feature space. Tick: real images."))
    rows = [
        [one.name, one.n, one.fid, one.fid_floor, percent(one.agreement), percent(one.agreement_floor)] for one in shown
    ]
    heads = ["class", "n", "FID", "real floor", "agreement", "real images"]
    return section("Class by class", columns(*parts), details("the numbers", table(heads, rows)))


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
