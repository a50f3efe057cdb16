"""Which training images an image resembles, and whether that is nearer than a new one would be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from synthgen.evaluation.cache import evaluation_cache
from synthgen.evaluation.neighbours import PixelIndex
from synthgen.explain.images.sources import decoded
from synthgen.explain.tables.neighbours import as_near

if TYPE_CHECKING:
    from synthgen.explain.images.context import Context

NEIGHBOURS = 5
LEVEL = 0.05
"""Chance to flag any of the images where all are as new as held-out ones."""

MOST_HOLDOUT = 1000

QUESTION = (
    "Which training images are nearest in the features of a classifier of this data, and is an image nearer to its "
    "nearest one, pixel by pixel, than a new real image would be?"
)
CAVEAT = (
    "Likeness is no cause: that a training image is near does not say that it made the model draw this. A flag says "
    "that an image is nearer to one training image than chance explains; no flag is no proof of privacy."
)


@dataclass(frozen=True, eq=False)
class Neighbours:
    """Of N images.

    index: int64 (N, k), the nearest training images in feature space. distances: float64 (N, k), ascending. twins:
    int64 (N,), the nearest in pixel space. ratios: float64 (N,), its distance in parts of that of the tenth nearest: 0
    a copy, 1 one of many. shares: float64 (N,), the share of held-out images with as small a ratio; NaN without any.
    flagged: bool (N,), too near for chance. held_out: how many. images: uint8 (N, k, H, W, C), the nearest ones.
    compared: training images looked at.
    """

    index: np.ndarray
    distances: np.ndarray
    twins: np.ndarray
    ratios: np.ndarray
    shares: np.ndarray
    flagged: np.ndarray
    held_out: int
    images: np.ndarray
    compared: int

    @property
    def sentence(self) -> str:
        """The finding in words."""
        count = len(self.flagged)
        images = f"{count} image" + ("" if count == 1 else "s")
        if self.held_out < count / LEVEL - 1:
            few = int(np.ceil(count / LEVEL)) - 1
            return (
                f"{self.held_out} held-out images are too few to tell how near is too near for {images} ({few} needed)."
            )
        if self.flagged.any():
            lie = "lies" if self.flagged.sum() == 1 else "lie"
            return f"{int(self.flagged.sum())} of {images} {lie} nearer to a training image than chance explains."
        return f"None of {images} lies nearer to a training image than new ones do ({self.held_out:,} held-out images)."


def find(context: Context) -> Neighbours:
    """Find them among all training images. Raises StoppedError."""
    train = context.real.train
    assert train is not None
    mine = decoded(context.x0)
    index, distances = resembled(context, mine, NEIGHBOURS)
    pixels = PixelIndex(train.images, seed=context.seed, check=context.probe.check)
    found = pixels.search(mine, check=context.probe.check)
    held = np.empty(0)
    if context.real.holdout is not None:
        chosen = np.random.default_rng([context.seed, 52]).permutation(len(context.real.holdout))[:MOST_HOLDOUT]
        held = pixels.search(
            np.ascontiguousarray(context.real.holdout.images[np.sort(chosen)]), check=context.probe.check
        ).ratio
    shares = as_near(found.ratio.astype(np.float64), held.astype(np.float64))
    flagged = np.nan_to_num(shares, nan=1.0) <= LEVEL / len(mine)
    images = np.ascontiguousarray(train.images[index])
    return Neighbours(index, distances, found.index, found.ratio, shares, flagged, len(held), images, len(train))


def resembled(context: Context, images: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """(index int64 (N, k), distance float64 (N, k) ascending) of the training images nearest to uint8 images (N, H, W,
    C) in feature space; k is `count`, or as many as there are. Raises StoppedError."""
    train, extractor = context.real.train, context.extractor
    assert train is not None and extractor is not None
    cache = evaluation_cache(reporter=context.reporter)
    more: Any = {"should_stop": context.should_stop, "reporter": context.reporter}
    base = extractor.features_of(train.images, cache, label="reading the training images", **more)
    own = extractor.extract(images, should_stop=context.should_stop)
    return nearest(own.features, base.features, min(count, len(train)))


def nearest(queries: np.ndarray, base: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """(index int64 (N, k), distance float64 (N, k) ascending) of the rows of `base` nearest to each query."""
    rows = []
    for query in queries.astype(np.float64):
        distance = np.sqrt(np.square(base - query).sum(axis=1))
        best = np.argpartition(distance, count - 1)[:count]
        best = best[np.argsort(distance[best], kind="stable")]
        rows.append((best, distance[best]))
    return np.stack([index for index, _ in rows]), np.stack([distance for _, distance in rows])
