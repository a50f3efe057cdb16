"""FID for infinitely many images: FID at n, n / 2 and n / 4 images, extrapolated to 1 / n = 0.

FID at n images is too large by about c / n, with a c that depends on both distributions (Chong and Forsyth 2020): two
models cannot be ranked at a small n, and figures at different n cannot be compared. Here both sides shrink together,
so that the bias of both is taken out, and two sets of one distribution come out at 0, give or take.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from synthgen.evaluation.metrics import Figure, frechet_from_moments

BLOCKS = 64
"""Each set is cut into this many parts. Sets of parts are drawn, whose moments add up: images are read only once."""

LEAST_PER_FEATURE = 4
"""Images for every feature: with fewer, n / 4 images have hardly a covariance, and the curve is no line in 1 / n."""

WIDEST = 512
"""Wider features are not extrapolated: their parts' covariances would take gigabytes."""

_REPLICATES = 40
_SHUFFLES = 8


@dataclass(frozen=True)
class _Moments:
    """Sums over the parts of a set: counts (B,), first moments (B, d), second moments (B, d, d); all about 0."""

    counts: np.ndarray
    first: np.ndarray
    second: np.ndarray

    def of(self, parts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and covariance of the images in some parts."""
        count = self.counts[parts].sum()
        mean = self.first[parts].sum(axis=0) / count
        covariance = (self.second[parts].sum(axis=0) - count * np.outer(mean, mean)) / (count - 1)
        return mean, covariance


def fid_infinity(reference: np.ndarray, other: np.ndarray, *, seed: int = 0, interval: bool = True) -> Figure:
    """FID extrapolated to infinitely many images, with a normal interval from a bootstrap over the sets' parts.

    The first n = min(N, M) features of (N, d) and (M, d) are used, which must be in random (or stratified) order. The
    estimate is unbiased to first order, so it may fall below 0 where the sets agree. n must be `LEAST_PER_FEATURE` d or
    more.
    """
    n = min(len(reference), len(other))
    centre = reference.mean(axis=0, dtype=np.float64)
    random = np.random.default_rng(seed)
    with threadpool_limits(1, user_api="blas"):
        sides = _moments(reference[:n] - centre), _moments(other[:n] - centre)
        value = _extrapolate(sides, (np.arange(BLOCKS), np.arange(BLOCKS)), _SHUFFLES, random)
        if not interval:
            return Figure(value)
        replicates = []
        for _ in range(_REPLICATES):
            drawn = random.integers(0, BLOCKS, BLOCKS), random.integers(0, BLOCKS, BLOCKS)
            replicates.append(_extrapolate(sides, drawn, 1, random))
    margin = 1.96 * float(np.std(replicates, ddof=1))
    return Figure(value, (value - margin, value + margin))


def _moments(features: np.ndarray) -> _Moments:
    blocks = [block.astype(np.float64) for block in np.array_split(features, BLOCKS)]
    return _Moments(
        np.array([len(block) for block in blocks]),
        np.stack([block.sum(axis=0) for block in blocks]),
        np.stack([block.T @ block for block in blocks]),
    )


def _extrapolate(
    sides: tuple[_Moments, _Moments],
    parts: tuple[np.ndarray, np.ndarray],
    shuffles: int,
    random: np.random.Generator,
) -> float:
    """The line in 1 / n through the means of FID at n, n / 2 and n / 4, at 1 / n = 0.

    The halves and quarters cover all parts, so that every image counts the same at each n.
    """
    values: dict[int, list[float]] = {1: [_distance(sides, *parts)], 2: [], 4: []}
    for _ in range(shuffles):
        orders = [random.permutation(one) for one in parts]
        for pieces in (2, 4):
            cuts = [np.array_split(order, pieces) for order in orders]
            values[pieces] += [_distance(sides, *cut) for cut in zip(*cuts, strict=True)]
    _, intercept = np.polyfit(list(values), [float(np.mean(one)) for one in values.values()], 1)
    return float(intercept)


def _distance(sides: tuple[_Moments, _Moments], first: np.ndarray, second: np.ndarray) -> float:
    return frechet_from_moments(*sides[0].of(first), *sides[1].of(second))
