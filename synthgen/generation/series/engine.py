"""From sequence numbers to windows: noise, the sampler, blocks of one fixed size at fixed places."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import torch

from synthgen.diffusion.loop import Callback
from synthgen.diffusion.samplers import build_table
from synthgen.generation.noise import noise
from synthgen.generation.numerics import pinned
from synthgen.generation.parallel import in_order, one_thread

if TYPE_CHECKING:
    from synthgen.config.series import SeriesSamplingConfig
    from synthgen.diffusion.series import SeriesDenoiser

T = TypeVar("T")

LONG_BLOCK = 8
"""Sequences of several windows come in blocks of at most this many: a block is made whole, however few are wanted."""

COMPLETED_BLOCK = 32
"""The same of sequences that are completed, whose number is known: a block need not be larger than what there is."""

MOST_DRAWS = 2**16
_FRESH = 2**16
"""Noises of one window: one more than any sampler's most steps."""


@dataclass(frozen=True)
class SeriesRecipe:
    """All that a sequence depends on beside the weights, its number, the seed and what is given.

    block_size: windows computed together. eta: share of fresh noise of ddim.
    """

    sampler: str = "dpm++2m"
    steps: int = 36
    eta: float = 0.0
    guidance_scale: float = 1.0
    block_size: int = 128


def recipe_of(config: SeriesSamplingConfig) -> SeriesRecipe:
    """The recipe that a config asks for."""
    return SeriesRecipe(config.sampler, config.steps, 0.0, config.guidance_scale, config.block_size)


def noise_number(draws: np.ndarray, piece: int, fresh: int = 0) -> np.ndarray:
    """The `draw` of `synthgen.generation.noise.noise`, uint64 (B,): no two windows of a sequence share one.

    draws: int64 (B,), which completion of a sequence. piece: which window of it. fresh: 0 is where the window starts,
    1, 2, ... are the noises that its sampler adds.
    """
    if fresh >= _FRESH:
        raise ValueError(f"noise {fresh} of a window: only {_FRESH} have numbers of their own")
    return (np.asarray(draws, np.uint64) << np.uint64(48)) | np.uint64(piece * _FRESH + fresh)


class SeriesEngine:
    """Draws blocks of windows from one denoiser with one recipe.

    A block is always computed whole, `size` sequences beside each other at fixed places: the arithmetic of a network
    depends on the shape of its batch. So sequence k is the same in every request.
    """

    def __init__(
        self, denoiser: SeriesDenoiser, window: int, dimensions: int, recipe: SeriesRecipe, device: torch.device
    ) -> None:
        self.denoiser, self.window, self.dimensions = denoiser, window, dimensions
        self.recipe, self.device = recipe, device
        levels = denoiser.schedule.levels(recipe.steps)
        self.table = build_table(recipe.sampler, levels.alphas, levels.sigmas, eta=recipe.eta)

    @property
    def network_calls(self) -> int:
        """Network evaluations per window, guidance counted."""
        guided = self.recipe.guidance_scale != 1.0 and any(part.role == "label" for part in self.denoiser.parts)
        return self.table.nfe * (2 if guided else 1)

    def size(self, windows: int) -> int:
        """Sequences of a block when each has `windows` windows."""
        return self.recipe.block_size if windows == 1 else min(self.recipe.block_size, LONG_BLOCK)

    def size_for(self, runs: int, windows: int) -> int:
        """The same when there are `runs` sequences and no more: a power of two, or the most."""
        most = self.recipe.block_size if windows == 1 else min(self.recipe.block_size, COMPLETED_BLOCK)
        return min(most, 1 << (runs - 1).bit_length())

    @torch.inference_mode()
    def windows(
        self,
        keys: np.ndarray,
        draws: np.ndarray,
        piece: int,
        seed: int,
        *,
        given: torch.Tensor,
        known: torch.Tensor,
        valid: torch.Tensor,
        spread: torch.Tensor | None = None,
        callback: Callback | None = None,
    ) -> torch.Tensor:
        """Encoded windows float32 (B, L, D) on the engine's device; known cells are exactly those of `given`.

        keys, draws: int64 (B,), and piece: see `noise_number`. given: float32 and known: bool (B, L, D).
        valid: bool (B, L). spread: float32 (B, L, D), see `SeriesDenoiser.sample`.
        """
        shape = (self.window, self.dimensions)

        def draw(fresh: int) -> torch.Tensor:
            return torch.from_numpy(noise(seed, keys, shape, noise_number(draws, piece, fresh))).to(self.device)

        with one_thread(self.device), pinned(self.device):
            return self.denoiser.sample(
                draw(0),
                given=given.to(self.device),
                known=known.to(self.device),
                valid=valid.to(self.device),
                sampler=self.recipe.sampler,
                steps=self.recipe.steps,
                eta=self.recipe.eta,
                fresh=lambda index: draw(index + 1),
                guidance_scale=self.recipe.guidance_scale,
                spread=None if spread is None else spread.to(self.device),
                callback=callback,
            )

    def span(self, start: int, stop: int, size: int, task: Callable[[np.ndarray], T]) -> Iterator[tuple[int, int, T]]:
        """`task` of the numbers of each block of `size` that holds any of start ... stop - 1, on all threads, in order.

        Yields (first, last, result): the part of the result that was asked for.
        """
        begin, end = start // size, -(-stop // size)

        def one(index: int) -> T:
            return task(np.arange((begin + index) * size, (begin + index + 1) * size))

        for index, result in enumerate(in_order(one, end - begin, self.device)):
            base = (begin + index) * size
            yield max(start - base, 0), min(stop - base, size), result
