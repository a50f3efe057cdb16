"""In-domain features: the layer in front of the last of a small classifier that was trained on the data set itself.

FID needs features in which what matters for the data is far apart. Inception's come from photographs of objects; for
digits or scans a classifier of the data's own classes is nearer to the matter, needs no download and is 500 times
faster. Its distances are not comparable with Inception's, nor between data sets.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch_fidelity.feature_extractor_base import FeatureExtractorBase
from torch_fidelity.registry import FEATURE_EXTRACTORS_REGISTRY, register_feature_extractor
from torch_fidelity.utils import create_feature_extractor

from synthgen import devices
from synthgen.data.dataset import ImageCodec, ImageData
from synthgen.data.locations import cache_root
from synthgen.data.subset import stratified_subset
from synthgen.downstream.classifier import (
    ClassifierRecipe,
    classify,
    load_classifier,
    save_classifier,
    train_classifier,
)
from synthgen.errors import SynthgenError, UsageError
from synthgen.evaluation.extractors import Extractor, single_channel
from synthgen.models.classifier import SMALLEST_SIDE, ConvClassifier
from synthgen.reporting import NullReporter, Reporter
from synthgen.stopping import ShouldStop, never_stop

REGISTERED_NAME = "synthgen-domain"
"""Under this name torch-fidelity itself can use a file of ours: `fidelity --feature-extractor synthgen-domain`."""

BUNDLED = {"mnist": "mnist", "mnist-mini": "mnist", "fashion-mnist": "fashion-mnist"}
"""Data set -> file in the package."""

TOTAL_VARIANCE = 100.0
"""Features are scaled so that their variances over the training images add up to this: FID then counts hundredths of
the real images' variance."""

RECIPE = ClassifierRecipe(steps=500, batch_size=128)
"""For extractors trained on demand: 64,000 images, seconds to a minute."""

_BATCH = 512
_MOST_UNLABELLED = 20_000
"""Images without labels that are turned and learned from: four copies of each are held in memory."""

_MOST_SCALED = 60_000
WEIGHTS = Path(__file__).parent / "weights"


class DomainFeatureExtractor(FeatureExtractorBase):  # type: ignore[misc]
    """A classifier file as a torch-fidelity feature extractor: `features` (64) and `logits`.

    Args:
        feature_extractor_weights_path: a file written by `train_extractor`.
    """

    def __init__(
        self,
        name: str,
        features_list: list[str],
        feature_extractor_weights_path: str | Path | None = None,
        **unused: object,
    ) -> None:
        super().__init__(name, features_list)
        if feature_extractor_weights_path is None:
            raise UsageError(f"{name} needs the file of a domain extractor")
        self.model, self.header = load_classifier(Path(feature_extractor_weights_path))
        self.scale = float(self.header["card"]["feature_scale"])

    @staticmethod
    def get_provided_features_list() -> tuple[str, ...]:
        return ("features", "logits")

    @staticmethod
    def get_default_feature_layer_for_metric(metric: str) -> str:
        return "logits" if metric == "isc" else "features"

    @staticmethod
    def can_be_compiled() -> bool:
        return False

    @staticmethod
    def get_dummy_input_for_compile() -> torch.Tensor:
        return torch.zeros(2, 3, 32, 32, dtype=torch.uint8)

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """uint8 (N, 1 or 3, H, W) to the requested layers."""
        if self.model.channels == 1:
            images = single_channel(images)
        codec = ImageCodec(images.shape[2], images.shape[3], images.shape[1])
        found = self.model.features(codec.encode(images.permute(0, 2, 3, 1)))
        layers = {"features": found * self.scale, "logits": self.model.head(found)}
        return tuple(layers[name] for name in self.features_list)


if REGISTERED_NAME not in FEATURE_EXTRACTORS_REGISTRY:
    register_feature_extractor(REGISTERED_NAME, DomainFeatureExtractor)


def domain_extractor(
    real: ImageData,
    *,
    device: str = "auto",
    recipe: ClassifierRecipe = RECIPE,
    should_stop: ShouldStop = never_stop,
    reporter: Reporter | None = None,
) -> Extractor:
    """The extractor of a data set: the bundled one, else one from the user's cache, else trained now on `real`.

    Images without labels (or of one class) get an extractor that was trained to tell by which quarter turn an image was
    rotated (Gidaris et al. 2018); it reads no classes.
    """
    bundled = BUNDLED.get(real.name)
    if bundled and real.shape == (28, 28, 1):
        return extractor_from_file(WEIGHTS / f"{bundled}.safetensors", name=f"domain-{bundled}", device=device)
    path = _cached(real, recipe)
    if not path.is_file():
        (reporter or NullReporter()).info(
            f"training a feature extractor on {len(real):,} images of {real.name}, once; kept in {path.parent}"
        )
        train_extractor(real, path, recipe=recipe, device=device, should_stop=should_stop, reporter=reporter)
    return extractor_from_file(path, name=f"domain-{path.stem[:12]}", device=device)


