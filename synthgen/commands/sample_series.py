"""`synthgen sample` for a model of series: flags, the plan, what is shown of the result."""

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
from synthgen.console.color import is_terminal
from synthgen.errors import UsageError
from synthgen.runs import peek

if TYPE_CHECKING:
    from synthgen.generation.series.model import SeriesModel
    from synthgen.generation.series.work import SeriesWork

DEFAULT_DRAWS = 100
"""Completions from which quantiles are told, unless it is said how many."""
FORMATS = ("csv", "tsv", "parquet", "npz")
_SHOWN = 5
"""Channels in the preview."""


@dataclass(frozen=True)
class SeriesFlags:
    """The flags of `synthgen sample` that a model of series understands."""

    count: int | None
    out: str | None
    classes: tuple[str, ...]
    where: tuple[str, ...]
    length: int | None
    start: str | None
    complete: Path | None
    draws: int | None
    quantiles: str | None
    allow_missing: bool
    format: str | None
    escape: bool
    seed: int
    shards: int | None
    shard_size: int | None
    shard: str | None
    sampler: str | None
    steps: int | None
    eta: float | None
    guidance_scale: float | None
    device: str
    resume: bool
    force: bool
    dry_run: bool


def sample_series(console: Console, checkpoint: Path, flags: SeriesFlags) -> None:
    """Make the sequences. Everything that can be refused is refused before torch is loaded."""
    place = read_place(
        flags.out,
        flags.format,
        flags.shards,
        flags.shard_size,
        flags.shard,
        formats=FORMATS,
        default="npz" if _learned_from_arrays(checkpoint) and not _is_text(flags.complete) else "csv",
        what="series",
    )
    quantiles = read_quantiles(flags.quantiles)
    _check(console, flags, place)
    console.loading("torch", "pandas")
    from synthgen.generation.series.model import load_series_model
    from synthgen.generation.series.work import SeriesRequest, series_work

    model = load_series_model(checkpoint, device=flags.device, reporter=console.reporter)
    request = SeriesRequest(
        count=flags.count,
        labels=flags.classes,
        where=flags.where,
        length=flags.length,
        start_time=flags.start,
        complete=flags.complete,
        draws=flags.draws or (DEFAULT_DRAWS if quantiles else 1),
        quantiles=quantiles,
        allow_missing=flags.allow_missing,
        seed=flags.seed,
        sampler=flags.sampler,
        steps=flags.steps,
        eta=flags.eta,
        guidance_scale=flags.guidance_scale,
        format=place.format,
        packed=place.packed,
        escape=flags.escape,
        shards=flags.shards,
        shard_size=flags.shard_size,
        part=place.part if place.in_shards else None,
    )
    work = series_work(model, request, reporter=console.reporter)
    if flags.dry_run:
        _show_plan(console, model, work, place)
    elif place.stdout:
        with stoppable() as stop:
            work.to_stream(sys.stdout, reporter=console.reporter, should_stop=stop)
    elif place.in_shards:
        _make_shards(console, work, place, flags)
    else:
        _make_file(console, model, work, place, flags)


def read_quantiles(text: str | None) -> tuple[float, ...]:
    """`0.1,0.5,0.9` as numbers, in order. Raises UsageError."""
    if text is None:
        return ()
    try:
        found = sorted({float(part) for part in text.split(",")})
    except ValueError as error:
        raise UsageError(f"--quantiles: '{text}' is not a list of numbers", "for example 0.1,0.5,0.9") from error
    if any(not 0.0 <= one <= 1.0 for one in found):
        raise UsageError(f"--quantiles: quantiles lie between 0 and 1, and {text} does not", "for example 0.1,0.5,0.9")
    return tuple(found)


def _learned_from_arrays(checkpoint: Path) -> bool:
    schema = peek(checkpoint)[0].get("schema")
    return isinstance(schema, dict) and schema.get("form") == "array"


def _is_text(complete: Path | None) -> bool:
    return complete is not None and complete.suffix.lower() not in (".npz", ".npy")


