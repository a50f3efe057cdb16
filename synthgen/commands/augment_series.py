"""`synthgen augment-classifier` where --real are labelled series: the same verb, other classifiers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from synthgen.console import Console
from synthgen.stopping import ShouldStop

if TYPE_CHECKING:
    from synthgen.downstream.result import Augmentation
    from synthgen.downstream.series.result import SeriesAugmentation


def augment_sequences(
    console: Console,
    real: str,
    *,
    synthetic: Sequence[str],
    train_generator: str | None,
    budget: str | None,
    overrides: Sequence[str],
    test: str | None,
    real_size: str | None,
    ratio: str | None,
    imbalance: str | None,
    classifiers: str | None,
    augment: str | None,
    steps: int | None,
    batch_size: int | None,
    count: int | None,
    seeds: int,
    seed: int,
    allow_leak: bool,
    device: str,
    out: Path | None,
    words: str,
    resume: bool,
    force: bool,
    should_stop: ShouldStop,
) -> None:
    """Run the protocol on series and show what it found."""
    console.loading("torch", "pandas", "sklearn")
    from synthgen.downstream.parsing import parse_imbalance, parse_ratios, parse_sizes
    from synthgen.downstream.series.classifiers import SeriesRecipe, parse_classifiers
    from synthgen.downstream.series.page import document_of, write_report
    from synthgen.downstream.series.protocol import Request, run_protocol
    from synthgen.downstream.series.result import SeriesDesign
    from synthgen.downstream.series.transforms import parse_series_transforms

    default = SeriesRecipe()
    design = SeriesDesign(
        recipe=SeriesRecipe(steps=steps or default.steps, batch_size=batch_size or default.batch_size),
        seeds=tuple(range(seed, seed + seeds)),
        transforms=parse_series_transforms(augment),
        ratios=parse_ratios(ratio),
        allow_leak=allow_leak,
    )
    request = Request(
        real,
        tuple(synthetic),
        train_generator,
        budget,
        tuple(overrides),
        test,
        parse_sizes(real_size),
        parse_imbalance(imbalance),
        count,
        parse_classifiers(classifiers),
        design,
        seed,
        device,
        out,
    )
    results = run_protocol(request, force=force, resume=resume, reporter=console.reporter, should_stop=should_stop)
    if out is not None:
        write_report(out, results, command_line=words)
    for text in dict.fromkeys(text for one in results for text in one.warnings):
        console.warn(text)
    document = document_of(results) | {"report": str(out / "report.html") if out else None}
    # A script that asks for "helps" must not be answered by a leak.
    verdicts = "\n".join(f"{one.verdict}{' (leak)' if one.leak.refused else ''}" for one in results)
    console.result(document, lambda: _show(console, results, out), quiet=verdicts)


def _show(console: Console, results: tuple[SeriesAugmentation, ...], out: Path | None) -> None:
    from synthgen.commands.augment_classifier import show_variants
    from synthgen.downstream.series.classifiers import CLASSIFIERS

    for result in results:
        for name, one in result.results.items():
            show_variants(console, one, f"{CLASSIFIERS[name]}: ")
        first = result.first
        styles = {"helps": "green" if first.leak.clean else "yellow", "hurts": "red"}
        who = f"{CLASSIFIERS[result.classifier]}: " if len(result.results) > 1 else ""
        console.line(f"{who}{result.sentence}", "red" if first.leak.refused else styles.get(result.verdict, "bold"))
        for name, text in result.sentences():
            console.line(f"{CLASSIFIERS[name]}: {text}" if len(result.results) > 1 else text)
        console.line(_footer(first))
    if out is not None:
        console.line(f"report: {out / 'report.html'}")


def _footer(result: Augmentation) -> str:
    seeds = f"{len(result.seeds)} seed{'s' if len(result.seeds) > 1 else ''}"
    return (
        f"{seeds}; ± of an accuracy is the deviation between seeds, ± of a difference half of its 95 % interval. "
        f"Leak check: {result.leak.message}."
    )
