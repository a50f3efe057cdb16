"""The augmentation experiment as one HTML page that needs nothing beside it."""

from __future__ import annotations

import json
from pathlib import Path

from synthgen import __version__
from synthgen.downstream.images import Augmentation
from synthgen.html import Section, bar_chart, command, details, figure, notice, page, paragraph, section, table
from synthgen.outputs import atomic_write, prepare_output

REPORT, DOCUMENT = "report.html", "augmentation.json"


def write_report(out: Path, result: Augmentation, *, command_line: str = "", force: bool = False) -> Path:
    """Write `report.html` and `augmentation.json` into the folder `out`; returns the page's path."""
    prepare_output(out, force=force)
    document = json.dumps({"schema_version": 1, **result.to_dict()}, indent=1, ensure_ascii=False)
    atomic_write(out / DOCUMENT, document.encode())
    atomic_write(out / REPORT, render_report(result, command_line=command_line).encode())
    return out / REPORT


def render_report(result: Augmentation, *, command_line: str = "") -> str:
    """The whole page."""
    sections = augmentation_sections(result)
    if command_line:
        sections.append(section("Again", command(command_line)))
    footer = f"synthgen {__version__} · this page needs no network"
    return page("Do the synthetic images help?", sections, lead=result.sentence, footer=footer)


def augmentation_sections(result: Augmentation) -> list[Section]:
    """The page's parts, for pages that show more than this experiment."""
    return [_result(result), _method(result)]


def _result(result: Augmentation) -> Section:
    variants = list(result.variants.values())
    means = [100 * one.mean for one in variants]
    spreads = [100 * (one.deviation or 0.0) for one in variants]
    # The axis begins below the lowest bar: the differences are small beside 100 %.
    low = max(0.0, min(mean - 2 * spread for mean, spread in zip(means, spreads, strict=True)) - 1.0)
    bars = bar_chart(
        [f"{one.name} ({one.images:,})" for one in variants],
        means,
        unit=" %",
        errors=spreads,
        low=low,
        digits=4,
        title="test accuracy by what the classifier was trained on",
    )
    caption = f"Accuracy on real test images. The axis begins at {low:.1f} %. Whisker: one deviation between seeds."
    rows = [
        [one.name, one.images, f"{100 * one.mean:.2f} %", _points(one.deviation), *_against(result, one.name)]
        for one in variants
    ]
    columns = ["trained on", "images", "accuracy", "deviation", "against real", "95 % interval", "verdict"]
    recalls = [
        [name, *(None if one.recalls[i] is None else f"{100 * (one.recalls[i] or 0.0):.1f} %" for one in variants)]
        for i, name in enumerate(result.class_names)
    ]
    tones = {"clean": "good", "test": "bad"}
    return section(
        "The figures",
        notice(f"Leak check: {result.leak.message}.", tones.get(result.leak.status, "warn")),  # type: ignore[arg-type]
        *(notice(text, "warn") for text in result.warnings if text != result.leak.message),
        figure(bars, caption),
        table(columns, rows),
        details("recall of every class", table(["class", *(one.name for one in variants)], recalls)),
    )


def _against(result: Augmentation, name: str) -> list[str | None]:
    found = next((one.difference for one in result.comparisons if one.name == name), None)
    if found is None:
        return [None, None, None]
    return [
        f"{100 * found.value:+.2f} points",
        f"{100 * found.low:+.2f} to {100 * found.high:+.2f}",
        found.verdict,
    ]


def _method(result: Augmentation) -> Section:
    recipe = result.recipe
    facts = [
        ["real training images", f"{result.real_count:,}"],
        ["synthetic training images", f"{result.synthetic_count:,}"],
        ["test images", f"{result.test_count:,}: {result.test}"],
        ["seeds", ", ".join(map(str, result.seeds))],
        ["every training", f"{recipe.steps:,} steps of {recipe.batch_size} images, the last weights"],
    ]
    text = (
        "All classifiers are alike but for their training images. The interval of a difference counts both the "
        "chance of training (seeds) and the choice of test images; where it holds 0, no difference was shown."
    )
    return section("How it was measured", table(["", ""], facts), paragraph(text))


def _points(deviation: float | None) -> str | None:
    return None if deviation is None else f"{100 * deviation:.2f} points"
