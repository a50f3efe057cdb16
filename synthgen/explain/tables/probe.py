"""Questions to a masked model of rows: how likely is a cell, given any of the others?"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch

from synthgen.errors import StoppedError
from synthgen.stopping import ShouldStop, never_stop

if TYPE_CHECKING:
    from collections.abc import Sequence

BITS = 1.0 / math.log(2.0)
"""Bits in a nat."""

_SCORES = 2**22
"""Scores of tokens in memory at once."""


class Scorer(Protocol):
    """What is asked of a model; see `synthgen.diffusion.masked.MaskedDenoiser`."""

    def logits(self, tokens: torch.Tensor, known: torch.Tensor) -> Sequence[torch.Tensor]: ...


class Probe:
    """Log-probabilities of cells given known cells, in bits, in blocks that fit in memory.

    sizes: tokens K of each of the C columns.
    """

    def __init__(
        self,
        denoiser: Scorer,
        sizes: Sequence[int],
        device: torch.device | str = "cpu",
        should_stop: ShouldStop = never_stop,
    ) -> None:
        self.denoiser, self.sizes, self.device, self.should_stop = denoiser, tuple(sizes), device, should_stop
        self.asked = 0
        """Rows that went through the network so far."""

    @torch.inference_mode()
    def log2(self, tokens: np.ndarray, known: np.ndarray, column: np.ndarray) -> np.ndarray:
        """float64 (N,): log2 p(the token of `column` | the known cells).

        tokens: int64 (N, C). known: bool (N, C), the asked cell taken as unknown whatever it says. column: int64 (N,).
        Raises StoppedError.
        """
        found = np.empty(len(tokens))
        size = max(1, _SCORES // max(1, sum(self.sizes)))
        for start in range(0, len(tokens), size):
            if self.should_stop():
                raise StoppedError("stopped while explaining; nothing was written")
            part = slice(start, start + size)
            found[part] = self._block(tokens[part], known[part], column[part])
        self.asked += len(tokens)
        return found

    def _block(self, tokens: np.ndarray, known: np.ndarray, column: np.ndarray) -> np.ndarray:
        rows = np.arange(len(tokens))
        known = known.copy()
        known[rows, column] = False
        parts = (torch.from_numpy(np.ascontiguousarray(part)).to(self.device) for part in (tokens, known))
        scores = self.denoiser.logits(*parts)
        found = np.empty(len(tokens))
        for one in np.unique(column):
            mine = np.flatnonzero(column == one)
            table = scores[one][torch.from_numpy(mine).to(self.device)].double().log_softmax(-1).cpu().numpy()
            found[mine] = table[np.arange(len(mine)), tokens[mine, one]]
        return found * BITS
