"""A small convolutional classifier of series of any length."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

SIZE = 5
"""Steps that a convolution reads; the dilations of the blocks widen what is seen to 37 steps."""


class SeriesClassifier(nn.Module):
    """Series float (N, L, D) with bool (N, L), which steps exist, to logits (N, num_classes).

    A convolution, three residual blocks of layer norm and convolution with dilations 1, 2 and 4, then mean and maximum
    over the steps that exist. Norms are those of single steps: neighbours in a batch and padding change nothing.
    """

    def __init__(self, dimensions: int, num_classes: int, width: int = 48, dropout: float = 0.1) -> None:
        super().__init__()
        self.stem = nn.Conv1d(dimensions, width, SIZE, padding=SIZE // 2)
        self.blocks = nn.ModuleList(_Block(width, dilation) for dilation in (1, 2, 4))
        self.norm = nn.LayerNorm(2 * width)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(2 * width, num_classes)

    def forward(self, x: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
        there = valid[:, None].to(x.dtype)
        h = self.stem(x.transpose(1, 2)) * there
        for block in self.blocks:
            h = block(h, there)
        mean = h.sum(dim=2) / there.sum(dim=2)
        largest = h.masked_fill(~valid[:, None], -torch.inf).amax(dim=2)
        logits: torch.Tensor = self.head(self.dropout(self.norm(torch.cat([mean, largest], dim=1))))
        return logits


class _Block(nn.Module):
    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.convolution = nn.Conv1d(width, width, SIZE, padding=dilation * (SIZE // 2), dilation=dilation)
        self.mix = nn.Conv1d(width, width, 1)

    def forward(self, h: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
        # The norm of nothing is its bias: beyond the length it must not be read by the convolution.
        inner = F.relu(self.norm(h.transpose(1, 2)).transpose(1, 2)) * there
        mixed: torch.Tensor = self.mix(F.relu(self.convolution(inner)))
        return h + mixed * there
