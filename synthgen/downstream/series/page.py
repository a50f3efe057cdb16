"""The experiment on series as one HTML page that needs nothing beside it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from synthgen import __version__
from synthgen.downstream.curves import curve_section
from synthgen.downstream.page import DOCUMENT, RED, REPORT, augmentation_sections
from synthgen.downstream.series.classifiers import CLASSIFIERS, ClassifierName, SeriesRecipe
from synthgen.downstream.series.result import UNIT, SeriesAugmentation
from synthgen.html import Section, command, page, paragraph, section, table
from synthgen.outputs import atomic_write


def document_of(results: Sequence[SeriesAugmentation]) -> dict[str, object]:
    """What --json prints: one experiment's document, or those of several numbers of real sequences."""
    if len(results) == 1:
        return results[0].to_dict()
    return {
        "kind": "synthgen-augmentation-curve",
        "modality": "series",
        "real_sizes": [one.real_count for one in results],
        "verdicts": [one.verdict for one in results],
        "results": [one.to_dict() for one in results],
    }


def write_report(out: Path, results: Sequence[SeriesAugmentation], *, command_line: str = "") -> Path:
    """Write `report.html` and `augmentation.json` into the prepared folder `out`; returns the page's path."""
    document = json.dumps({"schema_version": 1, **document_of(results)}, indent=1, ensure_ascii=False)
    atomic_write(out / DOCUMENT, document.encode())
    atomic_write(out / REPORT, render_report(results, command_line=command_line).encode())
    return out / REPORT


def render_report(results: Sequence[SeriesAugmentation], *, command_line: str = "") -> str:
    """The whole page."""
    sections: list[Section] = []
    if len(results) > 1:
        for name in results[0].results:
            sections += [
                section(_capital(CLASSIFIERS[name])),
                curve_section([one.results[name] for one in results]),
            ]
    for one in results:
        sections += _sections(one, titled=len(results) > 1)
    sections.append(_method(results[-1]))
    if command_line:
        sections.append(section("Again", command(command_line)))
    leaky = any(one.leak.refused for one in results)
    several = f"The same experiment at several numbers of real {UNIT}."
    lead = results[0].sentence if len(results) == 1 else ("NOT LEAK-FREE. " if leaky else "") + several
    footer = f"synthgen {__version__} · this page needs no network"
    return page(f"Do the synthetic {UNIT} help?", sections, lead=lead, footer=footer, style=RED if leaky else "")


def _sections(result: SeriesAugmentation, *, titled: bool) -> list[Section]:
    """The page's parts on one number of real sequences: the classifier whose verdict counts comes first."""
    order: list[ClassifierName] = sorted(result.results, key=lambda name: name != result.classifier)
    found: list[Section] = []
    for name in order:
        title = _capital(CLASSIFIERS[name]) + (f", {result.real_count:,} real {UNIT}" if titled else "")
        if name == result.classifier and len(order) > 1:
            title += " (its verdict counts)"
        found += augmentation_sections(result.results[name], titled=titled or name != order[0], title=title)
    return found


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def _method(result: SeriesAugmentation) -> Section:
    """How it was measured."""
    first = result.first
    recipe = first.design.recipe
    assert isinstance(recipe, SeriesRecipe)
    facts = [
        [f"real training {UNIT}", f"{first.real_count:,}"],
        [f"synthetic {UNIT}", f"{first.synthetic_count:,}"],
        [f"test {UNIT}", f"{first.test_count:,}: {first.test}"],
        ["seeds", ", ".join(map(str, first.seeds))],
        ["classical augmentation", first.design.transforms.sentence],
    ]
    if "rocket" in result.results:
        facts.append(
            [
                "ROCKET",
                f"{recipe.kernels:,} random convolution kernels (Dempster et al. 2020), of each the share of outputs "
                "above the bias and the largest one; ridge classifier, its penalty chosen by leave-one-out on what it "
                "is trained on; classical augmentation adds up to nine changed copies of each sequence",
            ]
        )
    if "cnn" in result.results:
        facts.append(["network", f"{recipe.steps:,} steps of {recipe.batch_size} {UNIT}, the last weights"])
    for name, share in result.cross_validated.items():
        facts.append([f"{name}, trained on real ones", f"reads {100 * share:.2f} % of held-out training {UNIT}"])
    text = (
        f"All classifiers of a kind are alike but for their training {UNIT}. real + both is real + synthetic with "
        "classical augmentation of all. With several classifiers the verdict is that of the one that reads held-out "
        f"training {UNIT} best when trained on real ones alone. The interval of a difference counts both the chance of "
        f"training (seeds) and the choice of test {UNIT}; where it holds 0, no difference was shown. It does not count "
        "the chance of training the generator, of which there is one. Deviations (±) are those between seeds."
    )
    return section("How it was measured", table(["", ""], facts), paragraph(text))