def _check(console: Console, flags: SeriesFlags, place: Place) -> None:
    """What contradicts itself, and what would be in the way of the result. Raises UsageError."""
    of_completion = {
        "--draws": flags.draws is not None,
        "--quantiles": flags.quantiles is not None,
        "--allow-missing": flags.allow_missing,
    }
    given = [name for name, there in of_completion.items() if there]
    if flags.complete is None and given:
        raise UsageError(f"{given[0]} is about sequences that are completed", "give --complete FILE, or leave it out")
    if flags.complete is not None and flags.count is not None:
        raise UsageError(
            "--complete makes as many sequences as its file has", "leave out --count; --draws makes several"
        )
    known = {"--class": flags.classes, "--where": flags.where, "--start": flags.start}
    both = [name for name, value in known.items() if value]
    if flags.complete is not None and both:
        raise UsageError(f"{both[0]} and --complete both say what is known", "write the known values into the file")
    if flags.length is not None and flags.length < 1:
        raise UsageError(f"--length must be 1 or more, not {flags.length}")
    if place.stdout and (console.json or console.quiet or flags.resume or flags.force):
        raise UsageError("--out - writes to stdout: --json, --quiet, --resume and --force have no place there")
    if not (place.stdout or place.in_shards):
        from synthgen.generation.targets import target_of

        target_of(place.out, place.format, place.packed, "series").check(force=flags.force, resume=flags.resume)


def _make_file(console: Console, model: SeriesModel, work: SeriesWork, place: Place, flags: SeriesFlags) -> None:
    with stoppable(resume_command()) as stop:
        result = work.to_file(
            place.out, force=flags.force, resume=flags.resume, reporter=console.reporter, should_stop=stop
        )
    plan = work.plan
    said = [f"{work.asked}"] if work.asked else []
    said += _preview(console, work)
    show_file(console, result, "sequences", plan.seed, said, rows=work.steps_made)
    source = str(model.header["data"]["name"])  # anybody's text: quoted, so that pasting it runs nothing
    if not (plan.labels or plan.where or plan.complete or plan.length or plan.start):
        console.next(shlex.join(["synthgen", "evaluate", "--real", source, "--fake", str(result.out)]))
    else:
        console.next(shlex.join(["synthgen", "sample", "verify", str(result.out)]))


def _preview(console: Console, work: SeriesWork) -> list[str]:
    """The first sequence as small curves, a line for each of its first channels, where a person looks."""
    unicode = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    if work.preview is None or not (console.human and unicode and is_terminal(sys.stdout)):
        return []
    from synthgen.rendering import sparkline

    names = work.model.schema.channels[:_SHOWN]
    width = max(map(len, names))
    return [f"{name:{width}}  {sparkline(work.preview[0, :, place])}" for place, name in enumerate(names)]


def _make_shards(console: Console, work: SeriesWork, place: Place, flags: SeriesFlags) -> None:
    note = place.note(work.plan.shards or 1)
    if note:
        console.note(note)
    with stoppable(resume_command()) as stop:
        result = work.to_shards(place.out, place.part, force=flags.force, reporter=console.reporter, should_stop=stop)
    show_shards(console, work.plan, result, "sequences", work.plan.seed)


def _show_plan(console: Console, model: SeriesModel, work: SeriesWork, place: Place) -> None:
    plan = work.plan
    channels = list(model.schema.channels)
    document: dict[str, Any] = {
        "out": place.out,
        "model": str(model.path),
        "channels": channels,
        "window": model.window,
        "windows_per_sequence": work.windows,
        "network_calls_per_window": work.network_calls,
        **plan.to_dict(),
    }
    rows: list[tuple[str, object]] = [
        ("model", model.path),
        ("sequences", f"{plan.count:,} of {len(channels):,} channel(s)"),
        ("steps of each", work.lengths_text),
    ]
    if plan.complete is not None:
        written = ", ".join(f"{one:g}" for one in plan.complete.quantiles)
        rows.append(("completing", f"{plan.complete.draws} draw(s) each" + (f"; quantiles {written}" * bool(written))))
    else:
        rows += [
            ("classes", ", ".join(plan.labels or model.class_names) or "none"),
            ("conditions", "; ".join(plan.where) or "none"),
            ("first time", plan.start or ("as in the data" if model.schema.time else "none")),
        ]
    rows += [
        ("sampler", f"{plan.recipe.sampler}, {plan.recipe.steps} steps, {work.network_calls} network calls a window"),
        ("guidance", "off" if plan.recipe.guidance_scale == 1.0 else plan.recipe.guidance_scale),
        ("seed", plan.seed),
        ("format", plan.format + (", gzip" if plan.packed else "")),
    ]
    show_parts(plan, place, "sequences", rows, document)
    where = "write to stdout" if place.stdout else f"sample into {place.out}"
    console.result(document, lambda: console.table(f"would {where}", ("", ""), rows), quiet=place.out)
