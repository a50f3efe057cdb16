"""Noise levels fitted to a loaded model of images: the samples whose trajectories they are fitted to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from synthgen.diffusion.fitting import LevelFitter
from synthgen.generation.noise import noise

if TYPE_CHECKING:
    from synthgen.generation.model import Model

FITTING_SEED = 2**62 + 1
"""Of the noise that levels are fitted to, which no sample that is judged should share."""


def level_fitter(model: Model, count: int = 96) -> LevelFitter:
    """A fitter on `count` samples of `model`, classes balanced; costs 79 network calls a sample.

    `level_fitter(model).fit("dpm++2m", 6)` is what a recipe takes as `noise_levels`.
    """
    codec, block = model.codec, model.recipe().block_size
    blocks = []
    for start in range(0, count, block):
        keys = np.arange(start, min(start + block, count))
        x = torch.from_numpy(noise(FITTING_SEED, keys, (codec.channels, codec.height, codec.width), 0))
        labels = model.labels_for(start, len(keys), None)
        on_device = None if labels is None else torch.from_numpy(labels).to(model.device)
        blocks.append((x.to(model.device), on_device))
    return LevelFitter(model.denoiser, blocks)
