"""The layer of a U-Net that looks at what it was told, with the weights of diffusers' `Transformer2DModel`.

Self-attention over the pixels, cross-attention from pixels to tokens, and a feed-forward layer, each with a residual
connection (Vaswani et al. 2017, arXiv:1706.03762; in a U-Net: Rombach et al. 2022, arXiv:2112.10752, section 3.3).
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional


class TokenEmbedding(nn.Module):
    """Vectors of tokens and of their places, added up: int64 (B, T) -> (B, T, width)."""

    def __init__(self, tokens: int, length: int, width: int) -> None:
        super().__init__()
        self.token = nn.Embedding(tokens, width)
        self.place = nn.Embedding(length, width)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        output: torch.Tensor = self.token(tokens) + self.place.weight
        return output


class HeadAttention(nn.Module):
    """Attention in heads of (B, Q, C) to (B, K, D)."""

    def __init__(self, channels: int, context: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.to_q = nn.Linear(channels, channels, bias=False)
        self.to_k = nn.Linear(context, channels, bias=False)
        self.to_v = nn.Linear(context, channels, bias=False)
        self.to_out = nn.ModuleList([nn.Linear(channels, channels)])

    def forward(self, x: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
        batch, _, channels = x.shape
        query, key, value = (
            layer(one).view(batch, -1, self.heads, channels // self.heads).transpose(1, 2)
            for layer, one in ((self.to_q, x), (self.to_k, seen), (self.to_v, seen))
        )
        found = functional.scaled_dot_product_attention(query, key, value)
        output: torch.Tensor = self.to_out[0](found.transpose(1, 2).reshape(batch, -1, channels))
        return output


class GatedLinear(nn.Module):
    """Half of a linear map times GELU of the other half (Shazeer 2020, arXiv:2002.05202)."""

    def __init__(self, inner: int, outer: int) -> None:
        super().__init__()
        self.proj = nn.Linear(inner, 2 * outer)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden, gate = self.proj(x).chunk(2, dim=-1)
        output: torch.Tensor = hidden * functional.gelu(gate)
        return output


class FeedForward(nn.Module):
    """Two layers with four times as many channels in between."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        # Names of the original, whose dropout in between is off.
        self.net = nn.ModuleList(
            [GatedLinear(channels, 4 * channels), nn.Identity(), nn.Linear(4 * channels, channels)]
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.net:
            x = layer(x)
        return x


class TransformerBlock(nn.Module):
    """Self-attention, cross-attention, feed-forward on (B, T, C), each after a layer norm."""

    def __init__(self, channels: int, context: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(channels)
        self.attn1 = HeadAttention(channels, channels, heads)
        self.norm2 = nn.LayerNorm(channels)
        self.attn2 = HeadAttention(channels, context, heads)
        self.norm3 = nn.LayerNorm(channels)
        self.ff = FeedForward(channels)

    def forward(self, x: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
        normed = self.norm1(x)
        x = self.attn1(normed, normed) + x
        x = self.attn2(self.norm2(x), context) + x
        output: torch.Tensor = self.ff(self.norm3(x)) + x
        return output


class CrossAttention(nn.Module):
    """A transformer block on the pixels of a feature map (B, C, H, W), with a residual connection around it."""

    def __init__(self, channels: int, head_dim: int, groups: int, context: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(groups, channels, eps=1e-6)
        self.proj_in = nn.Linear(channels, channels)
        self.transformer_blocks = nn.ModuleList([TransformerBlock(channels, context, channels // head_dim)])
        self.proj_out = nn.Linear(channels, channels)

    def forward(self, x: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
        """context: (B, tokens, width)."""
        batch, channels, height, width = x.shape
        pixels = self.proj_in(self.norm(x).permute(0, 2, 3, 1).reshape(batch, height * width, channels))
        for block in self.transformer_blocks:
            pixels = block(pixels, context)
        output: torch.Tensor = self.proj_out(pixels).transpose(1, 2).reshape(batch, channels, height, width)
        return output + x
