"""A series whose law is known, and the denoiser that is exact for it: what maps say can be held against the truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from synthgen.diffusion.schedule import EDMSchedule
from synthgen.diffusion.series import SeriesDenoiser
from synthgen.explain.series.cells import Layout, Scene

STEPS, CHANNELS, CLASSES = 12, 2, 2
START, STOP, CHANNEL = 4, 8, 1
"""The cells that carry the class: steps START ... STOP - 1 of one channel."""

SHIFT, SPREAD = 1.5, 0.6
LOUD = 4.0
"""The mean of channel a in the first steps, in both classes: large, and without a word about the class."""


@dataclass(frozen=True)
class Part:
    """As `synthgen.data.series.codec.Part`."""

    name: str
    role: str
    start: int
    stop: int
    missing: int | None = None
    group: int = 0


PARTS = (Part("a", "channel", 0, 1), Part("b", "channel", 1, 2), Part("kind", "label", 2, 4))
LAYOUT = Layout.of(PARTS)  # type: ignore[arg-type]


def means() -> np.ndarray:
    """float64 (2, L, 2): of the cells in each class; +SHIFT and -SHIFT where the class lies, LOUD elsewhere or 0."""
    found = np.zeros((CLASSES, STEPS, CHANNELS))
    found[:, : STOP - START, 1 - CHANNEL] = LOUD
    found[0, START:STOP, CHANNEL], found[1, START:STOP, CHANNEL] = SHIFT, -SHIFT
    return found


class ExactDenoiser(nn.Module):
    """Posterior means of independent cells N(means of the class, SPREAD^2), classes alike likely unless told."""

    def __init__(self) -> None:
        super().__init__()
        self.schedule = EDMSchedule(-1.0, 1.4)
        self.parts = PARTS
        self.centre = nn.Parameter(torch.tensor(means(), dtype=torch.float32))

    def denoise(self, x, alpha, sigma, time, *, given, known, valid, guidance_scale=1.0, right=None):  # type: ignore[no-untyped-def]
        cells = x[..., :CHANNELS]
        shown = known[..., :CHANNELS]
        noise = torch.where(shown, 0.0, sigma.square())
        seen = torch.where(shown, given[..., :CHANNELS], cells)
        variance = SPREAD**2 + noise
        away = seen[:, None] - self.centre
        likelihood = -(away.square() / variance[:, None]).sum((2, 3)) / 2
        told = known[:, 0, 2]
        named = torch.where(given[:, 0, 2:4] > 0, 0.0, -torch.inf)
        weight = torch.where(told[:, None], named, likelihood).softmax(1)
        shrunk = self.centre + SPREAD**2 / variance[:, None] * away
        guess = (weight[:, :, None, None] * shrunk).sum(1)
        found = torch.cat([guess, torch.zeros_like(x[..., CHANNELS:])], -1) * valid[..., None]
        return torch.where(known & valid[..., None], given, found)

    def right(self, known: torch.Tensor) -> None:
        """Nothing is to be put right."""

    sample = SeriesDenoiser.sample


def scene(count: int, seed: int = 0) -> Scene:
    """Windows of the law, classes in turn."""
    random = np.random.default_rng(seed)
    labels = np.arange(count) % CLASSES
    x0 = np.zeros((count, STEPS, 4), np.float32)
    x0[..., :CHANNELS] = means()[labels] + SPREAD * random.normal(size=(count, STEPS, CHANNELS))
    x0[..., 2:] = np.where(np.arange(CLASSES) == labels[:, None], 1.0, -1.0)[:, None]
    valid = np.ones((count, STEPS), bool)
    told = np.zeros(x0.shape, bool)
    told[..., 2:] = True
    return Scene(x0, valid, told, labels, np.arange(count), x0[..., :CHANNELS].astype(np.float64))


def log_ratio(one: Scene) -> np.ndarray:
    """float64 (N, L, 2): log p(cell | own class) - log p(cell | other class)."""
    assert one.labels is not None
    own, other = means()[one.labels], means()[1 - one.labels]
    x = one.x0[..., :CHANNELS].astype(np.float64)
    return ((x - other) ** 2 - (x - own) ** 2) / (2 * SPREAD**2)


def inside() -> np.ndarray:
    """bool (L, 2): the cells that carry the class."""
    found = np.zeros((STEPS, CHANNELS), bool)
    found[START:STOP, CHANNEL] = True
    return found
