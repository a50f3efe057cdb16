"""One file of items: made in pieces beside its place, resumable after a kill, renamed when it is whole."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synthgen.data.classes import MANIFEST
from synthgen.errors import StoppedError, SynthgenError, UsageError
from synthgen.generation.contents import Contents
from synthgen.generation.manifest import check_same_plan, parse
from synthgen.generation.pipeline import write_behind
from synthgen.generation.targets import Target
from synthgen.outputs import MARKER, atomic_write, prepare_output, remove_leftovers
from synthgen.reporting import NullReporter, Reporter
from synthgen.stopping import ShouldStop, never_stop

Source = Callable[[int], Iterator[Any]]
"""start -> items start, start + 1, ... to the end, in lots of any length."""

CARD = "README.md"
_FREE_RESERVE = 64 * 2**20


@dataclass(frozen=True)
class FileResult:
    """out: as asked for. file: the data. count: items. per_second: items, counts writing and is of this session."""

    out: Path
    file: Path
    manifest: Path
    count: int
    bytes: int
    sha256: str
    seconds: float
    per_second: float

    @property
    def rows_per_second(self) -> float:
        """`per_second`, where items are rows."""
        return self.per_second


def write_file(
    target: Target,
    contents: Contents,
    source: Source,
    *,
    force: bool = False,
    resume: bool = False,
    reporter: Reporter | None = None,
    should_stop: ShouldStop = never_stop,
) -> FileResult:
    """Make the items of a plan a file.

    Pieces finished before a kill are kept and not made again when `resume` is given; a plan that differs from the
    one that began the file is refused. Raises UsageError, SynthgenError when the disk cannot hold the result,
    StoppedError after a signal.
    """
    reporter = reporter or NullReporter()
    target.check(force=force, resume=resume)
    job, plan = _Job(target, contents), contents.plan
    if resume and target.file.is_file():
        result = job.finished()
        reporter.info(f"{target.file} is complete already")
        return result
    job.begin(force=force, resume=resume)
    first = job.position
    if first:
        reporter.info(f"resuming {target.file} at {contents.unit[:-1]} {first:,} of {plan.count:,}")
    started = time.monotonic()
    with reporter.progress("sampling", plan.count, contents.unit) as progress:
        progress.update(first)
        job.run(source, lambda made: progress.update(first + made), should_stop)
    return job.finish(plan.count - first, started)


class _Job:
    """The state of one file: which pieces are there."""

    def __init__(self, target: Target, contents: Contents) -> None:
        self.target, self.contents, self.plan = target, contents, contents.plan
        self.items = contents.piece(self.plan.count)
        self.pieces = -(-self.plan.count // self.items)
        self.position = 0

    def _piece(self, index: int) -> Path:
        return self.target.workspace / f"piece-{index:06d}"

    def begin(self, *, force: bool, resume: bool) -> None:
        """Make the place, or take up what is there. Raises UsageError when that is of another plan."""
        folder = self.target.workspace
        if resume and (folder / MANIFEST).is_file():
            document = parse((folder / MANIFEST).read_bytes(), str(folder / MANIFEST))
            check_same_plan(document, self.plan, str(self.target.file))
            remove_leftovers(folder)
            there = next((i for i in range(self.pieces) if not self._piece(i).is_file()), self.pieces)
            self.position = min(there * self.items, self.plan.count)
            return
        if folder.is_dir():
            if not (folder / MARKER).is_file():
                raise UsageError(f"{folder} was not made by synthgen", "remove it yourself, or give another --out")
            shutil.rmtree(folder)
        if self.target.folder:
            prepare_output(self.target.out, force=force, resume=resume)
        prepare_output(folder)
        atomic_write(folder / MANIFEST, self.contents.describe(finished=False))

    def run(self, source: Source, report: Callable[[int], None], should_stop: ShouldStop) -> None:
        """Make the missing pieces; writing happens beside the arithmetic."""
        left = self.plan.count - self.position
        if left and not write_behind(
            source(self.position),
            left,
            self.items,
            self._write,
            report=report,
            should_stop=should_stop,
            join=self.contents.join,
        ):
            unit = self.contents.unit
            raise StoppedError(f"stopped after {self.position:,} of {self.plan.count:,} {unit}; they are kept")

    def _write(self, items: Any) -> None:
        index = self.position // self.items
        data = self.contents.encode(items, self.position, first=index == 0)
        if index == 0:
            self._check_space(len(data))
        atomic_write(self._piece(index), data)
        self.position += len(items)

    def _check_space(self, piece: int) -> None:
        """Refuse a file that cannot fit, before an hour is spent on it: its pieces, and the whole beside them."""
        needed = 2 * piece * self.pieces
        free = shutil.disk_usage(self.target.workspace).free
        if needed + _FREE_RESERVE > free:
            what, place = f"{self.plan.count:,} {self.contents.unit}", self.target.file.parent
            raise SynthgenError(
                f"{what} need about {needed / 1e6:,.0f} MB, and {place} has {free / 1e6:,.0f} MB free",
                "free some space, choose another --out, or make it in shards (--shards)",
            )

    def finish(self, made: int, started: float) -> FileResult:
        """The whole file under its name, then the manifest; the pieces go last, so that a kill can be resumed."""
        target = self.target
        whole = target.workspace / "whole"
        sha256, size = self.contents.assemble((self._piece(i) for i in range(self.pieces)), whole)
        file = {"name": target.file.name, "bytes": size, "sha256": sha256}
        state = {"count": self.plan.count, "files": [file]}
        # The manifest first: data without one could be taken for somebody's data.
        atomic_write(target.manifest, self.contents.describe(finished=True, **state))
        if target.folder:
            atomic_write(target.out / CARD, self.contents.card().encode())
        whole.replace(target.file)
        shutil.rmtree(target.workspace)
        seconds = time.monotonic() - started
        return self._result(size, sha256, made, seconds)

    def finished(self) -> FileResult:
        """The result of an earlier session. Raises UsageError when the file is not that of this plan."""
        manifest = self.target.manifest
        if not manifest.is_file():
            raise UsageError(f"{self.target.file} exists already, without a manifest of ours", "give another --out")
        document = parse(manifest.read_bytes(), str(manifest))
        check_same_plan(document, self.plan, str(self.target.file))
        files = document.get("files")
        file: dict[str, Any] = files[0] if isinstance(files, list) and files and isinstance(files[0], dict) else {}
        shutil.rmtree(self.target.workspace, ignore_errors=True)
        return self._result(int(file.get("bytes", 0)), str(file.get("sha256", "")), 0, 0.0)

    def _result(self, size: int, sha256: str, made: int, seconds: float) -> FileResult:
        rate = round(made / seconds, 1) if seconds else 0.0
        target = self.target
        return FileResult(
            target.out, target.file, target.manifest, self.plan.count, size, sha256, round(seconds, 2), rate
        )
