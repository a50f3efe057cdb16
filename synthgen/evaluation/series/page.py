"""The evaluation of series as one HTML page that needs nothing beside it."""

from __future__ import annotations

import json
import math
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from synthgen import __version__
from synthgen.evaluation.page_pieces import STYLE as PIECES
from synthgen.evaluation.page_pieces import bullets, columns, short_names, together
from synthgen.evaluation.series.comparing import Compared
from synthgen.evaluation.series.measure import FloorName, SeriesMetric, SeriesParts
from synthgen.evaluation.series.page_curves import (
    dynamics_section,
    map_section,
    neighbours_section,
    pairs_section,
    ranked_channels,
    values_section,
    windows_section,
)
from synthgen.evaluation.series.page_panels import STYLE as PANELS
from synthgen.evaluation.series.page_verdict import (
    findings_block,
    rules_block,
    tone_of,
    unknowns,
    verdict_block,
    written,
)
from synthgen.evaluation.series.result import SeriesEvaluation, ranking
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
STYLE = PIECES + PANELS
_TILES = ("context_fid", "correlational", "discriminative", "predictive", "spectrum", "forecast_skill", "copies")


def write_report(out: Path, compared: Compared, *, command_line: str = "", force: bool = False) -> Path:
    """Write `report.html` and `evaluation.json` into the folder `out`; returns the page's path."""
    prepare_output(out, force=force)
    document = _finite({"schema_version": 1, **compared.to_dict()})
    atomic_write(out / DOCUMENT, json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False).encode())
    atomic_write(out / REPORT, render(compared, command_line=command_line).encode())
    return out / REPORT


