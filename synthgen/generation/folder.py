"""A folder of samples made by one process: in chunks, resumable after a kill, described by its manifest."""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from synthgen.errors import StoppedError, SynthgenError, UsageError
from synthgen.generation.card import data_card
from synthgen.generation.manifest import MANIFEST, Origin, check_same_plan, describe, origin_of, parse
from synthgen.generation.model import Model
from synthgen.generation.pipeline import piece_size, write_behind
from synthgen.generation.plan import Labels, SamplePlan, plan_samples
from synthgen.generation.preview import preview_png
from synthgen.generation.writers import SINGLE, build_writer, digest
from synthgen.outputs import atomic_write, check_output, prepare_output
from synthgen.reporting import NullReporter, Reporter
from synthgen.stopping import ShouldStop, never_stop

__all__ = [
    "MANIFEST",
    "SamplePlan",
    "SampleResult",
    "digest",
    "estimated_bytes",
    "plan_samples",
    "sample_to_folder",
    "write_folder",
]

CARD = "README.md"
Source = Callable[[int], Iterator[np.ndarray]]
"""start -> blocks of pixels, uint8 (n, H, W, C), of samples start, start + 1, ... to the end."""

_CHUNK = 1024
"""Samples per chunk: what a kill can cost, and what one hash in the manifest covers."""
_MOST_CHUNKS = 4096
"""Beyond that chunks are longer: the manifest, written anew after each, stays small."""
_FREE_RESERVE = 64 * 2**20


@dataclass(frozen=True)
class SampleResult:
    """images_per_second counts writing and is of this session; counts: samples by class name."""

    out: Path
    files: list[Path]
    grid: Path
    count: int
    counts: dict[str, int]
    seconds: float
    images_per_second: float


def sample_to_folder(
    model: Model,
    out: Path,
    plan: SamplePlan,
    *,
    force: bool = False,
    resume: bool = False,
    reporter: Reporter | None = None,
    should_stop: ShouldStop = never_stop,
) -> SampleResult:
    """Make the samples of `plan` in the folder `out`.

    Chunks finished before a kill are kept and not made again when `resume` is given; a plan that differs from the
    one that began the folder is refused, because the result would be neither. Raises UsageError, SynthgenError when
    the disk cannot hold the result, StoppedError after a signal.
    """
    origin = origin_of(model)
    labels = Labels(plan, origin.class_names)

    def source(start: int) -> Iterator[np.ndarray]:
        return model.engine(plan.recipe).span(start, plan.count, labels, plan.seed)

    return write_folder(
        out, plan, origin, source, force=force, resume=resume, reporter=reporter, should_stop=should_stop
    )


def write_folder(
    out: Path,
    plan: SamplePlan,
    origin: Origin,
    source: Source,
    *,
    force: bool = False,
    resume: bool = False,
    reporter: Reporter | None = None,
    should_stop: ShouldStop = never_stop,
    label: str = "sampling",
) -> SampleResult:
    """`sample_to_folder` with pixels from anywhere. label: what to call the work."""
    reporter = reporter or NullReporter()
    if plan.format not in SINGLE or plan.shards is not None:
        raise UsageError(
            f"a set of one piece is written as {', '.join(SINGLE)}, not as {plan.format}",
            "write it in shards: `synthgen sample --shards N`, synthgen.api.sample_shards",
        )
    check_output(out, force=force, resume=resume)
    job = _Job(out, plan, origin)
    resumed = resume and job.load()
    _check_space(origin, plan, out, there=job.bytes_there() if resumed else 0)
    if resumed:
        if job.finished:
            job.writer.discard()
            reporter.info(f"{out} is complete already")
            return job.result(0, 0.0)
        if not job.writer.holds(0, job.done):
            reporter.warn(f"{out}: the pixels of the first {job.done:,} samples are gone; they are made again")
            job.restart()
        reporter.info(f"resuming {out} at sample {job.done:,} of {plan.count:,}")
    prepare_output(out, force=force, resume=resume)
    job.save()
    started, first = time.monotonic(), job.done
    with reporter.progress(label, plan.count, "images") as progress:
        progress.update(first)
        job.run(source, lambda made: progress.update(first + made), should_stop)
    job.finish()
    seconds = time.monotonic() - started
    reporter.preview(job.preview(), f"{plan.count:,} samples", out / "grid.png")
    return job.result(plan.count - first, seconds)


