"""From shards to one set: checked, described by one manifest, or written anew in another format."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from synthgen.errors import StoppedError, SynthgenError, UsageError
from synthgen.generation.fileshards import FileShardSet, open_file_set
from synthgen.generation.folder import write_folder
from synthgen.generation.numerics import encoder_versions
from synthgen.generation.plan import SamplePlan
from synthgen.generation.reading import read_pieces
from synthgen.generation.shards import ShardSet, open_set, read_document
from synthgen.generation.shardset import ShardedSet
from synthgen.generation.storage import is_remote, open_store, without_scheme
from synthgen.generation.writers import SINGLE, check_format
from synthgen.reporting import NullReporter, Reporter
from synthgen.stopping import ShouldStop, never_stop

_SHOWN = 10


@dataclass(frozen=True)
class MergeResult:
    """counts: samples by class name. shards: of the result; None for one folder of one piece."""

    out: str
    format: str
    count: int
    shards: int | None
    counts: dict[str, int]


def merge_samples(
    source: str | Path,
    out: str | Path | None = None,
    *,
    format: str | None = None,
    force: bool = False,
    resume: bool = False,
    reporter: Reporter | None = None,
    should_stop: ShouldStop = never_stop,
) -> MergeResult:
    """Check all shards at `source` and make them one set.

    Without `out`, in place: the manifest of the whole and the card are written beside the shards. With `out`: every
    sample is read and written anew in `format` (by default the same); png, npz and idx become what one process would
    have written, byte for byte, parquet and webdataset keep the shards. Pixels are checked on the way.
    Rows and sequences become one file, as they were written.
    Raises UsageError for shards of another plan, SynthgenError naming missing and damaged ones.
    """
    reporter = reporter or NullReporter()
    store = open_store(source)
    document = read_document(store)
    files = open_file_set(store, document)
    if files is not None:
        return _one_file(files, out, format, force, reporter, should_stop)
    target, _ = open_set(store)
    _check_apart(target.store.url, out)
    if target.plan.shards is None:
        raise UsageError(f"{source} is one set already: it was not made in shards")
    if out is None and format not in (None, target.plan.format):
        raise UsageError(f"a set in another format needs a place of its own: {source} stays", "give --out")
    if out is None:
        _in_place(target, reporter, should_stop)
        return _result(target.store.url, target, target.plan)
    plan = _plan(target.plan, format or target.plan.format, is_remote(out))
    if plan.shards is None:
        _to_folder(target, Path(without_scheme(out)), plan, force, resume, reporter, should_stop)
    else:
        _to_shards(target, str(out), plan, force, reporter, should_stop)
    return _result(str(out), target, plan)


def _one_file(
    target: FileShardSet,
    out: str | Path | None,
    format_: str | None,
    force: bool,
    reporter: Reporter,
    should_stop: ShouldStop,
) -> MergeResult:
    """Rows or sequences: described in place, or made one file."""
    from synthgen.generation.checking import merge_file

    if target.plan.shards is None:
        raise UsageError(f"{target.store.url} is one {target.contents.stem} already: it was not made in shards")
    if out is None:
        _in_place(target, reporter, should_stop)
        return MergeResult(target.store.url, target.plan.format, target.plan.count, target.total, {})
    if is_remote(out):
        raise UsageError(f"one {target.contents.stem} cannot be written to a URL", "give a local --out")
    place, made, count = merge_file(
        target, without_scheme(out), format=format_, force=force, reporter=reporter, should_stop=should_stop
    )
    return MergeResult(place, made, count, None, {})


def _check_apart(source: str, out: str | Path | None) -> None:
    """Refuse a result that lies on, in or around its source: `--force` would delete what is to be read."""
    if out is None or is_remote(source) != is_remote(out):
        return
    ends = [Path(source).resolve(), Path(without_scheme(out)).resolve()]
    if is_remote(source):
        ends = [Path(source.rstrip("/")), Path(str(out).rstrip("/"))]
    if ends[0] == ends[1] or ends[0] in ends[1].parents or ends[1] in ends[0].parents:
        raise UsageError(
            f"{out} and {source} lie in each other: the shards would not be left as they are",
            "give an --out of its own, or none to describe the shards in place",
        )


def _plan(plan: SamplePlan, format_: str, remote: bool) -> SamplePlan:
    check_format(format_)
    single = format_ in SINGLE
    if single and remote:
        raise UsageError(
            f"one {format_} set cannot be written to a URL", "merge to parquet or webdataset, or give a local --out"
        )
    kept = {name: number for name, number in plan.versions.items() if name not in ("pillow", "pyarrow")}
    shards = None if single else plan.shards
    return replace(plan, format=format_, versions={**kept, **encoder_versions(format_)}, shards=shards)


def _result(out: str, target: ShardSet, plan: SamplePlan) -> MergeResult:
    return MergeResult(out, plan.format, plan.count, plan.shards, target.labels.counts(0, plan.count))


def _in_place(target: ShardedSet[Any], reporter: Reporter, should_stop: ShouldStop) -> None:
    problems = []
    with reporter.progress("checking", target.total, "shards") as progress:
        for shard in range(target.total):
            if should_stop():
                raise StoppedError(f"stopped after {shard:,} of {target.total:,} shards; nothing was changed")
            state = target.state(shard)
            if state.foreign:
                raise UsageError(f"shard {shard} of {target.total}: {state.problem}", "keep sets of two plans apart")
            if state.problem is not None:
                problems.append(f"shard {shard}: {state.problem}")
            progress.update(shard + 1)
    if problems:
        raise _incomplete(target, len(problems), problems)
    target.finish(target.record(shard) for shard in range(target.total))


def _incomplete(target: ShardedSet[Any], count: int, problems: list[str]) -> SynthgenError:
    shown = "; ".join(problems[:_SHOWN]) + (f"; and {count - _SHOWN:,} more" if count > _SHOWN else "")
    return SynthgenError(
        f"{target.store.url}: {count:,} of {target.total:,} shards are not whole ({shown})",
        "run the same `synthgen sample` command again: it makes only what is missing or damaged",
    )


def shard_pixels(target: ShardSet, shard: int) -> Iterator[np.ndarray]:
    """The pixels of a shard in pieces. Raises when they, or the labels, are not those that were written."""
    record, (start, stop) = target.record(shard), target.plan.bounds(shard)
    digest, position = hashlib.sha256(), start
    names = target.data_names(shard)
    for images, labels in read_pieces(target.plan.format, target.store.open, names, stop - start, target.origin):
        expected = target.labels(position, position + len(images))
        if labels is not None and (expected is None or not np.array_equal(labels, expected)):
            raise SynthgenError(f"shard {shard} is damaged: its labels are not those of the plan")
        digest.update(np.ascontiguousarray(images).tobytes())
        position += len(images)
        yield images
    if digest.hexdigest() != record["pixels_sha256"]:
        raise SynthgenError(f"shard {shard} is damaged: its pixels are not those that were written")


def _check_present(target: ShardedSet[Any]) -> None:
    """All manifests there and of one plan: cheap, and before anything is written."""
    count = target.missing()
    if count:
        raise _incomplete(target, count, [f"shard {shard}: missing" for shard in target.first_missing(_SHOWN)])


def _to_folder(
    target: ShardSet,
    out: Path,
    plan: SamplePlan,
    force: bool,
    resume: bool,
    reporter: Reporter,
    should_stop: ShouldStop,
) -> None:
    _check_present(target)

    def source(start: int) -> Iterator[np.ndarray]:
        for shard in range(target.total):
            first, stop = target.plan.bounds(shard)
            if stop <= start:
                continue
            for images in shard_pixels(target, shard):
                skipped = max(0, min(start - first, len(images)))
                first += len(images)
                if skipped < len(images):
                    yield images[skipped:]

    write_folder(
        out,
        plan,
        target.origin,
        source,
        force=force,
        resume=resume,
        reporter=reporter,
        should_stop=should_stop,
        label="merging",
    )


def _to_shards(
    target: ShardSet, out: str, plan: SamplePlan, force: bool, reporter: Reporter, should_stop: ShouldStop
) -> None:
    _check_present(target)
    copy = ShardSet(open_store(out), plan, target.origin)
    copy.begin(force=force)
    with reporter.progress("merging", target.total, "shards") as progress:
        for shard in range(target.total):
            whole = copy.state(shard).problem is None
            if not whole and (should_stop() or not copy.write(shard, shard_pixels(target, shard))):
                raise StoppedError(f"stopped after {shard:,} of {target.total:,} shards; they are kept")
            progress.update(shard + 1)
    copy.finish(copy.record(shard) for shard in range(copy.total))
