"""A small convolutional classifier: the judge of labels, the source of domain features, the downstream model."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

FEATURES = 64
"""Features in front of the last layer. Few, because the bias of FID at n samples grows with their number."""

LARGEST_SIDE = 64
"""Larger images are averaged down to this side first: the work stays bounded."""

SMALLEST_SIDE = 8


class ConvClassifier(nn.Module):
    """Images float (N, C, H, W) in [-1, 1], sides of 8 pixels or more, to logits (N, num_classes).

    Five convolutions with batch norm, two of them of stride 2, then the mean over all positions: the same weights serve
    every size. 205,000 parameters with one input channel and ten classes.
    """

    def __init__(self, channels: int, num_classes: int, widths: tuple[int, int, int] = (32, 64, 128)) -> None:
        super().__init__()
        self.channels, self.num_classes, self.widths = channels, num_classes, widths
        first, second, third = widths
        self.body = nn.Sequential(
            _block(channels, first, size=5, stride=2),
            _block(first, second),
            _block(second, second, stride=2),
            _block(second, third),
            _block(third, FEATURES),
        )
        self.head = nn.Linear(FEATURES, num_classes)

    def features(self, x: torch.Tensor) -> torch.Tensor:
        """The input of the last layer, (N, 64), none negative."""
        height, width = x.shape[-2:]
        if max(height, width) > LARGEST_SIDE:
            shrink = LARGEST_SIDE / max(height, width)
            size = (max(SMALLEST_SIDE, round(height * shrink)), max(SMALLEST_SIDE, round(width * shrink)))
            x = F.interpolate(x, size, mode="area")
        x = x.contiguous(memory_format=torch.channels_last)
        maps: torch.Tensor = self.body(x)
        return maps.mean(dim=(2, 3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(self.features(x))
        return logits


def _block(inputs: int, outputs: int, *, size: int = 3, stride: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))


def build_classifier(
    channels: int, num_classes: int, *, widths: tuple[int, int, int] = (32, 64, 128), seed: int = 0
) -> ConvClassifier:
    """A freshly initialised classifier; the seed decides its weights, and torch's global generator stays untouched."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = ConvClassifier(channels, num_classes, widths)
    return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return,unused-ignore]
