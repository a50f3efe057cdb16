"""Train the small classifier and ask it: for domain features, for judging labels, for the augmentation experiment."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from synthgen import devices
from synthgen.checkpoints import load_checkpoint, save_checkpoint
from synthgen.data.dataset import ImageCodec
from synthgen.downstream.transforms import Transforms
from synthgen.errors import StoppedError, SynthgenError, UsageError
from synthgen.models.classifier import SMALLEST_SIDE, ConvClassifier, build_classifier
from synthgen.reporting import NullReporter, Reporter
from synthgen.stopping import ShouldStop, never_stop

Module = TypeVar("Module", bound=nn.Module)

KIND = "classifier"
"""The `kind` of a classifier's checkpoint file."""

_PREDICT_BATCH = 512


@dataclass(frozen=True)
class ClassifierRecipe:
    """How a classifier is trained: always this many steps, whatever the number of images.

    shift: move every training image by up to this many pixels each way, edges repeated.
    horizontal_flip: mirror half of the training images.
    """

    steps: int = 600
    batch_size: int = 256
    learning_rate: float = 4e-3
    weight_decay: float = 0.05
    warmup: float = 0.2
    shift: int = 0
    horizontal_flip: bool = False

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


class Outputs(NamedTuple):
    """What a classifier says of N images: features float32 (N, 64) and logits float32 (N, K)."""

    features: np.ndarray
    logits: np.ndarray


def train_classifier(
    images: np.ndarray,
    labels: np.ndarray,
    num_classes: int,
    *,
    recipe: ClassifierRecipe = ClassifierRecipe(),
    seed: int = 0,
    device: str = "auto",
    label: str = "training a classifier",
    should_stop: ShouldStop = never_stop,
    reporter: Reporter | None = None,
) -> ConvClassifier:
    """A `ConvClassifier` trained on uint8 images (N, H, W, C) and their labels, int (N,) below `num_classes`.

    Raises: UsageError when the images are too few or too small; StoppedError when asked to stop.
    """
    if min(images.shape[1:3]) < SMALLEST_SIDE:
        raise UsageError(
            f"images of {images.shape[1]} x {images.shape[2]} pixels are too small for a classifier: "
            f"{SMALLEST_SIDE} pixels a side are the least"
        )
    _check(images, labels, num_classes)
    model = build_classifier(images.shape[-1], num_classes, seed=seed)
    return fit(
        model,
        images,
        labels,
        num_classes,
        recipe=recipe,
        seed=seed,
        device=device,
        label=label,
        should_stop=should_stop,
        reporter=reporter,
    )


def fit(
    model: Module,
    images: np.ndarray,
    labels: np.ndarray,
    num_classes: int,
    *,
    recipe: ClassifierRecipe = ClassifierRecipe(),
    transforms: Transforms | None = None,
    seed: int = 0,
    device: str = "auto",
    label: str = "training a classifier",
    should_stop: ShouldStop = never_stop,
    reporter: Reporter | None = None,
) -> Module:
    """Train `model` (float (N, C, H, W) in [-1, 1] to logits) on uint8 images (N, H, W, C) and labels, int (N,).

    AdamW with a learning rate that rises over the first fifth of the steps and falls to zero; bf16 where the device
    computes in it. The last weights are kept: no held-out set chooses among them. transforms: classical augmentation of
    every batch. Everything random follows `seed`, dropout included, and torch's global generator stays untouched.

    Raises: UsageError when the images are too few; StoppedError when asked to stop.
    """
    _check(images, labels, num_classes)
    place = devices.pick_device(device)
    precision = devices.pick_precision("auto", place)
    model = model.to(place).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
    stream = _Batches(images, labels, recipe, seed, transforms)
    forked = [place] if place.type == "cuda" else []
    with (
        torch.random.fork_rng(devices=forked),
        (reporter or NullReporter()).progress(label, recipe.steps, "steps") as progress,
    ):
        torch.manual_seed(seed)
        for step in range(recipe.steps):
            if should_stop():
                raise StoppedError(f"stopped while {label}, after {step:,} of {recipe.steps:,} steps")
            for group in optimizer.param_groups:
                group["lr"] = recipe.learning_rate * ramp((step + 1) / recipe.steps, recipe.warmup)
            pixels, targets = (part.to(place) for part in stream.next())
            with torch.autocast(place.type, torch.bfloat16, enabled=precision == torch.bfloat16):
                logits = model(pixels)
            loss = F.cross_entropy(logits.float(), targets)
            optimizer.zero_grad(set_to_none=True)
            torch.autograd.backward(loss)
            optimizer.step()
            if step % 10 == 9 or step + 1 == recipe.steps:
                progress.update(step + 1, loss=f"{loss.item():.3f}")
    return model.eval().requires_grad_(False)


def _check(images: np.ndarray, labels: np.ndarray, num_classes: int) -> None:
    if len(images) < 2 or num_classes < 2:
        raise UsageError(
            f"a classifier needs at least two images and two classes, not {len(images)} of {num_classes} classes"
        )
    if len(labels) != len(images) or labels.min() < 0 or labels.max() >= num_classes:
        raise SynthgenError(f"{len(images):,} images do not fit {len(labels):,} labels below {num_classes}")


def ramp(share: float, warmup: float = 0.2) -> float:
    """The learning rate's factor at `share` of the run, in (0, 1]: up in a line, then down in a line."""
    return share / warmup if share < warmup else max(1.0 - share, 1e-3) / (1.0 - warmup)


