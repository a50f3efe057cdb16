"""Evidence maps: which pixels make the model prefer the sample's class to its nearest rival."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from synthgen.diffusion.denoiser import Denoiser
from synthgen.errors import StoppedError, UsageError
from synthgen.explain.attribution import Attribution, Check, rank_correlation
from synthgen.generation.noise import noise
from synthgen.reporting import NullReporter, Reporter
from synthgen.stopping import ShouldStop, never_stop

QUESTION = (
    "How much better does the model predict the noise in this image when told its class than when told the "
    "rival? Positive where the pixel speaks for the class, negative where it speaks for the rival; the map "
    "sums to the total."
)
CAVEAT = (
    "No deletion test was made: whether the class changes when the marked pixels are removed, and refilled "
    "by the model itself, was not measured. Take the map as where the model's predictions differ, not as "
    "proof of why."
)
_DRAW_OFFSET = 1 << 32
"""Noise of explanations lies far from the noise that samplers draw for the same sample number."""
_MANY_CLASSES = 32
_BLOCK = 64
"""Images that go through the network together."""


def evidence(
    denoiser: Denoiser,
    x0: np.ndarray,
    labels: np.ndarray,
    class_names: Sequence[str],
    *,
    keys: np.ndarray,
    seed: int = 0,
    levels: int = 32,
    draws: int = 4,
    reporter: Reporter | None = None,
    should_stop: ShouldStop = never_stop,
) -> Attribution:
    """Diffusion-classifier evidence for each sample's label against its rival, per pixel.

    E = mean over noise levels and noise of |eps - eps_r|^2 - |eps - eps_y|^2, where eps_y is the network's
    estimate of the noise when told class y (Li et al. 2023, arXiv:2303.16203, equation 6). It is a sum over
    pixels, so the map is exact. The levels are those of training, at evenly spaced quantiles. The rival is
    the class other than y with the smallest error; the null class ("no class") where there are more than 32
    classes or only one.

    Args:
        x0: encoded images, float32 (N, C, H, W). labels: int64 (N,). keys: int64 (N,), which noise they get.
        levels, draws: noise levels, and noises per level (2 or more: the halves are compared with each
        other).
    Raises: UsageError for an unconditional model.
    """
    if denoiser.null_label is None or not class_names:
        raise UsageError("evidence compares classes, and this model is unconditional", "leave out --methods evidence")
    reporter = reporter or NullReporter()
    probe = _Probe(denoiser, x0, keys, seed, should_stop)
    rivals = _rivals(probe, labels, len(class_names))
    halves = np.zeros((2, *x0.shape), np.float64)
    with reporter.progress("evidence", draws * levels, "noise levels") as progress:
        for draw in range(draws):
            for level in range(levels):
                errors = probe.errors((level + 0.5) / levels, draw * levels + level, [labels, rivals])
                halves[draw % 2] += errors[1] - errors[0]
                progress.update(draw * levels + level + 1)
    values = halves.sum(0) / (draws * levels)
    names = (*class_names, "no class")
    return Attribution(
        "evidence",
        QUESTION,
        values.astype(np.float32),
        values.sum(axis=(1, 2, 3)),
        tuple(names[label] for label in labels),
        tuple(names[rival] for rival in rivals),
        (seed,),
        (_stability(halves), _brightness(values, x0)),
        CAVEAT,
    )


class _Probe:
    """Squared errors of the noise estimate, per pixel, for chosen labels at a chosen noise level."""

    def __init__(
        self, denoiser: Denoiser, x0: np.ndarray, keys: np.ndarray, seed: int, should_stop: ShouldStop
    ) -> None:
        self.denoiser, self.keys, self.seed, self.should_stop = denoiser, keys, seed, should_stop
        self.device = next(denoiser.parameters()).device
        self.shape = x0.shape[1:]
        self.x0 = torch.from_numpy(np.ascontiguousarray(x0, dtype=np.float32)).to(self.device)

    @torch.inference_mode()
    def errors(self, quantile: float, draw: int, labels: Sequence[np.ndarray]) -> np.ndarray:
        """float64 (len(labels), N, C, H, W): |eps - eps_hat|^2, noise level at `quantile` of training's."""
        if self.should_stop():
            raise StoppedError("stopped while explaining; nothing was written")
        alpha, sigma, time = self.denoiser.schedule.draw(torch.full((1,), quantile, device=self.device))
        fresh = noise(self.seed, self.keys, self.shape, _DRAW_OFFSET + draw)
        x = alpha * self.x0 + sigma * torch.from_numpy(fresh).to(self.device)
        told = torch.from_numpy(np.concatenate(labels)).to(self.device)
        repeated = x.repeat(len(labels), 1, 1, 1)
        blocks = zip(torch.split(repeated, _BLOCK), torch.split(told, _BLOCK), strict=True)
        guess = torch.cat([self.denoiser(part, alpha[0], sigma[0], time[0], names) for part, names in blocks])
        # eps - eps_hat = -(alpha / sigma)(x0 - x0_hat), because x_t is the same in both.
        error = (alpha / sigma) * (guess - self.x0.repeat(len(labels), 1, 1, 1))
        result: np.ndarray = error.double().square().reshape(len(labels), *self.x0.shape).cpu().numpy()
        return result


def _rivals(probe: _Probe, labels: np.ndarray, classes: int, levels: int = 8) -> np.ndarray:
    """The other class with the smallest error for each sample; the null label where that cannot be asked."""
    if not 2 <= classes <= _MANY_CLASSES:
        return np.full_like(labels, classes)
    total = np.zeros((classes, len(labels)))
    for level in range(levels):
        for label in range(classes):
            errors = probe.errors((level + 0.5) / levels, (1 << 16) + level, [np.full_like(labels, label)])
            total[label] += errors[0].sum(axis=(1, 2, 3))
    total[labels, np.arange(len(labels))] = np.inf
    nearest: np.ndarray = total.argmin(axis=0).astype(np.int64)
    return nearest


def _stability(halves: np.ndarray) -> Check:
    value = float(np.median([rank_correlation(a, b) for a, b in zip(*halves, strict=True)]))
    word = "stable" if value >= 0.5 else "partly stable" if value >= 0.2 else "not stable: mostly noise"
    return Check(
        "stability",
        value,
        f"{word}: the maps of two halves of the noise agree with rank correlation {value:.2f} (median)",
    )


def _brightness(values: np.ndarray, x0: np.ndarray) -> Check:
    pairs = zip(values.sum(1), x0.mean(1), strict=True)
    value = float(np.median([abs(rank_correlation(np.abs(v), image)) for v, image in pairs]))
    word = "no more than brightness" if value >= 0.7 else "not merely brightness"
    return Check(
        "brightness",
        value,
        f"{word}: the strength of the map follows the image's brightness with rank correlation {value:.2f}",
    )