class _Job:
    """The state of one folder: which chunks are done, and the manifest that says so."""

    def __init__(self, out: Path, plan: SamplePlan, origin: Origin) -> None:
        self.out, self.plan, self.origin = out, plan, origin
        self.labels = Labels(plan, origin.class_names)
        self.chunks: list[dict[str, Any]] = []
        self.files: list[str] = []
        self.finished = False
        block = plan.recipe.block_size
        self.chunk_size = max(block, _CHUNK // block * block)  # blocks never straddle chunks
        while self.chunk_size * _MOST_CHUNKS < plan.count:
            self.chunk_size *= 2
        self.piece_size = piece_size(block, origin.image_bytes, min(_CHUNK, self.chunk_size))
        self.position, self.hash = 0, hashlib.sha256()  # of the chunk that is being written
        self.writer = build_writer(plan.format, out, origin.class_names, plan.count, origin.image)

    @property
    def done(self) -> int:
        return sum(int(chunk["count"]) for chunk in self.chunks)

    def load(self) -> bool:
        """Take up an earlier manifest; False when there is none. Raises UsageError when it is of another plan."""
        path = self.out / MANIFEST
        if not path.exists():
            return False
        document = parse(path.read_bytes(), str(path))
        check_same_plan(document, self.plan, str(self.out))
        try:
            self.chunks, self.files = list(document["chunks"]), list(document["files"])
            self.finished = bool(document["finished"])
            self.position = self.done
        except (KeyError, TypeError, ValueError) as error:
            raise SynthgenError(f"{path} is not a manifest of ours ({error})", "use --force to start anew") from error
        return True

    def bytes_there(self) -> int:
        """What the files of this set take up already."""
        return sum(path.stat().st_size for path in self.out.rglob("*") if path.is_file() and not path.is_symlink())

    def restart(self) -> None:
        """Forget all chunks."""
        self.chunks, self.position = [], 0

    def save(self) -> None:
        """Write the manifest: the plan, where the model comes from, what is done."""
        counts = self.labels.counts(0, self.done)
        state = {"counts": counts, "files": self.files, "chunks": self.chunks}
        atomic_write(self.out / MANIFEST, describe(self.plan, self.origin, finished=self.finished, **state))

    def run(self, source: Source, report: Callable[[int], None], should_stop: ShouldStop) -> None:
        """Make the missing chunks; writing happens beside the arithmetic."""
        left = self.plan.count - self.done
        if not write_behind(
            source(self.done), left, self.piece_size, self._write, report=report, should_stop=should_stop
        ):
            raise StoppedError(f"stopped after {self.done:,} of {self.plan.count:,} samples; they are kept")

    def _write(self, images: np.ndarray) -> None:
        """Write a piece; where it ends a chunk, the manifest says so."""
        labels = self.labels(self.position, self.position + len(images))
        self.writer.write(self.position, images, labels)
        if self.position == 0:
            atomic_write(self.out / "grid.png", preview_png(images, labels))
        self.hash.update(np.ascontiguousarray(images).tobytes())
        self.position += len(images)
        start = self.done
        if self.position - start >= self.chunk_size or self.position == self.plan.count:
            self.chunks.append({"start": start, "count": self.position - start, "sha256": self.hash.hexdigest()})
            self.hash = hashlib.sha256()
            self.save()

    def preview(self) -> np.ndarray:
        """The saved grid, read back."""
        from PIL import Image

        with Image.open(self.out / "grid.png") as picture:
            array = np.asarray(picture)
        return array[..., None] if array.ndim == 2 else array

    def finish(self) -> None:
        self.files = [str(path.relative_to(self.out)) for path in self.writer.finish(self.labels)]
        counts = self.labels.counts(0, self.plan.count)
        atomic_write(self.out / CARD, data_card(self.plan, self.origin, counts).encode())
        self.finished = True
        self.save()
        self.writer.discard()  # not before the manifest: a kill in between would leave nothing to finish from

    def result(self, made: int, seconds: float) -> SampleResult:
        return SampleResult(
            self.out,
            [self.out / name for name in self.files],
            self.out / "grid.png",
            self.plan.count,
            self.labels.counts(0, self.plan.count),
            round(seconds, 2),
            round(made / seconds, 1) if seconds else 0.0,
        )


def estimated_bytes(model: Model, plan: SamplePlan) -> int:
    """Disk space that a plan needs at its peak, estimated generously."""
    return _bytes_of(origin_of(model), plan)


def _bytes_of(origin: Origin, plan: SamplePlan) -> int:
    raw = origin.image_bytes
    per_image = {"png": max(4096, raw + 512), "parquet": raw + 512, "webdataset": raw + 4096}
    return plan.count * per_image.get(plan.format, 2 * raw)


def _check_space(origin: Origin, plan: SamplePlan, out: Path, there: int) -> None:
    """Refuse a plan that cannot fit, before an hour is spent on it. there: bytes of it that are written already."""
    existing = next(folder for folder in (out, *out.absolute().parents) if folder.exists())
    free = shutil.disk_usage(existing).free
    needed = max(0, _bytes_of(origin, plan) - there)
    if needed + _FREE_RESERVE > free:
        raise SynthgenError(
            f"{plan.count:,} samples need about {needed / 1e6:,.0f} MB, and {existing} has {free / 1e6:,.0f} MB free",
            "free some space, choose another --out, or use --format npz",
        )