class _Batches:
    """An endless stream of batches: one shuffled pass after the other, cut into equal pieces across the seams."""

    def __init__(
        self,
        images: np.ndarray,
        labels: np.ndarray,
        recipe: ClassifierRecipe,
        seed: int,
        transforms: Transforms | None = None,
    ) -> None:
        self.images, self.labels, self.recipe = images, labels.astype(np.int64), recipe
        self.transforms = transforms
        # A stream of its own: with and without classical augmentation the images come in the same order.
        self.changes = np.random.default_rng([seed, 1])
        self.codec = ImageCodec(*images.shape[1:])
        self.random = np.random.default_rng(seed)
        self.queue = np.empty(0, np.int64)

    def next(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Float (B, C, H, W) in [-1, 1] and int64 (B,)."""
        size = self.recipe.batch_size
        while len(self.queue) < size:
            self.queue = np.concatenate([self.queue, self.random.permutation(len(self.images))])
        index, self.queue = self.queue[:size], self.queue[size:]
        pixels = self._augment(np.asarray(self.images[index]))
        encoded = self.codec.encode(torch.from_numpy(pixels))
        if self.transforms is not None:
            encoded = self.transforms.apply(encoded, self.changes)
        return encoded, torch.from_numpy(self.labels[index])

    def _augment(self, pixels: np.ndarray) -> np.ndarray:
        count, height, width, _ = pixels.shape
        if self.recipe.horizontal_flip:
            flipped = self.random.random(count) < 0.5
            pixels[flipped] = pixels[flipped, :, ::-1]
        shift = self.recipe.shift
        if shift:
            wide = np.pad(pixels, ((0, 0), (shift, shift), (shift, shift), (0, 0)), mode="edge")
            tops, lefts = self.random.integers(0, 2 * shift + 1, (2, count))
            rows = tops[:, None, None] + np.arange(height)[None, :, None]
            columns = lefts[:, None, None] + np.arange(width)[None, None, :]
            pixels = wide[np.arange(count)[:, None, None], rows, columns]
        return pixels


def classify(
    model: ConvClassifier,
    images: np.ndarray,
    *,
    label: str = "",
    should_stop: ShouldStop = never_stop,
    reporter: Reporter | None = None,
) -> Outputs:
    """Features and logits of uint8 images (N, H, W, C), in fp32 and fixed batches. Raises StoppedError."""
    place = next(model.parameters()).device
    codec = ImageCodec(*images.shape[1:])
    features, logits = [], []
    with torch.inference_mode(), (reporter or NullReporter()).progress(label, len(images), "images") as progress:
        for start in range(0, len(images), _PREDICT_BATCH):
            if should_stop():
                raise StoppedError(f"stopped after reading {start:,} of {len(images):,} images")
            pixels = torch.from_numpy(np.ascontiguousarray(images[start : start + _PREDICT_BATCH])).to(place)
            found = model.features(codec.encode(pixels))
            features.append(found.cpu().numpy())
            logits.append(model.head(found).cpu().numpy())
            progress.update(start + len(pixels))
    return Outputs(np.concatenate(features), np.concatenate(logits))


def logits_of(model: nn.Module, images: np.ndarray, *, should_stop: ShouldStop = never_stop) -> np.ndarray:
    """The logits of any classifier for uint8 images (N, H, W, C): float32 (N, K), computed in fp32."""
    place = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
    codec = ImageCodec(*images.shape[1:])
    found = []
    with torch.inference_mode():
        for start in range(0, len(images), _PREDICT_BATCH):
            if should_stop():
                raise StoppedError(f"stopped after reading {start:,} of {len(images):,} images")
            pixels = torch.from_numpy(np.ascontiguousarray(images[start : start + _PREDICT_BATCH])).to(place)
            found.append(model(codec.encode(pixels)).float().cpu().numpy())
    return np.concatenate(found)


def predict(model: ConvClassifier, images: np.ndarray) -> np.ndarray:
    """The class that the model reads in each uint8 image: int64 (N,)."""
    found: np.ndarray = classify(model, images).logits.argmax(axis=1)
    return found


def save_classifier(path: Path, model: ConvClassifier, class_names: tuple[str, ...], card: dict[str, Any]) -> None:
    """Write a classifier as a safetensors file that explains itself; `card` tells how it was trained."""
    header = {
        "kind": KIND,
        "channels": model.channels,
        "num_classes": model.num_classes,
        "widths": list(model.widths),
        "class_names": list(class_names),
        "card": card,
    }
    save_checkpoint(path, dict(model.state_dict()), header)


def load_classifier(path: Path) -> tuple[ConvClassifier, dict[str, Any]]:
    """The classifier in a file (on the CPU, in evaluation mode) and the file's header.

    Raises: UsageError when there is none, SynthgenError when it is damaged or of another kind.
    """
    header, tensors = load_checkpoint(path, kind=KIND)
    try:
        first, second, third = (int(width) for width in header["widths"])
        arguments = (int(header["channels"]), int(header["num_classes"]), (first, second, third))
        with torch.device("meta"):  # without memory: a header may ask for any number of weights
            expected = {name: tensor.shape for name, tensor in ConvClassifier(*arguments).state_dict().items()}
        if expected != {name: tensor.shape for name, tensor in tensors.items()}:
            raise ValueError("its weights are not those of the network in its header")
        model = ConvClassifier(*arguments)
        model.load_state_dict(tensors)
    except (KeyError, TypeError, ValueError, RuntimeError, ArithmeticError) as error:
        raise SynthgenError(f"{path} was made by another version of synthgen: {error}", "update synthgen") from error
    return model.to(memory_format=torch.channels_last).eval().requires_grad_(False), header
