"""How likely a row is under the model, and which of its cells are surprising given all the others."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np

from synthgen.errors import SynthgenError
from synthgen.explain.tables.probe import BITS, Probe

DRAWS = 16
LARGEST_GAP = 0.01
"""Bits by which the chain of single questions may miss the model's own sum; single precision leaves about 1e-4."""

QUESTION = (
    "How likely does the model hold this row, and which cells would it not have expected? A cell's surprise is "
    "-log2 of its probability given all other cells of the row: 0 bits means certain, 1 bit one in two, 10 bits one in "
    "1,024."
)
CAVEAT = (
    "The surprise is the model's, not nature's: a value that is rare in the training data is surprising even where it "
    "is right. Values of numbers count by their bin (about a hundredth of the rows), not by their place in it."
)


@dataclass(frozen=True, eq=False)
class Likelihood:
    """Of N rows of C columns, in bits.

    total: float64 (N,), log2 p(row), mean over random orders of the columns. error: float64 (N,), its standard error.
    spread: float64 (N,), the deviation between orders: 0 for a model that contradicts itself nowhere.
    parts: float64 (N, C), what each column adds to the total, mean over orders.
    surprise: float64 (N, C), -log2 p(cell | all other cells). draws: how many orders.
    """

    total: np.ndarray
    error: np.ndarray
    spread: np.ndarray
    parts: np.ndarray
    surprise: np.ndarray
    draws: int


def likelihood(probe: Probe, tokens: np.ndarray, *, seed: int = 0, draws: int = DRAWS) -> Likelihood:
    """Any-order estimate of the log-likelihood of rows, int64 (N, C), and the surprise of their cells.

    For one order the cells' log-probabilities, each given those before it, add up exactly to the log-likelihood of the
    row (chain rule); the mean over orders is a lower bound of the model's (Hoogeboom et al. 2022, ARDM, equation 2).
    Raises StoppedError.
    """
    random = np.random.default_rng([seed, 31])
    chains = np.stack([chain(probe, tokens, _orders(random, tokens.shape)) for _ in range(draws)])
    totals = chains.sum(axis=2)
    spread = totals.std(axis=0, ddof=1) if draws > 1 else np.full(len(tokens), np.nan)
    return Likelihood(
        totals.mean(axis=0), spread / np.sqrt(draws), spread, chains.mean(axis=0), surprise(probe, tokens), draws
    )


def surprise(probe: Probe, tokens: np.ndarray) -> np.ndarray:
    """float64 (N, C): -log2 p(cell | all other cells of the row)."""
    found = np.empty(tokens.shape)
    everything = np.ones(tokens.shape, bool)
    for column in range(tokens.shape[1]):
        found[:, column] = -probe.log2(tokens, everything, np.full(len(tokens), column))
    return found


def chain(probe: Probe, tokens: np.ndarray, orders: np.ndarray) -> np.ndarray:
    """float64 (N, C): log2 p(cell | the cells before it in the row's order); a row's values add up to log2 p(row).

    orders: int64 (N, C), the columns of each row in the order in which they become known.
    """
    found = np.empty(tokens.shape)
    known = np.zeros(tokens.shape, bool)
    rows = np.arange(len(tokens))
    for column in orders.T:
        found[rows, column] = probe.log2(tokens, known, column)
        known[rows, column] = True
    return found


def _orders(random: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return random.permuted(np.tile(np.arange(shape[1]), (shape[0], 1)), axis=1)


def chain_gap(chained: np.ndarray, own: np.ndarray) -> float:
    """By how many bits the chain misses what the model says of the row as a whole; float64 (N,) each.

    Raises SynthgenError when it misses it by more than rounding.
    """
    gap = float(np.abs(chained - own).max())
    if not gap <= LARGEST_GAP:
        raise SynthgenError(f"the cells' log-probabilities miss the row's log-likelihood by {gap:.3g} bits")
    return gap


def check_chain(denoiser: Any, probe: Probe, tokens: np.ndarray, seed: int) -> float:
    """The gap in bits between single questions along one order and the model's own sum for it; see `chain_gap`.

    The model's own way scores many cells at once and finds their turns by itself, so the two share the network alone.
    """
    import torch

    orders = _orders(np.random.default_rng([seed, 35]), tokens.shape)
    numbers = ((orders.argsort(axis=1) + 0.5) / tokens.shape[1]).astype(np.float32)
    bare = copy.deepcopy(denoiser)
    bare.network.spread_columns = ()  # tokens only: places inside the bins are a second stage of its own
    parts = [tokens, np.full(tokens.shape, 0.5, np.float32), numbers]
    own, _ = bare.log_likelihood(*(torch.from_numpy(part).to(probe.device) for part in parts), 1, tokens.shape[1])
    return chain_gap(chain(probe, tokens, orders).sum(axis=1), own.double().cpu().numpy() * BITS)
