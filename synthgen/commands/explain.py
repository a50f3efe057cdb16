"""`synthgen explain`: see how chosen samples came to be, or what chosen rows and series are made of."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

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
from synthgen.commands.resuming import stoppable
from synthgen.commands.sample_choices import Sampler
from synthgen.console import Console, command_console
from synthgen.errors import UsageError
from synthgen.explain.images.methods import check_methods
from synthgen.outputs import check_output
from synthgen.runs import modality_of, resolve_run

if TYPE_CHECKING:
    from synthgen.explain.images.run import Explanation, Request


_THINGS = {"images": "images", "tables": "a table"}


def explain(
    run: RunArgument,
    out: OutOption = Path("why"),
    samples: Annotated[int, typer.Option("--samples", "-n", min=1, metavar="N", help="How many samples.")] = 8,
    class_: Annotated[
        list[str] | None,
        typer.Option("--class", metavar="NAME", help="Only this class; repeatable [default: all]."),
    ] = None,
    rival: Annotated[
        str | None,
        typer.Option(
            "--rival", metavar="NAME", help="Series: the class to compare with, or none [default: the nearest]."
        ),
    ] = None,
    methods: Annotated[
        str | None,
        typer.Option(
            "--methods",
            metavar="NAMES",
            help="Images: trajectory, evidence [default: trajectory]; rows: detector, likelihood, attribution, "
            "neighbours [default: all]; series: evidence, attention, trajectory, shap, detector, neighbours "
            "[default: all]; with commas.",
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
        typer.Option("--data", metavar="FILE", help="Rows, series: what was trained on [default: the run's source]."),
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

    Images: every step from noise to image, which is not a causal account, and the pixels that speak for the class.
    Rows of a table: what gives them away, how likely they are, why a column has its value, which training rows they
    resemble. Series: which steps and channels speak for the class or surprise the model, what a judge goes by, where
    the network looks, when each part is decided, what gives them away, whom they resemble. Sample k is the one that
    `synthgen sample` makes with the same seed.
    """
    with command_console(json=json, quiet=quiet, color=color) as console:
        names = None if methods is None else tuple(name.strip() for name in methods.split(",") if name.strip())
        of_both: dict[str, object] = {"--rows": rows, "--count": count, "--data": data, "--test": test}
        of_samples = {"--class": class_, "--sampler": sampler, "--guidance-scale": guidance_scale}
        checkpoint = resolve_run(run)
        check_output(out, force=force)
        modality = modality_of(checkpoint)
        if modality == "series":
            _refuse({"--target": target}, "tables", f"{run} is a model of series")
            drawn = (sampler.value if sampler else None, steps, guidance_scale, seed, device, force)
            asked = SeriesFlags(samples, tuple(class_ or ()), rival, rows, data, test, count, names, *drawn)
            explain_series(console, run, checkpoint, out, asked)
            return
        _refuse({"--rival": rival}, "series", f"{run} is a model of {_THINGS.get(modality, modality)}")
        if modality == "tables":
            _refuse(of_samples, "images and series", f"{run} is a model of a table")
            flags = TableFlags(samples, rows, data, test, target, count, names, steps, seed, device, force)
            explain_table(console, run, checkpoint, out, flags)
            return
        _refuse({"--target": target}, "tables", f"{run} is a model of images")
        _refuse(of_both, "tables and series", f"{run} is a model of images")
        names = ("trajectory",) if names is None else names
        check_methods(names)
        console.loading("torch")
        from synthgen.explain.images.run import Request, explain_to_folder
        from synthgen.generation.model import load_image_model

        request = Request(
            samples,
            tuple(class_ or ()),
            seed,
            sampler.value if sampler else None,
            steps,
            guidance_scale,
            names,
        )
        request = replace(request, invocation=_invocation(run, out, request))
        with stoppable() as stop:
            model = load_image_model(checkpoint, device=device)
            result = explain_to_folder(model, out, request, force=force, reporter=console.reporter, should_stop=stop)
        console.result({"out": str(out), **result.summary}, lambda: _show(console, result), quiet=out)
        console.next(f"open {shlex.quote(str(out / 'index.html'))} in a browser")


def _refuse(given: Mapping[str, object], things: str, what: str) -> None:
    """Raise UsageError for the first flag that was given and is not for this model."""
    for flag, value in given.items():
        if value is not None:
            raise UsageError(f"{flag} is for {things}: {what}", f"leave {flag} away")


def _show(console: Console, result: Explanation) -> None:
    numbers: dict[str, Any] = result.summary.get("trajectory", {})
    if numbers:
        halves = numbers["half_steps"]
        rows = [
            [
                row["step"],
                f"{row['sigma']:.3g}",
                f"{50 * row['median_rms_to_final']:.1f} %",
                f"{sum(half <= row['step'] for half in halves)} of {len(halves)}",
            ]
            for row in numbers["per_step"]
        ]
        columns = ["step", "noise level", "guess off by (median)", "samples half done"]
        console.table("From noise to image", columns, rows, right=(0, 1, 2, 3))
        console.line(f"note: {numbers['caveat']}")
    evidence: dict[str, Any] = result.summary.get("evidence", {})
    for check in evidence.get("checks", []):
        console.line(f"evidence map, {check['name']}: {check['sentence']}")
    if evidence:
        console.line(f"note: {evidence['caveat']}")
    console.line(f"page: {result.folder / 'index.html'}")


def _invocation(run: str, out: Path, request: Request) -> str:
    """The command that makes the same page again, without what equals the default."""
    words = ["synthgen", "explain", run, "--out", out, "--samples", request.samples, "--seed", request.seed]
    for label in request.labels:
        words += ["--class", label]
    optional = {
        "--sampler": request.sampler,
        "--steps": request.steps,
        "--guidance-scale": request.guidance_scale,
    }
    for flag, value in optional.items():
        if value is not None:
            words += [flag, value]
    if request.methods != ("trajectory",):
        words += ["--methods", ",".join(request.methods)]
    return shlex.join(map(str, words))
