"""The experiment on a table as one HTML page that needs nothing beside it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from synthgen import __version__
from synthgen.downstream.page import DOCUMENT, REPORT
from synthgen.downstream.tables.experiment import baselines
from synthgen.downstream.tables.learners import LEARNERS, LearnerName
from synthgen.downstream.tables.measures import TITLES
from synthgen.downstream.tables.result import Comparison, Figure, TableAugmentation, Trained
from synthgen.html import (
    Markup,
    Section,
    bar_chart,
    command,
    details,
    figure,
    line_chart,
    notice,
    page,
    paragraph,
    section,
    table,
)
from synthgen.outputs import atomic_write

_RED = ".notice.bad,header .lead{color:var(--bad);font-weight:600}"
"""A result that is not leak-free is red where it is read first."""


def document_of(results: Sequence[TableAugmentation]) -> dict[str, object]:
    """What --json prints: one experiment's document, or those of several numbers of real rows."""
    if len(results) == 1:
        return results[0].to_dict()
    return {
        "kind": "synthgen-augmentation-curve",
        "modality": "tables",
        "real_sizes": [one.real_count for one in results],
        "verdicts": [one.verdict for one in results],
        "results": [one.to_dict() for one in results],
    }


def write_report(out: Path, results: Sequence[TableAugmentation], *, command_line: str = "") -> Path:
    """Write `report.html` and `augmentation.json` into the prepared folder `out`; returns the page's path."""
    document = json.dumps({"schema_version": 1, **document_of(results)}, indent=1, ensure_ascii=False)
    atomic_write(out / DOCUMENT, document.encode())
    atomic_write(out / REPORT, render_report(results, command_line=command_line).encode())
    return out / REPORT


def render_report(results: Sequence[TableAugmentation], *, command_line: str = "") -> str:
    """The whole page."""
    sections = [_curve(results)] if len(results) > 1 else []
    sections += [_one(one, titled=len(results) > 1) for one in results]
    sections.append(_method(results[-1]))
    if command_line:
        sections.append(section("Again", command(command_line)))
    leaky = any(one.leak.refused for one in results)
    several = "The same experiment at several numbers of real rows."
    lead = results[0].sentence if len(results) == 1 else ("NOT LEAK-FREE. " if leaky else "") + several
    footer = f"synthgen {__version__} · this page needs no network"
    return page("Do the synthetic rows help?", sections, lead=lead, footer=footer, style=_RED if leaky else "")


def _one(result: TableAugmentation, *, titled: bool) -> Section:
    """The page's part on one number of real rows."""
    tones = {"clean": "good", "unknown": "warn"}
    leak = f"Leak check: {result.leak.message}."
    if result.leak.refused:
        leak = f"NOT LEAK-FREE (--allow-leak was given). {leak}"
    parts = [notice(leak, tones.get(result.leak.status, "bad"))]  # type: ignore[arg-type]
    parts += [notice(text, "warn") for text in result.warnings if text != result.leak.message]
    parts += [paragraph(result.sentence)] if titled else []
    parts += [paragraph(text) for text in result.sentences()]
    for trained in result.trained:
        parts += _learner(result, trained)
    return section(f"{result.real_count:,} real rows" if titled else "The figures", *parts)


def _learner(result: TableAugmentation, trained: Trained) -> list[Markup]:
    """Bars and tables of all variants of a learner."""
    name = LEARNERS[trained.learner]
    chosen = " (its verdict counts)" if trained.learner == result.learner and len(result.trained) > 1 else ""
    tables = [
        details(f"{name}: {TITLES[measure]}", _table(result, trained, measure)) for measure in result.measures[1:]
    ]
    return [
        paragraph(f"{name[0].upper()}{name[1:]}{chosen}: {TITLES[result.measure]} on real test rows."),
        _bars(result, trained),
        _table(result, trained, result.measure),
        *tables,
    ]


def _bars(result: TableAugmentation, trained: Trained) -> Markup:
    variants = list(trained.variants.values())
    found = [one.figures[result.measure] for one in variants]
    low = min(one.mean - 2 * (one.deviation or 0.0) for one in found)
    room = max(0.02, 0.25 * (max(one.mean for one in found) - low))
    low = low - room if low < 0 else max(0.0, low - room)
    title = TITLES[result.measure]
    bars = bar_chart(
        [one.label for one in variants],
        [one.mean for one in found],
        errors=[one.deviation or 0.0 for one in found],
        low=low,
        digits=4,
        title=f"{title} by what was trained on",
    )
    return figure(bars, f"{title}; the axis begins at {low:.2f}. Whisker: one deviation between seeds.")


