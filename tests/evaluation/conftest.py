"""Small labelled RGB images with an answer, and an extractor that was really trained on them."""

from __future__ import annotations

import numpy as np
import pytest

from synthgen.data.dataset import ImageData
from synthgen.downstream.classifier import ClassifierRecipe
from synthgen.evaluation.domain import extractor_from_file, train_extractor
from synthgen.evaluation.extractors import Extractor

QUICK = ClassifierRecipe(steps=40, batch_size=32)
NAMES = ("red", "green", "blue")


def blobs(count: int, *, seed: int = 0, noise: int = 40, size: int = 12) -> ImageData:
    """RGB images whose class is the colour of a bright blob at a random place."""
    random = np.random.default_rng(seed)
    labels = np.arange(count) % len(NAMES)
    images = random.integers(0, noise, (count, size, size, 3), dtype=np.uint8)
    tops, lefts = random.integers(0, size - 5, (2, count))
    for image, label, top, left in zip(images, labels, tops, lefts, strict=True):
        image[top : top + 5, left : left + 5, label] = random.integers(170, 256)
    return ImageData(images, labels.astype(np.int64), NAMES, f"blobs-{seed}")


@pytest.fixture(scope="session")
def real() -> ImageData:
    return blobs(600)


@pytest.fixture(scope="session")
def extractor(tmp_path_factory: pytest.TempPathFactory) -> Extractor:
    """Trained on other images of the same kind."""
    path = tmp_path_factory.mktemp("extractor") / "blobs.safetensors"
    train_extractor(blobs(600, seed=99), path, recipe=QUICK, device="cpu")
    return extractor_from_file(path, name="blob-features", device="cpu")
