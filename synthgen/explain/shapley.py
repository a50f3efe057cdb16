"""Shapley values of the pieces of samples by random orders, for any game that can be played in blocks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from synthgen.errors import SynthgenError
from synthgen.reporting import NullReporter, Reporter

LARGEST_GAP = 1e-6
"""By which the shares may miss what they share out."""

Worth = Callable[[np.ndarray, np.ndarray, int], np.ndarray]
"""(hidden pieces, bool (M, P); which sample each row is, int64 (M,); number of the order, which decides the noise) ->
what samples are worth with these pieces hidden, float64 (M, T), for T opinions."""


@dataclass(frozen=True, eq=False)
class Shares:
    """Shapley values of P pieces of N samples for T opinions.

    halves: float64 (2, T, N, P), from two independent halves of the orders. full: float64 (T, N), the opinion of the
    sample as it is. empty: float64 (T, N), the mean opinion of samples drawn anew as a whole. gap: the largest |sum of
    shares - (full - empty)|. orders: in which pieces were hidden.
    """

    halves: np.ndarray
    full: np.ndarray
    empty: np.ndarray
    gap: float
    orders: int

    @property
    def values(self) -> np.ndarray:
        """float64 (T, N, P)."""
        return np.asarray(self.halves.mean(axis=0))


def share_out(
    worth: Worth, full: np.ndarray, pieces: int, *, pairs: int, seed: int = 0, reporter: Reporter | None = None
) -> Shares:
    """Share what each sample is worth, float64 (T, N), among its pieces.

    Shapley values by random orders, each with its reverse (Castro et al. 2009; Mitchell et al. 2022, antithetic); an
    order has one noise for all its sets of pieces, and the shares of an order add up to what the sample is worth minus
    what it is worth with everything hidden. pairs: orders with their reverses in each of two halves. Raises
    SynthgenError where the sum is missed by more than rounding.
    """
    count = full.shape[1]
    halves = np.zeros((2, len(full), count, pieces))
    empty = np.zeros_like(full)
    with (reporter or NullReporter()).progress("hiding pieces", 4 * pairs, "orders") as progress:
        for half in range(2):
            random = np.random.default_rng([seed, 43, half])
            for pair in range(pairs):
                order = random.permutation(pieces)
                for turn, one in enumerate((order, order[::-1])):
                    number = (half * pairs + pair) * 2 + turn
                    added, start = _added(worth, full, one, number)
                    halves[half] += added / (2 * pairs)
                    empty += start / (4 * pairs)
                    progress.update(number + 1)
    gap = float(np.abs(halves.mean(axis=0).sum(axis=2) - (full - empty)).max())
    if not gap <= LARGEST_GAP * (1 + float(np.abs(full).max())):
        raise SynthgenError(f"the shares of the pieces miss what they share out by {gap:.2g}")
    return Shares(halves, full, empty, gap, 4 * pairs)


def _added(worth: Worth, full: np.ndarray, order: np.ndarray, number: int) -> tuple[np.ndarray, np.ndarray]:
    """float64 (T, N, P): what each piece adds when the pieces come to be known in this order; and the opinion (T, N)
    before the first."""
    pieces, count = len(order), full.shape[1]
    known = np.zeros((pieces, pieces), bool)  # the first row knows nothing; knowing everything is `full`
    for place in range(1, pieces):
        known[place:, order[place - 1]] = True
    rows = np.tile(np.arange(count), pieces)
    found = worth(np.repeat(~known, count, axis=0), rows, number).T.reshape(len(full), pieces, count)
    steps = np.diff(np.concatenate([found, full[:, None]], axis=1), axis=1)
    added = np.empty((len(full), count, pieces))
    added[:, :, order] = steps.transpose(0, 2, 1)
    return added, found[:, 0]
