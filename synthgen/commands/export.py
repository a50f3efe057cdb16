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
)
from synthgen.commands.sample_choices import Quality, Sampler
from synthgen.console import Console, command_console
from synthgen.errors import UsageError
from synthgen.outputs import check_output
from synthgen.runs import resolve_run

if TYPE_CHECKING:
    from synthgen.export.exporting import ExportResult
    from synthgen.export.job import Samples


_RUN_HELP = "A run folder, a .safetensors file, or a bundled model's name."


class Dtype(str, Enum):
    """What weights are stored as; a test keeps this list equal to `synthgen.export.weights.DTYPES`."""

    fp32 = "fp32"
    fp16 = "fp16"
    bf16 = "bf16"


class ExportFormat(str, Enum):
    """What others read; a test keeps this list equal to `synthgen.export.exporting.FORMATS`."""

    diffusers = "diffusers"
    safetensors = "safetensors"
    hub = "hub"
    onnx = "onnx"
    torch_export = "torch-export"


def export(
    run: Annotated[str | None, typer.Argument(metavar="RUN", help=_RUN_HELP, show_default=False)] = None,
    format_: Annotated[
        ExportFormat,
        typer.Option("--format", help="For diffusers, as synthgen's own file, with a card for the hub, or as graphs."),
    ] = ExportFormat.diffusers,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="The folder to make.")] = Path("exported"),
    data: Annotated[
        str | None,
        typer.Option("--data", metavar="SET", help="In place of RUN: samples, made a folder that `datasets` loads."),
    ] = None,
    sampler: Annotated[
        Sampler | None, typer.Option("--sampler", help="How the export samples [default: the model's own]")
    ] = None,
    steps: Annotated[int | None, typer.Option("--steps", metavar="N", help="Its number of sampler steps.")] = None,
    guidance_scale: Annotated[
        float | None, typer.Option("--guidance-scale", metavar="W", help="Its guidance; 1.0 is off.")
    ] = None,
    quality: Annotated[
        Quality | None, typer.Option("--quality", help="Its setting by the sampler card, in place of these.")
    ] = None,
    dtype: Annotated[
        Dtype | None,
        typer.Option("--dtype", help="safetensors, hub: what weights are rounded to [default: as they are]"),
    ] = None,
    metrics: Annotated[
        Path | None,
        typer.Option("--metrics", metavar="FILE", help="hub: what `synthgen evaluate --json` said, for the card."),
    ] = None,
    aot: Annotated[bool, typer.Option("--aot", help="torch-export: compile too, for this kind of processor.")] = False,
    device: DeviceOption = "auto",
    force: ForceOption = False,
    dry_run: DryRunOption = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
    color: ColorOption = Color.auto,
) -> None:
    """Write a model for others, load it back and compare; or make a set of samples a folder for the hub."""
    with command_console(json=json, quiet=quiet, color=color) as console:
        if (run is None) == (data is None):
            raise UsageError("name a RUN to export, or a set of samples with --data: one of the two")
        recipe: dict[str, Any] = {
            "sampler": sampler.value if sampler else None,
            "steps": steps,
            "guidance_scale": guidance_scale,
            "quality": quality.value if quality else None,
        }
        recipe = {name: value for name, value in recipe.items() if value is not None}
        options: dict[str, Any] = {"dtype": dtype.value if dtype else None, "metrics": metrics, "aot": aot or None}
        options = {name: value for name, value in options.items() if value is not None}
        if data is not None:
            _check_alone({**recipe, **options})
            check_output(out, force=force)
            _export_data(console, data, out, force=force, dry_run=dry_run)
            return
        checkpoint = resolve_run(str(run))
        check_output(out, force=force)
        console.loading("torch", *(["diffusers"] if format_ is ExportFormat.diffusers else []))
        from synthgen.export.exporting import check_request, export_model
        from synthgen.export.quality import read_metrics
        from synthgen.generation.model import load

        if metrics is not None:
            options["metrics"] = read_metrics(metrics)
        model: Any = load(checkpoint, device=device, reporter=console.reporter)
        chosen = _recipe(model, recipe)
        scheduler = check_request(model, format_.value, chosen, **options)
        if dry_run:
            plan: dict[str, object] = {
                "out": str(out),
                "format": format_.value,
                "source": str(checkpoint),
                "dtype": options.get("dtype"),
                "sampler": getattr(chosen, "sampler", None),
                "steps": chosen.steps,
                "scheduler": scheduler,
            }
            _show_plan(console, plan)
            return
        result = export_model(
            model, out, format=format_.value, recipe=chosen, **options, force=force, reporter=console.reporter
        )
        _show(console, result)


def _recipe(model: Any, given: dict[str, Any]) -> Any:
    """The recipe of the model with what was given. Raises UsageError for what its modality has not."""
    known = {"images": ("sampler", "steps", "guidance_scale", "quality"), "tables": ("steps",)}
    modality = str(model.header.get("modality", "images"))
    for name in given:
        if name not in known.get(modality, ("sampler", "steps", "guidance_scale")):
            raise UsageError(f"--{name.replace('_', '-')} is not for models of {modality}", "leave it out")
    return model.recipe(**given)


def _check_alone(given: dict[str, Any]) -> None:
    if given:
        name = next(iter(given)).replace("_", "-")
        raise UsageError(f"--{name} is for models, and --data names samples that are there", "leave it out")


def _export_data(console: Console, data: str, out: Path, *, force: bool, dry_run: bool) -> None:
    from synthgen.export.data import check_data, export_data

    if dry_run:
        document = check_data(data)
        plan: dict[str, object] = {
            "out": str(out),
            "source": data,
            "modality": document.get("modality", "images"),
            "count": document["plan"].get("count"),
        }
        _show_plan(console, plan)
        return
    result = export_data(data, out, force=force, reporter=console.reporter)

    def human() -> None:
        console.line(f"exported {result.count:,} samples to {result.path} ({result.size_bytes / 1e6:,.1f} MB)", "bold")
        console.line(f"  {', '.join(result.files)}")
        console.line(f"  drawn from the checkpoint {result.checkpoint_sha256[:12]}..., every hash checked")

    console.result(result.to_dict(), human, quiet=result.path)
    console.next(f'datasets.load_dataset("{result.path}") reads it')


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
        for check in result.checks:
            console.line(f"  {check.what}: largest error {check.error:.1e} on {check.inputs} inputs")

    console.result(result.to_dict(), human, quiet=result.path)
    if (result.path / "model.safetensors").is_file():
        console.next(f"synthgen sample {result.path} --count 100")
    else:
        console.next(f"read {result.path / 'README.md'}: a few lines of Python sample from it")


def _difference(samples: Samples) -> str:
    differ = f"{samples.differing:,} of {samples.compared:,} values differ"
    if samples.unit == "cells":
        return differ
    unit = "of 255 grey levels" if samples.unit == "grey levels" else "standard deviations of a channel"
    return f"largest difference {samples.largest:.3g} {unit}, {samples.mean:.2g} on average, {differ}"
