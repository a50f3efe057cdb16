"""Series as the network sees them: every step once, windows gathered when they are needed."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch


@dataclass(frozen=True)
class EncodedSeries:
    """All steps once, and where the windows begin: never N x L x D in memory.

    values: float32 (T, D) on one device. starts, lengths, sequence: int64 (N,), on the same device: the row at which
    each window begins, its steps, and its sequence. window: steps L.
    """

    values: torch.Tensor
    starts: torch.Tensor
    lengths: torch.Tensor
    sequence: torch.Tensor
    window: int

    @classmethod
    def of(
        cls, values: np.ndarray, starts: np.ndarray, lengths: np.ndarray, sequence: np.ndarray, window: int
    ) -> EncodedSeries:
        parts = [torch.from_numpy(np.ascontiguousarray(part)) for part in (values, starts, lengths, sequence)]
        return cls(parts[0], parts[1], parts[2], parts[3], window)

    def __len__(self) -> int:
        """How many windows."""
        return len(self.starts)

    def gather(self, index: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(x float32 (B, L, D), valid bool (B, L)) of the windows in `index`, int64 (B,); 0 beyond their length."""
        steps = torch.arange(self.window, device=self.values.device)
        valid = steps < self.lengths[index, None]
        rows = (self.starts[index, None] + steps).clamp(max=len(self.values) - 1)
        return self.values[rows] * valid[..., None], valid

    def to(self, device: torch.device | str) -> EncodedSeries:
        """The same on `device`."""
        names = ("values", "starts", "lengths", "sequence")
        return replace(self, **{name: getattr(self, name).to(device) for name in names})
