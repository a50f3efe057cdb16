"""Batches whose content is a pure function of (data, seed, step): resuming needs a step number, nothing else."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import torch

from synthgen.config.schema import AugmentConfig
from synthgen.data.dataset import ImageData
from synthgen.devices import sent

_RESIDENT_BYTES = 2 * 2**30
"""Data up to this size is held on the device as uint8; larger data stays memory-mapped on disk."""


def mix(*parts: int | str) -> int:
    """A 63-bit number from any integers and words: independent seeds for independent purposes.

    Hashed, because the CPU generator of torch looks only at the low 32 bits of its seed.
    """
    return int.from_bytes(hashlib.blake2b(repr(parts).encode(), digest_size=8).digest(), "little") >> 1


@dataclass
class Batch:
    """Rows `rows` of a batch. images: uint8 (B, H, W, C) on the device; labels: int64 (B,) or None.

    epoch: that of the whole batch's last image.
    """

    images: torch.Tensor
    labels: torch.Tensor | None
    epoch: int
    rows: slice


class Order:
    """Which of `count` samples are in batch number `step`: a function of (seed, step) alone."""

    def __init__(self, count: int, batch_size: int, seed: int) -> None:
        self.count, self.batch_size, self.seed = count, batch_size, seed
        self._orders: dict[int, np.ndarray] = {}

    def _of_epoch(self, epoch: int) -> np.ndarray:
        if epoch not in self._orders:
            generator = np.random.Generator(np.random.Philox(key=mix(self.seed, "order", epoch)))
            self._orders = {known: order for known, order in self._orders.items() if known >= epoch - 1}
            self._orders[epoch] = generator.permutation(self.count)
        return self._orders[epoch]

    def indices(self, step: int) -> np.ndarray:
        """The samples of batch number `step` (from 0); batches run across the ends of epochs."""
        position = np.arange(step * self.batch_size, (step + 1) * self.batch_size)
        epochs = position // self.count
        parts = [self._of_epoch(int(e))[position[epochs == e] % self.count] for e in np.unique(epochs)]
        return np.concatenate(parts)


class Batches:
    """The training data in an order that depends on the seed and the epoch alone."""

    def __init__(self, data: ImageData, batch_size: int, seed: int, device: torch.device) -> None:
        self.data = data
        self.batch_size = batch_size
        self.device = device
        self._order = Order(len(data), batch_size, seed)
        self._resident: torch.Tensor | None = None
        if data.images.nbytes <= _RESIDENT_BYTES:
            self._resident = torch.from_numpy(np.array(data.images)).to(device)
        self._labels = None if data.labels is None else np.asarray(data.labels, np.int64)

    def indices(self, step: int) -> np.ndarray:
        """The rows of batch number `step` (from 0); batches run across the ends of epochs."""
        return self._order.indices(step)

    def __call__(self, step: int, rows: slice | None = None) -> Batch:
        """Batch number `step`, or only some consecutive `rows` of it."""
        rows = rows or slice(0, self.batch_size)
        index = self.indices(step)[rows]
        if self._resident is not None:
            images = self._resident[sent(index, self.device)]
        else:
            order = np.argsort(index)  # ascending reads are kinder to a disk
            pixels = np.empty((len(index), *self.data.images.shape[1:]), np.uint8)
            pixels[order] = self.data.images[index[order]]
            images = sent(pixels, self.device)
        labels = None if self._labels is None else sent(self._labels[index], self.device)
        return Batch(images, labels, (step + 1) * self.batch_size // len(self.data), rows)


def augment(
    images: torch.Tensor,
    config: AugmentConfig,
    generator: torch.Generator,
    rows: slice | None = None,
    size: int | None = None,
) -> torch.Tensor:
    """Random flips and shifts of uint8 (B, H, W, C), each image on its own; off by default.

    rows, size: which rows of a batch of `size` these are; random numbers are drawn for all of them.
    """
    batch, height, width, _ = images.shape
    rows, size = rows or slice(0, batch), size or batch
    device = images.device
    for flag, axis in ((config.horizontal_flip, 2), (config.vertical_flip, 1)):
        if flag:
            chosen = torch.rand(size, 1, 1, 1, generator=generator, device=device)[rows] < 0.5
            images = torch.where(chosen, images.flip(axis), images)
    if config.shift:
        span = 2 * config.shift + 1
        offset = torch.randint(span, (2, size, 1), generator=generator, device=device)[:, rows] - config.shift
        down = (torch.arange(height, device=device) + offset[0]).clamp(0, height - 1)
        across = (torch.arange(width, device=device) + offset[1]).clamp(0, width - 1)
        index = torch.arange(batch, device=device)[:, None, None]
        images = images[index, down[:, :, None], across[:, None, :]]
    return images
