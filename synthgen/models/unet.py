"""A U-Net whose weights are those of diffusers' `UNet2DModel`: same names, order and numbers, without the library.

With tokens they are those of `UNet2DConditionModel`, whose projection of one-hot tokens is a table here. Importing the
original costs seconds of every command; and what is to be fused, hooked or compiled is in plain sight here. The blocks
are those of Ho, Jain, Abbeel 2020 (arXiv:2006.11239, appendix B) as diffusers arranges them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import nn
from torch.nn import functional

from synthgen.models.cross_attention import CrossAttention, TokenEmbedding

EPS = 1e-5


def time_features(time: torch.Tensor, width: int) -> torch.Tensor:
    """Cosines, then sines, of time at `width` / 2 frequencies from 1 down to 1e-4: float32 (B,) -> (B, width)."""
    half = width // 2
    exponent = -math.log(10000) * torch.arange(half, dtype=torch.float32, device=time.device) / half
    angles = time[:, None].float() * exponent.exp()
    return torch.cat([angles.cos(), angles.sin()], dim=-1)


class TimeEmbedding(nn.Module):
    """Two layers from time features to the vector that every residual layer is given."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.linear_1 = nn.Linear(channels, width)
        self.linear_2 = nn.Linear(width, width)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        hidden = self.linear_1(features.to(self.linear_1.weight.dtype))
        output: torch.Tensor = self.linear_2(functional.silu(hidden))
        return output


class ResidualLayer(nn.Module):
    """Norm, SiLU, convolution, twice, with the embedding added in between, beside a shortcut."""

    def __init__(self, inner: int, outer: int, embedding: int, groups: int, dropout: float) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(groups, inner, eps=EPS)
        self.conv1 = nn.Conv2d(inner, outer, 3, padding=1)
        self.time_emb_proj = nn.Linear(embedding, outer)
        self.norm2 = nn.GroupNorm(groups, outer, eps=EPS)
        self.dropout = nn.Dropout(dropout)
        self.conv2 = nn.Conv2d(outer, outer, 3, padding=1)
        self.conv_shortcut = None if inner == outer else nn.Conv2d(inner, outer, 1)

    def forward(self, x: torch.Tensor, embedding: torch.Tensor) -> torch.Tensor:
        """x: (B, inner, H, W). embedding: (B, E), already through SiLU."""
        hidden = self.conv1(functional.silu(self.norm1(x)))
        hidden = hidden + self.time_emb_proj(embedding)[:, :, None, None]
        hidden = self.conv2(self.dropout(functional.silu(self.norm2(hidden))))
        output: torch.Tensor = hidden + (x if self.conv_shortcut is None else self.conv_shortcut(x))
        return output


