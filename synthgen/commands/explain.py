"""`synthgen explain`: see how chosen samples came to be, or what chosen rows and series are made of."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from synthgen.commands.explain_images import ImageFlags, explain_images
from synthgen.commands.explain_series import SeriesFlags, explain_series
from synthgen.commands.explain_tables import TableFlags, explain_table
from synthgen.commands.options import (
    Color,
    ColorOption,
    DeviceOption,
    ForceOption,
    JsonOption,
    OutOption,
    QuietOption,
    RunArgument,
    SeedOption,
)
from synthgen.commands.sample_choices import Sampler
from synthgen.console import command_console
from synthgen.errors import UsageError
from synthgen.outputs import check_output
from synthgen.runs import modality_of, resolve_run

_THINGS = {"images": "images", "tables": "a table", "series": "series"}


def explain(
    run: RunArgument,
    files: Annotated[
        list[str] | None, typer.Argument(metavar="FILE", help="More files of --images.", show_default=False)
    ] = None,
    out: OutOption = Path("why"),
    samples: Annotated[int, typer.Option("--samples", "-n", min=1, metavar="N", help="How many samples.")] = 8,
    class_: Annotated[
        list[str] | None,
        typer.Option("--class", metavar="NAME", help="Only this class; repeatable [default: all]."),
    ] = None,
    prompt: Annotated[
        list[str] | None,
        typer.Option("--prompt", metavar="TEXT", help="Images: samples of this; repeatable, as of `synthgen sample`."),
    ] = None,
    rival: Annotated[
        str | None,
        typer.Option(
            "--rival", metavar="NAME", help="Images, series: the class to compare with, or none [default: nearest]."
        ),
    ] = None,
    images: Annotated[
        list[str] | None,
        typer.Option("--images", metavar="FILES", help="Images: explain these files (or a folder), not samples."),
    ] = None,
    methods: Annotated[
        str | None,
        typer.Option(
            "--methods",
            metavar="NAMES",
            help="Images: trajectory, evidence, information, gradcam, judge, attention, shap, neighbours, influence, "
            "detector, augmentation; rows: detector, likelihood, attribution, neighbours; series: evidence, attention, "
            "trajectory, shap, detector, neighbours; with commas [default: all].",
        ),
    ] = None,
    rows: Annotated[
        str | None,
        typer.Option("--rows", metavar="FILE", help="Rows, series: explain those of this file, not sampled ones."),
    ] = None,
    target: Annotated[
        str | None, typer.Option("--target", metavar="COLUMN", help="Rows: why they have their value in this column.")
    ] = None,
    count: Annotated[
        int | None,
        typer.Option(
            "--count", min=1, metavar="N", help="Rows, series: how many the detector sees [default: 1000, 300]."
        ),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option("--data", metavar="FILE", help="What was trained on [default: the run's source]."),
    ] = None,
    test: Annotated[
        str | None,
        typer.Option("--test", metavar="FILE", help="Rows, series: real ones not trained on [default: held out]."),
    ] = None,
    sampler: Annotated[Sampler | None, typer.Option("--sampler", help="[default: the model's own]")] = None,
    steps: Annotated[int | None, typer.Option("--steps", min=1, metavar="N", help="Sampler steps.")] = None,
    guidance_scale: Annotated[
        float | None,
        typer.Option("--guidance-scale", min=0.0, metavar="X", help="Classifier-free guidance; 1.0 is off."),
    ] = None,
    seed: SeedOption = 0,
    device: DeviceOption = "auto",
    force: ForceOption = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
    color: ColorOption = Color.auto,
) -> None:
    """Show how samples came to be, and say how that was checked: a page, numbers, arrays.

    Images: which pixels speak for the class and whether that deserves belief, every step from noise to image and when
    the class is decided, where the network looks, whom they resemble, what gives them away, what they teach others.
    Rows of a table: what gives them away, how likely they are, why a column has its value, which training rows they
    resemble. Series: which steps and channels speak for the class or surprise the model, what a judge goes by, where
    the network looks, when each part is decided, what gives them away, whom they resemble. Sample k is the one that
    `synthgen sample` makes with the same seed.
    """
    with command_console(json=json, quiet=quiet, color=color) as console:
        names = None if methods is None else tuple(name.strip() for name in methods.split(",") if name.strip())
        of_rows: dict[str, object] = {"--rows": rows, "--count": count, "--test": test}
        given = _given(images, files)
        of_samples = {"--class": class_, "--sampler": sampler, "--guidance-scale": guidance_scale}
        checkpoint = resolve_run(run)
        check_output(out, force=force)
        modality = modality_of(checkpoint)
        drawn = (sampler.value if sampler else None, steps, guidance_scale, seed, device, force)
        if modality != "images":
            _refuse({"--images": images, "--prompt": prompt}, "images", f"{run} is a model of {_THINGS[modality]}")
        if modality == "series":
            _refuse({"--target": target}, "tables", f"{run} is a model of series")
            asked = SeriesFlags(samples, tuple(class_ or ()), rival, rows, data, test, count, names, *drawn)
            explain_series(console, run, checkpoint, out, asked)
            return
        if modality == "tables":
            _refuse({"--rival": rival}, "images and series", f"{run} is a model of a table")
            _refuse(of_samples, "images and series", f"{run} is a model of a table")
            flags = TableFlags(samples, rows, data, test, target, count, names, steps, seed, device, force)
            explain_table(console, run, checkpoint, out, flags)
            return
        _refuse({"--target": target}, "tables", f"{run} is a model of images")
        _refuse(of_rows, "tables and series", f"{run} is a model of images")
        if class_ and prompt:
            raise UsageError("--class and --prompt both say what the samples show", "give one of them")
        told = tuple(prompt or ())
        of_images = ImageFlags(samples, tuple(class_ or ()), rival, given, data, names, *drawn, prompts=told)
        explain_images(console, run, checkpoint, out, of_images)


def _given(images: list[str] | None, files: list[str] | None) -> tuple[str, ...]:
    """The files of --images; a pattern that the shell has spelled out leaves all but the first without a flag."""
    if files and not images:
        raise UsageError(f"got an unexpected argument '{files[0]}'", "name images to explain behind --images")
    return (*(images or ()), *(files or ()))


def _refuse(given: Mapping[str, object], things: str, what: str) -> None:
    """Raise UsageError for the first flag that was given and is not for this model."""
    for flag, value in given.items():
        if value is not None:
            raise UsageError(f"{flag} is for {things}: {what}", f"leave {flag} away")
