"""`synthgen evaluate`: how far synthetic images are from real ones."""

from __future__ import annotations

import shlex
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from synthgen.commands.options import (
    Color,
    ColorOption,
    DeviceOption,
    ForceOption,
    JsonOption,
    QuietOption,
    SeedOption,
)
from synthgen.commands.resuming import stoppable
from synthgen.console import Console, command_console
from synthgen.outputs import check_output
from synthgen.stopping import ShouldStop

if TYPE_CHECKING:
    from synthgen.data.dataset import ImageData
    from synthgen.downstream.leaks import Provenance
    from synthgen.evaluation.result import Evaluation, Metric

RUN_COUNT = 2000
"""Samples drawn from a run when --count is not given: the least at which figures are steady."""


class Holdout(str, Enum):
    """Which real images the floor is made of."""

    half = "half"
    test = "test"


def evaluate(
    real: Annotated[str, typer.Option("--real", metavar="SOURCE", help="Real images: a name, folder or file.")],
    fake: Annotated[
        str, typer.Option("--fake", metavar="SOURCE|RUN", help="Synthetic images, or a run to sample from.")
    ],
    count: Annotated[
        int | None,
        typer.Option("--count", "-n", min=1, metavar="N", help="Images a side at most [for a run: 2000]."),
    ] = None,
    features: Annotated[
        str, typer.Option("--features", metavar="NAME", help="domain, inception, or a domain extractor's file.")
    ] = "domain",
    inception_weights: Annotated[
        Path | None,
        typer.Option("--inception-weights", metavar="FILE", help="torch-fidelity's Inception weights."),
    ] = None,
    metrics: Annotated[
        str | None,
        typer.Option("--metrics", metavar="NAMES", help="Of fid,kid,is,prc,agreement,classes [default: all possible]."),
    ] = None,
    holdout: Annotated[
        Holdout, typer.Option("--holdout", help="Floor from half of the real images, or from their test split.")
    ] = Holdout.half,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="DIR", help="Also write report.html and evaluation.json.")
    ] = None,
    seed: SeedOption = 0,
    max_bad: Annotated[int, typer.Option("--max-bad", min=0, metavar="N", help="Unreadable images to skip.")] = 0,
    device: DeviceOption = "auto",
    force: ForceOption = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
    color: ColorOption = Color.auto,
) -> None:
    """Compare synthetic images with real ones: FID, KID, inception score, precision, recall, class agreement.

    Every figure stands beside its floor: what real images score against other real images at the same n.
    """
    given = {
        "--count": count,
        "--features": None if features == "domain" else features,
        "--inception-weights": inception_weights,
        "--metrics": metrics,
        "--holdout": None if holdout is Holdout.half else holdout.value,
        "--seed": seed or None,
    }
    with command_console(json=json, quiet=quiet, color=color) as console, stoppable() as stop:
        if out is not None:
            check_output(out, force=force)
        names = _names(metrics)
        console.loading("torch", "torch_fidelity")
        from synthgen.evaluation.images import check_metrics, evaluate_images
        from synthgen.evaluation.page import write_report

        check_metrics(names)
        sets = _load(console, real, fake, count, seed, device, max_bad, holdout, stop)
        result = evaluate_images(
            sets.real,
            sets.fake,
            features=features,
            inception_weights=inception_weights,
            metrics=names,
            count=count,
            held_out=sets.held_out,
            generator=sets.generator,
            seed=seed,
            device=device,
            reporter=console.reporter,
            should_stop=stop,
        )
        report = None
        if out is not None:
            words = _words(real, fake, {**given, "--out": out})
            report = write_report(out, result, sets.real, sets.fake, command_line=words, force=force)
        document = result.to_dict() | {"report": None if report is None else str(report)}
        console.result(document, lambda: _show(console, result, out), quiet=_number(result))
        for text in result.warnings:
            console.warn(text)
        if len(sets.fake.class_names) > 1:
            console.next(shlex.join(["synthgen", "augment-classifier", "--real", real, "--synthetic", fake]))


def _names(metrics: str | None) -> list[str] | None:
    """The names in `fid,prc`; None for all."""
    return None if metrics is None else [name.strip() for name in metrics.split(",") if name.strip()]


class _Sets(NamedTuple):
    real: ImageData
    fake: ImageData
    held_out: ImageData | None
    generator: Provenance | None


def _load(
    console: Console,
    real: str,
    fake: str,
    count: int | None,
    seed: int,
    device: str,
    max_bad: int,
    holdout: Holdout,
    stop: ShouldStop,
) -> _Sets:
    """The synthetic images, and the real ones at their size."""
    from synthgen.evaluation.sources import check_is_images, load_like, load_synthetic, resizing_note

    check_is_images("--real", real)
    common: dict[str, Any] = {"max_bad": max_bad, "reporter": console.reporter, "should_stop": stop}
    synthetic = load_synthetic(fake, count=count, default_count=RUN_COUNT, seed=seed, device=device, **common)
    made = synthetic.data
    note = resizing_note(real, made.shape)
    if note:
        console.note(note)
    held_out = load_like(real, made.shape, split="test", **common) if holdout is Holdout.test else None
    return _Sets(load_like(real, made.shape, **common), made, held_out, synthetic.generator)


def _show(console: Console, result: Evaluation, out: Path | None) -> None:
    metrics = list(result.metrics.values())
    if metrics:
        title = f"{result.fake.name} against {result.real.name}"
        rows = [
            (one.title, _value(one), _text(one, one.floor), _interval(one), f"{one.better} is better")
            for one in metrics
        ]
        headings = ("metric", "value", "real floor", "95 % interval", "")
        console.table(title, headings, rows, right=(1, 2, 3))
    if result.classes:
        rows_ = [
            (
                one.name,
                one.n,
                _plain(one.fid),
                _plain(one.fid_floor),
                _percent(one.agreement),
                _percent(one.agreement_floor),
            )
            for one in result.classes
        ]
        columns = ("class", "n", "FID", "real floor", "agreement", "real images")
        console.table("class by class", columns, rows_, right=(1, 2, 3, 4, 5))
    for one in metrics:
        console.line(one.sentence)
    if result.judge and "agreement" in result.metrics:
        console.line(result.judge)
    console.line(f"n = {result.n:,} a side, features {result.extractor['name']}. Reference: {result.reference}.", "dim")
    for text in result.notes:
        console.line(f"left out {text}", "dim")
    if out is not None:
        console.line(f"report: {out / 'report.html'}")


def _value(one: Metric) -> str:
    spread = f" ± {_text(one, one.spread)}" if one.spread is not None else ""
    return _text(one, one.value) + spread


def _interval(one: Metric) -> str:
    return f"{_text(one, one.interval[0])} to {_text(one, one.interval[1])}" if one.interval else ""


def _text(one: Metric, value: float | None) -> str:
    return _percent(value) if one.name in ("precision", "recall", "agreement") else _plain(value)


def _plain(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"


def _percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f} %"


def _number(result: Evaluation) -> str | None:
    """What --quiet prints: the first figure."""
    first = next(iter(result.metrics.values()), None)
    return None if first is None else f"{first.value:.6g}"


def _words(real: str, fake: str, options: dict[str, object]) -> str:
    """The command line that makes the report again."""
    words = ["synthgen", "evaluate", "--real", real, "--fake", fake]
    for flag, value in options.items():
        if value is not None:
            words += [flag, str(value)]
    return shlex.join(words)
