"""Files of rows or sequences after they are made: every hash anew; one file of many shards."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synthgen.errors import StoppedError, SynthgenError, UsageError
from synthgen.generation.contents import open_contents
from synthgen.generation.fileshards import FileShardSet
from synthgen.generation.manifest import parse
from synthgen.generation.storage import LocalStore, sha256_of_file
from synthgen.generation.tables.writing import check_writable
from synthgen.generation.targets import manifest_path, target_of
from synthgen.outputs import atomic_write, check_output
from synthgen.reporting import Reporter
from synthgen.stopping import ShouldStop

if TYPE_CHECKING:
    from synthgen.generation.verify import VerifyReport


def check_file(path: Path) -> tuple[dict[str, Any], str | None]:
    """The manifest of data in one file, and what is wrong with the file; None when it is whole.

    path: the file, or its folder. Raises UsageError when there is no manifest, SynthgenError when that is damaged.
    """
    manifest = manifest_path(path)
    if not manifest.is_file():
        raise UsageError(f"{path} has no manifest", f"`synthgen sample` writes {manifest.name} beside its data")
    document = parse(manifest.read_bytes(), str(manifest))
    try:
        (file,) = document["files"]
        name, sha256, size = str(file["name"]), str(file["sha256"]), int(file["bytes"])
    except (KeyError, TypeError, ValueError) as error:
        raise SynthgenError(f"{manifest} does not describe a file ({error})") from error
    file_ = path / name if path.is_dir() else path
    if Path(name).name != name or not file_.is_file() or file_.is_symlink():
        return document, f"{name} is missing"
    if path.is_file() and path.name != name:
        return document, f"{manifest.name} is about {name}"
    return document, None if sha256_of_file(file_) == (sha256, size) else f"{name} is not what was written"


def verify_file(path: Path) -> VerifyReport:
    """`verify_samples` for one file, or a folder with one."""
    from synthgen.generation.verify import VerifyReport

    document, problem = check_file(path)
    contents = open_contents(document, str(manifest_path(path)))
    if contents is None:
        raise SynthgenError(f"{manifest_path(path)} describes images, and {path} is one file")
    report = VerifyReport(str(path), "files", contents.plan.count, 1, document.get("finished") is True)
    if problem is not None:
        (report.missing if problem.endswith("is missing") else report.damaged).append(problem)
    return report


def merge_file(
    source: FileShardSet,
    out: str | Path,
    *,
    format: str | None,
    force: bool,
    reporter: Reporter,
    should_stop: ShouldStop,
) -> tuple[str, str, int]:
    """One file of the shards of `source`, as one process would have written it; for Parquet, the same rows.

    Every shard is checked on the way. Returns (place, format, items). Raises UsageError, SynthgenError naming shards
    that are missing or damaged.
    """
    plan, store, contents = source.plan, source.store, source.contents
    target = target_of(out, plan.format, plan.packed, contents.stem)
    named = target.file.name.lower()
    if format not in (None, plan.format) or not named.endswith(plan.suffix):
        raise UsageError(
            f"these shards are {plan.suffix.lstrip('.')}, and {contents.unit} are merged as they were written",
            f"give --out FILE{plan.suffix}, or sample anew in the other format",
        )
    check_writable(plan.format)
    check_output(target.out, force=force)
    if target.folder:
        message = f"{contents.unit} are merged into one file, and {out} would be a folder"
        raise UsageError(message, f"give --out FILE{plan.suffix}")
    if isinstance(store, LocalStore) and target.file.resolve().is_relative_to(store.root.resolve()):
        raise UsageError(f"{out} lies in {store.url}", "give an --out outside the set")
    work = target.workspace.with_name(f".{target.file.name}.merging")
    work.parent.mkdir(parents=True, exist_ok=True)
    try:
        names = [source.data_names(shard)[0] for shard in _whole_shards(source, reporter, should_stop)]
        contents.merge([partial(store.open, name) for name in names], work)
        sha256, size = sha256_of_file(work)
        file = {"name": target.file.name, "bytes": size, "sha256": sha256}
        manifest = contents.single().describe(finished=True, count=plan.count, files=[file])
        atomic_write(target.manifest, manifest)
        work.replace(target.file)
    finally:
        work.unlink(missing_ok=True)
    return str(target.out), plan.format, plan.count


def _whole_shards(source: FileShardSet, reporter: Reporter, should_stop: ShouldStop) -> Iterator[int]:
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
