"""What `synthgen sample` shows of a file of rows or of sequences, or of shards of them."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from synthgen.commands.sample_places import Place
from synthgen.console import Console
from synthgen.console.progress import speed

if TYPE_CHECKING:
    from synthgen.generation.contents import FilePlan
    from synthgen.generation.making import ShardsResult
    from synthgen.generation.onefile import FileResult


def show_file(
    console: Console, result: FileResult, unit: str, seed: int, said: Sequence[str] = (), **more: Any
) -> None:
    """unit: of what was made. said: lines for people. more: entries of the document."""
    document = {
        "out": str(result.out),
        "file": str(result.file),
        "manifest": str(result.manifest),
        "count": result.count,
        "bytes": result.bytes,
        "sha256": result.sha256,
        "seconds": result.seconds,
        f"{unit}_per_second": result.per_second,
        "seed": seed,
        **more,
    }

    def human() -> None:
        console.line(
            f"{result.count:,} {unit.removesuffix('s') if result.count == 1 else unit} in {result.file}", "bold"
        )
        for line in said:
            console.line(f"  {line}")
        rate = f"{speed(result.per_second, unit)}, " if result.per_second else ""
        console.line(f"  {result.seconds:,.1f} s, {rate}{result.bytes / 1e6:,.1f} MB, manifest in {result.manifest}")

    console.result(document, human, quiet=result.out)


def show_shards(console: Console, plan: FilePlan, result: ShardsResult, unit: str, seed: int) -> None:
    """What this process made of a set, and what is still missing."""
    document = {
        "out": result.out,
        "format": plan.format,
        "count": plan.count,
        "shards": plan.shards,
        "shards_made": result.made,
        "shards_kept": result.kept,
        "shards_missing": result.missing,
        "finished": result.finished,
        f"{unit}_made": result.count,
        "seconds": result.seconds,
        f"{unit}_per_second": result.images_per_second,
        "seed": seed,
    }

    def human() -> None:
        kept = f", {result.kept:,} there already" if result.kept else ""
        made = f"{len(result.made):,} shard{'' if len(result.made) == 1 else 's'} made"
        console.line(f"{made} in {result.out}{kept}", "bold")
        if result.count:
            rate = f"{result.images_per_second:,.0f} {unit}/s"
            console.line(f"  {result.count:,} {unit}, {result.seconds:,.1f} s, {rate}")
        missing = f"{result.missing:,} of {plan.shards:,} shards are still to be made"
        console.line(f"  {f'the set is complete: {plan.count:,} {unit}' if result.finished else missing}")

    console.result(document, human, quiet=result.out)
    if result.finished:
        command = ["synthgen", "sample", "merge", result.out, "--out", f"synthetic{plan.suffix}"]
        console.next(shlex.join(command))


def show_parts(
    plan: FilePlan, place: Place, unit: str, rows: list[tuple[str, object]], document: dict[str, Any]
) -> None:
    """Add to the plan of --dry-run how the set is cut."""
    if plan.shards is None:
        return
    start, stop = plan.bounds(0)
    mine = place.part.of(plan.shards)
    part = {"index": place.part.index, "total": place.part.total, "source": place.part.source or None}
    made = sum(last - first for first, last in map(plan.bounds, mine))
    document |= {"part": part, "shards_of_part": len(mine), f"{unit}_of_part": made}
    rows.append(("shards", f"{plan.shards:,} of about {stop - start:,} {unit}"))
    note = place.note(plan.shards)
    rows += [("this process", note)] if note else []
