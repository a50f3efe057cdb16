"""`synthgen augment-classifier`: does synthetic data help a classifier?"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

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
    from synthgen.downstream.images import Augmentation, RealSides
    from synthgen.evaluation.sources import Synthetic

RUN_COUNT = 10_000
"""Samples drawn from a run when --count is not given."""


def augment_classifier(
    real: Annotated[str, typer.Option("--real", metavar="SOURCE", help="Real labelled images.")],
    synthetic: Annotated[
        str, typer.Option("--synthetic", metavar="SOURCE|RUN", help="Synthetic images, or a run to sample from.")
    ],
    test: Annotated[
        str | None,
        typer.Option("--test", metavar="SOURCE", help="Test images [default: the test split of --real, or a fifth]."),
    ] = None,
    real_size: Annotated[
        int | None, typer.Option("--real-size", min=2, metavar="N", help="Train on N real images [default: all].")
    ] = None,
    count: Annotated[
        int | None, typer.Option("--count", "-n", min=2, metavar="N", help="Samples to draw from a run [10000].")
    ] = None,
    seeds: Annotated[int, typer.Option("--seeds", min=1, max=100, metavar="N", help="Trainings per variant.")] = 3,
    steps: Annotated[int, typer.Option("--steps", min=1, metavar="N", help="Steps of every training.")] = 600,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="DIR", help="Also write report.html and augmentation.json.")
    ] = None,
    seed: SeedOption = 0,
    max_bad: Annotated[int, typer.Option("--max-bad", min=0, metavar="N", help="Unreadable images to skip.")] = 0,
    device: DeviceOption = "auto",
    force: ForceOption = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
    color: ColorOption = Color.auto,
) -> None:
    """Train classifiers on real, on synthetic and on both kinds of images, and test all of them on real ones.

    Every classifier gets the same number of steps. The verdict (helps, no difference, hurts) is that of a paired 95 %
    interval over seeds and test images. A generator that saw more real images than the classifier is named.
    """
    with command_console(json=json, quiet=quiet, color=color) as console, stoppable() as stop:
        if out is not None:
            check_output(out, force=force)
        console.loading("torch")
        from synthgen.downstream.classifier import ClassifierRecipe
        from synthgen.downstream.images import run_augmentation
        from synthgen.downstream.page import write_report

        sides, made = _load(console, real, synthetic, test, real_size, count, seed, device, max_bad, stop)
        result = run_augmentation(
            sides,
            made.data,
            generator=made.generator,
            recipe=ClassifierRecipe(steps=steps),
            seeds=range(seed, seed + seeds),
            device=device,
            reporter=console.reporter,
            should_stop=stop,
        )
        document = result.to_dict() | {"report": str(out / "report.html") if out else None}
        if out is not None:
            given = {"--test": test, "--real-size": real_size, "--count": count, "--seed": seed or None}
            words = _words(real, synthetic, {**given, "--seeds": seeds, "--steps": steps, "--out": out})
            write_report(out, result, command_line=words, force=force)
        for text in result.warnings:
            console.warn(text)
        console.result(document, lambda: _show(console, result, out), quiet=result.verdict)


def _load(
    console: Console,
    real: str,
    synthetic: str,
    test: str | None,
    real_size: int | None,
    count: int | None,
    seed: int,
    device: str,
    max_bad: int,
    stop: ShouldStop,
) -> tuple[RealSides, Synthetic]:
    """The synthetic images, and the real ones at their size, cut into training and test images."""
    from synthgen.downstream.images import choose_real
    from synthgen.evaluation.sources import (
        check_is_images,
        has_test_split,
        load_like,
        load_synthetic,
        resizing_note,
    )

    for flag, source in (("--real", real), ("--test", test)):
        if source is not None:
            check_is_images(flag, source)
    common: dict[str, Any] = {"reporter": console.reporter, "should_stop": stop}
    own_test = has_test_split(test or real, **common)
    common["max_bad"] = max_bad
    made = load_synthetic(synthetic, count=count, default_count=RUN_COUNT, seed=seed, device=device, **common)
    shape = made.data.shape
    note = resizing_note(real, shape)
    if note:
        console.note(note)
    held_out = None
    if own_test or test is not None:
        held_out = load_like(test or real, shape, split="test" if own_test else "all", **common)
    else:
        console.note(f"{real} has no test images: a fifth of it is cut off and only tested on")
    return choose_real(load_like(real, shape, **common), held_out, real_size), made


def _show(console: Console, result: Augmentation, out: Path | None) -> None:
    rows = []
    differences = {one.name: one.difference for one in result.comparisons}
    for name, one in result.variants.items():
        spread = "" if one.deviation is None else f" ± {100 * one.deviation:.2f}"
        gap = differences.get(name)
        against = "" if gap is None else f"{100 * gap.value:+.2f} ({100 * gap.low:+.2f} to {100 * gap.high:+.2f})"
        rows.append((name, f"{one.images:,}", f"{100 * one.mean:.2f}{spread}", against))
    title = f"test accuracy in %, {result.test_count:,} images of {result.test}"
    columns = ("trained on", "images", "accuracy", "against real (95 %)")
    console.table(title, columns, rows, right=(1, 2, 3))
    styles = {"helps": "green" if result.leak.clean else "yellow", "hurts": "red"}
    void = result.leak.status == "test"
    console.line(result.sentence, "red" if void else styles.get(result.verdict, "bold"))
    for one_ in result.comparisons:
        if one_.name == "synthetic":
            console.line(one_.sentence)
    steps, batch = result.recipe.steps, result.recipe.batch_size
    console.line(
        f"{len(result.seeds)} seeds, {steps:,} steps of {batch} images each. Leak check: {result.leak.message}."
    )
    if out is not None:
        console.line(f"report: {out / 'report.html'}")


def _words(real: str, synthetic: str, options: dict[str, object]) -> str:
    """The command line that makes the report again."""
    words = ["synthgen", "augment-classifier", "--real", real, "--synthetic", synthetic]
    for flag, value in options.items():
        if value is not None:
            words += [flag, str(value)]
    return shlex.join(words)
