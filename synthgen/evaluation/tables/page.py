"""The evaluation of tables as one HTML page that needs nothing beside it."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from pathlib import Path

from synthgen import __version__
from synthgen.data.tables.schema import TableData
from synthgen.evaluation.page_pieces import STYLE as PIECES
from synthgen.evaluation.page_pieces import bullets, columns, short_names, together
from synthgen.evaluation.tables.comparing import Compared
from synthgen.evaluation.tables.measure import FloorName, TableMetric
from synthgen.evaluation.tables.page_columns import STYLE as COLUMNS
from synthgen.evaluation.tables.page_columns import columns_section, missing_section, pairs_section
from synthgen.evaluation.tables.page_privacy import privacy_section
from synthgen.evaluation.tables.page_verdict import findings_block, rules_block, unknowns, verdict_block
from synthgen.evaluation.tables.result import TableEvaluation, ranking
from synthgen.html import (
    Markup,
    Section,
    Text,
    bar_chart,
    command,
    details,
    escape,
    figure,
    notice,
    page,
    paragraph,
    section,
    table,
    tiles,
)
from synthgen.outputs import atomic_write, prepare_output

REPORT, DOCUMENT = "report.html", "evaluation.json"
STYLE = PIECES + COLUMNS
_TILES = ("shape", "trend", "detection_auc", "tstr_auc", "tstr_f1", "tstr_r2", "beta_recall", "dcr_share")


def write_report(out: Path, compared: Compared, *, command_line: str = "", force: bool = False) -> Path:
    """Write `report.html` and `evaluation.json` into the folder `out`; returns the page's path."""
    prepare_output(out, force=force)
    document = {"schema_version": 1, **compared.to_dict()}
    atomic_write(out / DOCUMENT, json.dumps(document, indent=1, ensure_ascii=False).encode())
    atomic_write(out / REPORT, render(compared, command_line=command_line).encode())
    return out / REPORT


def render(compared: Compared, *, command_line: str = "") -> str:
    """The whole page, of one synthetic set or of several."""
    results = compared.results
    again = [section("Again", command(command_line))] if command_line else []
    if len(results) == 1:
        sections = table_sections(results[0], compared.real, compared.fakes[0])
        title = f"{results[0].fake.name} against {results[0].real.name}"
        return page(title, sections + again, lead=results[0].headline, footer=footer(results[0]), style=STYLE)
    names = short_names([one.fake.name for one in results])
    sections = [_verdicts(results, names), _side_by_side(results, names), _columns(results, names)]
    sections.append(_method(results[0]))
    title = f"{len(results)} synthetic tables against {results[0].real.name}"
    return page(title, sections + again, lead=ranking(results), footer=footer(results[0]), style=STYLE)


def table_sections(result: TableEvaluation, real: TableData, fake: TableData) -> list[Section]:
    """The page's parts, for pages that show more than an evaluation; they need `STYLE`."""
    unknown = Markup(f"<h3>What this cannot tell</h3>{bullets(unknowns(result))}")
    found = [
        section("Verdict", verdict_block(result), unknown),
        _figures(result),
        columns_section(result, real, fake),
        pairs_section(result),
        missing_section(result),
        privacy_section(result),
        _method(result),
    ]
    return [one for one in found if one is not None]


def footer(result: TableEvaluation) -> str:
    """Versions and seed."""
    import pandas
    import sklearn

    return (
        f"synthgen {__version__} · pandas {pandas.__version__} · scikit-learn {sklearn.__version__} · "
        f"Python {platform.python_version()} · seed {result.seed} · this page needs no network"
    )


def written(one: TableMetric, value: float) -> str:
    """A value of this figure as text."""
    if one.share:
        return f"{100 * value:.2f} %" if abs(value) < 0.1 else f"{100 * value:.1f} %"
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"


def _figures(result: TableEvaluation) -> Section:
    metrics = list(result.metrics.values())
    shown = [one for one in metrics if one.name in _TILES]
    heads = [(one.title, written(one, one.value), _beside(one)) for one in shown]
    rows = [[one.title, *_cells(one), _better(one)] for one in metrics]
    names = ["figure", "value", "95 % interval", "training rows", "held out", "SMOTE", "better"]
    said = [one.sentence for one in metrics]
    return section(
        "The figures",
        *(notice(text, "warn") for text in result.warnings),
        tiles(heads),
        table(names, rows, caption=f"n = {result.n:,} synthetic rows; what each floor is, see below"),
        details("in words", bullets(said)),
    )


def _better(one: TableMetric) -> str:
    return one.better if one.ideal is None else f"{one.ideal:g}"


def _beside(one: TableMetric) -> str:
    if not one.floors:
        return ""
    names = {"bootstrap": "drawn anew", "holdout": "held out", "smote": "SMOTE", "real": "real rows"}
    return f"{names[one.floors[0].name]}: {written(one, one.floors[0].value)}"


