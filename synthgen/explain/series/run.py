"""The explanation of series as a folder: methods run one after another, written as numbers, arrays and a page."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from synthgen.data.series.reading import read_series
from synthgen.errors import StoppedError, UsageError
from synthgen.explain.commitment import Commitment
from synthgen.explain.methods import possible
from synthgen.explain.publishing import publish
from synthgen.explain.series import sources
from synthgen.explain.series.applying import METHODS, impossible
from synthgen.explain.series.attention import Attention
from synthgen.explain.series.cells import Layout
from synthgen.explain.series.context import Context
from synthgen.explain.series.giveaway import Giveaway
from synthgen.explain.series.maps import Map
from synthgen.explain.series.methods import METHOD_NAMES, check_methods
from synthgen.explain.series.neighbours import Neighbours
from synthgen.explain.series.trajectory import Recipe, Settling, draw
from synthgen.explain.shapley import Shares
from synthgen.generation.parallel import one_thread
from synthgen.outputs import check_output
from synthgen.reporting import NullReporter, Reporter
from synthgen.stopping import ShouldStop, never_stop

if TYPE_CHECKING:
    from synthgen.generation.series.model import SeriesModel

LARGEST = 2 * 2**30
"""Bytes of trajectory that are held in memory at most."""


@dataclass(frozen=True)
class SeriesRequest:
    """Which series to explain and how; None means what the run's config says.

    samples: how many. labels: classes that take turns; (): as often as in the data. rival: the class to compare with,
    `none`: no class; None: the nearest. rows: a file with series; None: those that `synthgen sample` makes. data, test:
    files with the training series (None: the run's own source) and with series that were never trained on (None: the
    test part). count: drawn windows, and as many real ones, for the detector. methods: out of `METHOD_NAMES`; None:
    all that can be had. invocation: the command to show in the page.
    """

    samples: int = 8
    labels: tuple[str, ...] = ()
    rival: str | None = None
    rows: str | None = None
    data: str | None = None
    test: str | None = None
    count: int = 300
    methods: tuple[str, ...] | None = None
    seed: int = 0
    sampler: str | None = None
    steps: int | None = None
    guidance_scale: float | None = None
    invocation: str = ""


@dataclass(eq=False)
class SeriesExplanation:
    """What was found; the parts of methods that were left out are None. notes: what was left out, and why.

    context: model, windows, judge. maps: by method, with checks and verdict. summary: the contents of `summary.json`;
    files: what is written, by name.
    """

    context: Context
    request: SeriesRequest
    names: tuple[str, ...]
    maps: dict[str, Map] = field(default_factory=dict)
    attention: Attention | None = None
    settling: Settling | None = None
    commitment: Commitment | None = None
    shares: Shares | None = None
    giveaway: Giveaway | None = None
    neighbours: Neighbours | None = None
    methods: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)


def explain_series_to_folder(
    model: SeriesModel,
    out: Path,
    request: SeriesRequest | None = None,
    *,
    force: bool = False,
    reporter: Reporter | None = None,
    should_stop: ShouldStop = never_stop,
) -> SeriesExplanation:
    """Explain windows of a model of series and write the folder `out`: page, arrays, `summary.json`.

    Raises: UsageError before anything is written; StoppedError.
    """
    from synthgen.explain.series.files import arrays_of
    from synthgen.explain.series.page import write_page
    from synthgen.explain.series.summary import summary_of

    check_output(out, force=force)
    found = explain_series(model, request, reporter=reporter, should_stop=should_stop)
    found.files |= arrays_of(found)
    found.summary = summary_of(found)
    found.files["index.html"] = write_page(found).encode()
    found.files["summary.json"] = (json.dumps(found.summary, indent=2) + "\n").encode()
    publish(out, found.files, force=force)
    return found


def explain_series(
    model: SeriesModel,
    request: SeriesRequest | None = None,
    *,
    reporter: Reporter | None = None,
    should_stop: ShouldStop = never_stop,
) -> SeriesExplanation:
    """The same in memory. Raises UsageError, StoppedError."""
    request, reporter = request or SeriesRequest(), reporter or NullReporter()
    if request.samples < 1:
        raise UsageError(f"1 sample or more is needed, not {request.samples}")
    methods = METHOD_NAMES if request.methods is None else request.methods
    check_methods(methods)
    with one_thread(model.device):
        found = _begun(model, request, reporter, should_stop)
        chosen = [method for method in METHOD_NAMES if method in methods]
        asked = request.methods is not None
        for method in possible(chosen, lambda method: impossible(found, method), found.notes, asked=asked):
            if should_stop():
                raise StoppedError("stopped while explaining; nothing was written")
            METHODS[method](found)
            found.methods.append(method)
    return found


def _begun(
    model: SeriesModel, request: SeriesRequest, reporter: Reporter, should_stop: ShouldStop
) -> SeriesExplanation:
    """The windows, drawn or read, before any method."""
    layout = Layout.of(model.codec.parts)
    own = model.recipe(sampler=request.sampler, steps=request.steps, guidance_scale=request.guidance_scale)
    recipe = Recipe(own.sampler, own.steps, own.guidance_scale)
    rival = _rival(model, layout, request.rival)
    labels = model.class_codes(request.labels)
    _check_size(model, request, recipe)
    real = sources.real_series(model, request.data, request.test, reporter, should_stop)
    trajectory = None
    if request.rows is not None:
        if request.labels:
            raise UsageError("--class is for samples: series of a file have their classes in it", "leave --class away")
        settings = model.config.data.model_copy(update={"limit": None})
        given = read_series(request.rows, settings, schema=model.schema, split="all", should_stop=should_stop)
        scene = sources.encoded(model, layout, given, request.samples, spread=False)
    else:
        frame = sources.framed(model, layout, np.arange(request.samples), request.seed, labels)
        trajectory = draw(model.denoiser, frame, recipe, request.seed, model.device, should_stop=should_stop)
        scene = sources.with_result(model, frame, trajectory.x[-1])
    context = Context(
        model, layout, scene, real, recipe, request.seed, rival, request.count, trajectory, reporter, should_stop
    )
    return SeriesExplanation(context, request, _names(context, request))


def _names(context: Context, request: SeriesRequest) -> tuple[str, ...]:
    what = "window" if request.rows else "sample"
    labels = context.scene.labels
    if labels is None:
        return tuple(f"{what} {number}" for number in range(len(context.scene)))
    named = [f"class {name}" if name.isdigit() else name for name in context.classes]
    return tuple(f"{what} {number}, {named[label]}" for number, label in enumerate(labels))


def _rival(model: SeriesModel, layout: Layout, rival: str | None) -> int | None:
    """The code of the class to compare with; -1: none."""
    if rival is None:
        return None
    if layout.label is None:
        raise UsageError("--rival names a class, and this model has none", "leave --rival away")
    return -1 if rival == "none" and rival not in model.class_names else model.class_codes(rival)[0]


def _check_size(model: SeriesModel, request: SeriesRequest, recipe: Recipe) -> None:
    size = 2 * 4 * (2 * recipe.steps + 1) * request.samples * model.codec.window * model.codec.dimensions
    if size > LARGEST:
        raise UsageError(
            f"the trajectory of {request.samples} samples over {recipe.steps} steps takes {size / 2**30:.1f} GiB",
            "ask for fewer --samples or fewer --steps",
        )