def _finite(value: Any) -> Any:
    """JSON has no NaN: what could not be computed is null."""
    if isinstance(value, dict):
        return {key: _finite(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def render(compared: Compared, *, command_line: str = "") -> str:
    """The whole page, of one synthetic set or of several."""
    results = compared.results
    again = [section("Again", command(command_line))] if command_line else []
    if len(results) == 1:
        sections = series_sections(results[0], compared.parts[0])
        title = f"{results[0].fake.name} against {results[0].real.name}"
        return page(title, sections + again, lead=results[0].headline, footer=footer(results[0]), style=STYLE)
    names = short_names([one.fake.name for one in results])
    sections = [_verdicts(results, names), _side_by_side(results, names), _method(results[0])]
    title = f"{len(results)} synthetic series against {results[0].real.name}"
    return page(title, sections + again, lead=ranking(results), footer=footer(results[0]), style=STYLE)


def series_sections(result: SeriesEvaluation, parts: SeriesParts) -> list[Section]:
    """The page's parts, for pages that show more than an evaluation; they need `STYLE`."""
    unknown = Markup(f"<h3>What this cannot tell</h3>{bullets(unknowns(result))}")
    order = ranked_channels(result, parts)
    found = [
        section("Verdict", verdict_block(result), unknown),
        _figures(result),
        windows_section(result, parts, order),
        map_section(result, parts),
        dynamics_section(result, parts, order),
        values_section(result, parts, order),
        pairs_section(result),
        neighbours_section(result),
        _method(result),
    ]
    return [one for one in found if one is not None]


def footer(result: SeriesEvaluation) -> str:
    """Versions and seeds."""
    import sklearn
    import torch

    return (
        f"synthgen {__version__} · torch {torch.__version__} · scikit-learn {sklearn.__version__} · "
        f"Python {platform.python_version()} · seeds {result.seeds[0]} to {result.seeds[-1]} · "
        "this page needs no network"
    )


def _figures(result: SeriesEvaluation) -> Section:
    metrics = list(result.metrics.values())
    heads = [(one.title, written(one, one.value), _beside(one)) for one in metrics if one.name in _TILES]
    rows = [[_marked(one), *_cells(one), _better(one)] for one in metrics]
    names = ["figure", "value", "± seeds", "two real parts", "drawn anew", "later part", "better"]
    caption = f"n = {result.n:,} synthetic windows of {result.window} steps; what each floor is, see below"
    return section(
        "The figures",
        *(notice(text, "warn") for text in result.warnings),
        tiles(heads),
        table(names, rows, caption=caption),
        details("in words", bullets([one.sentence for one in metrics])),
    )


def _marked(one: SeriesMetric) -> Text:
    tone = tone_of(one)
    if tone is None:
        return one.title
    return Markup(
        f'{escape(one.title)} <span class="badge {tone}">{ {"good": "ok", "warn": "near", "bad": "off"}[tone] }</span>'
    )


def _better(one: SeriesMetric) -> str:
    return one.better if one.ideal is None else f"{one.ideal:g}"


def _beside(one: SeriesMetric) -> str:
    names: dict[FloorName, str] = {
        "halves": "two real parts",
        "real": "from real windows",
        "redrawn": "drawn anew",
        "later": "later part",
        "chance": "chance",
    }
    return f"{names[one.floors[0].name]}: {written(one, one.floors[0].value)}" if one.floors else ""


def _cells(one: SeriesMetric) -> list[Text]:
    spread = None if one.spread is None else written(one, one.spread)
    parts = _floor(one, "halves") or _floor(one, "real")
    again = _floor(one, "redrawn") or _floor(one, "chance")
    return [together(cell) for cell in (written(one, one.value), spread, parts, again, _floor(one, "later"))]


def _floor(one: SeriesMetric, name: FloorName) -> str | None:
    found = one.at(name)
    return None if found is None else written(one, found.value)


def _method(result: SeriesEvaluation) -> Section:
    later = "none" if result.later is None else f"{result.later.name} ({result.later.split}): {result.later.used:,}"
    facts: list[list[Text]] = [
        ["protocol", f"{result.protocol}: {result.reference}"],
        ["real windows", f"{result.real.name} ({result.real.split}): {result.real.used:,} of {result.real.count:,}"],
        ["synthetic windows", f"{result.fake.name}: {result.fake.used:,} of {result.fake.count:,}"],
        ["later part", later],
        ["generator", result.origin],
    ]
    facts += [["note", text] for text in result.notes]
    facts += [
        [f"encoder, seed {one['seed']}", f"{one['iterations']} iterations, sha256 of weights {one['sha256']}"]
        for one in result.details.get("context_fid", {}).get("encoders", [])
    ]
    text = (
        "Two real parts: blocks of time in turn (or whole sequences), windows across a border left out, so that no "
        "step is on both sides; where something is trained, what real windows give. Drawn anew: the real windows with "
        "replacement, or, for telling apart, what a perfect generator scores on average on independent windows, "
        "1 / sqrt(2 pi n). Later part: real windows that no generator was trained on. Channels are scaled by the "
        "reference's extremes. Context-FID: Frechet distance in features of an encoder in the manner of TS2Vec (Yue "
        "et al. 2022), fitted on the reference only. Correlational, discriminative, predictive score as in TimeGAN "
        "(Yoon et al. 2019) and Diffusion-TS (Yuan and Qiao 2024): GRU of half as many hidden units as channels, 2,000 "
        "and 5,000 steps of 128 windows. ± is the deviation over seeds: of all that is random in judges and draws, "
        "not of training the generator anew."
    )
    return section("How it was measured", table(["", ""], facts), paragraph(text))


def _verdicts(results: Sequence[SeriesEvaluation], names: Sequence[str]) -> Section:
    both = list(zip(results, names, strict=True))
    blocks = [Markup(f"<div><h3>{escape(name)}</h3>{findings_block(one)}</div>") for one, name in both]
    warned = [notice(f"{name}: {text}", "warn") for one, name in both for text in one.warnings]
    return section("Verdict", columns(*blocks), rules_block(), *warned)


def _side_by_side(results: Sequence[SeriesEvaluation], names: Sequence[str]) -> Section:
    """A row per figure, a column per set; then a chart per figure."""
    known = {name: one for result in reversed(results) for name, one in result.metrics.items()}
    rows: list[list[Text]] = []
    charts = []
    for name in dict.fromkeys(name for one in results for name in one.metrics):
        first = known[name]
        found = [one.metrics.get(name) for one in results]
        cells = [None if one is None else together(written(one, one.value)) for one in found]
        floor = None if first.floor is None else together(written(first, first.floor))
        rows.append([first.title, *cells, floor, _better(first)])
        factor, nan = 100.0 if first.share else 1.0, float("nan")
        values = [nan if one is None else factor * one.value for one in found]
        bars = bar_chart(
            names,
            values,
            errors=[0.0 if one is None else factor * (one.spread or 0.0) for one in found],
            reference=None if first.floor is None else (_beside(first).partition(":")[0], factor * first.floor),
            unit=" %" if first.share else "",
            low=min([0.0, *(value for value in values if value == value)]),
            title=f"{first.title} of every set",
        )
        better = f"best at {first.ideal:g}" if first.ideal is not None else f"{first.better} is better"
        charts.append(figure(bars, f"{first.title}: {better}."))
    caption = f"n = {results[0].n:,} synthetic windows each; whiskers: deviation over seeds"
    heads = ["figure", *names, "floor", "better"]
    return section("The figures", table(heads, rows, caption=caption), columns(*charts))
