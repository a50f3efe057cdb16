"""The form of a U-Net that samples are drawn with: the same function as the network that learned, in fewer operations.

Three changes, each exact but for rounding. Weights are kept in the precision that they are multiplied in, where
autocast would convert them in every call. Convolutions read pixels channel by channel as they lie in memory
(channels_last), without copies into another order. And a 3 x 3 convolution of doubled pixels, which sees each pixel
up to four times, becomes a transposed 4 x 4 convolution of the pixels themselves: 2.25 times fewer multiplications.
"""

from __future__ import annotations

import copy

import torch
from torch import nn
from torch.nn import functional

from synthgen.models.images import ImageNetwork
from synthgen.models.unet import Block, Resample

_VECTOR = 16
"""Channels per group in whole multiples of which torch's group norm has a fast kernel for channels_last on a CPU."""


def inference_form(network: nn.Module, precision: torch.dtype, device: torch.device) -> nn.Module | None:
    """A copy of an `ImageNetwork` that computes the same with weights in `precision`, float32 in and out.

    Dropout is off. None for what is not known here: another network or device, or a network with hooks, whose owner
    wants it to be called itself.
    """
    known = type(network) is ImageNetwork and device.type in ("cpu", "cuda")
    if not known or any(map(_watched, network.modules())):
        return None
    with torch.no_grad():
        form = copy.deepcopy(network).eval().requires_grad_(False)
        _fold(form)
        form = form.to(dtype=precision, memory_format=torch.channels_last)  # type: ignore[call-overload]
        if device.type == "cpu" and precision != torch.float32:
            _widen(form)
    return _InPrecision(form, precision).eval()


def _watched(module: nn.Module) -> bool:
    return bool(module._forward_hooks or module._forward_pre_hooks or "forward" in vars(module))


class _InPrecision(nn.Module):
    """A network behind a cast: float32 (B, C, H, W) -> the same."""

    def __init__(self, network: nn.Module, precision: torch.dtype) -> None:
        super().__init__()
        self.network, self.precision = network, precision

    def forward(self, x: torch.Tensor, time: torch.Tensor, labels: torch.Tensor | None) -> torch.Tensor:
        x = x.to(self.precision, memory_format=torch.channels_last)
        output: torch.Tensor = self.network(x, time, labels)
        return output.to(torch.float32, memory_format=torch.contiguous_format)


class FoldedUpsample(nn.Module):
    """`Resample(up=True)` as one transposed convolution.

    Along one axis, output 2 i + a of the doubled input sees input i - 1 + a with one end of the kernel (w0, w1, w2)
    and input i + a ... with the sum of the other two: a transposed convolution of stride 2 and padding 1 with the
    kernel (w2, w1 + w2, w0 + w1, w0).
    """

    def __init__(self, resample: Resample) -> None:
        super().__init__()
        weight, bias = resample.conv.weight, resample.conv.bias
        taps = weight.new_tensor([[0, 0, 1], [0, 1, 1], [1, 1, 0], [1, 0, 0]])
        self.weight = nn.Parameter(torch.einsum("mk,nl,oikl->iomn", taps, taps, weight), requires_grad=False)
        self.bias = bias

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.conv_transpose2d(x, self.weight, self.bias, stride=2, padding=1)


class _WideNorm(nn.Module):
    """A group norm that computes in float32, for groups that torch's kernel in bf16 takes one channel at a time."""

    def __init__(self, norm: nn.GroupNorm) -> None:
        super().__init__()
        self.norm = norm.float()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        output: torch.Tensor = self.norm(x.float())
        return output.to(x.dtype)


def _fold(network: nn.Module) -> None:
    for module in network.modules():
        if isinstance(module, Block) and module.resample == "up":
            upsample = module.upsamplers[0]
            assert isinstance(upsample, Resample)
            module.upsamplers[0] = FoldedUpsample(upsample)


def _widen(network: nn.Module) -> None:
    for name, child in list(network.named_modules()):
        if isinstance(child, nn.GroupNorm) and (child.num_channels // child.num_groups) % _VECTOR:
            parent, _, last = name.rpartition(".")
            setattr(network.get_submodule(parent), last, _WideNorm(child))
