"""Evidence per step and channel: what speaks for a window's class, or against the window itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from synthgen.explain.series.cells import Scene
from synthgen.explain.series.maps import Map, checked_sum
from synthgen.explain.series.probe import Probe, levels, nats
from synthgen.reporting import NullReporter, Reporter

LEVELS, DRAWS = 24, 8
SURPRISE_DRAWS = 4
"""Fewer, because all windows and those they are compared with get the same noise, most of which cancels."""

_MANY_CLASSES = 32
_RIVAL_LEVELS, _RIVAL_DRAWS = 8, 2
_RIVAL_DRAW = 1 << 16
"""Noise that the choice of a rival looks at, apart from that of the maps."""

_LEAST_WINDOWS = 8
"""Of the windows that reach a step: below, its mean is taken over all steps of the part."""

CLASS_QUESTION = (
    "How much better does the model predict the noise in this window when told its class than when told the rival? In "
    "nats of log p(window | class) - log p(window | rival), as the model has it: positive where the cell speaks for "
    "the class, negative where it speaks for the rival. The cells add up to the total exactly."
)
CLASS_CAVEAT = (
    "Evidence is what the model learned of the classes, right or wrong. Cells that tell the same thing share "
    "it: one of them alone may tell nearly as much. Told a rival that the window plainly contradicts, the network is "
    "asked outside of what it has seen, and its errors may fall on cells that have nothing to do with the class."
)
SURPRISE_QUESTION = (
    "How much worse does the model predict the noise in this window than in real ones, cell by cell? In nats of -log "
    "p(window) above the mean of {reference}: positive where the cell is more surprising than theirs at the same step, "
    "negative where it is more ordinary. The cells add up to the total exactly."
)
SURPRISE_CAVEAT = (
    "The surprise is the model's: a rare value is surprising even where it is right, and a fault that the model has "
    "learned, or one that it makes itself, is none to it. What gives samples away is for the detector to say."
)


@dataclass(frozen=True, eq=False)
class Reference:
    """Errors of real windows, to compare with. mean: float64 (L, P), in nats; totals: float64 (M,), of each window,
    above the mean of all; name: what windows they are, in words."""

    mean: np.ndarray
    totals: np.ndarray
    name: str


def nearest_rivals(probe: Probe, scene: Scene, classes: int) -> np.ndarray:
    """The other class with the smallest error for each window, int64 (N,); -1 (told no class) for one class or more
    than 32."""
    assert scene.labels is not None
    if not 2 <= classes <= _MANY_CLASSES:
        return np.full(len(scene), -1)
    total = np.zeros((classes, len(scene)))
    for label in range(classes):
        told = scene.named(probe.layout, np.full(len(scene), label))
        for place, sigma in enumerate(levels(_RIVAL_LEVELS)):
            for draw in range(_RIVAL_DRAWS):
                errors = probe.errors(told, sigma, _RIVAL_DRAW + place * _RIVAL_DRAWS + draw)
                total[label] += errors.sum(axis=(1, 2))
    total[scene.labels, np.arange(len(scene))] = np.inf
    return np.asarray(total.argmin(axis=0))


def class_evidence(
    probe: Probe,
    scene: Scene,
    rivals: np.ndarray,
    class_names: Sequence[str],
    *,
    draws: int = DRAWS,
    reporter: Reporter | None = None,
) -> Map:
    """Diffusion-classifier evidence for each window's class against its rival, int64 (N,), -1: no class.

    E = mean over noise levels and noise of |eps - eps_r|^2 - |eps - eps_y|^2 (Li et al. 2023, arXiv:2303.16203,
    equation 6), with noise levels evenly spaced in log sigma, which makes it log p(x | y) - log p(x | r) but for a
    constant factor, applied here (see `nats`). draws: noises per level, even, 2 or more.
    """
    sides = [scene.named(probe.layout, scene.labels), scene.named(probe.layout, rivals)]
    halves, totals, profile = _summed(probe, sides, (-1.0, 1.0), draws, reporter)
    values = halves.mean(axis=0)
    names = (*class_names, "no class")
    assert scene.labels is not None
    pairs = tuple((names[label], names[rival]) for label, rival in zip(scene.labels, rivals, strict=True))
    gap = checked_sum(values, totals)
    told = {"sum_gap": gap, "by_noise_level": profile}
    return Map("evidence", CLASS_QUESTION, "nats", values, totals, halves, pairs, CLASS_CAVEAT, details=told)


def reference(
    probe: Probe, real: Scene, name: str, *, draws: int = SURPRISE_DRAWS, reporter: Reporter | None = None
) -> Reference:
    """What errors are usual at each step and part: the mean over real windows that reach it."""
    halves, totals, _ = _summed(probe, [_one_noise(real)], (1.0,), draws, reporter, "what is usual")
    values, reach = halves.mean(axis=0), real.valid.sum(axis=0)
    mean = values.sum(axis=0) / np.maximum(reach, 1)[:, None]
    whole = values.sum(axis=(0, 1)) / max(1, int(reach.sum()))
    mean = np.where((reach >= _LEAST_WINDOWS)[:, None], mean, whole)
    return Reference(mean, totals - (real.valid @ mean).sum(axis=1), name)


def surprise(
    probe: Probe, scene: Scene, usual: Reference, *, draws: int = SURPRISE_DRAWS, reporter: Reporter | None = None
) -> Map:
    """How much more surprising each cell is than real ones at the same step, in nats; see `SURPRISE_QUESTION`.

    The pointwise form of -log p(x) (Kong et al. 2023, arXiv:2302.03792), which is a sum over cells.
    """
    halves, totals, profile = _summed(probe, [_one_noise(scene)], (1.0,), draws, reporter)
    expected = scene.valid[..., None] * usual.mean
    halves = halves - expected
    totals = totals - expected.sum(axis=(1, 2))
    values = halves.mean(axis=0)
    ranks = [float((usual.totals >= total).mean()) for total in totals]
    told = {"sum_gap": checked_sum(values, totals), "by_noise_level": profile, "as_surprising": ranks}
    question = SURPRISE_QUESTION.format(reference=usual.name)
    pairs = tuple(("this window", usual.name) for _ in range(len(scene)))
    return Map("evidence", question, "nats", values, totals, halves, pairs, SURPRISE_CAVEAT, details=told)


def _one_noise(scene: Scene) -> Scene:
    """The windows with the same noise for all."""
    return replace(scene, keys=np.zeros_like(scene.keys))


def _summed(
    probe: Probe,
    sides: Sequence[Scene],
    signs: Sequence[float],
    draws: int,
    reporter: Reporter | None,
    what: str = "evidence",
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(halves float64 (2, N, L, P), totals (N,), by noise level (levels, N)), in nats, of the signed sum of errors.

    The totals are summed from the errors themselves, not from the map.
    """
    count, factor = len(sides[0]), nats(LEVELS)
    halves = np.zeros((2, count, sides[0].x0.shape[1], len(probe.layout.names)))
    profile = np.zeros((LEVELS, count))
    with (reporter or NullReporter()).progress(what, LEVELS * draws, "noise levels") as progress:
        for place, sigma in enumerate(levels(LEVELS)):
            for draw in range(draws):
                for side, sign in zip(sides, signs, strict=True):
                    errors = probe.errors(side, float(sigma), place * draws + draw)
                    halves[draw % 2] += probe.layout.gathered(errors) * (sign * factor * 2.0 / draws)
                    profile[place] += errors.sum(axis=(1, 2)) * (sign * factor / draws)
                progress.update(place * draws + draw + 1)
    return halves, profile.sum(axis=0), profile
