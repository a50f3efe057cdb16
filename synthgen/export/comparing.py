"""Samples of an export beside the model's own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from synthgen.errors import SynthgenError
from synthgen.export.job import CHECKED, Samples, eight
from synthgen.generation.engine import Engine, Recipe
from synthgen.generation.model import Model

if TYPE_CHECKING:
    from synthgen.export.job import AnyModel

_REPORT = "nothing was written; please report this with the run's config.yaml"


def draw(model: Model, recipe: Recipe) -> np.ndarray:
    """The first samples of seed 0, in one block."""
    engine = Engine(model.denoiser, model.codec, eight(recipe), model.device)
    return engine.pixels(np.arange(CHECKED), model.labels_for(0, CHECKED, None), seed=0)


@contextmanager
def full_precision(model: AnyModel) -> Iterator[None]:
    """Compute in float32, as other programs do unless told otherwise; bf16 would hide what is compared."""
    before = model.denoiser.precision
    model.denoiser.precision = torch.float32
    try:
        yield
    finally:
        model.denoiser.precision = before


def compare_images(model: Model, recipe: Recipe, theirs: np.ndarray, allowed: float) -> Samples:
    """Theirs, uint8 (8, H, W, C), beside the model's own; raises SynthgenError when they are too far apart."""
    with full_precision(model):
        ours = draw(model, recipe)
    difference = np.abs(ours.astype(np.int16) - theirs.astype(np.int16))
    if difference.max() > allowed:
        raise SynthgenError(
            f"the export does not reproduce the model: its samples differ by up to {difference.max()} grey levels "
            f"in {np.count_nonzero(difference > allowed):,} of {difference.size:,} pixels",
            _REPORT,
        )
    return _samples("grey levels", difference, difference > 0)


def compare_models(model: AnyModel, again: AnyModel, recipe: Any, *, same: bool) -> Samples:
    """Samples of two models of one kind, in float32. same: raise SynthgenError when they are not equal bit for bit."""
    if isinstance(model, Model) and isinstance(again, Model):
        with full_precision(again):
            theirs = draw(again, recipe)
        return compare_images(model, recipe, theirs, 0 if same else 255)
    with full_precision(model), full_precision(again):
        found = _cells(model, again, recipe)
    if same and found.differing:
        raise SynthgenError(
            f"the export does not reproduce the model: {found.differing:,} of {found.compared:,} values differ", _REPORT
        )
    return found


def _cells(model: Any, again: Any, recipe: Any) -> Samples:
    """Rows of a table, cell by cell; sequences in deviations of their channels."""
    if model.modality == "tables":
        ours, theirs = (one.sample(_ROWS, steps=recipe.steps) for one in (model, again))
        missing = ours.isna().to_numpy(), theirs.isna().to_numpy()
        same = ours.to_numpy(object) == theirs.to_numpy(object)
        differ = np.where(missing[0] | missing[1], missing[0] != missing[1], ~same.astype(bool))
        return _samples("cells", differ.astype(float), differ)
    given = {"sampler": recipe.sampler, "steps": recipe.steps, "guidance_scale": recipe.guidance_scale}
    ours, theirs = (one.sample(CHECKED, **given) for one in (model, again))
    spread = np.nanstd(ours, axis=(0, 1), keepdims=True)
    both = np.isfinite(ours) & np.isfinite(theirs)
    away = np.where(both, np.abs(ours - theirs), 0.0) / np.where(spread > 0, spread, 1.0)
    return _samples("deviations", away, (away > 0) | (np.isnan(ours) != np.isnan(theirs)))


_ROWS = 64


def _samples(unit: str, away: np.ndarray, differ: np.ndarray) -> Samples:
    return Samples(unit, float(away.max()), float(away.mean()), int(differ.sum()), int(differ.size))
