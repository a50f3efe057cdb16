"""What a condition leaves of a column: the tokens that it permits, and the part of each bin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from synthgen.diffusion.wanted import Wanted
from synthgen.errors import UsageError

Permitted = torch.Tensor | tuple[torch.Tensor, torch.Tensor | None] | None
"""Of one column: everything, or bool (K,) or (B, K) tokens, or these and float32 (K, 2) or (B, K, 2) intervals."""


@dataclass(frozen=True)
class Restriction:
    """scores: float32 (B, K), -inf where a token is not permitted, else the log of the permitted part of its bin.

    interval: float32 (B, K, 2), the permitted part of each bin.
    """

    scores: torch.Tensor
    interval: torch.Tensor


class Restrictions(tuple[Restriction | None, ...]):
    """The restriction of every column, None where there is none."""

    def first(self, order: torch.Tensor) -> torch.Tensor:
        """float (C,) like a row of `order`: columns under a condition first, then the others, both as they stand.

        What is drawn later is then drawn given a value that the condition permits.
        """
        place = torch.arange(len(self), dtype=order.dtype, device=order.device)
        free = torch.tensor([one is None for one in self], device=order.device)
        return (place + len(self) * free).expand_as(order)

    def applied(self, wanted: Wanted, sizes: Sequence[int], scores: torch.Tensor) -> torch.Tensor:
        """`scores`, float32 (M, K) of the cells of `wanted`, with those of tokens that are not permitted at -inf."""
        for index, column in enumerate(wanted.columns):
            restriction = self[column]
            if restriction is not None:
                mine = (wanted.place == index).nonzero()[:, 0]
                scores[mine, : sizes[column]] += restriction.scores[wanted.rows[mine]]
        return scores

    def intervals(self, tokens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The ends of the permitted part of the bins `tokens`, float32 (B, C) each."""
        low, high = torch.zeros_like(tokens, dtype=torch.float32), torch.ones_like(tokens, dtype=torch.float32)
        for column, restriction in enumerate(self):
            if restriction is not None:
                ends = restriction.interval[torch.arange(len(tokens)), tokens[:, column]]
                low[:, column], high[:, column] = ends[:, 0], ends[:, 1]
        return low, high


def permit(allowed: Sequence[Permitted] | None, sizes: Sequence[int], rows: int, device: torch.device) -> Restrictions:
    """Restrictions of a block of rows, one per column of `sizes`.

    Inside a bin values are as good as evenly spread, so that a bin of which half is permitted counts half. Raises
    UsageError where a row of a column is left without a token.
    """
    if allowed is None:
        return Restrictions([None] * len(sizes))
    if len(allowed) != len(sizes):
        raise UsageError(f"{len(allowed)} conditions for {len(sizes)} columns: give one, or None, for each")
    return Restrictions(
        _restriction(one, size, rows, device, column)
        for column, (one, size) in enumerate(zip(allowed, sizes, strict=True))
    )


def _restriction(allowed: Permitted, size: int, rows: int, device: torch.device, column: int) -> Restriction | None:
    if allowed is None:
        return None
    tokens, interval = allowed if isinstance(allowed, tuple) else (allowed, None)
    tokens = tokens.to(device).expand(rows, size)
    if interval is None:
        interval = torch.tensor([0.0, 1.0])
    interval = interval.to(device, torch.float32).expand(rows, size, 2)
    if not bool(tokens.any(1).all()):
        raise UsageError(f"nothing in column {column} is permitted")
    # A single value in a bin is permitted too, although it has no width.
    part = (interval[..., 1] - interval[..., 0]).clamp(min=1e-6)
    return Restriction(part.log().masked_fill(~tokens, -torch.inf), interval)
