"""`synthgen sample`: synthetic images from a trained model, any number of them."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from synthgen.commands.options import (
    Color,
    ColorOption,
    DeviceOption,
    DryRunOption,
    ForceOption,
    JsonOption,
    QuietOption,
    ResumeOption,
    RunArgument,
    SeedOption,
)
from synthgen.commands.resuming import resume_command, stoppable
from synthgen.console import Console, command_console
from synthgen.errors import UsageError
from synthgen.outputs import check_output
from synthgen.runs import resolve_run

if TYPE_CHECKING:
    from synthgen.generation.folder import SamplePlan, SampleResult
    from synthgen.generation.model import Model


class Format(str, Enum):
    """Where samples are written to."""

    png = "png"
    npz = "npz"
    idx = "idx"


class Sampler(str, Enum):
    """The samplers; a test keeps this list equal to `synthgen.diffusion.samplers.SAMPLERS`."""

    ddpm = "ddpm"
    ddim = "ddim"
    euler = "euler"
    heun = "heun"
    dpmpp_2m = "dpm++2m"
    dpmpp_2m_sde = "dpm++2m-sde"
    dpmpp_3m = "dpm++3m"


def sample(
    run: RunArgument,
    count: Annotated[int, typer.Option("--count", "-n", metavar="N", help="How many samples.")] = 64,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="The folder to make.")] = Path("synthetic"),
    class_: Annotated[
        list[str] | None,
        typer.Option("--class", metavar="NAME", help="Only this class; repeatable [default: all, balanced]."),
    ] = None,
    format_: Annotated[Format, typer.Option("--format", help="PNG folder, one npz, or an IDX pair.")] = Format.png,
    seed: SeedOption = 0,
    sampler: Annotated[Sampler | None, typer.Option("--sampler", help="[default: the model's own]")] = None,
    steps: Annotated[int | None, typer.Option("--steps", metavar="N", help="Sampler steps.")] = None,
    eta: Annotated[float | None, typer.Option("--eta", metavar="X", help="Fresh noise of ddim, 0 to 1.")] = None,
    guidance_scale: Annotated[
        float | None,
        typer.Option("--guidance-scale", metavar="X", help="Classifier-free guidance; 1.0 is off."),
    ] = None,
    device: DeviceOption = "auto",
    resume: ResumeOption = False,
    force: ForceOption = False,
    dry_run: DryRunOption = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
    color: ColorOption = Color.auto,
) -> None:
    """Draw samples from a model. Sample k depends on the model, the settings, the seed and k alone."""
    with command_console(json=json, quiet=quiet, color=color) as console:
        if count < 1:
            raise UsageError(f"--count must be 1 or more, not {count}")
        checkpoint = resolve_run(run)
        check_output(out, force=force, resume=resume)
        console.loading("torch", "diffusers")
        from synthgen.generation.folder import plan_samples, sample_to_folder
        from synthgen.generation.model import load

        model = load(checkpoint, device=device)
        recipe = model.recipe(
            sampler=sampler.value if sampler else None, steps=steps, eta=eta, guidance_scale=guidance_scale
        )
        plan = plan_samples(model, count, labels=class_, seed=seed, recipe=recipe, format=format_.value)
        if dry_run:
            _show_plan(console, model, plan, out)
            return
        with stoppable(resume_command()) as stop:
            result = sample_to_folder(
                model, out, plan, force=force, resume=resume, reporter=console.reporter, should_stop=stop
            )
        _show_result(console, model, plan, result)


def _show_plan(console: Console, model: Model, plan: SamplePlan, out: Path) -> None:
    from synthgen.generation.folder import estimated_bytes

    calls = model.engine(plan.recipe).network_calls
    classes = [model.class_names[label] for label in plan.labels] or list(model.class_names)
    document = {
        "out": str(out),
        "model": str(model.path),
        "classes": classes,
        "network_calls_per_sample": calls,
        "estimated_bytes": estimated_bytes(model, plan),
        **{key: value for key, value in plan.to_dict().items() if key != "labels"},
    }
    rows = [
        ("model", model.path),
        ("samples", f"{plan.count:,}"),
        ("classes", ", ".join(classes) or "none (unconditional)"),
        ("sampler", f"{plan.recipe.sampler}, {plan.recipe.steps} steps, {calls} network calls a sample"),
        ("guidance", "off" if plan.recipe.guidance_scale == 1.0 else plan.recipe.guidance_scale),
        ("seed", plan.seed),
        ("format", plan.format),
        ("disk", f"about {document['estimated_bytes'] / 1e6:,.0f} MB"),
    ]
    console.result(document, lambda: console.table(f"would sample into {out}", ("", ""), rows), quiet=out)


def _show_result(console: Console, model: Model, plan: SamplePlan, result: SampleResult) -> None:
    document = {
        "out": str(result.out),
        "files": [str(path) for path in result.files],
        "grid": str(result.grid),
        "count": result.count,
        "counts": result.counts,
        "seconds": result.seconds,
        "images_per_second": result.images_per_second,
        "seed": plan.seed,
    }

    def human() -> None:
        console.line(f"{result.count:,} samples in {result.out}", "bold")
        if result.counts:
            shown = ", ".join(f"{name}: {number:,}" for name, number in list(result.counts.items())[:12])
            console.line(f"  {shown}{', ...' if len(result.counts) > 12 else ''}")
        console.line(f"  {result.seconds:,.1f} s, {result.images_per_second:,.0f} images/s, grid in {result.grid}")

    console.result(document, human, quiet=result.out)
    source = model.header["data"]["name"]
    console.next(f"synthgen evaluate --real {source} --fake {result.out}")
