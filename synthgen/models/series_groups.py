"""Groups of dimensions that know nothing of each other, as sequences of their own beside each other in the batch.

Five independent channels are five times as many examples of a much simpler thing than one window of all of them: no
network has to learn from examples that each noise level of one says nothing about the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from synthgen.data.series.codec import Part


class Groups(nn.Module):
    """Takes windows apart into their groups, and puts them together again.

    parts: of the codec; see `synthgen.data.series.codec.Part`. count: groups G. width: dimensions W of the widest; the
    others are filled up with zeros.
    """

    index: torch.Tensor
    place: torch.Tensor

    def __init__(self, parts: Sequence[Part], dimensions: int) -> None:
        super().__init__()
        numbers = sorted({part.group for part in parts})
        members: list[list[int]] = [[] for _ in numbers]
        for part in parts:
            bit = [] if part.missing is None else [part.missing]
            own = members[numbers.index(part.group)]
            own.extend(place for place in [*range(part.start, part.stop), *bit] if place not in own)
        self.dimensions, self.count, self.width = dimensions, len(members), max(map(len, members))
        filled = [sorted(own) + [dimensions] * (self.width - len(own)) for own in members]
        spots = {place: spot for spot, place in enumerate(place for own in filled for place in own)}
        self.register_buffer("index", torch.tensor(filled), persistent=False)  # both follow from the parts
        self.register_buffer("place", torch.tensor([spots[place] for place in range(dimensions)]), persistent=False)

    @property
    def of_dimensions(self) -> torch.Tensor | None:
        """The number of the group of each dimension, int64 (D,); None when there is one group."""
        return None if self.count == 1 else self.place // self.width

    def apart(self, cells: torch.Tensor) -> torch.Tensor:
        """(B * G, L, F * W) of (B, L, F, D): F facts of every cell, a row for each group of each window."""
        if self.count == 1:
            return cells.flatten(2)
        own = nn.functional.pad(cells, (0, 1))[..., self.index]  # (B, L, F, G, W)
        return own.permute(0, 3, 1, 2, 4).flatten(3).flatten(0, 1)

    def together(self, steps: torch.Tensor) -> torch.Tensor:
        """(B, L, D) of (B * G, L, W)."""
        if self.count == 1:
            return steps
        beside = steps.reshape(-1, self.count, *steps.shape[1:])
        return beside.transpose(1, 2).flatten(2)[..., self.place]

    def repeated(self, facts: torch.Tensor) -> torch.Tensor:
        """(B * G, ...) of (B, ...): what is the same for every group of a window."""
        return facts if self.count == 1 else facts.repeat_interleave(self.count, 0)
