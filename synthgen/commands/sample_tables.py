"""`synthgen sample` for a model of a table: flags, the plan, what is shown of the result."""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synthgen.commands.resuming import resume_command, stoppable
from synthgen.commands.sample_files import show_file, show_parts, show_shards
from synthgen.commands.sample_places import Place, read_place
from synthgen.console import Console
from synthgen.errors import UsageError

if TYPE_CHECKING:
    from synthgen.generation.onefile import FileResult
    from synthgen.generation.tables.model import TableModel
    from synthgen.generation.tables.work import TableWork

DEFAULT_COUNT = 1000


@dataclass(frozen=True)
class TableFlags:
    """The flags of `synthgen sample` that a model of a table understands."""

    count: int | None
    out: str | None
    where: tuple[str, ...]
    balance: str | None
    complete: Path | None
    draws: int | None
    allow_missing: bool
    format: str | None
    escape: bool
    seed: int
    shards: int | None
    shard_size: int | None
    shard: str | None
    steps: int | None
    temperature: float | None
    device: str
    resume: bool
    force: bool
    dry_run: bool


def sample_table(console: Console, checkpoint: Path, flags: TableFlags) -> None:
    """Make the rows. Everything that can be refused is refused before torch is loaded."""
    place = read_place(flags.out, flags.format, flags.shards, flags.shard_size, flags.shard)
    _check(console, flags, place)
    console.loading("torch", "pandas")
    from synthgen.generation.tables.model import load_table_model
    from synthgen.generation.tables.work import TableRequest, table_work

    model = load_table_model(checkpoint, device=flags.device, reporter=console.reporter)
    request = TableRequest(
        count=flags.count if flags.count is not None or flags.complete else DEFAULT_COUNT,
        where=flags.where,
        balance=flags.balance,
        complete=flags.complete,
        draws=flags.draws or 1,
        allow_missing=flags.allow_missing,
        seed=flags.seed,
        steps=flags.steps,
        temperature=flags.temperature,
        format=place.format,
        packed=place.packed,
        escape=flags.escape,
        shards=flags.shards,
        shard_size=flags.shard_size,
        part=place.part if place.in_shards else None,
    )
    work = table_work(model, request, reporter=console.reporter)
    if flags.dry_run:
        _show_plan(console, model, work, place)
    elif place.stdout:
        with stoppable() as stop:
            work.to_stream(sys.stdout, reporter=console.reporter, should_stop=stop)
    elif place.in_shards:
        _make_shards(console, work, place, flags)
    else:
        _make_file(console, model, work, place, flags)


def _check(console: Console, flags: TableFlags, place: Place) -> None:
    """What contradicts itself, and what would be in the way of the result. Raises UsageError."""
    if flags.complete is None and (flags.draws is not None or flags.allow_missing):
        name = "--draws" if flags.draws is not None else "--allow-missing"
        raise UsageError(f"{name} is about rows that are completed", "give --complete FILE, or leave it out")
    if flags.complete is not None and flags.count is not None:
        raise UsageError("--complete makes as many rows as its file has", "leave out --count; --draws makes several")
    if flags.complete is not None and (flags.where or flags.balance):
        name = "--where" if flags.where else "--balance"
        raise UsageError(f"{name} and --complete both say what is known", "write the known values into the file")
    if place.stdout and (console.json or console.quiet or flags.resume or flags.force):
        raise UsageError("--out - writes the rows to stdout: --json, --quiet, --resume and --force have no place there")
    if not (place.stdout or place.in_shards):
        from synthgen.generation.targets import target_of

        target_of(place.out, place.format, place.packed).check(force=flags.force, resume=flags.resume)


def _make_file(console: Console, model: TableModel, work: TableWork, place: Place, flags: TableFlags) -> None:
    with stoppable(resume_command()) as stop:
        result = work.to_file(
            place.out, force=flags.force, resume=flags.resume, reporter=console.reporter, should_stop=stop
        )
    _show_result(console, model, work, result)


def _make_shards(console: Console, work: TableWork, place: Place, flags: TableFlags) -> None:
    note = place.note(work.plan.shards or 1)
    if note:
        console.note(note)
    with stoppable(resume_command()) as stop:
        result = work.to_shards(place.out, place.part, force=flags.force, reporter=console.reporter, should_stop=stop)
    show_shards(console, work.plan, result, "rows", work.plan.seed)


def _show_plan(console: Console, model: TableModel, work: TableWork, place: Place) -> None:
    plan, calls = work.plan, work.network_calls
    document: dict[str, Any] = {
        "out": place.out,
        "model": str(model.path),
        "columns": list(model.schema.names),
        "network_calls_per_row": calls,
        **plan.to_dict(),
    }
    rows: list[tuple[str, object]] = [
        ("model", model.path),
        ("rows", f"{plan.count:,} of {len(model.schema.names):,} columns"),
        ("conditions", "; ".join(plan.where) or "none"),
    ]
    if plan.balance:
        rows.append(("balanced over", plan.balance))
    if plan.complete:
        rows.append(("completing", f"{plan.complete.rows:,} rows, {plan.complete.draws} draw(s) each"))
    rows += [
        ("network calls", f"{calls} a row"),
        ("temperature", plan.recipe.temperature),
        ("seed", plan.seed),
        ("format", plan.format + (", gzip" if plan.packed else "")),
    ]
    show_parts(plan, place, "rows", rows, document)
    where = "write to stdout" if place.stdout else f"sample into {place.out}"
    console.result(document, lambda: console.table(f"would {where}", ("", ""), rows), quiet=place.out)


def _show_result(console: Console, model: TableModel, work: TableWork, result: FileResult) -> None:
    said = [f"all of them with {'; '.join(work.plan.where)}"] if work.plan.where else []
    show_file(console, result, "rows", work.plan.seed, said)
    source = str(model.header["data"]["name"])  # anybody's text: quoted, so that pasting it runs nothing
    if not (work.plan.where or work.plan.balance or work.plan.complete):
        console.next(shlex.join(["synthgen", "evaluate", "--real", source, "--fake", str(result.out)]))
    else:
        console.next(shlex.join(["synthgen", "sample", "verify", str(result.out)]))
