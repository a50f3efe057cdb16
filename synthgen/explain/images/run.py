"""`synthgen explain`: methods applied to chosen samples, written as pictures, arrays, numbers and a page."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors.numpy import save

from synthgen import __version__
from synthgen.errors import StoppedError, UsageError
from synthgen.explain import page as pieces
from synthgen.explain.images.evidence import evidence
from synthgen.explain.images.methods import check_methods
from synthgen.explain.pictures import columns_of, displayed, frames, gif_bytes, map_strip, strip
from synthgen.explain.publishing import publish
from synthgen.explain.trajectory import CAVEAT, sample_names, trajectory_summary
from synthgen.html import Section, command, page, section
from synthgen.outputs import check_output
from synthgen.rendering import grid, png_bytes
from synthgen.reporting import NullReporter, Reporter
from synthgen.stopping import ShouldStop, never_stop

if TYPE_CHECKING:
    from synthgen.generation.model import Model, Trajectory

LARGEST = 2 * 2**30
"""Bytes of trajectory that are held in memory at most."""


@dataclass(frozen=True)
class Request:
    """Which samples to explain, and how they are drawn; None means what the run's config says.

    samples: the first so many of `synthgen sample`. labels: these classes in turn; empty: all, balanced.
    methods: names out of `METHOD_NAMES`. invocation: the command to show in the page.
    """

    samples: int = 8
    labels: tuple[int | str, ...] = ()
    seed: int = 0
    sampler: str | None = None
    steps: int | None = None
    guidance_scale: float | None = None
    methods: tuple[str, ...] = ("trajectory",)
    invocation: str = ""


@dataclass(eq=False)
class Explanation:
    """What was written. summary: the contents of `summary.json`; strip: the trajectory's picture, uint8."""

    folder: Path
    summary: dict[str, Any]
    strip: np.ndarray
    sections: list[Section]


@dataclass(eq=False)
class _Work:
    """What the methods share and add to: files to write, numbers, sections."""

    model: Model
    request: Request
    trajectory: Trajectory
    names: list[str]
    reporter: Reporter
    should_stop: ShouldStop
    files: dict[str, bytes] = field(default_factory=dict)
    numbers: dict[str, Any] = field(default_factory=dict)
    sections: list[Section] = field(default_factory=list)
    strip: np.ndarray | None = None


def explain_to_folder(
    model: Model,
    out: Path,
    request: Request | None = None,
    *,
    force: bool = False,
    reporter: Reporter | None = None,
    should_stop: ShouldStop = never_stop,
) -> Explanation:
    """Explain samples of `model` and write the folder `out`: page, pictures, arrays, `summary.json`.

    The folder appears when everything is in it; what `force` replaces is there until then.
    Raises: UsageError before anything is written; StoppedError.
    """
    request = request or Request()
    check_methods(request.methods)
    _check_size(model, request)
    check_output(out, force=force)
    trajectory = model.trajectory(
        range(request.samples),
        labels=request.labels or None,
        seed=request.seed,
        sampler=request.sampler,
        steps=request.steps,
        guidance_scale=request.guidance_scale,
    )
    names = sample_names(trajectory, model.class_names)
    work = _Work(model, request, trajectory, names, reporter or NullReporter(), should_stop)
    for method in request.methods:
        if should_stop():
            raise StoppedError("stopped while explaining; nothing was written")
        METHODS[method](work)
    picture = _strip(work)
    summary = _summary(work)
    work.files["index.html"] = _page(work, summary).encode()
    work.files["summary.json"] = (json.dumps(summary, indent=2) + "\n").encode()
    publish(out, work.files, force=force)
    work.reporter.preview(_overview(trajectory), "x0_hat from noise to image", out / "trajectory.png")
    return Explanation(out, summary, picture, work.sections)


def _check_size(model: Model, request: Request) -> None:
    if request.samples < 1:
        raise UsageError(f"1 sample or more is needed, not {request.samples}")
    steps = model.recipe(sampler=request.sampler, steps=request.steps).steps
    codec = model.codec
    size = 2 * 4 * (2 * steps + 1) * request.samples * codec.height * codec.width * codec.channels
    if size > LARGEST:
        raise UsageError(
            f"the trajectory of {request.samples} samples over {steps} steps takes {size / 2**30:.1f} GiB",
            "ask for fewer --samples or fewer --steps",
        )


def _overview(trajectory: Trajectory) -> np.ndarray:
    """A picture small enough for a terminal: the guesses for three samples over six steps."""
    steps = columns_of(len(trajectory.x0), 6)
    shown = displayed(trajectory.x0)[steps, :3]
    return grid(np.concatenate(list(shown.swapaxes(0, 1))), len(steps))