def _cells(one: TableMetric) -> list[Text]:
    interval = None
    if one.interval is not None:
        interval = f"{written(one, one.interval[0])} to {written(one, one.interval[1])}"
    train = _floor(one, "bootstrap") or _floor(one, "real")
    cells = [written(one, one.value), interval, train, _floor(one, "holdout"), _floor(one, "smote")]
    return [together(cell) for cell in cells]


def _floor(one: TableMetric, name: FloorName) -> str | None:
    found = one.at(name)
    return None if found is None else written(one, found.value)


def _method(result: TableEvaluation) -> Section:
    facts: list[list[Text]] = [
        ["real rows", f"{result.real.name} ({result.real.split}): {result.real.used:,}"],
        ["synthetic rows", f"{result.fake.name}: {result.fake.used:,} of {result.fake.count:,}"],
        ["held-out rows", "none" if result.holdout is None else f"{result.holdout.name}: {result.holdout.used:,}"],
        ["predicted column", result.target or "none"],
    ]
    facts += [["note", text] for text in result.notes]
    text = (
        "Every figure stands beside tables that no generator made, at the same n. Training rows: these drawn anew with "
        "replacement, or, for what models are worth, models trained on them. Held out: real rows that no generator was "
        "trained on; they are fewer where there are fewer. SMOTE: points between neighbouring training rows. A perfect "
        "generator scores like held-out rows. Shape and trend errors are 1 - Column Shapes and 1 - Column Pair Trends "
        "as SDMetrics defines them, over all pairs; the fixed trend error uses the real table's deciles as bins. "
        "Detection: five-fold AUC, equal rows in one fold. Models are gradient boosting, tuned by cross-validation "
        "on their own training rows. Alpha-precision and beta-recall as TabSyn computes them (Alaa et al. 2022)."
    )
    return section("How it was measured", table(["", ""], facts), paragraph(text))


def _verdicts(results: Sequence[TableEvaluation], names: Sequence[str]) -> Section:
    blocks = [
        Markup(f"<div><h3>{escape(name)}</h3>{findings_block(one)}</div>")
        for one, name in zip(results, names, strict=True)
    ]
    warned = [
        notice(f"{name}: {text}", "warn") for one, name in zip(results, names, strict=True) for text in one.warnings
    ]
    return section("Verdict", columns(*blocks), rules_block(), *warned)


def _side_by_side(results: Sequence[TableEvaluation], names: Sequence[str]) -> Section:
    """A row per figure, a column per set; then a chart per figure."""
    known = {name: one for result in reversed(results) for name, one in result.metrics.items()}
    ordered = list(dict.fromkeys(name for one in results for name in one.metrics))
    rows: list[list[Text]] = []
    charts = []
    for name in ordered:
        first = known[name]
        found = [one.metrics.get(name) for one in results]
        cells = [None if one is None else together(written(one, one.value)) for one in found]
        floor = None if first.floor is None else together(written(first, first.floor))
        rows.append([first.title, *cells, floor, _better(first)])
        factor, nan = 100.0 if first.share else 1.0, float("nan")
        values = [nan if one is None else factor * one.value for one in found]
        least = min([0.0, *(value for value in values if value == value)])
        bars = bar_chart(
            names,
            values,
            errors=[0.0 if one is None else factor * (one.margin or 0.0) for one in found],
            reference=None if first.floor is None else (_beside(first).partition(":")[0], factor * first.floor),
            unit=" %" if first.share else "",
            low=least,
            title=f"{first.title} of every table",
        )
        better = f"best at {first.ideal:g}" if first.ideal is not None else f"{first.better} is better"
        charts.append(figure(bars, f"{first.title}: {better}."))
    caption = f"n = {results[0].n:,} synthetic rows each; whiskers: 95 % intervals"
    heads = ["figure", *names, "floor", "better"]
    return section("The figures", table(heads, rows, caption=caption), columns(*charts))


def _columns(results: Sequence[TableEvaluation], names: Sequence[str]) -> Section:
    """Shape errors of all columns, a column per set."""
    tables = [{row["name"]: row["error"] for row in one.details.get("shape", {}).get("columns", [])} for one in results]
    floors = {row["name"]: row["floor"] for row in results[0].details.get("shape", {}).get("columns", [])}
    rows: list[list[Text]] = [
        [name, *(_percent(found.get(name)) for found in tables), _percent(floor)] for name, floor in floors.items()
    ]
    heads = ["column", *names, "training rows drawn anew"]
    return section("Columns", table(heads, rows, caption="shape error of every column"))


def _percent(value: float | None) -> str | None:
    return None if value is None else f"{100 * value:.2f} %"
