"""The page of an explanation of rows: findings first, then every row with its cells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from synthgen import __version__
from synthgen.explain.charts import detection_chart
from synthgen.explain.tables import audit, detector, likelihood, masking, neighbours
from synthgen.explain.tables.cells import STYLE, cell_table, signed_bars
from synthgen.explain.tables.summary import worst_rows
from synthgen.html import (
    Markup,
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

if TYPE_CHECKING:
    from synthgen.explain.tables.run import TableExplanation

MOST_BARS = 20
MOST_ROWS = 50
"""Rows shown one by one; the files hold all."""


def write_page(found: TableExplanation) -> str:
    """The whole document, self-contained."""
    request, rows = found.request, found.asked.rows
    origin = f"the first {len(rows):,} rows of {request.rows}" if found.asked.given else f"{len(rows):,} sampled rows"
    parts = [section("In short", *_short(found))]
    pieces = (
        ("What gives the rows away", _detector, found.detection),
        ("How likely the rows are", _likelihood, found.likelihood),
        ("Why this value", _attribution, found.sharing),
        ("Whom they resemble", _neighbours, found.neighbours),
    )
    parts += [section(title, make(found)) for title, make, part in pieces if part is not None]
    parts.append(section("Row by row", *_rows(found)))
    if request.invocation:
        parts.append(section("Do it again", command(request.invocation)))
    lead = f"{origin} of {found.model.path}, seed {request.seed}."
    if found.asked.given:
        lead = f"{origin}, asked of {found.model.path}, seed {request.seed}."
    else:
        lead += " Row k is the k-th that the sample command makes with the same seed, counted from 0."
    footer = f"synthgen {__version__} · checkpoint sha256 {found.model.sha256[:16]} · this page needs no network"
    return page("Why these rows", parts, lead=lead, footer=footer, style=STYLE)


def _short(found: TableExplanation) -> list[Markup]:
    cards: list[tuple[str, str | float, str]] = []
    lines: list[Markup] = []
    if (one := found.detection) is not None:
        cards.append(("detector's AUC", f"{one.auc:.3f}", "0.5 is guessing"))
        lines.append(notice(one.sentence, "warn" if one.found or one.auc_p <= detector.LEVEL else "good"))
    if (told := found.likelihood) is not None:
        cards.append(("log2 likelihood", f"{np.median(told.total):.1f}", "bits, median of the rows"))
    if found.sharing is not None:
        words = audit.verdict(found.checks)
        believed = words.startswith("Believe")
        lines.append(notice(f"Attribution of {found.target}: {words}", "good" if believed else "warn"))
    if (near := found.neighbours) is not None:
        cards.append(("rows too near to training rows", f"{int(near.flagged.sum())}", f"of {len(near.flagged)}"))
        lines.append(notice(near.sentence, "warn" if near.flagged.any() or not len(near.new) else "good"))
    if found.members is not None:
        lines.append(notice(found.members.sentence, "good" if "not tell" in found.members.sentence else "warn"))
    return [tiles(cards), *lines, *(notice(text, "info") for text in found.notes)]


def _detector(found: TableExplanation) -> Markup:
    one = found.detection
    assert one is not None
    chart = detection_chart(one, "column", MOST_BARS)
    rows = [
        [one.names[place], f"{100 * one.scores[place]:+.2f}", f"{100 * one.chance[place]:+.2f}", f"{one.p[place]:.3f}"]
        for place in np.argsort(-one.scores, kind="stable")
    ]
    worst = [
        [
            row["row"],
            f"{row['probability']:.2f}",
            "; ".join(
                f"{why['column']} = {why['value']} (+{100 * why['contribution']:.0f} pp)" for why in row["reasons"]
            ),
        ]
        for row in worst_rows(found)
    ]
    pairs = [[f"{first} × {second}", f"{100 * score:+.2f}"] for first, second, score in one.pairs]
    return group(
        paragraph(detector.QUESTION),
        figure(chart, "Percentage points towards the truth; the tick is what chance reaches in 1 of 20 cases."),
        details("every column", table(["column", "towards the truth, pp", "95 % of chance, pp", "p"], rows)),
        *([details("pairs of columns that work together", table(["pair", "pp"], pairs))] if pairs else []),
        details(
            "the rows that the forest is surest of",
            table(["row", "probability", "because of"], worst),
            paragraph("The rows are numbered as in the whole set that was judged, from 0."),
        ),
        paragraph(
            f"Checked: contributions add up to the forest's probability within {one.verdicts.gap:.1g}; forests trained "
            f"on permuted labels {one.refits} times."
        ),
        notice(f"What this does not say: {detector.CAVEAT}", "warn"),
    )


def _because(reasons: list[dict[str, Any]]) -> str:
    return "; ".join(f"{one['column']} = {one['value']} (+{100 * one['contribution']:.0f} pp)" for one in reasons)


def _likelihood(found: TableExplanation) -> Markup:
    one = found.likelihood
    assert one is not None
    mean = one.surprise.mean(axis=0)
    order = np.argsort(-mean, kind="stable")[:MOST_BARS]
    chart = bar_chart([found.columns[c] for c in order], [float(mean[c]) for c in order], unit=" bits")
    spread = float(np.median(one.spread))
    return group(
        paragraph(likelihood.QUESTION),
        figure(chart, "Surprise of each column given all others, mean of the rows shown."),
        paragraph(
            "Checked: along one order of the columns, single questions add up to the model's log-likelihood of the row "
            f"within {found.likelihood_gap:.1g} bits. Over {one.draws} orders a row's log-likelihood differs by "
            f"{spread:.2g} bits (deviation, median of rows): so much the model contradicts itself."
        ),
        notice(f"What this does not say: {likelihood.CAVEAT}", "warn"),
    )


def _attribution(found: TableExplanation) -> Markup:
    one = found.sharing
    assert one is not None
    mean = np.abs(one.shares).mean(axis=0)
    order = np.argsort(-mean, kind="stable")[:MOST_BARS]
    names = [found.columns[one.columns[place]] for place in order]
    chart = bar_chart(names, [float(mean[place]) for place in order], unit=" bits")
    words = audit.verdict(found.checks)
    return group(
        paragraph(masking.QUESTION.format(target=found.target)),
        figure(chart, f"How much each column matters for {found.target}: |share|, mean of the rows shown."),
        notice(words, "good" if words.startswith("Believe") else "warn"),
        *(paragraph(f"Checked, {check.name}: {check.sentence}.") for check in found.checks),
        notice(f"What this does not say: {masking.CAVEAT}", "warn"),
    )


def _neighbours(found: TableExplanation) -> Markup:
    one, members = found.neighbours, found.members
    assert one is not None
    heads = ["row", "distance to the nearest", "held-out rows as near", "flag"]
    heads += [] if members is None else ["likelier than held-out rows"]
    rows = []
    for place, name in enumerate(found.asked.names[:MOST_ROWS]):
        share = "–" if np.isnan(one.shares[place]) else f"{100 * one.shares[place]:.1f} %"
        flag = "too near" if one.flagged[place] else "no"
        cells = [name, f"{one.distances[place, 0]:.3f}", share, f"{flag}, equal" if one.equal[place] else flag]
        rows.append([*cells, *([] if members is None else [f"{100 * members.ranks[place]:.0f} %"])])
    compared = f"Held-out rows: {found.real.holdout_name}." if found.real.holdout_name else ""
    return group(
        paragraph(neighbours.QUESTION),
        table(heads, rows),
        paragraph(compared) if compared else Markup(""),
        *([] if members is None else [paragraph(members.sentence)]),
        notice(f"What this does not say: {neighbours.CAVEAT}", "warn"),
    )


def _rows(found: TableExplanation) -> list[Markup]:
    """A card per row: its cells with their surprise and share, and its nearest training row beside them."""
    cards = []
    for row, name in enumerate(found.asked.names[:MOST_ROWS]):
        parts = [cell_table(found, row)]
        if (shared := found.sharing) is not None:
            names = [found.columns[place] for place in shared.columns]
            parts.append(
                paragraph(
                    f"{found.target} = {found.text(found.target, row)}: probability "
                    f"{100 * 2 ** shared.full[row]:.1f} % knowing all others, {100 * 2 ** shared.empty[row]:.1f} % "
                    "knowing none. Bits for (right) and against (left) this value:"
                )
            )
            parts.append(signed_bars(names, shared.shares[row].tolist()))
        cards.append(details(f"{name}: {_title(found, row)}", *parts))
    if len(found.asked.names) > MOST_ROWS:
        cards.append(paragraph(f"{len(found.asked.names) - MOST_ROWS:,} more rows are in cells.csv."))
    return cards


def _title(found: TableExplanation, row: int) -> str:
    parts = []
    if (told := found.likelihood) is not None:
        worst = int(told.surprise[row].argmax())
        value = found.text(found.columns[worst], row)
        parts.append(f"most surprising {found.columns[worst]} = {value} ({told.surprise[row, worst]:.1f} bits)")
        parts.append(f"log2 p = {told.total[row]:.1f} ± {told.error[row]:.1f}")
    if found.neighbours is not None and found.neighbours.flagged[row]:
        parts.append("too near to a training row")
    return ", ".join(parts) or "its cells"
