"""When the class of a sample is decided: change what the model is told on the way, and see what becomes of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Commitment:
    """When the class of N samples is decided, in steps of the sampler.

    margins: float64 (steps + 1, N), the judge's margin of the class over the rival when the model is told the rival
    from step k on (k = steps: never). committed: int64 (N,), the first k from which on the class stays; steps + 1 where
    even the unchanged sample is not of its class. read: int64 (N,), the first step from which on the judge reads the
    class in the guess; steps + 1 where it never does.
    """

    margins: np.ndarray
    committed: np.ndarray
    read: np.ndarray

    @property
    def right(self) -> np.ndarray:
        """bool (N,): samples that are of their class for the judge when the model is told nothing else."""
        return np.asarray(self.margins[-1] > 0)

    @property
    def quartiles(self) -> tuple[float, float, float] | None:
        """Of `committed` over the samples that are of their class; None where none is."""
        return self.quartiles_of(np.ones(len(self.committed), bool))

    def quartiles_of(self, chosen: np.ndarray) -> tuple[float, float, float] | None:
        """The same of some samples, bool (N,)."""
        counted = self.right & chosen
        if not counted.any():
            return None
        low, middle, high = np.quantile(self.committed[counted], [0.25, 0.5, 0.75], method="inverted_cdf")
        return float(low), float(middle), float(high)


def commitment(
    drawn: Callable[[np.ndarray, np.ndarray], np.ndarray],
    margins_of: Callable[[np.ndarray, np.ndarray], np.ndarray],
    guesses: np.ndarray,
    count: int,
    steps: int,
) -> Commitment:
    """Change what class the model is told at every step, and see what becomes of the sample.

    drawn: (samples, first step with the rival) -> results float32 (M, ...). margins_of: (results, samples) -> the
    judge's margins (M,). guesses: float32 (steps, N, ...), the guess at the first row of every step.
    """
    rows = np.repeat(np.arange(count), steps + 1)
    since = np.tile(np.arange(steps + 1), count)
    margins = margins_of(drawn(rows, since), rows).reshape(count, steps + 1).T
    every = np.tile(np.arange(count), steps)
    read = margins_of(guesses.reshape(-1, *guesses.shape[2:]), every).reshape(steps, count)
    return Commitment(margins, stays(margins > 0), stays(read > 0))


def stays(holds: np.ndarray) -> np.ndarray:
    """First index from which on a column (K, N) is True to the end; K where it never is."""
    settled = np.logical_and.accumulate(holds[::-1], axis=0)[::-1]
    return np.where(settled.any(axis=0), settled.argmax(axis=0), len(holds)).astype(np.int64)
