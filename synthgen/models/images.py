"""The network for images: a U-Net with the weights of diffusers' own, by class, by tokens or unconditional."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional

from synthgen.config.schema import ModelConfig
from synthgen.data.captions import TokenTable, class_table
from synthgen.errors import UsageError
from synthgen.models.unet import UNet


class ImageNetwork(nn.Module):
    """A U-Net behind the `Network` contract: (x (B, C, H, W), time (B,), labels (B,) or None) -> like x.

    A conditional network has one embedding more than there are classes: the last one is the null class.
    patch_size: the U-Net sees squares of that many pixels as one pixel with as many times more channels.
    tokens: of a U-Net with cross-attention, what each label tells it, int64 (labels, T). It is no weight: the same
    U-Net with another table understands other labels.
    """

    tokens: torch.Tensor | None

    def __init__(self, unet: UNet, patch_size: int = 1, tokens: torch.Tensor | None = None) -> None:
        super().__init__()
        self.unet = unet
        self.patch_size = patch_size
        self.register_buffer("tokens", tokens, persistent=False)

    def forward(self, x: torch.Tensor, time: torch.Tensor, labels: torch.Tensor | None) -> torch.Tensor:
        if self.patch_size > 1:
            x = functional.pixel_unshuffle(x, self.patch_size)
        condition = labels if self.tokens is None else self.tokens[labels]
        output: torch.Tensor = self.unet(x, time, condition)
        return functional.pixel_shuffle(output, self.patch_size) if self.patch_size > 1 else output


def fitting_size(config: ModelConfig, height: int, width: int) -> tuple[int, int]:
    """The size nearest to height x width whose sides are divisible by `_multiple`."""
    multiple = _multiple(config)
    near = [max(multiple, round(side / multiple) * multiple) for side in (height, width)]
    return near[0], near[1]


def _multiple(config: ModelConfig) -> int:
    """What the sides of an image must be divisible by: whole patches, and 2^(levels - 1) of them for the skips."""
    return int(config.patch_size * 2 ** (len(config.channels) - 1))


def is_cross(config: ModelConfig) -> bool:
    """Whether the layers that attend look at tokens."""
    return config.conditioning == "cross-attention"


def unet_arguments(
    config: ModelConfig, shape: tuple[int, int, int], num_classes: int, table: TokenTable | None = None
) -> dict[str, Any]:
    """Arguments of diffusers' U-Net for images of `shape` (H, W, C); `num_classes` 0 means unconditional.

    Its pixels are patches of the image. table: what the labels of a network with cross-attention say, which is a
    `UNet2DConditionModel` and reads tokens as two ones among zeros: which token it is, and which place. All others are
    `UNet2DModel`s. Raises: UsageError when H or W does not divide as `_multiple` says.
    """
    height, width, channels = shape
    levels = len(config.channels)
    near = fitting_size(config, height, width)
    if near != (height, width):
        raise UsageError(
            f"images of {height} x {width} pixels do not fit {levels} resolutions"
            f"{f' of {config.patch_size}-pixel patches' if config.patch_size > 1 else ''}: each side must be divisible "
            f"by {_multiple(config)}",
            f"set data.image_size to [{near[0]}, {near[1]}], or give model.channels fewer entries",
        )
    height, width, channels = (
        height // config.patch_size,
        width // config.patch_size,
        channels * config.patch_size**2,
    )
    resolutions = [height // 2**level for level in range(levels)]
    unknown = [size for size in config.attention_resolutions if size not in resolutions]
    if unknown:
        raise UsageError(
            f"model.attention_resolutions names {unknown}, but the network's resolutions are {resolutions}"
        )
    attended = [
        width for size, width in zip(resolutions, config.channels, strict=True) if size in config.attention_resolutions
    ]
    attended += [config.channels[-1]] if is_cross(config) else []
    odd = [width for width in attended if width % config.attention_head_dim]
    if odd:
        raise UsageError(
            f"model.attention_head_dim {config.attention_head_dim} does not divide the {odd[0]} channels that attend",
            f"set model.attention_head_dim to a divisor of {odd[0]}",
        )
    attends = [size in config.attention_resolutions for size in resolutions]
    kind = "CrossAttn" if is_cross(config) else "Attn"
    common = {
        "sample_size": (height, width),
        "in_channels": channels,
        "out_channels": channels,
        "block_out_channels": tuple(config.channels),
        "layers_per_block": config.layers_per_block,
        "down_block_types": tuple(f"{kind}DownBlock2D" if yes else "DownBlock2D" for yes in attends),
        "up_block_types": tuple(f"{kind}UpBlock2D" if yes else "UpBlock2D" for yes in reversed(attends)),
        "norm_num_groups": config.norm_groups,
        "dropout": config.dropout,
    }
    if is_cross(config):
        table = table or class_table(num_classes)
        return common | {
            # What the library calls by this name is the number of heads (diffusers #2011).
            "attention_head_dim": tuple(width // config.attention_head_dim or 1 for width in config.channels),
            "cross_attention_dim": 4 * config.channels[0],
            "encoder_hid_dim": table.tokens + table.length,
            "encoder_hid_dim_type": "text_proj",
            "use_linear_projection": True,
        }
    return common | {
        "add_attention": attends[-1],
        "attention_head_dim": config.attention_head_dim,
        "num_class_embeds": num_classes + 1 if num_classes else None,
    }


def build_network(
    config: ModelConfig, shape: tuple[int, int, int], num_classes: int, table: TokenTable | None = None
) -> ImageNetwork:
    """A freshly initialised network; see `unet_arguments`. table: None for one token for each class.

    Raises UsageError for cross-attention without anything to look at.
    """
    if is_cross(config):
        if not num_classes:
            raise UsageError("model.conditioning is 'cross-attention', and there are neither captions nor classes")
        table = table or class_table(num_classes)
    else:
        table = None
    arguments = unet_arguments(config, shape, num_classes, table)
    unet = UNet(
        arguments["in_channels"],
        config.channels,
        config.layers_per_block,
        ["Attn" in kind for kind in arguments["down_block_types"]],
        config.attention_head_dim,
        config.norm_groups,
        config.dropout,
        arguments.get("num_class_embeds"),
        None if table is None else (table.tokens, table.length),
    )
    # An output of zero at the start makes the first x0_hat the preconditioner's own guess: a calm first step.
    for weight in unet.conv_out.parameters():
        nn.init.zeros_(weight)
    return ImageNetwork(unet, config.patch_size, None if table is None else torch.tensor(table.rows))
