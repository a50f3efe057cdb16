"""One file of rows: made in pieces beside its place, resumable after a kill, renamed when it is whole."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synthgen.data.classes import MANIFEST
from synthgen.errors import StoppedError, SynthgenError, UsageError
from synthgen.generation.manifest import check_same_plan, parse
from synthgen.generation.pipeline import write_behind
from synthgen.generation.tables.card import table_card
from synthgen.generation.tables.manifest import TableOrigin, describe
from synthgen.generation.tables.plan import TablePlan
from synthgen.generation.tables.targets import Target
from synthgen.generation.tables.writing import Encoder, join_pieces, piece_rows
from synthgen.outputs import MARKER, atomic_write, prepare_output, remove_leftovers
from synthgen.reporting import NullReporter, Reporter
from synthgen.stopping import ShouldStop, never_stop

if TYPE_CHECKING:
    import pandas as pd

Source = Callable[[int], "Iterator[pd.DataFrame]"]
"""start -> rows start, start + 1, ... to the end, in frames of any length."""

CARD = "README.md"
_FREE_RESERVE = 64 * 2**20


@dataclass(frozen=True)
class TableResult:
    """out: as asked for. file: the table. rows_per_second counts writing and is of this session."""

    out: Path
    file: Path
    manifest: Path
    count: int
    bytes: int
    sha256: str
    seconds: float
    rows_per_second: float


def write_table(
    target: Target,
    plan: TablePlan,
    origin: TableOrigin,
    source: Source,
    encode: Encoder,
    *,
    force: bool = False,
    resume: bool = False,
    reporter: Reporter | None = None,
    should_stop: ShouldStop = never_stop,
) -> TableResult:
    """Make the rows of `plan` a file.

    Pieces finished before a kill are kept and not made again when `resume` is given; a plan that differs from the
    one that began the file is refused. Raises UsageError, SynthgenError when the disk cannot hold the result,
    StoppedError after a signal.
    """
    reporter = reporter or NullReporter()
    target.check(force=force, resume=resume)
    job = _Job(target, plan, origin, encode)
    if resume and target.file.is_file():
        result = job.finished()
        reporter.info(f"{target.file} is complete already")
        return result
    job.begin(force=force, resume=resume)
    first = job.position
    if first:
        reporter.info(f"resuming {target.file} at row {first:,} of {plan.count:,}")
    started = time.monotonic()
    with reporter.progress("sampling", plan.count, "rows") as progress:
        progress.update(first)
        job.run(source, lambda made: progress.update(first + made), should_stop)
    return job.finish(plan.count - first, started)


class _Job:
    """The state of one file: which pieces are there."""

    def __init__(self, target: Target, plan: TablePlan, origin: TableOrigin, encode: Encoder) -> None:
        self.target, self.plan, self.origin, self.encode = target, plan, origin, encode
        self.rows = piece_rows(plan, plan.count)
        self.pieces = -(-plan.count // self.rows)
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
            self.position = min(there * self.rows, self.plan.count)
            return
        if folder.is_dir():
            if not (folder / MARKER).is_file():
                raise UsageError(f"{folder} was not made by synthgen", "remove it yourself, or give another --out")
            shutil.rmtree(folder)
        if self.target.folder:
            prepare_output(self.target.out, force=force, resume=resume)
        prepare_output(folder)
        atomic_write(folder / MANIFEST, describe(self.plan, self.origin, finished=False))

    def run(self, source: Source, report: Callable[[int], None], should_stop: ShouldStop) -> None:
        """Make the missing pieces; writing happens beside the arithmetic."""
        import pandas as pd

        left = self.plan.count - self.position
        if left and not write_behind(
            source(self.position),
            left,
            self.rows,
            self._write,
            report=report,
            should_stop=should_stop,
            join=lambda frames: pd.concat(frames, ignore_index=True),
        ):
            raise StoppedError(f"stopped after {self.position:,} of {self.plan.count:,} rows; they are kept")

    def _write(self, frame: pd.DataFrame) -> None:
        index = self.position // self.rows
        data = self.encode(frame, self.position, first=index == 0)
        if index == 0:
            self._check_space(len(data))
        atomic_write(self._piece(index), data)
        self.position += len(frame)

    def _check_space(self, piece: int) -> None:
        """Refuse a file that cannot fit, before an hour is spent on it: its pieces, and the whole beside them."""
        needed = 2 * piece * self.pieces
        free = shutil.disk_usage(self.target.workspace).free
        if needed + _FREE_RESERVE > free:
            raise SynthgenError(
                f"{self.plan.count:,} rows need about {needed / 1e6:,.0f} MB, and {self.target.file.parent} has "
                f"{free / 1e6:,.0f} MB free",
                "free some space, choose another --out, or make it in shards (--shards)",
            )

    def finish(self, made: int, started: float) -> TableResult:
        """The whole file under its name, then the manifest; the pieces go last, so that a kill can be resumed."""
        target = self.target
        whole = target.workspace / "whole"
        sha256, size = join_pieces((self._piece(i) for i in range(self.pieces)), whole, self.plan.format)
        file = {"name": target.file.name, "bytes": size, "sha256": sha256}
        state = {"count": self.plan.count, "files": [file]}
        # The manifest first: a table without one could be taken for somebody's data.
        atomic_write(target.manifest, describe(self.plan, self.origin, finished=True, **state))
        if target.folder:
            atomic_write(target.out / CARD, table_card(self.plan, self.origin).encode())
        whole.replace(target.file)
        shutil.rmtree(target.workspace)
        seconds = time.monotonic() - started
        return self._result(size, sha256, made, seconds)

    def finished(self) -> TableResult:
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

    def _result(self, size: int, sha256: str, made: int, seconds: float) -> TableResult:
        rate = round(made / seconds, 1) if seconds else 0.0
        target = self.target
        return TableResult(
            target.out, target.file, target.manifest, self.plan.count, size, sha256, round(seconds, 2), rate
        )
