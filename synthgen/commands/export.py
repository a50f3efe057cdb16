"""`synthgen export`: a trained model in a format that other programs read."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from synthgen.commands.options import (
    Color,
    ColorOption,
    DeviceOption,
    DryRunOption,
    ForceOption,
    JsonOption,
    QuietOption,
    RunArgument,
)
from synthgen.commands.sample_choices import Sampler
from synthgen.console import Console, command_console
from synthgen.errors import UsageError
from synthgen.outputs import check_output
from synthgen.runs import resolve_run

if TYPE_CHECKING:
    from synthgen.export.exporting import ExportResult
    from synthgen.export.job import Samples


class Dtype(str, Enum):
    """What weights are stored as; a test keeps this list equal to `synthgen.export.weights.DTYPES`."""

    fp32 = "fp32"
    fp16 = "fp16"
    bf16 = "bf16"


class ExportFormat(str, Enum):
    """What others read; a test keeps this list equal to `synthgen.export.exporting.FORMATS`."""

    diffusers = "diffusers"
    safetensors = "safetensors"


def export(
    run: RunArgument,
    format_: Annotated[
        ExportFormat,
        typer.Option("--format", help="A folder that diffusers loads, or synthgen's self-describing file."),
    ] = ExportFormat.diffusers,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="The folder to make.")] = Path("exported"),
    dtype: Annotated[
        Dtype | None, typer.Option("--dtype", help="Of safetensors: what weights are rounded to [default: as they are]")
    ] = None,
    sampler: Annotated[
        Sampler | None, typer.Option("--sampler", help="How the export samples [default: the model's own]")
    ] = None,
    steps: Annotated[int | None, typer.Option("--steps", metavar="N", help="Its number of sampler steps.")] = None,
    device: DeviceOption = "auto",
    force: ForceOption = False,
    dry_run: DryRunOption = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
    color: ColorOption = Color.auto,
) -> None:
    """Write a model for others, load it back, and compare its samples with the model's own."""
    with command_console(json=json, quiet=quiet, color=color) as console:
        checkpoint = resolve_run(run)
        check_output(out, force=force)
        console.loading("torch", *(["diffusers"] if format_ is ExportFormat.diffusers else []))
        from synthgen.export.exporting import export_model, planned_scheduler
        from synthgen.generation.model import load

        model: Any = load(checkpoint, device=device, reporter=console.reporter)
        if sampler and model.header.get("modality") == "tables":
            raise UsageError("--sampler is for images and series; rows have one of their own", "leave it out")
        samplers = {"sampler": sampler.value} if sampler else {}
        recipe, rounding = model.recipe(**samplers, steps=steps), dtype.value if dtype else None
        scheduler = planned_scheduler(model, format_.value, recipe, rounding)
        if dry_run:
            plan: dict[str, object] = {
                "out": str(out),
                "format": format_.value,
                "source": str(checkpoint),
                "dtype": rounding,
                "sampler": getattr(recipe, "sampler", None),
                "steps": recipe.steps,
                "scheduler": scheduler,
            }
            _show_plan(console, plan)
            return
        result = export_model(
            model, out, format=format_.value, recipe=recipe, dtype=rounding, force=force, reporter=console.reporter
        )
        _show(console, result)


def _show_plan(console: Console, plan: dict[str, object]) -> None:
    rows = [(key, value) for key, value in plan.items() if value is not None]
    console.result(plan, lambda: console.table(f"would export to {plan['out']}", ("", ""), rows), quiet=plan["out"])


def _show(console: Console, result: ExportResult) -> None:
    def human() -> None:
        console.line(f"exported to {result.path} ({result.size_bytes / 1e6:,.1f} MB)", "bold")
        console.line(f"  {', '.join(result.files)}")
        if result.scheduler:
            console.line(f"  scheduler: {result.scheduler}")
        console.line(f"  loaded back and sampled: {_difference(result.samples)}")

    console.result(result.to_dict(), human, quiet=result.path)
    if (result.path / "model.safetensors").is_file():
        console.next(f"synthgen sample {result.path} --count 100")
    else:
        console.next(f"read {result.path / 'README.md'}: three lines of Python sample from it")


def _difference(samples: Samples) -> str:
    differ = f"{samples.differing:,} of {samples.compared:,} values differ"
    if samples.unit == "cells":
        return differ
    unit = "of 255 grey levels" if samples.unit == "grey levels" else "standard deviations of a channel"
    return f"largest difference {samples.largest:.3g} {unit}, {samples.mean:.2g} on average, {differ}"
