"""The quickstart's report: one page that shows every stage and how to do it oneself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from synthgen import __version__
from synthgen.data import load_images
from synthgen.data.dataset import ImageData
from synthgen.explain.images.page_steps import SCRIPT, STYLE
from synthgen.explain.images.reading import stored_trajectory_piece
from synthgen.html import (
    Markup,
    Section,
    bar_chart,
    command,
    details,
    escape,
    figure,
    line_chart,
    notice,
    page,
    paragraph,
    picture,
    section,
    table,
    tiles,
)
from synthgen.quickstart.plan import FOLDERS, NEXT, SOURCE, STAGES, TITLES, Plan
from synthgen.rendering import grid
from synthgen.training.metrics import read_metrics

Results = Mapping[str, Mapping[str, Any]]
"""Stage -> its numbers."""

_TRAINED_ON = {"real": "real", "synthetic": "synthetic", "both": "real + synthetic"}
_PER_CLASS = 8
_CLASS_STYLE = """
.classes{display:grid;grid-template-columns:auto 1fr 1fr;gap:5px 14px;align-items:center;max-width:760px}
.classes img{width:100%}.classes .head{color:var(--soft);font-size:.85rem}
@media(max-width:560px){.classes{grid-template-columns:auto 1fr}.classes .head{display:none}
.classes img:nth-of-type(even){grid-column:2;margin-bottom:6px}}
"""


def report_page(plan: Plan, results: Results, seconds: Mapping[str, float], machine: Mapping[str, str]) -> str:
    """The whole document.

    results: the numbers of each stage of `STAGES`, as `synthgen.quickstart.stages` returns them.
    seconds: wall clock per stage. machine: name -> value.
    """
    total = sum(seconds.values())
    lead = (
        f"All six verbs of synthgen at small scale, on 10,000 handwritten digits, in {_duration(total)}. The "
        f"model trained for {plan.budget}: enough to see how everything works, not enough for its best "
        "figures."
    )
    sections = [
        _overview(plan, results, total),
        _steps(plan, results, seconds),
        _training(plan, results["train"]),
        _samples(plan, results["sample"]),
        _evaluation(results["evaluate"]),
        _augmentation(results["augment-classifier"]),
        section(
            "How the digits came to be",
            stored_trajectory_piece(plan.folder("why")),
            _more("explain", "Which pixels speak for each class"),
        ),
        _export(plan, results["export"]),
        _timings(seconds, machine),
        _next(),
    ]
    footer = f"synthgen {__version__} · seed {plan.seed} · this page needs no network"
    return page("synthgen quickstart", sections, lead=lead, footer=footer, script=SCRIPT, style=STYLE + _CLASS_STYLE)


def _overview(plan: Plan, results: Results, total: float) -> Section:
    fid = results["evaluate"]["metrics"].get("fid")
    speed = results["sample"]["images_per_second"]
    items: list[tuple[str, Any, Any]] = [
        ("whole quickstart", _duration(total), ""),
        ("synthetic digits", results["sample"]["count"], f"{speed:,.0f} a second"),
    ]
    if fid:
        floor = f"real images: {fid['floor']:.3g}" if fid["floor"] is not None else ""
        items.append(("FID, digit features", f"{fid['value']:.3g}", floor))
    variants = results["augment-classifier"]["variants"]
    items.append(
        (
            "digits read right",
            _percent(variants["both"]["mean"]),
            f"without them {_percent(variants['real']['mean'])}",
        )
    )
    worst = results["export"]["max_difference"]
    items.append(("diffusers export", f"{worst} of 255", "largest difference in grey levels"))
    return section("In short", tiles(items))


def _steps(plan: Plan, results: Results, seconds: Mapping[str, float]) -> Section:
    parts = [paragraph("Each stage called what its command calls. These commands do the same, one by one:")]
    for number, name in enumerate(STAGES, start=1):
        sentence = f"{number}. {TITLES[name]} ({seconds[name]:.0f} s): {results[name]['sentence'].rstrip('.')}."
        parts += [paragraph(sentence), command(plan.command(name))]
    return section("What was done", *parts)


def _training(plan: Plan, result: Mapping[str, Any]) -> Section:
    rows = [row for row in read_metrics(plan.folder("run") / "metrics.jsonl") if row["loss"] is not None]
    chart = line_chart(
        {"loss": ([row["step"] for row in rows], [row["loss"] for row in rows])},
        x_label="step",
        y_label="loss",
        log_y=True,
    )
    facts = tiles(
        [
            ("steps", result["steps"], ""),
            ("images seen", result["images_seen"], ""),
            ("speed", f"{result['images_per_second']:,.0f}", "images a second"),
            ("parameters", f"{result['parameters'] / 1e6:.2f} M", ""),
        ]
    )
    caption = "The training loss, averaged over a second each; logarithmic axis. Noise levels differ, so it is noisy."
    return section("Training", facts, figure(chart, caption))


def _samples(plan: Plan, result: Mapping[str, Any]) -> Section:
    fake = load_images(plan.folder("synthetic"))
    real = load_images(SOURCE, split="test")
    head = "".join(f'<span class="head">{word}</span>' for word in ("class", "synthetic", "real, from the test set"))
    rows = []
    for name in real.class_names:
        pair = "".join(
            picture(_row(data, name), f"{what} {name}") for data, what in ((fake, "synthetic"), (real, "real"))
        )
        rows.append(f"<b>{escape(name)}</b>{pair}")
    text = (
        f"The first {_PER_CLASS} of each class, nothing picked: synthetic ones, then real ones. Sampler "
        f"{result['sampler']}, {result['steps']} steps."
    )
    return section("Samples", paragraph(text), Markup(f'<div class="classes">{head}{"".join(rows)}</div>'))


def _row(data: ImageData, name: str) -> np.ndarray:
    """The first images of a class side by side."""
    images = data.images
    if data.labels is not None and name in data.class_names:
        images = images[data.labels == data.class_names.index(name)]
    shown = np.asarray(images[:_PER_CLASS])
    return grid(shown, _PER_CLASS) if len(shown) else np.full((*data.shape[:2], data.shape[2]), 32, np.uint8)


def _evaluation(result: Mapping[str, Any]) -> Section:
    rows: list[list[str | float | None]] = []
    for metric in result["metrics"].values():
        interval = metric["interval"]
        rows.append(
            [
                f"{metric['title']} {'↓' if metric['better'] == 'lower' else '↑'}",
                float(metric["value"]),
                "" if interval is None else f"{interval[0]:.4g} to {interval[1]:.4g}",
                metric["floor"] if metric["floor"] is None else float(metric["floor"]),
            ]
        )
    name = result["extractor"]["name"]
    caption = (
        f"n = {result['n']:,} images a side, features {name}. The floor is what other real images score. "
        "↓: lower is better, ↑: higher is better."
    )
    classes = [
        [entry["name"], entry["n"], entry["fid"], entry["fid_floor"], _percent(entry["agreement"])]
        for entry in result["classes"]
    ]
    parts = [
        paragraph(result["headline"]),
        table(["figure", "synthetic", "95 % interval", "real floor"], rows, caption=caption),
    ]
    if classes:
        columns = ["class", "n", "FID", "FID floor", "judge agrees"]
        caption = "The judge is a classifier of real digits."
        parts.append(details("class by class", table(columns, classes, caption=caption)))
    parts += [notice(text, "warn") for text in result["warnings"]]
    parts.append(_more("evaluate", "More figures, and how they were made"))
    return section("Are they like real ones?", *parts)


def _augmentation(result: Mapping[str, Any]) -> Section:
    variants = result["variants"]
    means = [100 * variant["mean"] for variant in variants.values()]
    spreads = [100 * (variant["deviation"] or 0.0) for variant in variants.values()]
    low = max(0.0, np.floor(min(a - b for a, b in zip(means, spreads, strict=True)) / 5) * 5 - 5)
    chart = bar_chart([_TRAINED_ON[name] for name in variants], means, errors=spreads, unit=" %", low=low, digits=3)
    rows = [
        [
            _TRAINED_ON[name],
            variant["images"],
            _percent(variant["mean"]),
            ", ".join(f"{100 * accuracy:.1f}" for accuracy in variant["accuracies"]),
        ]
        for name, variant in variants.items()
    ]
    caption = (
        f"Share of {result['test_count']:,} real test images read right, with the deviation between "
        f"{len(result['seeds'])} seeds. The axis starts at {low:.0f} %."
    )
    tone = {"helps": "good", "hurts": "bad"}.get(result["verdict"], "info")
    return section(
        "Do they help?",
        notice(result["sentence"], tone),  # type: ignore[arg-type]
        figure(chart, caption),
        table(["trained on", "images", "test accuracy", "each seed"], rows),
        *[paragraph(one["sentence"]) for one in result["comparisons"] if one["variant"] != "both"],
        paragraph(f"Leak check: {result['leak']['message']}."),
        *[notice(text, "warn") for text in result["warnings"]],
        _more("augment-classifier", "Class by class"),
    )


def _more(stage: str, what: str) -> Markup:
    """A link to the stage's own page, beside this one."""
    place = f"{FOLDERS[stage]}/{'index.html' if stage == 'explain' else 'report.html'}"
    return Markup(f'<p>{what}: <a href="{place}">{place}</a>, beside this page.</p>')


