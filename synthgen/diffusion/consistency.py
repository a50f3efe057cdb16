"""Consistency models: the pairs of noise levels and the loss that tune one, and the levels that sample from it.

A consistency function takes every point of a trajectory of the probability-flow ODE to the trajectory's clean end
(Song et al. 2023, arXiv:2303.01469). A trained EDM denoiser becomes one by Easy Consistency Tuning (Geng et al. 2024,
arXiv:2406.14548): its answers at two levels of the same noise are drawn together, over a distance that shrinks as
training goes on. Its preconditioning makes f(x, 0) = x already. The trajectory may also be that of a guided teacher
(Luo et al. 2023, arXiv:2310.04378): a step of its ODE then leads from the upper point of a pair to the lower one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch

from synthgen.diffusion.denoiser import Denoiser
from synthgen.diffusion.schedule import EDMSchedule

Estimate = Callable[[torch.Tensor, torch.Tensor, torch.Tensor | None], torch.Tensor]
"""(x0 + sigma noise (B, ...), sigma (B,), labels (B,) or None) -> an estimate of x0, shaped like it."""

SIGMA_MAX = 80.0
"""The noise that a consistency sampler starts from."""

_AGAIN, _SPREAD = 0.8, 9.0
"""sigma to which the sample of two steps is noised again (Geng et al., section 4); highest over lowest of more."""


def consistency_levels(steps: int) -> tuple[float, ...]:
    """sigma of each of `steps` calls: 80, then levels spread evenly in log sigma; (80, 0.8) for two."""
    again = steps - 1
    share = (np.arange(again) + 0.5) / max(1, again)
    return (SIGMA_MAX, *(float(_AGAIN * _SPREAD ** (0.5 - part)) for part in share))


def gap_of(progress: float, q: float, stages: int) -> float:
    """How far r stays below t, as q^-stage: `stages` equal parts of the run, the stage counted from 1 (appendix A).

    progress: share of the run that is done, in [0, 1].
    """
    return float(q ** -(1 + min(stages - 1, int(progress * stages))))


def partner(t: torch.Tensor, gap: float, k: float, b: float) -> torch.Tensor:
    """The lower level r of each pair: r / t = 1 - gap * n(t), n(t) = 1 + k sigmoid(-b t), 0 where that is negative.

    t: float32 (B,), noise levels sigma. n makes pairs wide at low noise, where answers are close anyway.
    """
    return t * (1.0 - gap * (1.0 + k * torch.sigmoid(-b * t))).clamp(min=0.0)


def consistency_loss(
    denoiser: Denoiser,
    x0: torch.Tensor,
    labels: torch.Tensor | None,
    t: torch.Tensor,
    r: torch.Tensor,
    noise: torch.Tensor,
    *,
    c: float,
    teacher: Estimate | None = None,
) -> torch.Tensor:
    """Distance of f(x0 + t noise) from f(x0 + r noise) without gradient, over t - r, per sample: float32 (B,).

    With a teacher D the lower point is x_t + (r - t) (x_t - D(x_t)) / t, Euler's step of its ODE (Luo et al., eq. 14),
    whose answer at r = 0 would be a mean of samples: there the target stays x0.

    Both answers are given with the same dropout mask. The distance is pseudo-Huber, sqrt(d^2 + c^2) - c with d the
    root mean square over pixels, whose gradient is that of the squared distance times 1 / sqrt(d^2 + c^2): the adaptive
    weighting of Geng et al., section 3.3. Where r is 0 the answer is x0 itself, as in the training of a denoiser.

    Args:
        x0: float32 (B, ...). labels: int64 (B,) with nulls already in place, or None. t, r: sigma, float32 (B,), r < t.
        noise: standard normal, shaped like x0. c: above 0, in units of the encoded data.
    """
    schedule = denoiser.schedule
    assert isinstance(schedule, EDMSchedule)
    one = torch.ones_like(t)
    shape = (-1, *(1,) * (x0.ndim - 1))
    upper = x0 + t.view(shape) * noise
    with _same_dropout(denoiser, x0.device), torch.no_grad():
        low = r.clamp(min=schedule.sigma_min)
        slope = noise if teacher is None else (upper - teacher(upper, t, labels)) / t.view(shape)
        nearer = denoiser(upper + (low - t).view(shape) * slope, one, low, schedule.time(low), labels)
        target = torch.where(r.view(shape) > 0, nearer, x0)
    answer = denoiser(upper, one, t, schedule.time(t), labels)
    squares = (answer - target).square().flatten(1).mean(1)
    losses: torch.Tensor = ((squares + c * c).sqrt() - c) / (t - r)
    return losses


@contextmanager
def _same_dropout(denoiser: Denoiser, device: torch.device) -> Iterator[None]:
    """Leave the random numbers of the device as they are, so that what follows draws the same masks again."""
    if not any(isinstance(part, torch.nn.Dropout) and part.p > 0 for part in denoiser.modules()):
        yield
        return
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        yield