def _table(result: TableAugmentation, trained: Trained, measure: str) -> Markup:
    bases = baselines(trained.variants)
    columns = ["trained on", "rows", TITLES[measure]]
    for base in bases:
        columns += [f"against {trained.variants[base].label} (95 %)", "verdict"]
    rows = []
    for one in trained.variants.values():
        cells: list[str | int | None] = [_whole(one.label), one.rows, _whole(spread(one.figures[measure]))]
        for base in bases:
            cells += _interval(compared(result, trained.learner, measure, one.name, base))
        rows.append(cells)
    return table(columns, rows)


def spread(found: Figure) -> str:
    """A mean and its deviation between seeds."""
    return f"{found.mean:.4f}" + ("" if found.deviation is None else f" ± {found.deviation:.4f}")


def compared(result: TableAugmentation, learner: LearnerName, measure: str, name: str, base: str) -> Comparison | None:
    """The comparison of a variant with another, None where there is none."""
    wanted = (learner, measure, name, base)
    return next(
        (one for one in result.comparisons if (one.learner, one.measure, one.name, one.against) == wanted), None
    )


def _interval(found: Comparison | None) -> list[str | int | None]:
    if found is None:
        return [None, None]
    one = found.difference
    return [_whole(f"{one.value:+.4f} ({one.low:+.4f} to {one.high:+.4f})"), _whole(one.verdict)]


def _whole(text: str) -> str:
    """The text with spaces at which no line breaks: figures stay together, and the table scrolls."""
    return text.replace(" ", "\u00a0")


def _curve(results: Sequence[TableAugmentation]) -> Section:
    """The headline measure over the number of real rows, for the first learner."""
    first = results[0].trained[0]
    kinds = {one.kind: name for name, one in first.variants.items()}  # at the largest ratio
    sizes = [one.real_count for one in results]
    measure = results[0].measure
    curves = {
        first.variants[name].label: (sizes, [one.trained[0].variants[name].figures[measure].mean for one in results])
        for name in kinds.values()
    }
    chart = line_chart(curves, x_label="real training rows", y_label=TITLES[measure], log_x=True, title=TITLES[measure])
    rows = [
        [
            one.real_count,
            *(_whole(spread(one.trained[0].variants[name].figures[measure])) for name in kinds.values()),
            one.verdict,
            one.headline_smote.difference.verdict,
            "leak-free" if one.leak.clean else one.leak.status,
        ]
        for one in results
    ]
    columns = ["real rows", *(first.variants[name].label for name in kinds.values())]
    return section(
        "Over the number of real rows",
        figure(chart, f"{TITLES[measure]} of {LEARNERS[first.learner]} on real test rows: higher is better."),
        table([*columns, "synthetic added", "against SMOTE", "generator"], rows),
    )


def _settings(trained: Trained) -> str:
    unit = "trees" if trained.learner == "boosting" else "steps"
    settings = ", ".join(f"{key} {value}" for key, value in trained.recipe.settings.items())
    return f"{trained.recipe.rounds:,} {unit}, {settings}"


def _method(result: TableAugmentation) -> Section:
    """How it was measured."""
    counts = zip(result.problem.classes, result.class_counts, strict=False)
    facts = [
        ["target", result.problem.target + (" (a number)" if result.problem.regression else "")],
        ["real training rows", f"{result.real_count:,}"],
        ["synthetic rows", f"{result.synthetic_count:,}"],
        ["test rows", f"{result.test_count:,}: {result.test}"],
        ["seeds", ", ".join(map(str, result.design.seeds))],
        *([f"settings of {LEARNERS[one.learner]}", _settings(one)] for one in result.trained),
    ]
    if not result.problem.regression:
        facts.insert(2, ["rows of each class", ", ".join(f"{name}: {count:,}" for name, count in counts)])
        facts.append(["AUC and precision are those of", ", ".join(result.positives)])
    text = (
        "All models of a learner are alike but for their training rows: the settings and the length of training are "
        "those, of a few candidates, that predict a fifth of the real training rows best after training on the others. "
        "Synthetic rows have no say in it, as their generator knows that fifth. Test rows are never seen. With "
        "several learners the verdict is that of the one that predicts that fifth best when trained on real rows "
        "alone. real + SMOTE has as many rows of SMOTE as there are synthetic ones. The interval of a difference "
        "counts both the chance of training (seeds) and the choice of test rows; where it holds 0, no difference was "
        "shown. It does not count the chance of training the generator, of which there is one. Deviations (±) are "
        "those between seeds."
    )
    return section("How it was measured", table(["", ""], facts), paragraph(text))
