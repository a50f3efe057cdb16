"""Explanations of images: methods run one after another, written as pictures, arrays, numbers and a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from synthgen.errors import StoppedError, UsageError
from synthgen.explain.attribution import Attribution
from synthgen.explain.audit import Deletion
from synthgen.explain.images import sources
from synthgen.explain.images.applying import METHODS, impossible
from synthgen.explain.images.attention import Looks
from synthgen.explain.images.augmentation import Change
from synthgen.explain.images.context import Context
from synthgen.explain.images.evidence import class_errors
from synthgen.explain.images.giveaway import Giveaway
from synthgen.explain.images.influence import Influence
from synthgen.explain.images.journey import Journey
from synthgen.explain.images.methods import METHOD_NAMES, check_methods
from synthgen.explain.images.neighbours import Neighbours
from synthgen.explain.methods import possible
from synthgen.explain.publishing import publish
from synthgen.explain.trajectory import TrajectorySummary, sample_names
from synthgen.outputs import check_output
from synthgen.reporting import NullReporter, Reporter
from synthgen.stopping import ShouldStop, never_stop

if TYPE_CHECKING:
    from synthgen.generation.model import Model

LARGEST = 2 * 2**30
"""Bytes of trajectory that are held in memory at most."""


@dataclass(frozen=True)
class Request:
    """Which images to explain, and how they are drawn; None means what the run's config says.

    samples: the first so many of `synthgen sample`. labels: these classes in turn; empty: all, balanced. rival: the
    class to compare with, `none`: no class; None: the nearest. images: files to explain instead of samples; labels
    then say of which classes they are (empty: what the model finds likeliest). data: where the training images are;
    None: where the config says. methods: names out of `METHOD_NAMES`; None: all that can be had. invocation: the
    command to show in the page.
    """

    samples: int = 8
    labels: tuple[int | str, ...] = ()
    seed: int = 0
    sampler: str | None = None
    steps: int | None = None
    guidance_scale: float | None = None
    methods: tuple[str, ...] | None = None
    rival: str | None = None
    images: tuple[str, ...] = ()
    data: str | None = None
    invocation: str = ""


@dataclass(eq=False)
class Explanation:
    """What was found; the parts of methods that were left out are None. notes: what was left out, and why.

    attributions: by name of the map, with checks and verdict. losses: by the same, what drawing pixels anew cost.
    arrays: more for `explanation.safetensors`. kept: what methods share. files: what is written, by name; summary: the
    contents of `summary.json`; folder: where they were written.
    """

    context: Context
    request: Request
    attributions: dict[str, Attribution] = field(default_factory=dict)
    losses: dict[str, Deletion] = field(default_factory=dict)
    steps: TrajectorySummary | None = None
    journey: Journey | None = None
    looks: Looks | None = None
    neighbours: Neighbours | None = None
    influence: Influence | None = None
    giveaway: Giveaway | None = None
    change: Change | None = None
    methods: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    kept: dict[str, Any] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)
    folder: Path | None = None


def explain_to_folder(
    model: Model,
    out: Path,
    request: Request | None = None,
    *,
    images: np.ndarray | None = None,
    force: bool = False,
    reporter: Reporter | None = None,
    should_stop: ShouldStop = never_stop,
) -> Explanation:
    """Explain images with `model` and write the folder `out`: page, pictures, arrays, `summary.json`.

    The folder appears when everything is in it; what `force` replaces is there until then. images: see
    `explain_images`. Raises: UsageError before anything is written; StoppedError.
    """
    from synthgen.explain.images.files import map_overview, overview, write_files

    check_output(out, force=force)
    found = explain_images(model, request, images=images, reporter=reporter, should_stop=should_stop)
    write_files(found)
    publish(out, found.files, force=force)
    found.folder = out
    if reporter is not None and found.context.trajectory is not None and found.steps is not None:
        reporter.preview(overview(found.context.trajectory), "x0_hat from noise to image", out / "trajectory.png")
    if reporter is not None and found.attributions:
        name = next(iter(found.attributions))
        reporter.preview(map_overview(found, name), f"{name}, over the images", out / f"{name}.png")
    return found


def explain_images(
    model: Model,
    request: Request | None = None,
    *,
    images: np.ndarray | None = None,
    reporter: Reporter | None = None,
    should_stop: ShouldStop = never_stop,
) -> Explanation:
    """The same in memory. images: uint8 (N, H, W, C), to be explained instead of samples or files.

    Raises UsageError, StoppedError.
    """
    request, reporter = request or Request(), reporter or NullReporter()
    if request.samples < 1:
        raise UsageError(f"1 sample or more is needed, not {request.samples}")
    wanted = METHOD_NAMES if request.methods is None else request.methods
    check_methods(wanted)
    found = Explanation(_begun(model, request, images, reporter, should_stop), request)
    chosen = [method for method in METHOD_NAMES if method in wanted]
    asked = request.methods is not None
    for method in possible(chosen, lambda method: impossible(found, method), found.notes, asked=asked):
        if should_stop():
            raise StoppedError("stopped while explaining; nothing was written")
        METHODS[method](found)
        found.methods.append(method)
    return found


def _begun(
    model: Model, request: Request, images: np.ndarray | None, reporter: Reporter, should_stop: ShouldStop
) -> Context:
    """The images, drawn, read or given, before any method."""
    recipe = model.recipe(sampler=request.sampler, steps=request.steps, guidance_scale=request.guidance_scale)
    shared = {
        "recipe": recipe,
        "seed": request.seed,
        "wanted_rival": _rival(model, request.rival),
        "data": request.data,
        "reporter": reporter,
        "should_stop": should_stop,
    }
    if images is not None or request.images:
        x0, names = (
            sources.given_images(model, request.images)
            if images is None
            else (sources.encoded(model, images), tuple(f"image {number}" for number in range(len(images))))
        )
        keys = np.arange(len(x0))
        return _named(Context(model, x0, None, keys, names, **shared), request.labels)  # type: ignore[arg-type]
    _check_size(model, request)
    made = model.trajectory(
        range(request.samples),
        labels=request.labels or None,
        seed=request.seed,
        sampler=request.sampler,
        steps=request.steps,
        guidance_scale=request.guidance_scale,
    )
    x0, names = np.clip(made.x[-1], -1.0, 1.0), tuple(sample_names(made, model.class_names))
    return Context(model, x0, made.labels, made.keys, names, trajectory=made, **shared)  # type: ignore[arg-type]


def _named(context: Context, labels: Sequence[int | str]) -> Context:
    """Given images with their classes: those named, in turn, else what the model finds likeliest."""
    model = context.model
    if labels:
        return replace(context, labels=model.labels_for(0, len(context.x0), list(labels)))
    if not model.class_names:
        return context
    found = class_errors(context.probe, context.x0, context.keys, len(model.class_names)).argmin(axis=0)
    return replace(context, labels=found.astype(np.int64))


def _rival(model: Model, rival: str | None) -> int | None:
    """The number of the class to compare with; that of no class: the null label."""
    if rival is None:
        return None
    if rival == "none" and rival not in model.class_names and model.class_names:
        return len(model.class_names)
    return model.class_index(rival)


def _check_size(model: Model, request: Request) -> None:
    steps = model.recipe(sampler=request.sampler, steps=request.steps).steps
    codec = model.codec
    size = 2 * 4 * (2 * steps + 1) * request.samples * codec.height * codec.width * codec.channels
    if size > LARGEST:
        raise UsageError(
            f"the trajectory of {request.samples} samples over {steps} steps takes {size / 2**30:.1f} GiB",
            "ask for fewer --samples or fewer --steps",
        )
