"""`synthgen export`: a trained model in a format that other programs read."""

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
    RunArgument,
)
from synthgen.commands.sample import Sampler
from synthgen.console import Console, command_console
from synthgen.outputs import check_output
from synthgen.runs import resolve_run

if TYPE_CHECKING:
    from synthgen.export.exporting import ExportResult


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
        console.loading("torch", "diffusers")
        from synthgen.export.exporting import export_model, planned_scheduler
        from synthgen.generation.model import load_image_model

        model = load_image_model(checkpoint, device=device)
        recipe = model.recipe(sampler=sampler.value if sampler else None, steps=steps)
        if dry_run:
            plan: dict[str, object] = {
                "out": str(out),
                "format": format_.value,
                "source": str(checkpoint),
                "sampler": recipe.sampler,
                "steps": recipe.steps,
                "scheduler": planned_scheduler(model, format_.value, recipe),
            }
            _show_plan(console, plan)
            return
        result = export_model(model, out, format=format_.value, recipe=recipe, force=force, reporter=console.reporter)
        _show(console, result)


def _show_plan(console: Console, plan: dict[str, object]) -> None:
    rows = [(key, value) for key, value in plan.items() if value is not None]
    console.result(plan, lambda: console.table(f"would export to {plan['out']}", ("", ""), rows), quiet=plan["out"])


def _show(console: Console, result: ExportResult) -> None:
    document = {
        "out": str(result.path),
        "format": result.format,
        "source": str(result.source),
        "files": list(result.files),
        "size_bytes": result.size_bytes,
        "scheduler": result.scheduler,
        "max_difference": result.max_difference,
        "differing_pixels": result.differing_pixels,
        "checked_pixels": result.checked_pixels,
    }

    def human() -> None:
        console.line(f"exported to {result.path} ({result.size_bytes / 1e6:,.1f} MB)", "bold")
        console.line(f"  {', '.join(result.files)}")
        if result.scheduler:
            console.line(f"  scheduler: {result.scheduler}")
        console.line(
            f"  loaded back and sampled: largest difference {result.max_difference} of 255 grey levels, "
            f"{result.differing_pixels:,} of {result.checked_pixels:,} values differ"
        )

    console.result(document, human, quiet=result.path)
    if result.format == "safetensors":
        console.next(f"synthgen sample {result.path} --count 100")
    else:
        console.next(f"read {result.path / 'README.md'}: three lines of Python sample from it")
