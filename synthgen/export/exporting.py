"""Export a model, load the result back, and compare its samples with the model's own before saying done."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from synthgen.checkpoints import load_checkpoint
from synthgen.errors import SynthgenError, UsageError, nearest
from synthgen.export.card import model_card
from synthgen.generation.engine import Engine, Recipe
from synthgen.generation.model import Model, load_image_model
from synthgen.outputs import MARKER, atomic_write, check_output, prepare_output
from synthgen.reporting import NullReporter, Reporter

FORMATS = ("diffusers", "safetensors")
CHECKED = 8
"""Samples that are drawn from both sides."""

ALLOWED = {"diffusers": 1, "safetensors": 0}
"""Largest difference in grey levels: between two implementations one from rounding, between equal files none."""


@dataclass(frozen=True)
class ExportResult:
    """What was written, and how far its samples are from the model's own.

    max_difference: largest difference of a pixel, in grey levels of 0 ... 255; differing_pixels: how many pixels
    differ at all, of checked_pixels.
    """

    path: Path
    format: str
    source: Path
    files: tuple[str, ...]
    size_bytes: int
    scheduler: str | None
    max_difference: int
    differing_pixels: int
    checked_pixels: int


def planned_scheduler(model: Model, format: str, recipe: Recipe) -> str | None:
    """The scheduler of diffusers that an export would have; None for a format without one.

    Raises: UsageError for an unknown format, SynthgenError when diffusers cannot represent the model.
    """
    if format not in FORMATS:
        known = ", ".join(FORMATS)
        raise UsageError(f"unknown format '{format}'{nearest(format, FORMATS)}", f"known formats: {known}")
    if format != "diffusers":
        return None
    from synthgen.export.folder import plan_for

    return plan_for(model, recipe).class_name


def export_model(
    model: Model,
    out: Path,
    *,
    format: str = "diffusers",
    recipe: Recipe | None = None,
    force: bool = False,
    reporter: Reporter | None = None,
) -> ExportResult:
    """Write `model` to the folder `out` in `format` and verify it.

    Args:
        format: `diffusers` (a folder that diffusers loads) or `safetensors` (synthgen's self-describing file).
        recipe: how the export samples unless told otherwise; by default as the model does.
        force: replace an earlier result.
    Raises: UsageError for a wrong format or an existing `out`; SynthgenError when diffusers cannot represent the
        model, or the export does not reproduce its samples. Nothing is left at `out` then.
    """
    recipe = recipe or model.recipe()
    reporter = reporter or NullReporter()
    planned_scheduler(model, format, recipe)
    check_output(out, force=force)
    place = out.resolve()
    place.parent.mkdir(parents=True, exist_ok=True)
    building = Path(tempfile.mkdtemp(dir=place.parent, prefix=f".{place.name}."))
    try:
        prepare_output(building)
        if format == "diffusers":
            scheduler, theirs = _diffusers(model, recipe, building, place.name, reporter)
        else:
            scheduler, theirs = None, _safetensors(model, recipe, building, place.name, reporter)
        difference = _compare(model, recipe, theirs, format)
        _put(building, place)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return _result(out, format, model, scheduler, difference)


def _put(building: Path, place: Path) -> None:
    """Move the finished files to their place; what was there goes only now. The folder itself stays if it is there."""
    if place.is_file():
        place.unlink()
    place.mkdir(exist_ok=True)
    for old in place.iterdir():
        if old.is_dir() and not old.is_symlink():
            shutil.rmtree(old)
        else:
            old.unlink()
    for new in building.iterdir():
        new.rename(place / new.name)


def _result(out: Path, format: str, model: Model, scheduler: str | None, difference: np.ndarray) -> ExportResult:
    written = sorted(path for path in out.rglob("*") if path.is_file() and path.name != MARKER)
    return ExportResult(
        path=out,
        format=format,
        source=model.path,
        files=tuple(path.relative_to(out).as_posix() for path in written),
        size_bytes=sum(path.stat().st_size for path in written),
        scheduler=scheduler,
        max_difference=int(difference.max()),
        differing_pixels=int((difference > 0).sum()),
        checked_pixels=difference.size,
    )


def _diffusers(model: Model, recipe: Recipe, folder: Path, name: str, reporter: Reporter) -> tuple[str, np.ndarray]:
    """Write the folder, load it as a user would, sample from it: the scheduler's name and the samples."""
    from diffusers import DiffusionPipeline
    from diffusers.utils import logging

    from synthgen.export.folder import plan_for, write_folder

    plan = plan_for(model, recipe)
    write_folder(model, recipe, plan, folder, name)
    reporter.info(f"loading the export with diffusers and drawing {CHECKED} samples from it")
    bars = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        pipe = DiffusionPipeline.from_pretrained(
            str(folder), custom_pipeline=str(folder), trust_remote_code=True, low_cpu_mem_usage=False
        )
    finally:
        if bars:
            logging.enable_progress_bar()
    pipe.set_progress_bar_config(disable=True)
    pipe.to(model.device)
    images = pipe(
        batch_size=CHECKED,
        seed=0,
        num_inference_steps=recipe.steps,
        guidance_scale=recipe.guidance_scale,
        output_type="uint8",
    ).images
    return plan.class_name, np.asarray(images)


def _safetensors(model: Model, recipe: Recipe, folder: Path, name: str, reporter: Reporter) -> np.ndarray:
    """Copy the verified file, write its card, load it again and sample from it."""
    load_checkpoint(model.path)  # the file may have changed since the model was loaded
    path = folder / "model.safetensors"
    atomic_write(path, model.path.read_bytes())
    usage = (
        f"```\nsynthgen sample {name} --count 100 --out samples/\n```\n\n```python\nimport synthgen\n\n"
        f'images = synthgen.load("{name}").sample(16, seed=0)\n```\n\n'
        "`model.safetensors` holds the averaged weights; its header holds everything above as JSON, and a sha256."
    )
    atomic_write(folder / "README.md", model_card(model.header, recipe, usage, library="synthgen").encode())
    reporter.info(f"loading the copy and drawing {CHECKED} samples from it")
    again = load_image_model(path, device=str(model.device))
    if again.sha256 != model.sha256:
        raise SynthgenError(f"{model.path} changed while it was being exported", "export it again")
    with _full_precision(again):
        return _draw(again, recipe)


def _compare(model: Model, recipe: Recipe, theirs: np.ndarray, format: str) -> np.ndarray:
    """Absolute differences to the model's own samples; raises SynthgenError when they are too large."""
    with _full_precision(model):
        ours = _draw(model, recipe)
    difference = np.abs(ours.astype(np.int16) - theirs.astype(np.int16))
    if difference.max() > ALLOWED[format]:
        raise SynthgenError(
            f"the export does not reproduce the model: its samples differ by up to {difference.max()} grey levels "
            f"in {np.count_nonzero(difference > ALLOWED[format]):,} of {difference.size:,} pixels",
            "nothing was written; please report this with the run's config.yaml",
        )
    return difference


def _draw(model: Model, recipe: Recipe) -> np.ndarray:
    """The first samples of seed 0, in one block."""
    engine = Engine(model.denoiser, model.codec, replace(recipe, block_size=CHECKED), model.device)
    return engine.pixels(np.arange(CHECKED), model.labels_for(0, CHECKED, None), seed=0)


@contextmanager
def _full_precision(model: Model) -> Iterator[None]:
    """Compute in float32, as diffusers does unless told otherwise; bf16 would hide what is compared."""
    before = model.denoiser.precision
    model.denoiser.precision = torch.float32
    try:
        yield
    finally:
        model.denoiser.precision = before
