"""`synthgen explain` for a model of images: flags, and what is shown of the findings."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synthgen.commands.resuming import stoppable
from synthgen.console import Console
from synthgen.explain.images.methods import check_methods

if TYPE_CHECKING:
    from synthgen.explain.images.run import Explanation


_SHOWN = 8


@dataclass(frozen=True)
class ImageFlags:
    """The flags of `synthgen explain` that a model of images understands."""

    samples: int
    classes: tuple[str, ...]
    rival: str | None
    images: tuple[str, ...]
    data: str | None
    methods: tuple[str, ...] | None
    sampler: str | None
    steps: int | None
    guidance_scale: float | None
    seed: int
    device: str
    force: bool
    prompts: tuple[str, ...] = ()


def explain_images(console: Console, run: str, checkpoint: Path, out: Path, flags: ImageFlags) -> None:
    """Explain images and write the folder. Unknown methods are refused before torch is loaded."""
    if flags.methods is not None:
        check_methods(flags.methods)
    console.loading("torch")
    from synthgen.explain.images.run import Request, explain_to_folder
    from synthgen.generation.model import load_image_model

    request = Request(
        flags.samples,
        flags.classes,
        flags.seed,
        flags.sampler,
        flags.steps,
        flags.guidance_scale,
        flags.methods,
        flags.rival,
        flags.images,
        flags.data,
        _invocation(run, out, flags),
    )
    with stoppable() as stop:
        model = load_image_model(checkpoint, device=flags.device, reporter=console.reporter)
        model = model.told(flags.prompts) if flags.prompts else model
        found = explain_to_folder(model, out, request, force=flags.force, reporter=console.reporter, should_stop=stop)
    console.result({"out": str(out), **found.summary}, lambda: _show(console, found, out), quiet=out)
    for note in found.notes:
        console.note(note)
    console.next(f"open {shlex.quote(str(out / 'index.html'))} in a browser")


def _show(console: Console, found: Explanation, out: Path) -> None:
    summary = found.summary
    if "trajectory" in summary:
        _show_trajectory(console, summary["trajectory"])
    for name in found.attributions:
        part = summary[name]
        if "noise_levels" in part:
            console.line(f"{name}: {part['noise_levels']} noise levels, {part['draws_per_level']} noises of each")
        if "orders" in part:
            console.line(f"{name}: {part['squares']} squares, hidden in {part['orders']} orders")
        for check in part["checks"]:
            console.line(f"{name}, {check['name']}: {check['sentence']}")
        console.line(f"note: {part['caveat']}")
    if found.losses:
        _show_audit(console, found)
    if "neighbours" in summary:
        console.line(f"neighbours: {summary['neighbours']['sentence']}")
    if "influence" in summary:
        console.line(f"influence (experimental): {summary['influence']['sentence']}")
    if "detector" in summary:
        _show_detector(console, summary["detector"])
    if "augmentation" in summary:
        console.line(f"augmentation: {summary['augmentation']['sentence']}")
    console.line(f"page: {out / 'index.html'}")


def _show_trajectory(console: Console, numbers: dict[str, Any]) -> None:
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
    if "commitment" in numbers:
        console.line(f"trajectory: {numbers['commitment']['sentence']}")


def _show_audit(console: Console, found: Explanation) -> None:
    """Every map beside brightness, edges and chance."""
    rows = []
    for name, one in found.losses.items():
        losses = [f"{value:.2f}" for value in one.ours]
        rows.append([name, *losses, f"{one.p:.3f}", found.attributions[name].verdict])
    first = next(iter(found.losses.values()))
    rows += [[name, *(f"{value:.2f}" for value in values), "", ""] for name, values in first.others.items()]
    rows.append(["random", *(f"{value:.2f}" for value in first.random.mean(axis=0)), "", ""])
    heads = ["map", "top 20 %", "top 35 %", "p", "verdict"]
    title = f"Loss {found.context.target.unit} when the top pixels are drawn anew"
    console.table(title, heads, rows, right=(1, 2, 3))


def _show_detector(console: Console, part: dict[str, Any]) -> None:
    rows = [
        (
            one["property"],
            f"{one['mean_real']:.3g}",
            f"{one['mean_synthetic']:.3g}",
            f"{100 * one['towards_truth']:+.2f}",
            f"{100 * one['chance_95']:+.2f}",
            f"{one['p']:.3f}",
        )
        for one in part["properties"][:_SHOWN]
    ]
    heads = ("property", "real", "synthetic", "towards the truth, pp", "95 % of chance, pp", "p")
    console.table("What gives the images away", heads, rows, right=(1, 2, 3, 4, 5))
    console.line(part["sentence"])


def _invocation(run: str, out: Path, flags: ImageFlags) -> str:
    """The command that makes the same page again, without what equals the default."""
    words = ["synthgen", "explain", run, "--out", out, "--seed", flags.seed]
    words += [] if flags.images else ["--samples", flags.samples]
    for label in flags.classes:
        words += ["--class", label]
    for prompt in flags.prompts:
        words += ["--prompt", prompt]
    for path in flags.images:
        words += ["--images", path]
    optional = {
        "--rival": flags.rival,
        "--data": flags.data,
        "--sampler": flags.sampler,
        "--steps": flags.steps,
        "--guidance-scale": flags.guidance_scale,
        "--methods": None if flags.methods is None else ",".join(flags.methods),
    }
    for flag, value in optional.items():
        if value is not None:
            words += [flag, value]
    return shlex.join(map(str, words))
