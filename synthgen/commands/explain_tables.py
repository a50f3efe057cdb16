"""`synthgen explain` for a model of a table: flags, and what is shown of the findings."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synthgen.commands.resuming import stoppable
from synthgen.console import Console
from synthgen.explain.tables.methods import check_methods

if TYPE_CHECKING:
    from synthgen.explain.tables.run import TableExplanation

_SHOWN = 10


@dataclass(frozen=True)
class TableFlags:
    """The flags of `synthgen explain` that a model of a table understands."""

    samples: int
    rows: str | None
    data: str | None
    test: str | None
    target: str | None
    count: int | None
    methods: tuple[str, ...] | None
    steps: int | None
    seed: int
    device: str
    force: bool


DEFAULT_COUNT = 1000


def explain_table(console: Console, run: str, checkpoint: Path, out: Path, flags: TableFlags) -> None:
    """Explain rows and write the folder. Everything that can be refused is refused before torch is loaded."""
    if flags.methods is not None:
        check_methods(flags.methods)
    console.loading("torch", "pandas", "shap")
    from synthgen.explain.tables.run import TableRequest, explain_table_to_folder
    from synthgen.generation.tables.model import load_table_model

    request = TableRequest(
        samples=flags.samples,
        rows=flags.rows,
        data=flags.data,
        test=flags.test,
        target=flags.target,
        count=flags.count or DEFAULT_COUNT,
        methods=flags.methods,
        seed=flags.seed,
        steps=flags.steps,
        invocation=_invocation(run, out, flags),
    )
    with stoppable() as stop:
        model = load_table_model(checkpoint, device=flags.device, reporter=console.reporter)
        found = explain_table_to_folder(
            model, out, request, force=flags.force, reporter=console.reporter, should_stop=stop
        )
    console.result({"out": str(out), **found.summary}, lambda: _show(console, found, out), quiet=out)
    for note in found.notes:
        console.note(note)
    console.next(f"open {shlex.quote(str(out / 'index.html'))} in a browser")


def _show(console: Console, found: TableExplanation, out: Path) -> None:
    summary = found.summary
    if "detector" in summary:
        _show_detector(console, summary["detector"])
    if "likelihood" in summary:
        _show_likelihood(console, summary["likelihood"])
    if "attribution" in summary:
        _show_attribution(console, summary["attribution"])
    if "neighbours" in summary:
        _show_neighbours(console, summary["neighbours"])
    console.line(f"page: {out / 'index.html'}")


def _show_detector(console: Console, part: dict[str, Any]) -> None:
    rows = [
        (one["column"], f"{100 * one['towards_truth']:+.2f}", f"{100 * one['chance_95']:+.2f}", f"{one['p']:.3f}")
        for one in part["columns"][:_SHOWN]
    ]
    heads = ("column", "towards the truth, pp", "95 % of chance, pp", "p")
    console.table("What gives the rows away", heads, rows, right=(1, 2, 3))
    console.line(part["sentence"])


def _show_likelihood(console: Console, part: dict[str, Any]) -> None:
    rows = []
    for one in part["rows"][:_SHOWN]:
        cells = ", ".join(f"{cell['column']} = {cell['value']} ({cell['bits']:.1f})" for cell in one["most_surprising"])
        error = "" if one["standard_error"] is None else f" ± {one['standard_error']:.1f}"
        rows.append((one["row"], f"{one['log2_likelihood']:.1f}{error}", cells))
    heads = ("row", "log2 p(row)", "most surprising cells (bits)")
    console.table("How likely the rows are", heads, rows, right=(0, 1))
    console.line(
        f"checked: single questions add up to the model's log-likelihood within {part['chain_gap_bits']:.1g} bits; "
        f"orders of the columns disagree by {part['order_disagreement_bits']:.2g} bits"
    )


def _show_attribution(console: Console, part: dict[str, Any]) -> None:
    rows = []
    for one in part["rows"][:_SHOWN]:
        cells = ", ".join(
            f"{cell['column']} = {cell['value']} ({cell['share_bits']:+.1f})" for cell in one["columns"][:3]
        )
        rows.append((one["row"], one["value"], f"{100 * one['probability_knowing_others']:.0f} %", cells))
    heads = ("row", part["target"], "probability", "because of (bits)")
    console.table(f"Why this {part['target']}", heads, rows, right=(0, 2))
    for check in part["checks"]:
        console.line(f"checked, {check['name']}: {check['sentence']}")
    console.line(part["verdict"])


def _show_neighbours(console: Console, part: dict[str, Any]) -> None:
    rows = []
    for one in part["rows"][:_SHOWN]:
        share, rank = one["held_out_as_near"], one["likelier_than_held_out"]
        near = one["nearest"][0] if one["nearest"] else {"training_row": "", "distance": float("nan")}
        rows.append(
            (
                one["row"],
                near["training_row"],
                f"{near['distance']:.3f}",
                "" if share is None else f"{100 * share:.1f} %",
                "" if rank is None else f"{100 * rank:.0f} %",
                "too near" if one["flagged"] else "",
            )
        )
    heads = ("row", "training row", "distance", "held-out as near", "likelier than held-out", "flag")
    console.table("Whom they resemble", heads, rows, right=(0, 1, 2, 3, 4))
    console.line(part["sentence"])
    if part["membership"] is not None:
        console.line(part["membership"]["sentence"])


def _invocation(run: str, out: Path, flags: TableFlags) -> str:
    """The command that makes the same page again, without what equals the default."""
    words = ["synthgen", "explain", run, "--out", out, "--samples", flags.samples, "--seed", flags.seed]
    optional = {
        "--rows": flags.rows,
        "--data": flags.data,
        "--test": flags.test,
        "--target": flags.target,
        "--count": flags.count,
        "--methods": None if flags.methods is None else ",".join(flags.methods),
        "--steps": flags.steps,
    }
    for flag, value in optional.items():
        if value is not None:
            words += [flag, value]
    return shlex.join(map(str, words))
