"""Which windows an explanation looks at: those explained, those learned from, those held out, many that are drawn."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from synthgen.data.series.reading import read_series
from synthgen.data.series.schema import SeriesData
from synthgen.data.series.windows import WindowSet, window_starts, windows_of
from synthgen.errors import StoppedError, SynthgenError, UsageError
from synthgen.explain.series.cells import Layout, Scene
from synthgen.explain.series.trajectory import Recipe
from synthgen.generation.noise import noise
from synthgen.reporting import Reporter
from synthgen.stopping import ShouldStop, never_stop

if TYPE_CHECKING:
    from synthgen.generation.series.model import SeriesModel

_MOST_WINDOWS = 20_000
_MOST_VALUES = 2**25


@dataclass(frozen=True, eq=False)
class Real:
    """The real series. train: those learned from; None where they are not to be had, and `why` says why.

    holdout: series that the weights never saw, or None.
    """

    train: SeriesData | None
    holdout: SeriesData | None
    why: str = ""


def real_series(
    model: SeriesModel,
    data: str | None,
    test: str | None,
    reporter: Reporter,
    should_stop: ShouldStop = never_stop,
) -> Real:
    """The training series (`data`, else the source in the model's config if it is still the same), and held-out ones:
    `test`, else the test part of the source. Raises UsageError for files that cannot be read."""
    settings, facts = model.config.data, model.header["data"]

    def read(name: str, part: str) -> SeriesData:
        return read_series(name, settings, schema=model.schema, split=part, should_stop=should_stop)

    try:
        source = data or settings.source
        split = facts["split"]
        train = read(source, split)
        if data is not None and train.fingerprint != facts["fingerprint"]:
            train = read(source, "all")
    except (SynthgenError, OSError) as error:
        if data is not None or isinstance(error, StoppedError):
            raise
        return Real(None, None, f"the training series cannot be read ({getattr(error, 'message', error)})")
    same = train.fingerprint == facts["fingerprint"]
    if not same and data is None:
        return Real(None, None, f"{settings.source} has changed since the training")
    if not same:
        reporter.warn(f"{data} is not what the model was trained on: windows of it are no training windows")
    if test is not None:
        return Real(train, read(test, "all"))
    if not same or settings.protocol == "leaky":
        return Real(train, None)
    try:
        return Real(train, read(source, "test"))
    except UsageError:
        return Real(train, None)  # no part was held out


def windows(model: SeriesModel, data: SeriesData, stride: int | None = None) -> WindowSet:
    """Windows of the model's length, every `stride` steps; None: as trained, but for as many as memory has room for."""
    length = model.codec.window
    if stride is None:
        stride = model.config.data.stride or 1
        count = len(window_starts(data.offsets, data.recording, length, stride)[0])
        most = min(_MOST_WINDOWS, max(1, _MOST_VALUES // max(1, length * len(model.schema.channels))))
        stride *= max(1, -(-count // most))
    return windows_of(data, length, stride, classes=model.codec.classes or None)


def separate(model: SeriesModel, data: SeriesData) -> WindowSet:
    """Windows that share no step."""
    return windows(model, data, stride=model.codec.window)


def blocks(found: WindowSet, count: int = 15) -> np.ndarray:
    """int64 (N,): which part of the recordings each window belongs to; whole sequences where there are many."""
    names, place = np.unique(found.sequence, return_inverse=True)
    if len(names) >= count:
        return np.asarray(place, np.int64)
    order = np.lexsort((found.start, found.sequence))
    part = np.empty(len(order), np.int64)
    part[order] = np.arange(len(order)) * count // max(1, len(order))
    return part


def encoded(model: SeriesModel, layout: Layout, data: SeriesData, most: int, *, spread: bool) -> Scene:
    """At most `most` windows of real or given series that share no step, as the model sees them: evenly spread over
    all, or the first. Raises UsageError for series without steps."""
    made = model.codec.encode(data, model.codec.window)
    count = len(made)
    if not count:
        raise UsageError(f"{data.name} has no steps", "name a file with the series to explain")
    index = np.arange(min(most, count))
    if spread:
        index = np.unique(np.rint(np.linspace(0, count - 1, len(index))).astype(np.int64))
    x0, valid = made.gather(torch.from_numpy(index))
    told = ~layout.generated & valid.numpy()[..., None]
    return _scene(model, layout, x0.float().numpy(), valid.numpy(), told, index)


def framed(model: SeriesModel, layout: Layout, keys: np.ndarray, seed: int, labels: tuple[int, ...]) -> Scene:
    """What is given when the windows of these keys are drawn: class, calendar, length; all else is 0.

    labels: class codes that take turns; (): drawn as often as in the training data.
    """
    chosen = np.array(labels)[keys % len(labels)] if labels else None
    frame = model.codec.draw(keys, seed, labels=chosen)
    given, known, valid = (part.cpu().numpy() for part in (frame.given, frame.known, frame.valid))
    x0 = np.where(known & valid[..., None], given, 0.0).astype(np.float32)
    return _scene(model, layout, x0, valid, known & valid[..., None], keys)


def drawn(
    model: SeriesModel,
    layout: Layout,
    count: int,
    seed: int,
    recipe: Recipe,
    reporter: Reporter,
    should_stop: ShouldStop,
) -> WindowSet:
    """`count` windows that the model draws, as `synthgen sample` does, for a detector to look at."""
    found = []
    size = model.config.sampling.block_size
    with reporter.progress("sampling", count, "windows") as progress:
        for start in range(0, count, size):
            if should_stop():
                raise StoppedError("stopped while explaining; nothing was written")
            keys = np.arange(start, min(start + size, count))
            done = sampled(model, framed(model, layout, keys, seed, ()), seed, recipe)
            found.append((done.values, done.lengths, done.labels))
            progress.update(len(keys) + start)
    values, lengths = (np.concatenate([one[place] for one in found]) for place in (0, 1))
    labels = None if found[0][2] is None else np.concatenate([one[2] for one in found if one[2] is not None])
    return as_windows(model, values, lengths, labels)


def sampled(model: SeriesModel, frame: Scene, seed: int, recipe: Recipe) -> Scene:
    """The windows of a frame, from the noise that samples of its keys get."""
    shape = frame.x0.shape[1:]

    def fresh(number: int) -> torch.Tensor:
        return torch.from_numpy(noise(seed, frame.keys, shape, number)).to(model.device)

    given, known, valid = (torch.from_numpy(one).to(model.device) for one in (frame.x0, frame.told, frame.valid))
    x = model.denoiser.sample(
        fresh(0),
        given=given,
        known=known,
        valid=valid,
        sampler=recipe.sampler,
        steps=recipe.steps,
        fresh=lambda number: fresh(number + 1),
        guidance_scale=recipe.guidance_scale,
    )
    return with_result(model, frame, x.float().cpu().numpy())


def with_result(model: SeriesModel, frame: Scene, x: np.ndarray) -> Scene:
    """The scene with windows that were drawn, float32 (N, L, D), and their values in the data's units."""
    x0 = np.where(frame.valid[..., None], x, np.float32(0.0))
    x0 = np.where(frame.told, frame.x0, x0)
    return replace(frame, x0=x0, values=units(model, x0, frame.lengths))


def units(model: SeriesModel, x0: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """float64 (N, L, C): values in the data's units, NaN where missing or beyond the length."""
    return np.asarray(model.codec.arrays(torch.from_numpy(np.ascontiguousarray(x0)), lengths))


def as_windows(model: SeriesModel, values: np.ndarray, lengths: np.ndarray, labels: np.ndarray | None) -> WindowSet:
    """Drawn windows in the form of real ones."""
    count, schema = len(values), model.schema
    return WindowSet(
        values=values,
        lengths=lengths.astype(np.int64),
        labels=labels,
        class_names=tuple(model.codec.classes) if labels is not None else (),
        channels=schema.channels,
        kinds=tuple(schema.table[name].kind for name in schema.channels),
        sequence=np.arange(count),
        start=np.zeros(count, np.int64),
        name="drawn windows",
        fingerprint="",
        split="all",
    )


def _scene(
    model: SeriesModel, layout: Layout, x0: np.ndarray, valid: np.ndarray, told: np.ndarray, keys: np.ndarray
) -> Scene:
    labels = None
    if layout.label is not None:
        labels = np.asarray(x0[:, 0, layout.label].argmax(axis=1), np.int64)
    x0 = np.where(valid[..., None], x0, np.float32(0.0))
    found = Scene(x0, valid, told, labels, keys.astype(np.int64), np.empty(0))
    return replace(found, values=units(model, x0, found.lengths))
