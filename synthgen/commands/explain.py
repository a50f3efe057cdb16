"""`synthgen explain`: see how chosen samples came to be."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

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
from synthgen.commands.sample import Sampler
from synthgen.console import Console, command_console
from synthgen.explain.methods import check_methods
from synthgen.outputs import check_output
from synthgen.runs import resolve_run

if TYPE_CHECKING:
    from synthgen.explain.run import Explanation, Request


def explain(
    run: RunArgument,
    out: OutOption = Path("why"),
    samples: Annotated[int, typer.Option("--samples", "-n", min=1, metavar="N", help="How many samples.")] = 8,
    class_: Annotated[
        list[str] | None,
        typer.Option("--class", metavar="NAME", help="Only this class; repeatable [default: all, in turn]."),
    ] = None,
    methods: Annotated[
        str, typer.Option("--methods", metavar="NAMES", help="trajectory, evidence, or trajectory,evidence.")
    ] = "trajectory",
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
    """Show how samples came to be: every step from noise to image, as a page, a strip, a GIF and numbers.

    Sample k is the one that `synthgen sample` makes with the same seed. The trajectory shows when a picture
    settles; it is not a causal account. The evidence map shows which pixels the model ties to the class, and
    says how it was checked.
    """
    with command_console(json=json, quiet=quiet, color=color) as console:
        names = tuple(name.strip() for name in methods.split(",") if name.strip())
        check_methods(names)
        checkpoint = resolve_run(run)
        check_output(out, force=force)
        console.loading("torch", "diffusers")
        from synthgen.explain.run import Request, explain_to_folder
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
