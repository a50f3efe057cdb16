"""Images as the subject of a run: which to load, how they become batches, what a preview is."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from synthgen.checkpoints import Header, Tensors
from synthgen.config.modalities import UNITS
from synthgen.config.schema import Config
from synthgen.data import load_images
from synthgen.data.captions import MOST_CAPTIONS, Vocabulary, by_frequency, vocabulary_of
from synthgen.data.dataset import ImageCodec, ImageData
from synthgen.diffusion.denoiser import Denoiser
from synthgen.errors import UsageError
from synthgen.generation.building import build_denoiser, recipe_of
from synthgen.generation.engine import Engine
from synthgen.models.images import fitting_size, is_cross
from synthgen.outputs import atomic_write
from synthgen.rendering import grid, png_bytes
from synthgen.reporting import NullReporter, Reporter
from synthgen.stopping import ShouldStop, never_stop
from synthgen.training.batches import Batch, Batches
from synthgen.training.draws import draw
from synthgen.training.starting import begin_from, check_unseen
from synthgen.training.subject import Draws


def load_data(config: Config, reporter: Reporter | None = None, should_stop: ShouldStop = never_stop) -> ImageData:
    """The training images that a config names, at a size that the network can halve as often as it must."""
    settings = config.data
    reporter = reporter or NullReporter()

    def at(size: int | tuple[int, int] | None) -> ImageData:
        return load_images(
            settings.source,
            image_size=size,
            channels=settings.channels,
            classes=settings.classes,
            limit=settings.limit,
            max_bad=settings.max_bad,
            captions=is_cross(config.model),
            reporter=reporter,
            should_stop=should_stop,
        )

    data = _in_order(at(settings.image_size))
    height, width = data.shape[:2]
    fitting = fitting_size(config.model, height, width)
    if settings.image_size is not None or fitting == (height, width):
        return data
    reporter.info(
        f"images of {height} x {width} become {fitting[0]} x {fitting[1]}, which {len(config.model.channels)} "
        "resolutions can share (set data.image_size to choose)"
    )
    return _in_order(at(fitting))


def _in_order(data: ImageData) -> ImageData:
    """Captions with the commonest first, where they are too many to be remembered all."""
    if not data.captioned or data.labels is None:
        return data
    labels, names = by_frequency(data.labels, data.class_names)
    return replace(data, labels=labels, class_names=names)


def _conditioning(config: Config, data: ImageData) -> tuple[str, ...]:
    """The classes to condition on (empty: unconditional); raises UsageError when they do not fit."""
    if is_cross(config.model) and data.labels is None:
        raise UsageError(
            f"model.conditioning is 'cross-attention', but {data.name} has neither captions nor labels",
            "put a metadata.jsonl into the folder, with a line such as "
            '{"file_name": "1.png", "text": "a red square"} for each image',
        )
    if config.model.conditioning == "class" and data.labels is None:
        raise UsageError(
            f"model.conditioning is 'class', but {data.name} has no labels",
            "put the images into one sub-folder per class, or set model.conditioning to auto",
        )
    conditional = data.labels is not None and config.model.conditioning != "none"
    return data.class_names if conditional else ()


def _vocabulary(data: ImageData) -> Vocabulary:
    """The words of the captions that are learned from."""
    assert data.labels is not None
    return vocabulary_of(data.class_names, np.bincount(data.labels, minlength=len(data.class_names)).tolist())


def sigma_data(data: ImageData, codec: ImageCodec, sample: int = 8192) -> float:
    """Standard deviation of the encoded pixels, over an evenly spaced sample of the images."""
    stride = max(1, len(data) // sample)
    pixels = torch.from_numpy(data.images[::stride][:sample].copy())
    value = float(codec.encode(pixels).double().std())
    if value < 1e-4:
        raise UsageError(f"every image in {data.name} is the same flat colour: there is nothing to learn")
    return value


class ImageSubject:
    """A U-Net that learns images; see `synthgen.training.subject.Subject`."""

    unit = UNITS["images"]

    def __init__(self, config: Config, data: ImageData, device: torch.device, origin: Path | None = None) -> None:
        """origin: the checkpoint that `config.start` names; None where a state of the run brings its weights."""
        self.config, self.device = config, device
        self.data, self.held_out = data.hold_out(config.data.validation)
        told = _conditioning(config, data)
        self.codec = ImageCodec(*data.shape)
        self.name, self.skipped = data.name, len(data.skipped)
        self.vocabulary = _vocabulary(self.data) if data.captioned else None
        self.class_names = told if self.vocabulary is None else told[:MOST_CAPTIONS]
        deviation = sigma_data(data, self.codec)
        table = None if self.vocabulary is None else self.vocabulary.table(told, lenient=True)
        self._denoiser = build_denoiser(config, self.codec, len(told), deviation, device, table)
        self._taken = None
        if config.start is not None and origin is not None:
            check_unseen(origin, data.fingerprint, 0 if self.held_out is None else len(self.held_out))
            self._taken = begin_from(origin, config.start, self._denoiser.network, told, self.vocabulary)
        self.denoiser: nn.Module = self._denoiser
        self.facts: dict[str, Any] = {
            "name": data.name,
            "split": data.split,
            "count": len(self.data),
            "held_out": 0 if self.held_out is None else len(self.held_out),
            "fingerprint": data.fingerprint,
            "licence": data.licence,
            "skipped": len(data.skipped),
        }

    def __len__(self) -> int:
        return len(self.data)

    def describe(self) -> dict[str, Any]:
        height, width, channels = self.data.shape
        size = f"{height} x {width} x {channels}"
        kept = f", {len(self.held_out):,} held out" if self.held_out is not None else ""
        told: dict[str, Any] = {"data": f"{self.name}, {len(self):,} images of {size}{kept}"}
        if self._taken is not None and self.config.start is not None:
            told["starts from"] = f"{self.config.start.model}: {self._taken}"
        if self.vocabulary is None:
            return {**told, "classes": len(self.class_names)}
        known = f"{len(self.data.class_names):,} different, of {len(self.vocabulary.words):,} words"
        return {**told, "captions": known}

    def batches(self) -> Batches:
        settings = self.config.training
        return Batches(self.data, settings.batch_size, settings.seed, self.device)

    def draw(self, batch: Batch, step: int, progress: float) -> Draws:
        return draw(batch, step, self.config, self.codec, self._denoiser.null_label)

    def loss(self, denoiser: Denoiser, *parts: torch.Tensor | None) -> torch.Tensor:
        diffusion = self.config.diffusion
        x0, labels, uniform, noise = parts
        assert x0 is not None and uniform is not None and noise is not None
        return denoiser.loss(x0, labels, uniform, noise, diffusion.loss_weight, diffusion.min_snr_gamma)

    def header(self) -> Header:
        return {
            "codec": self.codec.to_dict(),
            "class_names": list(self.class_names),
            "sigma_data": self._denoiser.sigma_data,
            "sampler_card": None,
            **({} if self.vocabulary is None else {"vocabulary": asdict(self.vocabulary)}),
        }

    def tensors(self) -> Tensors:
        return {}

    def finished(self, weights: Tensors) -> Tensors:
        return weights

    def validation(self, denoiser: Denoiser) -> None:
        return None

    def _preview_keys(self) -> tuple[np.ndarray, int]:
        """The sample numbers of a preview and its columns: two rows, up to ten classes."""
        columns = min(len(self.class_names), 10) or 8
        return np.arange(2 * columns), columns

    @property
    def preview_calls(self) -> int:
        sampling = self.config.sampling
        blocks = -(-len(self._preview_keys()[0]) // sampling.block_size)
        return blocks * sampling.block_size * sampling.steps

    def preview(self, denoiser: Denoiser, run: Path, step: int, reporter: Reporter) -> None:
        """A grid, with one column per class."""
        keys, columns = self._preview_keys()
        labels = keys % columns if self.class_names else None
        engine = Engine(denoiser, self.codec, recipe_of(self.config.sampling), self.device)
        picture = grid(engine.pixels(keys, labels, seed=0), columns)
        path = run / "previews" / f"step-{step:08d}.png"
        atomic_write(path, png_bytes(picture, scale=max(1, 320 // picture.shape[1])))
        reporter.preview(picture, f"samples at step {step:,}", path)
