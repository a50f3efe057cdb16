"""What the page says of privacy: distances to the training rows, and attacks on them and on held-out rows."""

from __future__ import annotations

from typing import Any

from synthgen.evaluation.tables.figures import percent
from synthgen.evaluation.tables.result import TableEvaluation
from synthgen.html import Markup, Section, Text, bar_chart, details, figure, line_chart, paragraph, section, table

_ATTACKS = ("singling_out", "linkability", "inference", "membership")
_SHOWN = {"synthetic": "synthetic", "holdout": "held-out", "smote": "SMOTE"}
_FIGURES = {
    "singling_out_univariate": "singling out, one column",
    "singling_out": "singling out, several",
    "linkability": "linkability",
    "inference": "inference",
}


def privacy_section(result: TableEvaluation) -> Section | None:
    """None where nothing of it was measured."""
    distances = result.details.get("distances")
    parts: list[Markup] = []
    if distances:
        parts += _distances(distances)
    parts += _risks(result)
    said = [one.sentence for name, one in result.metrics.items() if name.startswith("membership")]
    parts += [paragraph(text) for text in said]
    columns = result.details.get("inference", {}).get("columns", [])
    if columns:
        parts.append(details("which columns can be inferred", _columns(columns)))
    return section("Privacy", *parts) if parts else None


def _distances(found: dict[str, Any]) -> list[Markup]:
    quantiles = found["quantiles"]
    levels = [100 * level for level in quantiles["levels"]]
    curves = {title: (quantiles[name], levels) for name, title in _SHOWN.items() if name in quantiles}
    chart = line_chart(curves, x_label="distance to the nearest training row", y_label="% of rows at most so far")
    caption = (
        "Where the curve of synthetic rows runs left of the held-out one, they lie nearer to training rows than new "
        "real rows do. Copies would stand at 0."
    )
    return [figure(chart, caption), details("what distance means", paragraph(found["definition"]))]


def _risks(result: TableEvaluation) -> list[Markup]:
    known = [(title, result.metrics[name]) for name, title in _FIGURES.items() if name in result.metrics]
    if not known:
        return []
    bars = bar_chart(
        [title for title, _ in known],
        [100 * one.value for _, one in known],
        errors=[100 * (one.margin or 0.0) for _, one in known],
        unit=" %",
        title="risk of attacks on training rows beyond held-out ones",
    )
    caption = (
        "Risk: how much better an attack does on training rows than on rows that were never trained on, as a part of "
        "what could be gained. 0: what it finds is true of everybody. Whiskers: 95 % intervals."
    )
    rows: list[list[Text]] = [[one.title, one.sentence] for _, one in known]
    return [figure(bars, caption), details("the attacks", table(["attack", "what it did"], rows))]


def _columns(columns: list[dict[str, Any]]) -> Markup:
    keys = [key for key in columns[0] if key != "name"]
    rows = [
        [str(row.get("name", row.get("column", ""))), *(_cell(row[key]) for key in keys if key != "column")]
        for row in columns
    ]
    return table(["column", *(key.replace("_", " ") for key in keys if key != "column")], rows)


def _cell(value: Any) -> Text:
    if isinstance(value, float):
        return percent(value)
    if isinstance(value, list | tuple):
        return " to ".join(str(_cell(one)) for one in value)
    return value if isinstance(value, str | int) or value is None else str(value)
