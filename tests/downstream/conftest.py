"""Two classes that a classifier tells apart after a few steps."""

from __future__ import annotations

from typing import Any

import numpy as np

from synthgen.data.dataset import ImageData
from synthgen.downstream.classifier import ClassifierRecipe
from synthgen.downstream.result import Design
from tests.conftest import two_corners

QUICK = ClassifierRecipe(steps=25, batch_size=32)


def quick(*seeds: int, **more: Any) -> Design:
    """An experiment with short trainings of the smallest classifier."""
    recipe = ClassifierRecipe(steps=60, batch_size=32, learning_rate=0.02)
    return Design(**{"recipe": recipe, "classifier": "logistic", "seeds": seeds, **more})


def corners(count: int, seed: int = 0, name: str = "corners", split: str = "all") -> ImageData:
    """`two_corners` as a set with class names `top` and `bottom`."""
    images, labels = two_corners(count, seed)
    return ImageData(images, labels, ("top", "bottom"), name, split)


def mislabelled(data: ImageData) -> ImageData:
    """The same images with every label wrong."""
    assert data.labels is not None
    return ImageData(data.images, 1 - data.labels, data.class_names, f"mislabelled {data.name}")


def blank(count: int) -> ImageData:
    """Noise without anything to learn from."""
    random = np.random.default_rng(5)
    images = random.integers(0, 40, (count, 8, 8, 1), dtype=np.uint8)
    return ImageData(images, np.arange(count) % 2, ("top", "bottom"), "noise")
