"""Tables of samples after they are made: every hash anew; one file of many shards."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from synthgen.errors import StoppedError, SynthgenError, UsageError
from synthgen.generation.manifest import parse
from synthgen.generation.storage import LocalStore, sha256_of_file
from synthgen.generation.tables.manifest import MODALITY, describe, plan_and_origin
from synthgen.generation.tables.shards import TableShardSet
from synthgen.generation.tables.targets import manifest_path, target_of
from synthgen.generation.tables.writing import check_writable
from synthgen.outputs import atomic_write, check_output
from synthgen.reporting import Reporter
from synthgen.stopping import ShouldStop

if TYPE_CHECKING:
    from synthgen.generation.verify import VerifyReport

_LINE_END = re.compile(rb"\r\n|\n|\r")


def is_table_set(document: dict[str, Any]) -> bool:
    """Whether a manifest is that of rows."""
    return document.get("modality") == MODALITY


def check_file(path: Path) -> tuple[dict[str, Any], str | None]:
    """The manifest of a table that is one file, and what is wrong with the file; None when it is whole.

    path: the file, or its folder. Raises UsageError when there is no manifest, SynthgenError when that is damaged.
    """
    manifest = manifest_path(path)
    if not manifest.is_file():
        raise UsageError(f"{path} has no manifest", f"`synthgen sample` writes {manifest.name} beside its rows")
    document = parse(manifest.read_bytes(), str(manifest))
    try:
        (file,) = document["files"]
        name, sha256, size = str(file["name"]), str(file["sha256"]), int(file["bytes"])
    except (KeyError, TypeError, ValueError) as error:
        raise SynthgenError(f"{manifest} does not describe a table ({error})") from error
    table = path / name if path.is_dir() else path
    if Path(name).name != name or not table.is_file() or table.is_symlink():
        return document, f"{name} is missing"
    if path.is_file() and path.name != name:
        return document, f"{manifest.name} is about {name}"
    return document, None if sha256_of_file(table) == (sha256, size) else f"{name} is not what was written"


def verify_table(path: Path) -> VerifyReport:
    """`verify_samples` for one file, or a folder with one."""
    from synthgen.generation.verify import VerifyReport

    document, problem = check_file(path)
    plan, _ = plan_and_origin(document, str(manifest_path(path)))
    report = VerifyReport(str(path), "files", plan.count, 1, document.get("finished") is True)
    if problem is not None:
        (report.missing if problem.endswith("is missing") else report.damaged).append(problem)
    return report


def merge_table(
    source: TableShardSet,
    out: str | Path,
    *,
    format: str | None,
    force: bool,
    reporter: Reporter,
    should_stop: ShouldStop,
) -> tuple[str, str, int]:
    """One file of the shards of `source`, as one process would have written it; for Parquet, the same rows.

    Every shard is checked on the way. Returns (place, format, rows). Raises UsageError, SynthgenError naming shards
    that are missing or damaged.
    """
    plan, store = source.plan, source.store
    target = target_of(out, plan.format, plan.packed)
    named = target.file.name.lower()
    if format not in (None, plan.format) or not named.endswith(plan.suffix):
        raise UsageError(
            f"these shards are {plan.suffix.lstrip('.')}, and rows are merged as they were written",
            f"give --out FILE{plan.suffix}, or sample anew in the other format",
        )
    check_writable(plan.format)
    check_output(target.out, force=force)
    if target.folder:
        raise UsageError(f"rows are merged into one file, and {out} would be a folder", f"give --out FILE{plan.suffix}")
    if isinstance(store, LocalStore) and target.file.resolve().is_relative_to(store.root.resolve()):
        raise UsageError(f"{out} lies in {store.url}", "give an --out outside the set")
    work = target.workspace.with_name(f".{target.file.name}.merging")
    work.parent.mkdir(parents=True, exist_ok=True)
    try:
        _join(source, work, reporter, should_stop)
        sha256, size = sha256_of_file(work)
        file = {"name": target.file.name, "bytes": size, "sha256": sha256}
        whole = replace(plan, shards=None)
        manifest = describe(whole, source.origin, finished=True, count=plan.count, files=[file])
        atomic_write(target.manifest, manifest)
        work.replace(target.file)
    finally:
        work.unlink(missing_ok=True)
    return str(target.out), plan.format, plan.count


def _join(source: TableShardSet, work: Path, reporter: Reporter, should_stop: ShouldStop) -> None:
    if source.plan.format == "parquet":
        _join_parquet(source, work, reporter, should_stop)
        return
    with work.open("wb") as plain:
        for shard in _whole_shards(source, reporter, should_stop):
            with source.store.open(source.data_names(shard)[0]) as file:
                _copy_rows(file, plain, packed=source.plan.packed, names=shard == 0)


def _copy_rows(file: IO[bytes], out: IO[bytes], *, packed: bool, names: bool) -> None:
    """The rows of a shard's file, with or without its first line, the names of the columns."""
    if packed:
        with gzip.GzipFile(fileobj=file) as inner:
            text = inner.read()
        out.write(gzip.compress(text if names else _below(text), 6, mtime=0))
        return
    rest = file.read() if names else _below(file.read())
    out.write(rest)


def _below(text: bytes) -> bytes:
    """What follows the first record: a name may hold line ends inside its quotes."""
    quotes = place = 0
    for match in _LINE_END.finditer(text):
        quotes += text.count(b'"', place, match.end())
        place = match.end()
        if quotes % 2 == 0:
            return text[place:]
    return b""


def _join_parquet(source: TableShardSet, work: Path, reporter: Reporter, should_stop: ShouldStop) -> None:
    import pyarrow.parquet as pq

    writer = None
    try:
        for shard in _whole_shards(source, reporter, should_stop):
            with source.store.open(source.data_names(shard)[0]) as file:
                parts = pq.ParquetFile(file)
                for index in range(parts.num_row_groups):
                    group = parts.read_row_group(index)
                    writer = writer or pq.ParquetWriter(work, group.schema)
                    writer.write_table(group)
    finally:
        if writer is not None:
            writer.close()


def _whole_shards(source: TableShardSet, reporter: Reporter, should_stop: ShouldStop) -> Iterator[int]:
    """Every shard's number, when all of them are whole; all are checked before the first is given out."""
    problems = []
    with reporter.progress("checking", source.total, "shards") as progress:
        for shard in range(source.total):
            if should_stop():
                raise StoppedError(f"stopped after {shard:,} of {source.total:,} shards; nothing was changed")
            state = source.state(shard)
            if state.problem is not None:
                problems.append(f"shard {shard}: {state.problem}")
            progress.update(shard + 1)
    if problems:
        shown = "; ".join(problems[:10]) + (f"; and {len(problems) - 10:,} more" if len(problems) > 10 else "")
        raise SynthgenError(
            f"{source.store.url}: {len(problems):,} of {source.total:,} shards are not whole ({shown})",
            "run the same `synthgen sample` command again: it makes only what is missing or damaged",
        )
    yield from range(source.total)
