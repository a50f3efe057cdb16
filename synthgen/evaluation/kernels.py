"""The uncertainty of KID: a bootstrap over groups of images, whose kernels are computed once."""

from __future__ import annotations

import numpy as np
import torch

from synthgen.generation.parallel import in_order

GROUPS = 50
"""Each side is cut into this many groups, which are drawn with replacement."""

_MOST = 10_000
"""Images a side at most; from more the interval would cost minutes, and comes out no wider than it should be."""

_REPLICATES = 400


def kid_deviation(reference: np.ndarray, other: np.ndarray, *, seed: int = 0) -> float:
    """The standard deviation of the unbiased squared MMD with KID's kernel (x.y / d + 1)^3.

    Features (N, d), (M, d) in random (or stratified) order. Groups of images are drawn with replacement on both sides;
    a pair inside one group counts without the images' kernels with themselves, so that no replicate is biased.
    """
    x, y = _grouped(reference), _grouped(other)
    within_x, within_y, across = _means(x, x), _means(y, y), _means(x, y)
    random = np.random.default_rng(seed)
    draws = [random.multinomial(len(side), np.full(len(side), 1 / len(side)), _REPLICATES) for side in (x, y)]
    first, second = (one / one.sum(axis=1, keepdims=True) for one in draws)
    values = (
        np.einsum("rg,gh,rh->r", first, within_x, first)
        + np.einsum("rg,gh,rh->r", second, within_y, second)
        - 2 * np.einsum("rg,gh,rh->r", first, across, second)
    )
    return float(np.std(values, ddof=1))


def _grouped(features: np.ndarray) -> torch.Tensor:
    """(groups, size, d), of the first images; what does not fill a group is left out."""
    count = min(len(features), _MOST)
    groups = max(1, min(GROUPS, count // 2))
    size = count // groups
    cut = np.ascontiguousarray(features[: groups * size], dtype=np.float32)
    return torch.from_numpy(cut).view(groups, size, features.shape[1])


def _means(x: torch.Tensor, y: torch.Tensor) -> np.ndarray:
    """Mean kernels (groups of x, groups of y); of a group with itself, of its different images only."""
    flat = y.flatten(0, 1).T

    def row(index: int) -> np.ndarray:
        kernels = torch.mm(x[index], flat).div_(x.shape[2]).add_(1).pow_(3).double()
        sums = kernels.view(x.shape[1], len(y), y.shape[1]).sum(dim=(0, 2))
        counts = torch.full((len(y),), float(x.shape[1] * y.shape[1]), dtype=torch.float64)
        if x is y:
            own = slice(index * x.shape[1], (index + 1) * x.shape[1])
            sums[index] -= kernels[:, own].diagonal().sum()
            counts[index] = x.shape[1] * (x.shape[1] - 1)
        means: np.ndarray = (sums / counts).numpy()
        return means

    return np.stack(list(in_order(row, len(x), torch.device("cpu"))))
