"""A folder of samples: made in chunks, resumable after a kill, described by its manifest."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from synthgen.errors import StoppedError, SynthgenError, UsageError
from synthgen.generation.engine import Recipe
from synthgen.generation.model import Model
from synthgen.generation.writers import build_writer, digest
from synthgen.outputs import atomic_write, check_output, prepare_output
from synthgen.rendering import grid, png_bytes
from synthgen.reporting import NullReporter, Reporter
from synthgen.stopping import ShouldStop, never_stop

MANIFEST = "manifest.json"
_CHUNK = 1024
"""Samples per chunk: what a kill can cost, and what one hash in the manifest covers."""
_FREE_RESERVE = 64 * 2**20


@dataclass(frozen=True)
class SamplePlan:
    """What will be made: everything the bytes depend on, and nothing else.

    labels: the classes asked for, repeated over the sample numbers; empty means balanced (or unconditional).
    """

    checkpoint_sha256: str
    count: int
    seed: int
    labels: tuple[int, ...]
    recipe: Recipe
    format: str
    precision: str
    device: str
    torch: str

    def to_dict(self) -> dict[str, Any]:
        return json.loads(json.dumps(asdict(self)))  # type: ignore[no-any-return]


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


def plan_samples(
    model: Model,
    count: int,
    *,
    labels: Sequence[int | str] | None = None,
    seed: int = 0,
    recipe: Recipe | None = None,
    format: str = "png",
) -> SamplePlan:
    """Check a request and say all that its result depends on. Raises UsageError."""
    if count < 1:
        raise UsageError(f"--count must be 1 or more, not {count}")
    wanted = tuple(model.class_index(label) for label in labels or ())
    return SamplePlan(
        model.sha256,
        count,
        seed,
        wanted,
        recipe or model.recipe(),
        format,
        str(model.denoiser.precision).removeprefix("torch."),
        str(model.device),
        torch.__version__,
    )


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
    reporter = reporter or NullReporter()
    check_output(out, force=force, resume=resume)
    _check_space(model, plan, out)
    job = _Job(model, out, plan)
    if resume and job.load():
        if job.finished:
            reporter.info(f"{out} is complete already")
            return job.result(0, 0.0)
        reporter.info(f"resuming {out} at sample {job.done:,} of {plan.count:,}")
    prepare_output(out, force=force, resume=resume)
    job.save()
    started, first = time.monotonic(), job.done
    with reporter.progress("sampling", plan.count, "images") as progress:
        progress.update(job.done)
        job.run(progress.update, should_stop)
    job.finish()
    seconds = time.monotonic() - started
    reporter.preview(job.preview(), f"{plan.count:,} samples", out / "grid.png")
    return job.result(plan.count - first, seconds)


class _Job:
    """The state of one folder: which chunks are done, and the manifest that says so."""

    def __init__(self, model: Model, out: Path, plan: SamplePlan) -> None:
        self.model, self.out, self.plan = model, out, plan
        self.labels = model.labels_for(0, plan.count, plan.labels or None)
        self.chunks: list[dict[str, Any]] = []
        self.files: list[str] = []
        self.finished = False
        shape = (plan.count, model.codec.height, model.codec.width, model.codec.channels)
        self.writer = build_writer(plan.format, out, model.class_names, shape)

    @property
    def done(self) -> int:
        return sum(int(chunk["count"]) for chunk in self.chunks)

    def load(self) -> bool:
        """Take up an earlier manifest; False when there is none. Raises UsageError when it is of another plan."""
        path = self.out / MANIFEST
        if not path.exists():
            return False
        try:
            manifest = json.loads(path.read_text(encoding="utf-8"))
            before, self.chunks = manifest["plan"], list(manifest["chunks"])
            self.finished, self.files = bool(manifest["finished"]), list(manifest["files"])
        except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError) as error:
            raise SynthgenError(f"{path} is not a manifest of ours ({error})", "use --force to start anew") from error
        now = self.plan.to_dict()
        differing = sorted(key for key in before.keys() | now.keys() if before.get(key) != now.get(key))
        if differing:
            changes = "; ".join(
                f"{key}: {_short(before.get(key))} then, {_short(now.get(key))} now" for key in differing
            )
            raise UsageError(
                f"{self.out} was begun with another plan ({changes})",
                "resume with the same settings, or give another --out",
            )
        return True

    def save(self) -> None:
        """Write the manifest: the plan, where the model comes from, what is done."""
        header = self.model.header
        counts = self.counts(self.done)
        manifest = {
            "kind": "synthgen-samples",
            "format_version": 1,
            "finished": self.finished,
            "plan": self.plan.to_dict(),
            "class_names": list(self.model.class_names),
            "counts": counts,
            "files": self.files,
            "chunks": self.chunks,
            "model": {"path": str(self.model.path), "data": header["data"], "training": header["training"]},
            "versions": header["versions"],
        }
        atomic_write(self.out / MANIFEST, json.dumps(manifest, indent=1, ensure_ascii=False).encode())

    def counts(self, done: int) -> dict[str, int]:
        if self.labels is None:
            return {}
        found = np.bincount(self.labels[:done], minlength=len(self.model.class_names))
        return {name: int(number) for name, number in zip(self.model.class_names, found, strict=True) if number}

    def run(self, report: Callable[[int], None], should_stop: ShouldStop) -> None:
        """Make the missing chunks. Writing happens beside the next chunk's arithmetic, one chunk at a time."""
        engine = self.model.engine(self.plan.recipe)
        block = engine.recipe.block_size
        chunk_size = max(block, _CHUNK // block * block)  # blocks never straddle chunks
        start = self.done
        keys = np.arange(start, self.plan.count)
        labels = None if self.labels is None else self.labels[start:]
        parts: list[np.ndarray] = []
        held = 0
        pending: Future[dict[str, Any]] | None = None
        with ThreadPoolExecutor(1, thread_name_prefix="writer") as pool:
            for pixels in engine.blocks(keys, labels, self.plan.seed):
                parts.append(pixels)
                held += len(pixels)
                report(start + held)
                if held >= chunk_size or start + held == self.plan.count:
                    self._settle(pending)
                    pending = pool.submit(self._write, start, np.concatenate(parts))
                    start, held, parts = start + held, 0, []
                if should_stop() and start < self.plan.count:
                    self._settle(pending)
                    raise StoppedError(f"stopped after {self.done:,} of {self.plan.count:,} samples; they are kept")
            self._settle(pending)

    def _write(self, start: int, images: np.ndarray) -> dict[str, Any]:
        given = None if self.labels is None else self.labels[start : start + len(images)]
        self.writer.write(start, images, given)
        if start == 0:
            self._write_grid(images)
        return {"start": start, "count": len(images), "sha256": digest(images)}

    def _settle(self, pending: Future[dict[str, Any]] | None) -> None:
        if pending is not None:
            self.chunks.append(pending.result())
            self.save()

    def _write_grid(self, images: np.ndarray) -> None:
        """A preview: one row per class where there are classes, at most 20 rows of 10."""
        if self.labels is None:
            rows = images[:64]
        else:
            labels = self.labels[: len(images)]
            classes = np.unique(labels)[:20]
            per_class = 10 if len(classes) > 1 else 60
            rows = np.concatenate([images[labels == label][:per_class] for label in classes])
        columns = 10 if self.labels is not None else 8
        scale = max(1, 448 // (columns * images.shape[2]))
        atomic_write(self.out / "grid.png", png_bytes(grid(rows, columns), scale=scale))

    def preview(self) -> np.ndarray:
        """The saved grid, read back."""
        from PIL import Image

        with Image.open(self.out / "grid.png") as picture:
            array = np.asarray(picture)
        return array[..., None] if array.ndim == 2 else array

    def finish(self) -> None:
        self.files = [str(path.relative_to(self.out)) for path in self.writer.finish(self.labels)]
        self.finished = True
        self.save()

    def result(self, made: int, seconds: float) -> SampleResult:
        return SampleResult(
            self.out,
            [self.out / name for name in self.files],
            self.out / "grid.png",
            self.plan.count,
            self.counts(self.plan.count),
            round(seconds, 2),
            round(made / seconds, 1) if seconds else 0.0,
        )


def estimated_bytes(model: Model, plan: SamplePlan) -> int:
    """Disk space that a plan needs at its peak, estimated generously."""
    raw = model.codec.height * model.codec.width * model.codec.channels
    per_image = max(4096, raw + 512) if plan.format == "png" else 2 * raw
    return plan.count * per_image


def _check_space(model: Model, plan: SamplePlan, out: Path) -> None:
    """Refuse a plan that cannot fit, before an hour is spent on it."""
    existing = next(folder for folder in (out, *out.absolute().parents) if folder.exists())
    free = shutil.disk_usage(existing).free
    needed = estimated_bytes(model, plan)
    if needed + _FREE_RESERVE > free:
        raise SynthgenError(
            f"{plan.count:,} samples need about {needed / 1e6:,.0f} MB, and {existing} has {free / 1e6:,.0f} MB free",
            "free some space, choose another --out, or use --format npz",
        )


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 60 else text[:57] + "..."