def _export(plan: Plan, result: Mapping[str, Any]) -> Section:
    code = (
        "from diffusers import DiffusionPipeline\n"
        f'pipe = DiffusionPipeline.from_pretrained("{plan.folder("export").as_posix()}", '
        f'custom_pipeline="{plan.folder("export").as_posix()}", trust_remote_code=True)\n'
        "images = pipe(batch_size=16, seed=0).images"
    )
    same = result["max_difference"] <= 1
    sentence = f"Checked: {result['sentence']}. Its scheduler is diffusers' {result['scheduler']}."
    return section(
        "Export",
        notice(sentence, "good" if same else "bad"),
        paragraph(
            f"{len(result['files'])} files, {result['size_bytes'] / 1e6:.1f} MB, in {result['folder']}. In Python:"
        ),
        command(code),
    )


def _timings(seconds: Mapping[str, float], machine: Mapping[str, str]) -> Section:
    chart = bar_chart(list(seconds), list(seconds.values()), unit=" s", digits=3, title="seconds per stage")
    facts = table(["machine", ""], [[name, value] for name, value in machine.items()])
    return section("Time and machine", figure(chart, "Wall clock per stage, loading included."), facts)


def _next() -> Section:
    return section(
        "Now with your own",
        paragraph("A better model of the same digits, from the full MNIST:"),
        command(NEXT[0]),
        paragraph("Your own images, one folder per class:"),
        command(NEXT[1]),
    )


def _percent(value: float | None) -> str | None:
    return None if value is None else f"{100 * value:.1f} %"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
