"""Why a row has its value in one column: how the model's prediction of it changes when other columns are hidden."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from synthgen.errors import SynthgenError
from synthgen.explain.tables.probe import Probe

LARGEST_GAP = 1e-6
"""Bits by which shares may miss what they share out."""

QUESTION = (
    "Which other columns make the model expect the value that this row has in {target}? In bits of log2 p(value): "
    "positive where knowing the column speaks for the value, negative where it speaks against it. Two answers: "
    "shares, which add up to what all columns together tell (Shapley values over what is known), and alone, the "
    "loss when only that one column is hidden and all others are known."
)
CAVEAT = (
    "This explains what the model expects, not what causes what. A column whose content another one repeats has a "
    "loss alone near 0, because the other still tells it; their shares are divided between the two."
)


@dataclass(frozen=True, eq=False)
class Sharing:
    """What the other columns tell of one column in each of N rows, in bits.

    target: the column's number. columns: int64 (D,), the numbers of the others.
    full, empty: float64 (N,), log2 p(value) knowing all others, and knowing none.
    alone: float64 (N, D), full minus the same without that one column.
    halves: float64 (2, N, D), shares from two independent halves of the orders. gap: the largest
    |sum of shares - (full - empty)|.
    """

    target: int
    columns: np.ndarray
    full: np.ndarray
    empty: np.ndarray
    alone: np.ndarray
    halves: np.ndarray
    gap: float

    @property
    def shares(self) -> np.ndarray:
        """float64 (N, D): Shapley values; a row's add up to `full - empty`."""
        return np.asarray(self.halves.mean(axis=0))


def share_out(probe: Probe, tokens: np.ndarray, target: int, *, seed: int = 0, pairs: int = 8) -> Sharing:
    """Share log2 p(target's value | others) - log2 p(target's value) among the other columns of each row.

    The value of a set of columns is the model's own log-probability given them: it was trained on every set, so nothing
    has to be filled in. Shapley values by random orders, each with its reverse (Castro et al. 2009; Mitchell et al.
    2022, antithetic), `pairs` of them in each half. Raises StoppedError, SynthgenError when shares do not add up.
    """
    others = np.delete(np.arange(tokens.shape[1]), target)
    full, empty = (value_of(probe, tokens, target, np.full(tokens.shape, known)) for known in (True, False))
    alone = np.stack(
        [full - value_of(probe, tokens, target, _without(tokens.shape, int(one))) for one in others], axis=1
    )
    halves = np.zeros((2, len(tokens), len(others)))
    for half in range(2):
        random = np.random.default_rng([seed, 32, half])
        for _ in range(pairs):
            order = random.permutation(len(others))
            for one in (order, order[::-1]):
                halves[half] += _steps(probe, tokens, target, others, one, full, empty) / (2 * pairs)
    gap = float(np.abs(halves.sum(axis=2) - (full - empty)).max()) if len(others) else 0.0
    if not gap <= LARGEST_GAP:
        raise SynthgenError(f"the shares of the columns miss what they share out by {gap:.2g} bits")
    return Sharing(target, others, full, empty, alone, halves, gap)


def value_of(probe: Probe, tokens: np.ndarray, target: int, known: np.ndarray) -> np.ndarray:
    """float64 (N,): log2 p(the target's token | the known cells); the target itself is never taken as known."""
    return probe.log2(tokens, known, np.full(len(tokens), target))


def _steps(
    probe: Probe,
    tokens: np.ndarray,
    target: int,
    others: np.ndarray,
    order: np.ndarray,
    full: np.ndarray,
    empty: np.ndarray,
) -> np.ndarray:
    """float64 (N, D): what each column adds when the columns become known in this order."""
    found = np.zeros((len(tokens), len(others)))
    known = np.zeros(tokens.shape, bool)
    before = empty
    for place, one in enumerate(order):
        known[:, others[one]] = True
        after = full if place == len(order) - 1 else value_of(probe, tokens, target, known)
        found[:, one] = after - before
        before = after
    return found


def _without(shape: tuple[int, ...], hidden: int) -> np.ndarray:
    known = np.ones(shape, bool)
    known[:, hidden] = False
    return known
