"""The random numbers of a step on images: drawn for the whole batch from (seed, step), then cut."""

from __future__ import annotations

import torch

from synthgen.config.schema import Config
from synthgen.data.dataset import ImageCodec
from synthgen.training.batches import Batch, augment, mix
from synthgen.training.subject import Draws


def draw(batch: Batch, step: int, config: Config, codec: ImageCodec, null_label: int | None) -> Draws:
    """Augmented images, labels of which some are dropped, noise levels and noise of `batch`; see `Subject.draw`.

    They are x0, labels, uniform and noise of `Denoiser.loss`.
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
    return Draws((x0, labels, uniform, noise))
