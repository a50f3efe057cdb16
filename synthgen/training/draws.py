"""The random numbers of a step: drawn for the whole batch from (seed, step), then cut, whoever computes which part."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from synthgen.config.schema import Config
from synthgen.data.dataset import ImageCodec
from synthgen.training.batches import Batch, augment, mix


@dataclass(frozen=True)
class Draws:
    """What the loss is computed from, for consecutive rows of a batch; see `Denoiser.loss`."""

    x0: torch.Tensor
    labels: torch.Tensor | None
    uniform: torch.Tensor
    noise: torch.Tensor

    def __len__(self) -> int:
        return len(self.x0)

    def rows(self, start: int, stop: int) -> Draws:
        """A part of these rows."""
        labels = None if self.labels is None else self.labels[start:stop]
        return Draws(self.x0[start:stop], labels, self.uniform[start:stop], self.noise[start:stop])


def draw(batch: Batch, step: int, config: Config, codec: ImageCodec, null_label: int | None) -> Draws:
    """Augmentation, noise, noise levels and dropped labels of `batch`, which may be a part of the step's batch.

    Random numbers come from (seed, step): a resumed run draws the same ones without any saved generator, and each
    process draws those of the whole batch and keeps its own rows, so that the number of processes changes nothing.
    """
    device, size, rows = batch.images.device, config.training.batch_size, batch.rows
    generator = torch.Generator(device).manual_seed(mix(config.training.seed, "noise", step))
    x0 = codec.encode(augment(batch.images, config.data.augment, generator, rows, size))
    noise = torch.randn((size, *x0.shape[1:]), generator=generator, device=device)[rows]
    # Stratified: one level from each of B equal shares of the distribution, which lowers the loss's variance.
    jitter = torch.rand(size, generator=generator, device=device)
    uniform = ((torch.arange(size, device=device) + jitter) / size)[rows]
    labels = batch.labels
    if null_label is not None and labels is not None:
        drop = torch.rand(size, generator=generator, device=device) < config.diffusion.label_dropout
        labels = labels.masked_fill(drop[rows], null_label)
    return Draws(x0, labels, uniform, noise)
