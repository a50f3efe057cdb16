"""`synthgen runs`: what the run folders on this disk are, one by one and side by side."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from synthgen.commands.options import Color, ColorOption, ForceOption, JsonOption, QuietOption, RunArgument
from synthgen.commands.runs_card import card, show_card
from synthgen.console import Console, command_console
from synthgen.errors import SynthgenError, UsageError
from synthgen.outputs import atomic_write, check_output

if TYPE_CHECKING:
    from synthgen.evaluation.sampler_card import Card
    from synthgen.history import RunRecord

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="List, show and compare runs.")
app.command("card")(card)

PageOption = Annotated[
    Path | None, typer.Option("--out", "-o", metavar="FILE", help="Also write a page with curves: FILE.html.")
]


@app.command("list")
def list_runs(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder of runs.", show_default=True)] = Path(
        "runs"
    ),
    json: JsonOption = False,
    quiet: QuietOption = False,
    color: ColorOption = Color.auto,
) -> None:
    """Name the runs in a folder, newest first."""
    with command_console(json=json, quiet=quiet, color=color) as console:
        from synthgen.history import find_runs

        found = [record.summary() for record in find_runs(folder)]
        columns = ["run", "of", "learned from", "steps", "time", "loss", "parameters"]

        def human() -> None:
            if found:
                console.table(None, columns, [_row(facts) for facts in found], right=(3, 4, 5, 6))
            else:
                console.line(f"no runs in {folder}")

        console.result({"runs": found}, human, quiet="\n".join(facts["path"] for facts in found))
        console.next(shlex.join(["synthgen", "runs", "show", found[0]["path"]]) if found else "synthgen quickstart")


@app.command("show")
def show(
    run: RunArgument,
    out: PageOption = None,
    force: ForceOption = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
    color: ColorOption = Color.auto,
) -> None:
    """Show one run: what it learned, from what, for how long, with which settings."""
    with command_console(json=json, quiet=quiet, color=color) as console:
        from synthgen.evaluation.sampler_card_text import card_document
        from synthgen.history import changed_settings, read_run
        from synthgen.history_page import run_page

        record = read_run(run)
        facts, settings = record.summary(), changed_settings(record)
        found = _card(console, record)
        written = _write(console, out, force, lambda: run_page(record, found))
        document = {**facts, "config": record.config, "data_facts": record.data, "training": record.training}
        document["sampler_card"] = None if found is None else card_document(found)
        rows = [(key.replace("_", " "), _text(value)) for key, value in facts.items() if key not in ("name", "path")]

        def human() -> None:
            console.table(f"{record.path}", ("", ""), rows)
            if settings:
                console.line()
                console.table(
                    "settings that are not the defaults", ("", ""), [(k, _text(v)) for k, v in settings.items()]
                )
            if found is not None:
                console.line()
                show_card(console, found)

        console.result(document | {"page": written}, human, quiet=record.checkpoint)


@app.command("compare")
def compare(
    runs: Annotated[list[str], typer.Argument(metavar="RUN RUN...", help="Two or more runs.")],
    out: PageOption = None,
    force: ForceOption = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
    color: ColorOption = Color.auto,
) -> None:
    """Put runs side by side: results, and the settings in which they differ."""
    with command_console(json=json, quiet=quiet, color=color) as console:
        if len(runs) < 2:
            raise UsageError("one run has nothing to be compared with", "name two or more: synthgen runs compare A B")
        from synthgen.history import differences, read_run
        from synthgen.history_page import comparison_page

        records = [read_run(run) for run in runs]
        written = _write(console, out, force, lambda: comparison_page(records))
        facts = [record.summary() for record in records]
        settings = differences(records)
        shown = ("modality", "data", "samples", "steps", "seconds", "loss", "finished", "parameters")
        names = _names(records)

        def human() -> None:
            console.table(None, ["", *names], [[key, *(_text(one[key]) for one in facts)] for key in shown])
            console.line()
            rows = [[key, *map(_text, values)] for key, values in settings.items()]
            if rows:
                console.table("settings in which they differ", ["", *names], rows)
            else:
                console.line("their settings are the same")

        best = [one for one in facts if isinstance(one["loss"], (int, float))]
        lowest = min(best, key=lambda one: one["loss"])["path"] if best else None
        console.result({"runs": facts, "settings": settings, "page": written}, human, quiet=lowest)


def _card(console: Console, record: RunRecord) -> Card | None:
    """The run's sampler card; one that cannot be read is no reason not to show the rest."""
    from synthgen.evaluation.sampler_card import parse_card

    try:
        return parse_card(record.header, str(record.checkpoint))
    except SynthgenError as error:
        console.warn(f"{error.message}; {error.hint}" if error.hint else error.message)
        return None


def _write(console: Console, out: Path | None, force: bool, make: Any) -> str | None:
    if out is None:
        return None
    check_output(out, force=force)
    atomic_write(out, make().encode())
    console.note(f"page in {out}")
    return str(out)


def _names(records: list[RunRecord]) -> list[str]:
    """The runs' names; their paths where two have the same name."""
    names = [record.name for record in records]
    return names if len(set(names)) == len(names) else [str(record.path) for record in records]


def _row(facts: dict[str, Any]) -> list[str]:
    done = _text(facts["steps"]) + ("" if facts["finished"] else " (stopped)")
    seconds = facts["seconds"]
    length = "–" if not isinstance(seconds, (int, float)) else f"{seconds / 60:,.1f} min"
    of = (facts["name"], facts["modality"], _text(facts["data"]))
    return [*of, done, length, _text(facts["loss"]), f"{facts['parameters'] / 1e6:.2f} M"]


def _text(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
