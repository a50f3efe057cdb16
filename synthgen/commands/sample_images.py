"""`synthgen sample` for a model of images: folders, shards, what is shown of the result."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from synthgen.commands.resuming import resume_command, stoppable
from synthgen.commands.sample_request import Request
from synthgen.console import Console
from synthgen.console.progress import speed

if TYPE_CHECKING:
    from synthgen.generation.engine import Recipe
    from synthgen.generation.folder import SamplePlan, SampleResult
    from synthgen.generation.making import ShardsResult
    from synthgen.generation.model import Model


def make_folder(console: Console, model: Model, plan: SamplePlan, out: Path, force: bool, resume: bool) -> None:
    from synthgen.generation.folder import sample_to_folder

    with stoppable(resume_command()) as stop:
        result = sample_to_folder(
            model, out, plan, force=force, resume=resume, reporter=console.reporter, should_stop=stop
        )
    _show_result(console, model, plan, result)


def make_shards(console: Console, model: Model, plan: SamplePlan, request: Request, force: bool) -> None:
    from synthgen.generation.making import sample_to_shards

    note = request.note(plan.shards or 1)
    if note:
        console.note(note)
    with stoppable(resume_command()) as stop:
        result = sample_to_shards(
            model, request.out, plan, request.part, force=force, reporter=console.reporter, should_stop=stop
        )
    _show_shards(console, plan, result)


def note_quality(console: Console, model: Model, quality: str) -> None:
    """What a quality means for this model, and why."""
    from synthgen.evaluation.sampler_card import needed_card
    from synthgen.evaluation.sampler_card_text import about_choice

    console.note(about_choice(needed_card(model.header, str(model.path)), quality))


def show_plan(console: Console, model: Model, plan: SamplePlan, request: Request) -> None:
    from synthgen.generation.folder import estimated_bytes

    calls, levels = model.engine(plan.recipe).network_calls, plan.recipe.noise_levels
    classes = [model.class_names[label] for label in plan.labels] or list(model.class_names)
    document = {
        "out": request.out,
        "model": str(model.path),
        "classes": classes,
        "network_calls_per_sample": calls,
        "estimated_bytes": estimated_bytes(model, plan),
        **{key: value for key, value in plan.to_dict().items() if key != "labels"},
        **request.described(plan),
    }
    rows = [
        ("model", model.path),
        ("samples", f"{plan.count:,}"),
        ("prompts" if plan.prompts else "classes", ", ".join(classes) or "none (unconditional)"),
        ("sampler", f"{plan.recipe.sampler}, {plan.recipe.steps} steps, {calls} network calls a sample"),
        *([("noise levels", ", ".join(f"{level:.4g}" for level in levels))] if levels else []),
        ("guidance", _guidance(plan.recipe)),
        ("seed", plan.seed),
        ("format", plan.format),
        *request.rows(plan),
        ("disk", f"about {document['estimated_bytes'] / 1e6:,.0f} MB"),
    ]
    console.result(
        document, lambda: console.table(f"would sample into {request.out}", ("", ""), rows), quiet=request.out
    )


def _guidance(recipe: Recipe) -> str:
    """How samples are guided, in words."""
    if recipe.guidance_scale == 1.0:
        return "off"
    low, high = recipe.guidance_interval
    by = f"by the weaker copy {recipe.autoguidance[:12]}..." if recipe.autoguidance else "by the label"
    where = "" if (low, high) == (0.0, 1e9) else f", at noise levels from {low:g} to {high:g}"
    return f"{recipe.guidance_scale:g}, {by}{where}"


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
        console.line(f"  {result.seconds:,.1f} s, {speed(result.images_per_second, 'images')}, grid in {result.grid}")

    console.result(document, human, quiet=result.out)
    source = model.header["data"]["name"]  # anybody's text: quoted, so that pasting it runs nothing
    console.next(shlex.join(["synthgen", "evaluate", "--real", source, "--fake", str(result.out)]))


def _show_shards(console: Console, plan: SamplePlan, result: ShardsResult) -> None:
    document = {
        "out": result.out,
        "format": plan.format,
        "count": plan.count,
        "counts": result.counts,
        "shards": plan.shards,
        "shards_made": result.made,
        "shards_kept": result.kept,
        "shards_missing": result.missing,
        "finished": result.finished,
        "samples_made": result.count,
        "seconds": result.seconds,
        "images_per_second": result.images_per_second,
        "seed": plan.seed,
    }

    def human() -> None:
        kept = f", {result.kept:,} there already" if result.kept else ""
        made = f"{len(result.made):,} shard{'' if len(result.made) == 1 else 's'} made"
        console.line(f"{made} in {result.out}{kept}", "bold")
        if result.count:
            rate = speed(result.images_per_second, "images")
            console.line(f"  {result.count:,} samples, {result.seconds:,.1f} s, {rate}")
        missing = f"{result.missing:,} of {plan.shards:,} shards are still to be made"
        console.line(f"  {f'the set is complete: {plan.count:,} samples' if result.finished else missing}")

    console.result(document, human, quiet=result.out)
    if result.finished:
        console.next(shlex.join(["synthgen", "sample", "verify", result.out]))
