"""The network of series: a transformer over the steps of a window, in which any cells may be known.

It corrects the best linear estimate, which it is also shown; see `synthgen.models.series_linear`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import nn

from synthgen.config.series import SeriesModelConfig
from synthgen.models.series_groups import Groups
from synthgen.models.series_known import Shares
from synthgen.models.series_linear import Gather, LinearEstimate

if TYPE_CHECKING:
    from synthgen.data.series.codec import Part

TIME_FEATURES = 64

LONGEST = 128
"""Windows of more steps are cut into patches of neighbouring steps, so that this many tokens see each other at most."""

CONDITIONS = ("label", "calendar")
"""Roles of parts that are given or hidden, never generated."""


class Block(nn.Module):
    """Attention between tokens and a perceptron, each scaled, shifted and gated by the noise level (adaLN-zero of
    Peebles and Xie 2023)."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.norms = nn.ModuleList(nn.LayerNorm(width, elementwise_affine=False) for _ in range(2))
        self.adapt = nn.Linear(width, 6 * width)
        self.qkv = nn.Linear(width, 3 * width)
        self.mix = nn.Linear(width, width)
        self.perceptron = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(approximate="tanh"), nn.Dropout(dropout), nn.Linear(4 * width, width)
        )
        nn.init.zeros_(self.adapt.weight)
        nn.init.zeros_(self.adapt.bias)

    def forward(self, h: torch.Tensor, level: torch.Tensor, seen: torch.Tensor | None) -> torch.Tensor:
        """h (B, T, W), level (B, W), seen: bool (B, T), the tokens that may be looked at; None: all."""
        parts = self.adapt(level)[:, None].chunk(6, -1)
        a = self.norms[0](h) * (1 + parts[0]) + parts[1]
        q, k, v = self.qkv(a).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        mask = None if seen is None else seen[:, None, None, :]
        dropout = self.dropout if self.training else 0.0
        a = nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=dropout)
        h = h + parts[2] * self.mix(a.transpose(1, 2).flatten(2))
        out: torch.Tensor = h + parts[5] * self.perceptron(self.norms[1](h) * (1 + parts[3]) + parts[4])
        return out


class SeriesNetwork(nn.Module):
    """Transformer over a window's steps, or over patches of steps when there are more than 128.

    Groups of parts that do not depend on each other go through it one beside the other, with the same weights and a
    name of their own, in patches of so many steps that all of them have no more tokens than the window has steps.

    Args: window: steps L. parts: the dimensions' meaning; see `synthgen.data.series.codec.Part`. Dimensions of labels
    and calendar features are looked at where they are known and hidden elsewhere, whatever `x` holds.
    """

    conditions: torch.Tensor

    def __init__(self, config: SeriesModelConfig, window: int, parts: Sequence[Part]) -> None:
        super().__init__()
        width = config.width
        self.window = window
        self.dimensions = max(max(part.stop, -1 if part.missing is None else part.missing + 1) for part in parts)
        self.groups = Groups(parts, self.dimensions)
        count, inner = self.groups.count, self.groups.width
        self.patch = -(-window // min(LONGEST, max(1, window // count)))
        self.tokens = -(-window // self.patch)
        conditions = torch.zeros(self.dimensions, dtype=torch.bool)
        for part in parts:
            if part.role in CONDITIONS:
                conditions[part.start : part.stop] = True
        self.register_buffer("conditions", conditions, persistent=False)  # follows from the parts
        self.linear = LinearEstimate(window, ~conditions, self.groups.of_dimensions)
        self.shares = Shares(self.dimensions)
        self.enter = nn.Linear(4 * self.patch * inner, width)
        self.place = nn.Parameter(torch.randn(self.tokens, width) * 0.02)
        self.names = nn.Parameter(torch.randn(count, 1, width) * 0.02) if count > 1 else None
        self.level = nn.Sequential(nn.Linear(TIME_FEATURES, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU())
        self.blocks = nn.ModuleList(Block(width, config.heads, config.dropout or 0.0) for _ in range(config.blocks))
        self.leave = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, self.patch * inner))
        nn.init.zeros_(self.leave[1].weight)  # type: ignore[arg-type]  # no answer at first
        nn.init.zeros_(self.leave[1].bias)  # type: ignore[arg-type]

    def forward(
        self, x: torch.Tensor, time: torch.Tensor, given: torch.Tensor, known: torch.Tensor, valid: torch.Tensor
    ) -> torch.Tensor:
        """The raw prediction float32 or `autocast`'s type, (B, L, D); 0 at steps that do not exist.

        Args: x: float32 (B, L, D), noisy and brought to unit scale; not looked at where `known`. time: float32 (B,).
        given: float32 (B, L, D), the values of known cells, anything elsewhere. known: bool (B, L, D). valid: bool
        (B, L), the steps that exist.
        """
        exists = valid[..., None]
        known = known & exists
        told = given.masked_fill(~known, 0.0)
        with torch.autocast(x.device.type, enabled=False):  # small differences between large components
            first, estimate = self.linear(torch.where(known, told / (1 + _sigma(time).square()).sqrt(), x), time, valid)
        noisy = x.masked_fill(known | ~exists | self.conditions, 0.0)
        cells = self.groups.apart(torch.stack([noisy, estimate, told, known.to(x.dtype)], 2))
        h = self.enter(self._patches(cells)) + self.place
        if self.names is not None:
            h = (h.unflatten(0, (len(x), -1)) + self.names).flatten(0, 1)
        seen = None if bool(valid.all()) else self.groups.repeated(self._seen(valid))
        level = self.groups.repeated(self.level(_waves(time)))
        for block in self.blocks:
            h = block(h, level, seen)
        steps = self.leave(h).unflatten(-1, (self.patch, self.groups.width)).flatten(1, 2)
        correction = self.linear.deviation(time) * self.groups.together(steps[:, : self.window])
        out: torch.Tensor = first + correction.masked_fill(~exists, 0.0)
        return out

    def start_from(self, gather: Gather, count: int) -> None:
        """Begin at the best linear estimate for `count` windows; see `LinearEstimate.start_from`."""
        self.linear.start_from(gather, count)

    def _patches(self, cells: torch.Tensor) -> torch.Tensor:
        """(B, T, patch * C) of (B, L, C)."""
        spare = self.tokens * self.patch - self.window
        if spare:
            cells = nn.functional.pad(cells, (0, 0, 0, spare))
        return cells if self.patch == 1 else cells.reshape(len(cells), self.tokens, -1)

    def _seen(self, valid: torch.Tensor) -> torch.Tensor:
        """Tokens with a step that exists, bool (B, T); all of them where no step exists (a softmax needs one)."""
        seen = self._patches(valid[..., None]).any(-1)
        return seen | ~seen.any(1, keepdim=True)


def _sigma(time: torch.Tensor) -> torch.Tensor:
    """Noise levels (B, 1, 1) of the core's log(sigma) / 4, float32 (B,)."""
    return (4 * time.float()).exp()[:, None, None]


def _waves(time: torch.Tensor) -> torch.Tensor:
    """Sines and cosines (B, TIME_FEATURES) of log noise levels (B,)."""
    steps = torch.arange(TIME_FEATURES // 2, device=time.device)
    angle = time[:, None] * torch.exp(steps * (math.log(1000.0) / (TIME_FEATURES // 2 - 1)))
    return torch.cat([angle.sin(), angle.cos()], 1)
