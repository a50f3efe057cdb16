"""Columns and pairs of columns as pictures: how real and synthetic values are distributed, and what hangs together."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import numpy as np

from synthgen.data.tables.schema import TableData
from synthgen.evaluation.tables.cells import Cells, Coder
from synthgen.evaluation.tables.figures import percent
from synthgen.evaluation.tables.result import TableEvaluation
from synthgen.html import Markup, Section, details, escape, figure, paragraph, section, table
from synthgen.html.panels import heat_map, histogram, legend

STYLE = """
.panels{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(260px,100%),1fr));gap:14px 22px;margin:.6rem 0}
.panels figure{margin:0}.panels figcaption{font-size:.82rem;margin-top:2px;overflow-wrap:anywhere}
.panel text{font-size:11px}.panel .none{fill:var(--line);opacity:.5}.panel .curve{stroke-width:1.8}
.levels{font-size:.82rem;display:grid;grid-template-columns:minmax(60px,40%) 1fr 46px;gap:2px 8px;align-items:center}
.levels span{overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
.levels .bar{position:relative;height:11px}
.levels .bar b{position:absolute;left:0;top:1px;height:9px;background:var(--c5);opacity:.45}
.levels .bar i{position:absolute;top:-1px;height:13px;width:3px;background:var(--c1)}
.levels .share{text-align:right;color:var(--soft);font-variant-numeric:tabular-nums}
"""

_NAMES = ("real", "synthetic")
_BINS = 30
_LEVELS = 6
_FIRST, _MOST = 6, 60
_MAP = 30


def columns_section(result: TableEvaluation, real: TableData, fake: TableData) -> Section | None:
    """Every column's distribution, the one furthest from the real one first."""
    errors = result.details.get("shape", {}).get("columns", [])
    if not errors:
        return None
    ranked = sorted(errors, key=lambda row: -(row["error"] or 0.0))
    coder = Coder(real.schema)
    sides = coder.encode(real), coder.encode(fake)
    pieces = [_column(row, coder, *sides, real) for row in ranked[:_MOST]]
    shown = [legend(_NAMES), _grid(pieces[:_FIRST])]
    if len(pieces) > _FIRST:
        shown.append(details(f"the other {len(pieces) - _FIRST} columns", _grid(pieces[_FIRST:])))
    rows = [[row["name"], _percent(row["error"]), _percent(row["floor"])] for row in ranked]
    heads = ["column", "shape error", "training rows drawn anew"]
    text = (
        "The columns that differ most come first. Numbers: the largest distance of the distribution functions; "
        "categories: half of the summed differences of their shares. Missing values are left out."
    )
    left = "" if len(ranked) <= _MOST else f" Of {len(ranked):,} columns {_MOST} are drawn."
    return section("Columns", paragraph(text + left), *shown, details("the numbers", table(heads, rows)))


def _grid(pieces: list[Markup]) -> Markup:
    return Markup(f'<div class="panels">{"".join(pieces)}</div>')


def _column(row: dict[str, Any], coder: Coder, real: Cells, fake: Cells, data: TableData) -> Markup:
    name = row["name"]
    floor = "" if row["floor"] is None else f" (drawn anew: {percent(row['floor'])})"
    caption = f"{name}: {_percent(row['error'])}{floor}"
    if name in real.numbers:
        picture = _numbers(name, real.numbers[name], fake.numbers[name], data.schema[name].kind == "datetime")
    else:
        picture = _levels(coder.levels(name), real.codes[name], fake.codes[name])
    return figure(picture, caption)


def _numbers(name: str, real: np.ndarray, fake: np.ndarray, dates: bool) -> Markup:
    """Over the middle 98 % of the real values; what lies outside is counted at the ends."""
    known, other = real[~np.isnan(real)], fake[~np.isnan(fake)]
    if not len(known):
        return Markup("<p>no real values</p>")
    low, high = np.quantile(known, [0.01, 0.99]).tolist()
    if high <= low:
        low, high = float(known.min()), float(known.max())
    count = int(min(_BINS, max(2, len(np.unique(known)))))
    edges = np.linspace(low, high if high > low else low + 1.0, count + 1)
    shares = [
        (np.histogram(np.clip(side, edges[0], edges[-1]), edges)[0] / max(1, len(side))).tolist()
        for side in (known, other)
    ]
    ends = [_date(value) if dates else f"{value:,.4g}" for value in (edges[0], edges[-1])]
    return histogram(shares[0], shares[1], low=ends[0], high=ends[1], names=_NAMES, described=f"distribution of {name}")


def _date(microseconds: float) -> str:
    try:
        return datetime.fromtimestamp(microseconds / 1e6, tz=timezone.utc).strftime("%Y-%m-%d")
    except (OverflowError, OSError, ValueError):  # years that this machine's clock does not know
        return f"{microseconds:.4g} µs"


def _levels(names: list[str], real: np.ndarray, fake: np.ndarray) -> Markup:
    """The most frequent categories as bars of the real share, the synthetic one as a tick."""
    ours, theirs = (
        np.bincount(side[side >= 0], minlength=len(names)) / max(1, int((side >= 0).sum())) for side in (real, fake)
    )
    order = np.argsort(-np.maximum(ours, theirs), kind="stable")[:_LEVELS]
    top = float(max(ours.max(initial=0), theirs.max(initial=0), 1e-12))
    lines = []
    for place in order.tolist():
        bar = f'<b style="width:{100 * ours[place] / top:.1f}%"></b>'
        tick = f'<i style="left:calc({100 * theirs[place] / top:.1f}% - 2px)"></i>'
        lines.append(
            f'<span title="{escape(names[place])}">{escape(names[place])}</span><div class="bar">{bar}{tick}</div>'
            f'<span class="share">{100 * theirs[place]:.1f} %</span>'
        )
    rest = len(names) - len(order)
    more = f'<span class="share">{rest:,} more</span><div></div><span></span>' if rest > 0 else ""
    return Markup(f'<div class="levels">{"".join(lines)}{more}</div>')


def pairs_section(result: TableEvaluation) -> Section | None:
    """Which pairs of columns hang together otherwise than in the real table."""
    found = result.details.get("trend", {})
    pairs = found.get("trend_fixed") or found.get("trend")
    if not pairs:
        return None
    names = _mapped(found["columns"], pairs)
    values = {tuple(row["columns"]): 100 * row["error"] for row in pairs if row["error"] is not None}
    floors = {tuple(row["columns"]): 100 * row["floor"] for row in pairs if row["floor"] is not None}
    top = max([*values.values(), 1e-9])
    maps = []
    if len(names) > 1:
        for title, shown in (("synthetic rows", values), ("training rows drawn anew, on the same scale", floors)):
            picture = heat_map(names, shown, top=top, described=f"trend error of pairs, {title}")
            maps.append(figure(picture, f"{title}; full colour: {top:.2g} %", wide=True))
    rows = [
        [row["columns"][0], row["columns"][1], _percent(row["error"]), _percent(row["floor"])] for row in pairs[:12]
    ]
    text = (
        "Trend error with bins fixed on the real table's deciles. Two numbers: half the difference of their "
        "correlations; otherwise: half of the summed differences of the shares in the contingency table."
    )
    some = "" if len(names) == len(found["columns"]) else f" The {len(names)} columns of the worst pairs are drawn."
    worst = table(["column", "column", "trend error", "training rows drawn anew"], rows, caption="the worst pairs")
    return section(
        "Pairs of columns", paragraph(text + some), Markup(f'<div class="pair">{"".join(maps)}</div>'), worst
    )


def _mapped(names: list[str], pairs: list[dict[str, Any]]) -> list[str]:
    """All columns of a narrow table, of a wide one those of the worst pairs."""
    if len(names) <= _MAP:
        return names
    chosen: dict[str, None] = {}
    for row in pairs:
        for name in row["columns"]:
            if len(chosen) < _MAP:
                chosen[name] = None
    return [name for name in names if name in chosen]


def missing_section(result: TableEvaluation) -> Section | None:
    """How often values are missing, and what that depends on."""
    found = result.details.get("missing")
    if not found:
        return None
    rates = [[row["name"], _percent(row["real"]), _percent(row["fake"])] for row in found["columns"][:40]]
    parts = [table(["column", "missing, real", "missing, synthetic"], rates)]
    pairs = [
        [
            row["missing"],
            row["given"],
            _percent(row["error"]),
            f"{row['real_information']:.4f}",
            f"{row['fake_information']:.4f}",
        ]
        for row in found["pairs"][:12]
    ]
    if pairs:
        heads = ["missing", "given", "relative error of its rate", "information, real", "information, synthetic"]
        caption = "what missing values depend on most (mutual information in nats)"
        parts.append(table(heads, pairs, caption=caption))
    return section("Missing values", *parts)


def _percent(value: float | None) -> str | None:
    return None if value is None else percent(value)