def _cached(real: ImageData, recipe: ClassifierRecipe) -> Path:
    """Where the extractor of these images lies: named by their fingerprint and by the recipe."""
    key = json.dumps([real.fingerprint, asdict(recipe)], sort_keys=True)
    return cache_root() / "extractors" / f"{hashlib.sha256(key.encode()).hexdigest()[:24]}.safetensors"


def extractor_from_file(path: Path, *, name: str | None = None, device: str = "auto") -> Extractor:
    """The extractor in a classifier file. Raises UsageError or SynthgenError when it is not one."""
    module = create_feature_extractor(
        _checked(path), ["features", "logits"], cuda=False, feature_extractor_weights_path=path, verbose=False
    ).to(devices.pick_device(device))
    card: dict[str, Any] = module.header["card"]
    names = tuple(module.header["class_names"])
    classes = names if card["task"] == "classes" else ()
    return Extractor(
        name or path.stem,
        module,
        "features",
        "logits" if classes else None,
        module.model.channels,
        _BATCH,
        classes,
        {**card, "file": path.name},
    )


def _checked(path: Path) -> str:
    _, header = load_classifier(path)
    missing = {"task", "feature_scale"} - set(header.get("card", {}))
    if missing:
        raise SynthgenError(f"{path} is a classifier, but not a feature extractor: its card has no {min(missing)}")
    return REGISTERED_NAME


def train_extractor(
    data: ImageData,
    path: Path,
    *,
    test: ImageData | None = None,
    recipe: ClassifierRecipe = RECIPE,
    seed: int = 0,
    device: str = "auto",
    extra: Callable[[], dict[str, Any]] = dict,
    should_stop: ShouldStop = never_stop,
    reporter: Reporter | None = None,
) -> dict[str, Any]:
    """Train an extractor on all of `data`, write it to `path` and return its card.

    test: labelled images on which the accuracy is measured, afterwards; they choose nothing. extra: asked at the end,
    what else the card should say.
    """
    _check_size(data)
    by_class = data.has_classes
    images, labels, names = _task(data) if not by_class else (data.images, data.labels, data.class_names)
    assert labels is not None
    model = train_classifier(
        images,
        labels,
        len(names),
        recipe=recipe,
        seed=seed,
        device=device,
        label="training the feature extractor",
        should_stop=should_stop,
        reporter=reporter,
    )
    card = {
        "task": "classes" if by_class else "rotation",
        "feature_scale": _scale(model, data.images, should_stop),
        "data": {"name": data.name, "split": data.split, "count": len(data), "fingerprint": data.fingerprint},
        "recipe": recipe.to_dict(),
        "seed": seed,
        "torch": torch.__version__,
        "test_accuracy": None,
        "test_count": None,
    }
    if test is not None and test.labels is not None and by_class:
        aligned = test.align(data.class_names)
        read = classify(model, aligned.images).logits.argmax(axis=1)
        card |= {"test_accuracy": float(np.mean(read == aligned.labels)), "test_count": len(test)}
    card |= extra()
    save_classifier(path, model, names, card)
    return card


def _check_size(data: ImageData) -> None:
    if min(data.shape[:2]) < SMALLEST_SIDE:
        raise UsageError(
            f"{data.name}: images of {data.shape[0]} x {data.shape[1]} pixels are too small for domain features "
            f"({SMALLEST_SIDE} pixels a side are the least)",
            "choose --features inception, or a larger image size",
        )


def _task(data: ImageData) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """The four quarter turns of the images' central squares, and which turn it was."""
    height, width, _ = data.shape
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    chosen = stratified_subset(None, len(data), _MOST_UNLABELLED)
    square = np.asarray(data.images[chosen, top : top + side, left : left + side])
    turned = [np.rot90(square, turns, axes=(1, 2)) for turns in range(4)]
    labels = np.repeat(np.arange(4), len(square))
    return np.concatenate(turned), labels, ("0", "90", "180", "270")


def _scale(model: ConvClassifier, images: np.ndarray, should_stop: ShouldStop) -> float:
    """The factor that brings the features' total variance over the images to `TOTAL_VARIANCE`."""
    chosen = stratified_subset(None, len(images), _MOST_SCALED)
    features = classify(model, images[chosen], should_stop=should_stop).features.astype(np.float64)
    total = float(features.var(axis=0).sum())
    if not total > 0:
        raise UsageError("the real images all look the same: there is nothing to measure a distance by")
    return float(np.sqrt(TOTAL_VARIANCE / total))
