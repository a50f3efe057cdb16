"""A Gaussian sampler as a table of numbers: the rows that the sampling loop runs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float64Array = NDArray[np.float64]


@dataclass(frozen=True)
class Row:
    """One network evaluation and the update that follows it.

    `x <- row.x * x + row.x0[0] * newest x0_hat + row.x0[1] * the one before + ... + row.noise * z`

    level: index into the table's alphas and sigmas at which the denoiser is asked.
    x: coefficient of the current x.
    x0: coefficients of the newest, second newest, third newest x0_hat; the newest is this row's own.
    noise: coefficient of fresh standard normal noise z; 0.0 means that none is drawn.
    """

    level: int
    x: float
    x0: tuple[float, ...]
    noise: float = 0.0


@dataclass(frozen=True, eq=False)
class SamplerTable:
    """A sampler for one sequence of noise levels.

    alphas, sigmas: float64 (n + 1,), read-only; `x = alpha * x0 + sigma * eps` at each level, noise
    descending, the last level clean (alpha 1, sigma 0). `rows` take a sample from level 0 to level n.
    """

    name: str
    alphas: Float64Array
    sigmas: Float64Array
    rows: tuple[Row, ...]

    @property
    def steps(self) -> int:
        """Number of steps between noise levels, n."""
        return len(self.sigmas) - 1

    @property
    def nfe(self) -> int:
        """Number of function evaluations: calls of the denoiser."""
        return len(self.rows)

    @property
    def order(self) -> int:
        """How many of the newest x0_hat the loop has to keep."""
        return max(len(row.x0) for row in self.rows)

    @property
    def draws(self) -> int:
        """How many tensors of fresh noise one run uses."""
        return sum(row.noise != 0.0 for row in self.rows)


def noise_to_signal(alphas: Float64Array, sigmas: Float64Array) -> Float64Array:
    """s = sigma / alpha of each level, infinite where alpha is 0 (pure noise)."""
    with np.errstate(divide="ignore"):
        ratio: Float64Array = np.divide(sigmas, alphas)
    return ratio


def check_levels(alphas: object, sigmas: object) -> tuple[Float64Array, Float64Array]:
    """Read-only float64 copies of valid noise levels; raises ValueError naming the first fault."""
    a = np.array(alphas, dtype=np.float64)
    s = np.array(sigmas, dtype=np.float64)
    if a.ndim != 1 or a.shape != s.shape:
        raise ValueError(f"alphas {a.shape} and sigmas {s.shape} must be two sequences of one length")
    if len(s) < 2:
        raise ValueError("a sampler needs at least one step: two noise levels")
    if not (np.isfinite(a).all() and np.isfinite(s).all()):
        raise ValueError("alphas and sigmas must be finite")
    if (a < 0).any() or (s < 0).any():
        raise ValueError("alphas and sigmas must not be negative")
    if a[-1] != 1.0 or s[-1] != 0.0:
        raise ValueError(f"the last level must be clean (alpha 1, sigma 0), not alpha {a[-1]}, sigma {s[-1]}")
    if (s[:-1] == 0).any():
        raise ValueError("only the last level may have sigma 0")
    ratios = noise_to_signal(a, s)
    rising = np.flatnonzero(ratios[1:] >= ratios[:-1])
    if len(rising):
        raise ValueError(f"sigma/alpha must fall at every step; it does not from level {rising[0]} to {rising[0] + 1}")
    a.setflags(write=False)
    s.setflags(write=False)
    return a, s
