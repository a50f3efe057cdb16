"""A model of rows whose every conditional is known: the joint distribution itself, as a table of probabilities."""

from __future__ import annotations

import itertools

import numpy as np
import torch


class Exact:
    """Answers like a masked denoiser that has learned `joint`, float (K_1, ..., K_C), to perfection."""

    def __init__(self, joint: np.ndarray) -> None:
        self.joint = joint / joint.sum()
        self.sizes = joint.shape

    def logits(self, tokens: torch.Tensor, known: torch.Tensor) -> list[torch.Tensor]:
        found = [torch.empty(len(tokens), size, dtype=torch.float64) for size in self.sizes]
        for row, (cells, told) in enumerate(zip(tokens.tolist(), known.tolist(), strict=True)):
            for column in range(len(self.sizes)):
                keep = [c for c in range(len(self.sizes)) if told[c] and c != column]
                part = self.joint
                for c in sorted(keep, reverse=True):
                    part = part.take(cells[c], axis=c)
                left = [c for c in range(len(self.sizes)) if c not in keep]
                axes = tuple(place for place, c in enumerate(left) if c != column)
                found[column][row] = torch.log(torch.from_numpy(np.asarray(part.sum(axis=axes) + 1e-300)))
        return found


def all_rows(sizes: tuple[int, ...]) -> np.ndarray:
    """Every row there can be, int64 (product, C)."""
    return np.array(list(itertools.product(*(range(size) for size in sizes))), np.int64)
