"""From row numbers to tokens: uniform numbers, what is given, blocks of one fixed size at fixed places."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np
import torch

from synthgen.generation.noise import uniforms
from synthgen.generation.numerics import pinned
from synthgen.generation.parallel import in_order, one_thread

if TYPE_CHECKING:
    from synthgen.config.tables import TableSamplingConfig

T = TypeVar("T")


class RowDenoiser(Protocol):
    """What the engine asks of a process on rows; see `synthgen.diffusion.masked.MaskedDenoiser.sample`."""

    def sample(self, uniforms: torch.Tensor, **given: Any) -> tuple[torch.Tensor, torch.Tensor]: ...


@dataclass(frozen=True)
class TableRecipe:
    """All that the values of a row depend on beside the weights, its number, the seed and what is given.

    steps: network evaluations; None: one per column. temperature: 1 as learned. block_size: rows computed together.
    """

    steps: int | None = None
    temperature: float = 1.0
    block_size: int = 1024


WIDE = 128
"""Columns above which blocks hold at most `WIDE_BLOCK` rows."""

WIDE_BLOCK = 128
"""A block is computed whole however few of its rows are asked for, and a row of a thousand columns takes 40 ms."""


def recipe_of(config: TableSamplingConfig, columns: int) -> TableRecipe:
    """The recipe that a config asks for in a model of so many columns."""
    size = config.block_size if columns <= WIDE else min(config.block_size, WIDE_BLOCK)
    return TableRecipe(config.steps, config.temperature, size)


@dataclass(frozen=True)
class Allowed:
    """What one column that is not known may become.

    tokens: bool (K,) or (B, K). intervals: float32 (K, 2) or (B, K, 2), the part of each token's interval, by rank.
    """

    tokens: np.ndarray
    intervals: np.ndarray


@dataclass(frozen=True)
class Given:
    """What is known of the rows of one block before the model is asked; all arrays have a row for each of them.

    tokens: int64 (B, C). fractions: float32 (B, C). known: bool (B, C), the cells that stay. allowed: by column index.
    early: columns that are drawn before the others; None: those with an entry in `allowed`.
    """

    tokens: np.ndarray
    fractions: np.ndarray
    known: np.ndarray
    allowed: dict[int, Allowed] = field(default_factory=dict)
    early: tuple[int, ...] | None = None


GivenOf = Callable[[np.ndarray], Given]
"""Row numbers (B,) -> what is given of them."""


class TableEngine:
    """Draws blocks of rows from one denoiser with one recipe.

    Row k is always computed in block k // block_size, at place k % block_size, beside the same other rows: the
    arithmetic of a network depends on the shape of its batch, and a last bit can tip a token. So row k is the same
    in every request.
    """

    def __init__(self, denoiser: RowDenoiser, columns: int, recipe: TableRecipe, device: torch.device) -> None:
        self.denoiser, self.columns, self.recipe, self.device = denoiser, columns, recipe, device

    @property
    def network_calls(self) -> int:
        """Network evaluations per row."""
        return min(self.recipe.steps or self.columns, self.columns)

    @torch.inference_mode()
    def block(
        self, keys: np.ndarray, seed: int, given: Given, draw: int | np.ndarray = 0
    ) -> tuple[np.ndarray, np.ndarray]:
        """Tokens int64 (B, C) and fractions float32 (B, C) of the B = block_size rows `keys`; draw: see `uniforms`."""
        numbers = uniforms(seed, keys, 3 * self.columns, draw)
        # Columns under a condition come first: there their probabilities are renormalised before anything else is
        # drawn, so that all other columns are drawn given a value that the condition allows.
        early = list(given.allowed if given.early is None else given.early)
        if early:
            late = np.full(self.columns, 0.5, np.float32)
            late[early] = 0.0
            numbers[:, : self.columns] = numbers[:, : self.columns] / 2 + late
        with one_thread(self.device), pinned(self.device):
            tokens, fractions = self.denoiser.sample(
                self._tensor(numbers),
                tokens=self._tensor(given.tokens),
                fractions=self._tensor(given.fractions),
                known=self._tensor(given.known),
                allowed=self._allowed(given),
                steps=self.recipe.steps,
                temperature=self.recipe.temperature,
            )
        return tokens.cpu().numpy(), fractions.cpu().numpy()

    def _tensor(self, values: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(values)).to(self.device)

    def _allowed(self, given: Given) -> list[tuple[torch.Tensor, torch.Tensor] | None] | None:
        if not given.allowed:
            return None
        found = (given.allowed.get(index) for index in range(self.columns))
        return [None if one is None else (self._tensor(one.tokens), self._tensor(one.intervals)) for one in found]

    def span(self, start: int, stop: int, task: Callable[[np.ndarray], T]) -> Iterator[tuple[int, int, T]]:
        """`task` of the row numbers of each block that holds any of start ... stop - 1, on all threads, in order.

        Yields (first, last, result): the part of the result's rows that was asked for.
        """
        size = self.recipe.block_size
        first, last = start // size, -(-stop // size)

        def one(index: int) -> T:
            return task(np.arange((first + index) * size, (first + index + 1) * size))

        for index, result in enumerate(in_order(one, last - first, self.device)):
            base = (first + index) * size
            yield max(start - base, 0), min(stop - base, size), result
