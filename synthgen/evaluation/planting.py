"""Copies of real images, planted on purpose: whether an alarm finds them says how far its silence can be trusted."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

_ONE_STEP = ((0, 1), (1, 0), (0, -1), (-1, 0))


def exact(image: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """The image itself."""
    return image


def shifted(image: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """The image (H, W, C) moved by a pixel in one of the four directions; the free edge repeats its neighbour."""
    down, right = _ONE_STEP[random.integers(4)]
    height, width, _ = image.shape
    wide = np.pad(image, ((1, 1), (1, 1), (0, 0)), "edge")
    return wide[1 - down : 1 - down + height, 1 - right : 1 - right + width]


def brightened(image: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Contrast times 0.7 to 1.3, brightness -30 to +30 grey levels, cut off at 0 and 255."""
    changed = image * random.uniform(0.7, 1.3) + random.uniform(-30.0, 30.0)
    return np.clip(np.round(changed), 0, 255).astype(np.uint8)


def both(image: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Moved by a pixel, with another contrast and brightness."""
    return brightened(shifted(image, random), random)


KINDS: dict[str, Callable[[np.ndarray, np.random.Generator], np.ndarray]] = {
    "exact": exact,
    "shifted by a pixel": shifted,
    "brightness changed": brightened,
    "shifted and brightness changed": both,
}


def plant(images: np.ndarray, kind: str, seed: int = 0) -> np.ndarray:
    """Copies of uint8 images (N, H, W, C), altered as `kind` of `KINDS` says."""
    random = np.random.default_rng(seed)
    return np.stack([KINDS[kind](image, random) for image in images])
