"""`synthgen explain` for a model of series: flags, and what is shown of the findings."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synthgen.commands.resuming import stoppable
from synthgen.console import Console
from synthgen.explain.series.methods import check_methods

if TYPE_CHECKING:
    from synthgen.explain.series.run import SeriesExplanation

_SHOWN = 10
DEFAULT_COUNT = 300


@dataclass(frozen=True)
class SeriesFlags:
    """The flags of `synthgen explain` that a model of series understands."""

    samples: int
    classes: tuple[str, ...]
    rival: str | None
    rows: str | None
    data: str | None
    test: str | None
    count: int | None
    methods: tuple[str, ...] | None
    sampler: str | None
    steps: int | None
    guidance_scale: float | None
    seed: int
    device: str
    force: bool


def explain_series(console: Console, run: str, checkpoint: Path, out: Path, flags: SeriesFlags) -> None:
    """Explain windows and write the folder. Everything that can be refused is refused before torch is loaded."""
    if flags.methods is not None:
        check_methods(flags.methods)
    console.loading("torch", "pandas", "shap")
    from synthgen.explain.series.run import SeriesRequest, explain_series_to_folder
    from synthgen.generation.series.model import load_series_model

    request = SeriesRequest(
        samples=flags.samples,
        labels=flags.classes,
        rival=flags.rival,
        rows=flags.rows,
        data=flags.data,
        test=flags.test,
        count=flags.count or DEFAULT_COUNT,
        methods=flags.methods,
        seed=flags.seed,
        sampler=flags.sampler,
        steps=flags.steps,
        guidance_scale=flags.guidance_scale,
        invocation=_invocation(run, out, flags),
    )
    with stoppable() as stop:
        model = load_series_model(checkpoint, device=flags.device, reporter=console.reporter)
        found = explain_series_to_folder(
            model, out, request, force=flags.force, reporter=console.reporter, should_stop=stop
        )
    console.result({"out": str(out), **found.summary}, lambda: _show(console, found, out), quiet=out)
    for note in found.notes:
        console.note(note)
    console.next(f"open {shlex.quote(str(out / 'index.html'))} in a browser")


def _show(console: Console, found: SeriesExplanation, out: Path) -> None:
    summary = found.summary
    for name in found.maps:
        _show_map(console, name, summary[name])
    if "commitment" in summary.get("trajectory", {}):
        console.line(f"trajectory: {summary['trajectory']['commitment']['sentence']}")
    if "detector" in summary:
        _show_detector(console, summary["detector"])
    if "neighbours" in summary:
        _show_neighbours(console, summary["neighbours"])
    console.line(f"page: {out / 'index.html'}")


def _show_map(console: Console, name: str, part: dict[str, Any]) -> None:
    rows = []
    for one in part["windows"][:_SHOWN]:
        pieces = "; ".join(f"{piece['piece']} ({piece['value']:+.3g})" for piece in one["strongest"][:2])
        rows.append((one["window"], f"{one['total']:+.3g}", one["against"], pieces))
    titles = {
        "evidence": "Evidence",
        "attention": "Attention: where the network looks, not why",
        "shap": "SHAP of the judge",
    }
    if name == "attention":
        rows = [(window, pieces) for window, _, _, pieces in rows]  # type: ignore[misc]
        console.table(titles[name], ("window", f"strongest ({part['unit']})"), rows)
    else:
        heads = ("window", f"total, {part['unit']}", "against", "strongest")
        console.table(titles[name], heads, rows, right=(1,))
    for check in part["checks"]:
        console.line(f"checked, {check['name']}: {check['sentence']}")
    console.line(f"{name}: {part['verdict']}")


def _show_detector(console: Console, part: dict[str, Any]) -> None:
    rows = [
        (one["property"], f"{100 * one['towards_truth']:+.2f}", f"{100 * one['chance_95']:+.2f}", f"{one['p']:.3f}")
        for one in part["properties"][:_SHOWN]
    ]
    heads = ("property", "towards the truth, pp", "95 % of chance, pp", "p")
    console.table("What gives the windows away", heads, rows, right=(1, 2, 3))
    console.line(part["sentence"])


def _show_neighbours(console: Console, part: dict[str, Any]) -> None:
    rows = []
    for one in part["windows"][:_SHOWN]:
        near, share = one["nearest"][0], one["new_as_near"]
        rows.append(
            (
                one["window"],
                f"{near['sequence']}, from step {near['start']}",
                f"{near['distance']:.3f}",
                "" if share is None else f"{100 * share:.1f} %",
                "too near" if one["flagged"] else "",
            )
        )
    heads = ("window", "training sequence", "distance", "new ones as near", "flag")
    console.table("Whom they resemble", heads, rows, right=(2, 3))
    console.line(part["sentence"])


def _invocation(run: str, out: Path, flags: SeriesFlags) -> str:
    """The command that makes the same page again, without what equals the default."""
    words = ["synthgen", "explain", run, "--out", out, "--samples", flags.samples, "--seed", flags.seed]
    for name in flags.classes:
        words += ["--class", name]
    optional = {
        "--rival": flags.rival,
        "--rows": flags.rows,
        "--data": flags.data,
        "--test": flags.test,
        "--count": flags.count,
        "--methods": None if flags.methods is None else ",".join(flags.methods),
        "--sampler": flags.sampler,
        "--steps": flags.steps,
        "--guidance-scale": flags.guidance_scale,
    }
    for flag, value in optional.items():
        if value is not None:
            words += [flag, value]
    return shlex.join(map(str, words))
