"""Random convolution kernels as features of series, for a linear classifier.

Dempster, Petitjean and Webb, "ROCKET: exceptionally fast and accurate time series classification using random
convolutional kernels" (2020), section 3.1, with two changes after their "MiniRocket" (2021): dilations are powers of
two, and a kernel's bias is one of its own outputs on a training series, so that no feature is constant. Series of
several channels: each kernel reads a few of them. Steps beyond a series' length are never counted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from synthgen.downstream.series.inputs import Inputs

LENGTHS = (7, 9, 11)
KERNELS = 1000

_MOST_CELLS = 4_000_000
"""Outputs of kernels in memory at once."""


@dataclass(frozen=True)
class Kernels:
    """Kernels of one length and dilation.

    weights: float32 (K, D, length), 0 at channels that a kernel does not read. inner: bool (K,), kernels that are only
    laid where they do not reach over the ends of the series (the others see zeros there). bias: float32 (K,).
    """

    weights: np.ndarray
    dilation: int
    inner: np.ndarray
    bias: np.ndarray

    @property
    def reach(self) -> int:
        """Steps from a kernel's middle to its end."""
        return int(self.dilation * (self.weights.shape[2] // 2))


class Rocket:
    """Features of series: each kernel's share of outputs above its bias, and its largest output minus the bias."""

    def __init__(self, train: Inputs, *, kernels: int = KERNELS, seed: int = 0) -> None:
        random = np.random.default_rng(seed)
        self.groups: list[Kernels] = []
        for group in _draw(random, kernels, train.x.shape[2], int(np.median(train.lengths))):
            chosen = random.integers(0, len(train), len(group.bias))
            share = random.random(len(group.bias))
            self.groups.append(_with_bias(group, train, chosen, share))

    def transform(self, data: Inputs) -> np.ndarray:
        """float32 (N, 2 K): the shares above the bias and the maxima, group by group."""
        return np.concatenate([_features(group, data) for group in self.groups], axis=1)


def _draw(random: np.random.Generator, count: int, channels: int, steps: int) -> Iterator[Kernels]:
    """`count` kernels in groups of the same length and dilation; the longest reach over about a whole series."""
    length = random.choice(LENGTHS, count)
    most = np.floor(np.log2(np.maximum((steps - 1) / (length - 1), 1.0)))
    dilation = 2 ** np.floor(random.random(count) * (most + 1)).astype(np.int64)
    inner = random.random(count) < 0.5
    read = np.floor(2.0 ** (random.random(count) * np.log2(np.minimum(channels, length) + 1))).astype(np.int64)
    for size, step in sorted(set(zip(length.tolist(), dilation.tolist(), strict=True))):
        members = np.flatnonzero((length == size) & (dilation == step))
        weights = np.zeros((len(members), channels, size), np.float32)
        for row, member in enumerate(members):
            places = random.choice(channels, read[member], replace=False)
            drawn = random.normal(size=(len(places), size))
            weights[row, places] = drawn - drawn.mean(axis=1, keepdims=True)
        yield Kernels(weights, step, inner[members], np.zeros(len(members), np.float32))


def _with_bias(group: Kernels, train: Inputs, chosen: np.ndarray, share: np.ndarray) -> Kernels:
    """The group with each kernel's bias: the `share`-quantile of its outputs on the `chosen` training series."""
    bias = np.zeros(len(group.bias), np.float32)
    for series in np.unique(chosen):
        members = np.flatnonzero(chosen == series)
        output, counted = _outputs(group, train.select(np.array([series])))
        for member in members:
            bias[member] = np.quantile(output[0, member, counted[0, member]], share[member])
    return Kernels(group.weights, group.dilation, group.inner, bias)


def _outputs(group: Kernels, data: Inputs) -> tuple[np.ndarray, np.ndarray]:
    """Outputs float32 (N, K, L) of kernels laid with their middle on each step, and which count: bool (N, K, L).

    A kernel that would nowhere lie wholly inside a series counts at all of its steps.
    """
    import torch
    from torch.nn import functional as F

    x = torch.from_numpy(np.ascontiguousarray(data.x.transpose(0, 2, 1)))
    weights = torch.from_numpy(group.weights)
    with torch.inference_mode():
        output = F.conv1d(x, weights, padding=group.reach, dilation=group.dilation).numpy()
    steps = np.arange(data.x.shape[1])
    inside = (steps >= group.reach) & (steps < (data.lengths - group.reach)[:, None])
    whole = steps < data.lengths[:, None]
    inside = np.where(inside.any(axis=1, keepdims=True), inside, whole)
    counted = np.where(group.inner[None, :, None], inside[:, None], whole[:, None])
    return output, counted


def _features(group: Kernels, data: Inputs) -> np.ndarray:
    """float32 (N, 2 K): shares of counted outputs above the bias, then the largest counted output minus the bias."""
    found = np.empty((len(data), 2 * len(group.bias)), np.float32)
    size = max(1, _MOST_CELLS // (len(group.bias) * data.x.shape[1]))
    for start in range(0, len(data), size):
        output, counted = _outputs(group, data.select(np.arange(start, min(start + size, len(data)))))
        above = output - group.bias[None, :, None]
        shares = ((above > 0) & counted).sum(axis=2) / counted.sum(axis=2)
        largest = np.where(counted, above, -np.inf).max(axis=2)
        found[start : start + len(output)] = np.concatenate([shares, largest], axis=1)
    return found
