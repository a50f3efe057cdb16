"""The augmentation experiment as one HTML page that needs nothing beside it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from synthgen import __version__
from synthgen.downstream.curves import curve_section
from synthgen.downstream.page_parts import by_class, calibration, confusions, figures, filtering, method, ratios
from synthgen.downstream.result import Augmentation
from synthgen.html import Section, command, notice, page, paragraph, section
from synthgen.outputs import atomic_write

REPORT, DOCUMENT = "report.html", "augmentation.json"

RED = ".notice.bad,header .lead{color:var(--bad);font-weight:600}"
"""A result that is not leak-free is red where it is read first."""


def document_of(results: Sequence[Augmentation]) -> dict[str, object]:
    """What --json prints: one experiment's document, or those of several numbers of real images."""
    if len(results) == 1:
        return results[0].to_dict()
    return {
        "kind": "synthgen-augmentation-curve",
        "real_sizes": [one.real_count for one in results],
        "verdicts": [one.verdict for one in results],
        "results": [one.to_dict() for one in results],
    }


def write_report(out: Path, results: Augmentation | Sequence[Augmentation], *, command_line: str = "") -> Path:
    """Write `report.html` and `augmentation.json` into the prepared folder `out`; returns the page's path."""
    results = (results,) if isinstance(results, Augmentation) else tuple(results)
    document = json.dumps({"schema_version": 1, **document_of(results)}, indent=1, ensure_ascii=False)
    atomic_write(out / DOCUMENT, document.encode())
    atomic_write(out / REPORT, render_report(results, command_line=command_line).encode())
    return out / REPORT


def render_report(results: Augmentation | Sequence[Augmentation], *, command_line: str = "") -> str:
    """The whole page."""
    results = (results,) if isinstance(results, Augmentation) else tuple(results)
    sections = [curve_section(results)] if len(results) > 1 else []
    for one in results:
        sections += augmentation_sections(one, titled=len(results) > 1)
    sections.append(method(results[-1]))
    if command_line:
        sections.append(section("Again", command(command_line)))
    footer = f"synthgen {__version__} · this page needs no network"
    leaky = any(one.leak.refused for one in results)
    several = "The same experiment at several numbers of real images."
    lead = results[0].sentence if len(results) == 1 else ("NOT LEAK-FREE. " if leaky else "") + several
    style = RED if leaky else ""
    return page("Do the synthetic images help?", sections, lead=lead, footer=footer, style=style)


def augmentation_sections(result: Augmentation, *, titled: bool = False, title: str | None = None) -> list[Section]:
    """The page's parts on one number of real images or series."""
    title = title or (f"{result.real_count:,} real {result.unit}" if titled else "The figures")
    tones = {"clean": "good", "unknown": "warn"}
    leak = f"Leak check: {result.leak.message}."
    if result.leak.refused:
        leak = f"NOT LEAK-FREE (--allow-leak was given). {leak}"
    second, best = result.headline_classical, result.best
    return [
        section(
            title,
            notice(leak, tones.get(result.leak.status, "bad")),  # type: ignore[arg-type]
            *(notice(text, "warn") for text in result.warnings if text != result.leak.message),
            *([paragraph(result.sentence)] if titled else []),
            *([paragraph(second.sentence)] if second else []),
            *([paragraph(best.sentence)] if best else []),
            figures(result),
            *ratios(result),
            *filtering(result),
            by_class(result),
            confusions(result),
            calibration(result),
        )
    ]