def _strip(work: _Work) -> np.ndarray:
    if work.strip is None:
        trajectory = work.trajectory
        work.strip = strip(trajectory.x, trajectory.x0, trajectory.sigmas, work.names)
    return work.strip


def _trajectory(work: _Work) -> None:
    trajectory = work.trajectory
    summary = trajectory_summary(trajectory)
    animation = frames(trajectory.x, trajectory.x0, trajectory.sigmas, work.names)
    arrays = {
        "x": trajectory.x,
        "x0_hat": trajectory.x0,
        "sigmas": trajectory.sigmas,
        "keys": trajectory.keys,
    }
    if trajectory.labels is not None:
        arrays["labels"] = trajectory.labels
    facts = {"seed": work.request.seed, "checkpoint_sha256": work.model.sha256, "units": "encoded, [-1, 1]"}
    told = {"synthgen": json.dumps(facts)}  # one entry: safetensors writes several in any order
    work.files["trajectory.png"] = png_bytes(_strip(work))
    work.files["trajectory.gif"] = gif_bytes(animation)
    work.files["trajectory.safetensors"] = save({k: np.ascontiguousarray(v) for k, v in arrays.items()}, told)
    work.numbers["trajectory"] = {**summary.to_dict(), "caveat": CAVEAT}
    title = "How the images came to be" if len(work.names) > 1 else "How the image came to be"
    work.sections.append(section(title, pieces.trajectory_piece(trajectory, summary, work.names)))


def _evidence(work: _Work) -> None:
    trajectory, model = work.trajectory, work.model
    if trajectory.labels is None:
        raise UsageError("evidence compares classes, and this model is unconditional", "use --methods trajectory")
    final = np.clip(trajectory.x[-1], -1.0, 1.0)
    result = evidence(
        model.denoiser,
        final,
        trajectory.labels,
        model.class_names,
        keys=trajectory.keys,
        seed=work.request.seed,
        reporter=work.reporter,
        should_stop=work.should_stop,
    )
    images = np.moveaxis(np.rint((final + 1.0) * 127.5).astype(np.uint8), 1, -1)
    against = [f"{a} against {b}" for a, b in zip(result.labels, result.rivals, strict=True)]
    work.files["evidence.png"] = png_bytes(map_strip(images, result.values.sum(1), against))
    work.files["evidence.safetensors"] = save({"values": result.values, "scalars": result.scalars})
    work.numbers["evidence"] = result.to_dict()
    work.sections.append(section("Which pixels speak for the class", pieces.evidence_piece(result, images, work.names)))


METHODS: dict[str, Callable[[_Work], None]] = {"trajectory": _trajectory, "evidence": _evidence}
"""Name -> what computes it and adds its files, numbers and section."""


def _summary(work: _Work) -> dict[str, Any]:
    request, trajectory = work.request, work.trajectory
    recipe = work.model.recipe(sampler=request.sampler, steps=request.steps, guidance_scale=request.guidance_scale)
    labels = [None] * len(work.names) if trajectory.labels is None else trajectory.labels.tolist()
    samples = [
        {"sample": int(key), "label": label, "class_name": name if label is not None else None}
        for key, label, name in zip(trajectory.keys, labels, work.names, strict=True)
    ]
    return {
        "kind": "explanation",
        "synthgen_version": __version__,
        "checkpoint": str(work.model.path),
        "checkpoint_sha256": work.model.sha256,
        "seed": request.seed,
        "sampler": recipe.sampler,
        "sampler_steps": recipe.steps,
        "guidance_scale": recipe.guidance_scale,
        "samples": samples,
        "methods": list(request.methods),
        "files": sorted([*work.files, "index.html", "summary.json"]),
        **work.numbers,
    }


def _page(work: _Work, summary: dict[str, Any]) -> str:
    calls = len(work.trajectory.sigmas)
    count = len(work.names)
    lead = (
        f"{count} sample{'s' if count > 1 else ''} of {summary['checkpoint']}, drawn with "
        f"{summary['sampler']} in {calls} network evaluation{'s' if calls > 1 else ''}, seed "
        f"{summary['seed']}. Sample k here is the k-th that the sample command makes with the same seed, "
        "classes and sampler."
    )
    sections = list(work.sections)
    if work.request.invocation:
        sections.append(section("Do it again", command(work.request.invocation)))
    footer = f"synthgen {__version__} · checkpoint sha256 {work.model.sha256[:16]} · this page needs no network"
    return page("Why these samples", sections, lead=lead, footer=footer, script=pieces.SCRIPT, style=pieces.STYLE)