class Attention(nn.Module):
    """Self-attention over the pixels of a feature map, with a residual connection."""

    def __init__(self, channels: int, head_dim: int, groups: int) -> None:
        super().__init__()
        self.heads = channels // head_dim
        self.group_norm = nn.GroupNorm(groups, channels, eps=EPS)
        self.to_q = nn.Linear(channels, channels)
        self.to_k = nn.Linear(channels, channels)
        self.to_v = nn.Linear(channels, channels)
        self.to_out = nn.ModuleList([nn.Linear(channels, channels)])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, channels, height, width = x.shape
        pixels = self.group_norm(x.view(batch, channels, height * width)).transpose(1, 2)
        query, key, value = (
            layer(pixels).view(batch, -1, self.heads, channels // self.heads).transpose(1, 2)
            for layer in (self.to_q, self.to_k, self.to_v)
        )
        seen = functional.scaled_dot_product_attention(query, key, value)
        output: torch.Tensor = self.to_out[0](seen.transpose(1, 2).reshape(batch, -1, channels))
        return output.transpose(1, 2).reshape(batch, channels, height, width) + x


class Resample(nn.Module):
    """A 3 x 3 convolution that halves the sides, or after they were doubled."""

    def __init__(self, channels: int, *, up: bool) -> None:
        super().__init__()
        self.up = up
        self.conv = nn.Conv2d(channels, channels, 3, stride=1 if up else 2, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        output: torch.Tensor = self.conv(functional.interpolate(x, scale_factor=2.0, mode="nearest") if self.up else x)
        return output


Attend = Callable[[int], nn.Module]
"""Makes the attention layer for so many channels."""


def attended(attention: nn.Module, x: torch.Tensor, context: torch.Tensor | None) -> torch.Tensor:
    """x after an attention layer; context: the tokens that it looks at, None for one that sees the pixels alone."""
    found: torch.Tensor = attention(x) if context is None else attention(x, context)
    return found


class Block(nn.Module):
    """Residual layers of one resolution, each followed by attention if it is given; then the way to the next one.

    inner: channels that enter each layer. resample: None, `down` or `up`.
    """

    attentions: nn.ModuleList
    downsamplers: nn.ModuleList
    upsamplers: nn.ModuleList

    def __init__(
        self,
        inner: Sequence[int],
        outer: int,
        embedding: int,
        groups: int,
        dropout: float,
        attention: Attend | None,
        resample: str | None,
    ) -> None:
        super().__init__()
        resnets, attentions = [], []
        for channels in inner:  # made in turn, as in the original: a seed gives the same weights
            resnets.append(ResidualLayer(channels, outer, embedding, groups, dropout))
            if attention is not None:
                attentions.append(attention(outer))
        if attentions:
            self.attentions = nn.ModuleList(attentions)
        self.attends = bool(attentions)
        self.resnets = nn.ModuleList(resnets)
        if resample is not None:
            name = "downsamplers" if resample == "down" else "upsamplers"
            setattr(self, name, nn.ModuleList([Resample(outer, up=resample == "up")]))
        self.resample = resample

    def layer(self, index: int, x: torch.Tensor, embedding: torch.Tensor, context: torch.Tensor | None) -> torch.Tensor:
        """Residual layer number `index` and its attention."""
        x = self.resnets[index](x, embedding)
        return attended(self.attentions[index], x, context) if self.attends else x


class DownBlock(Block):
    """A block on the way down: also returns what its layers put out, for the way up."""

    def forward(
        self, x: torch.Tensor, embedding: torch.Tensor, context: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, list[torch.Tensor]]:
        kept = []
        for index in range(len(self.resnets)):
            x = self.layer(index, x, embedding, context)
            kept.append(x)
        if self.resample:
            x = self.downsamplers[0](x)
            kept.append(x)
        return x, kept


class UpBlock(Block):
    """A block on the way up: each layer also gets what the way down put out at its resolution."""

    def forward(
        self, x: torch.Tensor, kept: list[torch.Tensor], embedding: torch.Tensor, context: torch.Tensor | None = None
    ) -> torch.Tensor:
        """kept: one output for each layer, the last one first used."""
        for index in range(len(self.resnets)):
            x = self.layer(index, torch.cat([x, kept[-1 - index]], dim=1), embedding, context)
        if self.resample:
            x = self.upsamplers[0](x)
        return x


class MidBlock(nn.Module):
    """Two residual layers at the coarsest resolution, with attention between them if it is given."""

    def __init__(self, channels: int, embedding: int, groups: int, dropout: float, attention: Attend | None) -> None:
        super().__init__()
        first = ResidualLayer(channels, channels, embedding, groups, dropout)
        attentions = [] if attention is None else [attention(channels)]
        self.attentions = nn.ModuleList(attentions)
        self.resnets = nn.ModuleList([first, ResidualLayer(channels, channels, embedding, groups, dropout)])

    def forward(self, x: torch.Tensor, embedding: torch.Tensor, context: torch.Tensor | None = None) -> torch.Tensor:
        x = self.resnets[0](x, embedding)
        for attention in self.attentions:
            x = attended(attention, x, context)
        output: torch.Tensor = self.resnets[1](x, embedding)
        return output


class UNet(nn.Module):
    """The network; see the module.

    Args:
        channels: of the images. widths: feature channels by resolution, finest first. layers: residual layers by
            resolution. attends: by resolution, whether it has attention; the coarsest's also stands for the middle.
        head_dim: channels of an attention head. classes: embeddings of labels; None for an unconditional network.
        tokens: (how many there are, how many a sample is told), for a network whose attention layers look at them. The
            middle always attends then.
    """

    def __init__(
        self,
        channels: int,
        widths: Sequence[int],
        layers: int,
        attends: Sequence[bool],
        head_dim: int,
        groups: int,
        dropout: float,
        classes: int | None,
        tokens: tuple[int, int] | None = None,
    ) -> None:
        super().__init__()
        embedding = 4 * widths[0]
        common = (embedding, groups, dropout)

        def attention(channels: int) -> nn.Module:
            if tokens is None:
                return Attention(channels, head_dim, groups)
            return CrossAttention(channels, head_dim, groups, embedding)

        heads = [attention if yes else None for yes in attends]
        self.conv_in = nn.Conv2d(channels, widths[0], 3, padding=1)
        self.time_embedding = TimeEmbedding(widths[0], embedding)
        self.token_embedding = None if tokens is None else TokenEmbedding(*tokens, embedding)
        self.class_embedding = None if classes is None else nn.Embedding(classes, embedding)
        self.per_block = layers + 1  # layers of a block on the way up
        self.down_blocks, self.up_blocks = nn.ModuleList(), nn.ModuleList()
        last = len(widths) - 1
        for level, width in enumerate(widths):
            inner = [widths[max(level - 1, 0)], *[width] * (layers - 1)]
            self.down_blocks.append(DownBlock(inner, width, *common, heads[level], "down" if level < last else None))
        self.mid_block = MidBlock(widths[-1], *common, heads[-1] if tokens is None else attention)
        for level in range(last, -1, -1):
            width, before, after = widths[level], widths[min(level + 1, last)], widths[max(level - 1, 0)]
            inner = [before + width, *[2 * width] * (layers - 1), width + after]
            self.up_blocks.append(UpBlock(inner, width, *common, heads[level], "up" if level else None))
        self.conv_norm_out = nn.GroupNorm(groups, widths[0], eps=EPS)
        self.conv_out = nn.Conv2d(widths[0], channels, 3, padding=1)

    def forward(self, x: torch.Tensor, time: torch.Tensor, condition: torch.Tensor | None) -> torch.Tensor:
        """x: (B, C, H, W), sides divisible by 2^(resolutions - 1). time: (B,).

        condition: labels, int64 (B,), or tokens, int64 (B, T); None for an unconditional network.
        """
        embedding = self.time_embedding(time_features(time, self.conv_in.out_channels))
        if self.class_embedding is not None:
            embedding = embedding + self.class_embedding(condition)
        context = None if self.token_embedding is None else self.token_embedding(condition)
        embedding = functional.silu(embedding)  # every residual layer begins with it: once is enough
        x = self.conv_in(x)
        kept = [x]
        for down in self.down_blocks:
            x, outputs = down(x, embedding, context)
            kept += outputs
        x = self.mid_block(x, embedding, context)
        for up in self.up_blocks:
            x = up(x, kept[-self.per_block :], embedding, context)
            kept = kept[: -self.per_block]  # not taken away inside: FSDP hands blocks copies of their arguments
        output: torch.Tensor = self.conv_out(functional.silu(self.conv_norm_out(x)))
        return output
