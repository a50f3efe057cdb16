"""Evidence maps: which pixels make the model prefer an image's class to its rival, and where the two differ at all."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from synthgen.errors import SynthgenError, UsageError
from synthgen.explain.attribution import Attribution
from synthgen.explain.images.probe import Probe, quantiles
from synthgen.reporting import NullReporter, Reporter

LEVELS, DRAWS = 24, 4
NO_CLASS = "no class"
LARGEST_GAP = 1e-4
"""By which share of it a map may miss its total: rounding leaves far less."""

QUESTION = (
    "How much better does the model predict the noise in this image when told its class than when told the "
    "rival? Positive where the pixel speaks for the class, negative where it speaks for the rival; the map "
    "sums to the total."
)
CAVEAT = (
    "Evidence is what the model learned of the classes, right or wrong. Pixels that tell the same thing share it: one "
    "of them alone may tell nearly as much. A rival that the image plainly contradicts is a question outside of what "
    "the model has seen."
)
INFORMATION_QUESTION = (
    "Where do the model's predictions differ between the class and the rival, whichever is right? Never negative; the "
    "map sums to the total."
)
INFORMATION_CAVEAT = (
    "It shows where the two classes would look different, not which of them the image speaks for: a pixel that "
    "contradicts the class counts as much as one that supports it."
)
_MANY_CLASSES = 32
_RIVAL_LEVELS = 8
_RIVAL_DRAW = 1 << 16
"""Noise that the choice of a class looks at, apart from that of the maps."""


def evidence(
    probe: Probe,
    x0: np.ndarray,
    labels: np.ndarray,
    rivals: np.ndarray,
    class_names: Sequence[str],
    *,
    keys: np.ndarray,
    levels: int = LEVELS,
    draws: int = DRAWS,
    reporter: Reporter | None = None,
) -> tuple[Attribution, Attribution]:
    """Evidence of each sample's label against its rival, per pixel, and the information form of it.

    E = mean over noise levels and noise of |eps - eps_r|^2 - |eps - eps_y|^2, where eps_y is the network's
    estimate of the noise when told class y (Li et al. 2023, arXiv:2303.16203, equation 6), and the same mean of
    (eps_y - eps_r)^2 (Kong et al. 2024, arXiv:2310.07972, section 2: pointwise information, there against no class).
    Both are sums over pixels, so the maps are exact. The levels are those of training, at evenly spaced quantiles.

    Args:
        x0: encoded images, float32 (N, C, H, W). labels, rivals: int64 (N,); a rival of len(class_names) is no class.
        keys: int64 (N,), which noise they get.
        levels, draws: noise levels, and noises per level (even, 2 or more: halves are compared with each other).
    Raises: UsageError for an unconditional model; SynthgenError where a map misses its total.
    """
    if probe.denoiser.null_label is None or not class_names:
        raise UsageError("evidence compares classes, and this model is unconditional", "leave evidence out")
    sums = np.zeros((2, 2, *x0.shape))  # form, half
    profile = np.zeros((2, levels, len(x0)))
    with (reporter or NullReporter()).progress("evidence", draws * levels, "noise levels") as progress:
        for place, quantile in enumerate(quantiles(levels)):
            for draw in range(draws):
                own, other = probe.guesses(x0, keys, float(quantile), place * draws + draw, [labels, rivals])
                for form, found in enumerate((other.square() - own.square(), (own - other).square())):
                    values = found.double().numpy()
                    sums[form, draw % 2] += values * (2.0 / (levels * draws))
                    profile[form, place] += found.double().sum(dim=(1, 2, 3)).numpy() / (levels * draws)
                progress.update(place * draws + draw + 1)
    names = (*class_names, NO_CLASS)
    told = tuple(tuple(names[one] for one in side) for side in (labels, rivals))
    texts = (("evidence", QUESTION, CAVEAT), ("information", INFORMATION_QUESTION, INFORMATION_CAVEAT))
    alphas, sigmas, _ = probe.denoiser.schedule.draw(torch.from_numpy(quantiles(levels)).float())
    ratios = (sigmas / alphas).double().numpy()
    first, second = (
        _attribution(*text, sums[form], profile[form], ratios, told, probe.seed, levels, draws)
        for form, text in enumerate(texts)
    )
    return first, second


def _attribution(
    method: str,
    question: str,
    caveat: str,
    halves: np.ndarray,
    profile: np.ndarray,
    ratios: np.ndarray,
    told: tuple[tuple[str, ...], ...],
    seed: int,
    levels: int,
    draws: int,
) -> Attribution:
    values, totals = halves.mean(axis=0).astype(np.float32), profile.sum(axis=0)
    gap = float(np.abs(values.sum(axis=(1, 2, 3), dtype=np.float64) - totals).max())
    if not gap <= LARGEST_GAP * (1.0 + float(np.abs(totals).max())):
        raise SynthgenError(f"the pixels of the map miss its total by {gap:.3g}")
    details = {
        "noise_levels": levels,
        "draws_per_level": draws,
        "sum_gap": float(f"{gap:.3g}"),
        "by_noise_level": [
            {"sigma": float(f"{ratio:.4g}"), "mean": float(f"{row.mean():.6g}")}
            for ratio, row in zip(ratios, profile, strict=True)
        ],
    }
    return Attribution(
        method,
        question,
        values,
        totals,
        told[0],
        told[1],
        (seed,),
        caveat,
        unit="squared error of the noise, mean over noise levels",
        halves=halves.sum(axis=2),
        details=details,
    )


def class_errors(probe: Probe, x0: np.ndarray, keys: np.ndarray, classes: int) -> np.ndarray:
    """float64 (classes, N): squared error of the noise when told each class, mean over a few noise levels."""
    total = np.zeros((classes, len(x0)))
    for place, quantile in enumerate(quantiles(_RIVAL_LEVELS)):
        told = [np.full(len(x0), label, np.int64) for label in range(classes)]
        for label, found in enumerate(probe.guesses(x0, keys, float(quantile), _RIVAL_DRAW + place, told)):
            total[label] += found.double().square().sum(dim=(1, 2, 3)).numpy() / _RIVAL_LEVELS
    return total


def nearest_rivals(probe: Probe, x0: np.ndarray, keys: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    """The other class with the smallest error for each sample, int64 (N,); the null label (`classes`: no class) where
    there are more than 32 classes or only one."""
    if not 2 <= classes <= _MANY_CLASSES:
        return np.full_like(labels, classes)
    total = class_errors(probe, x0, keys, classes)
    total[labels, np.arange(len(labels))] = np.inf
    nearest: np.ndarray = total.argmin(axis=0).astype(np.int64)
    return nearest
