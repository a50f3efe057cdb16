"""Dropping samples before use, by what the classifier's own real images know: no test image has a say."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from synthgen.data.dataset import ImageData
from synthgen.data.subset import stratified_subset
from synthgen.downstream.classifier import ClassifierRecipe, fit, logits_of
from synthgen.downstream.factories import Classifier
from synthgen.downstream.transforms import Transforms
from synthgen.errors import UsageError, nearest
from synthgen.reporting import Reporter
from synthgen.stopping import ShouldStop

FILTERS = ("confidence", "nearest")

_NEAR_SHARE = 0.01
_MOST_CALIBRATED = 2000
_CHUNK = 1000


@dataclass(frozen=True)
class FilterReport:
    """What a filter did. kept, total: samples; per_class: share kept by class name, None where none was asked for.

    threshold: pixel distance below which a sample is a near copy, root mean square in grey levels; None if not asked.
    """

    names: tuple[str, ...]
    kept: int
    total: int
    misread: int
    near: int
    threshold: float | None
    per_class: dict[str, float | None]

    @property
    def sentence(self) -> str:
        """What was dropped, and by which rule."""
        parts = []
        if "confidence" in self.names:
            parts.append(f"{self.misread:,} whose label a judge trained on the same real images does not read")
        if self.threshold is not None:
            parts.append(
                f"{self.near:,} nearer to a training image than {100 * _NEAR_SHARE:g} % of those are to each other "
                f"({self.threshold:.1f} grey levels)"
            )
        return f"The filter kept {self.kept:,} of {self.total:,} samples; dropped: {' and '.join(parts)}."

    def to_dict(self) -> dict[str, Any]:
        return asdict(self) | {"kept_share": self.kept / self.total, "sentence": self.sentence}


def parse_filters(text: str) -> tuple[str, ...]:
    """`none`, `confidence`, `nearest` or both with a comma. Raises UsageError."""
    names = tuple(dict.fromkeys(part.strip() for part in text.split(",")))
    if names == ("none",):
        return ()
    for name in names:
        if name not in FILTERS:
            raise UsageError(
                f"--filter: there is no '{name}'{nearest(name, [*FILTERS, 'none'])}",
                "choose confidence, nearest, both with a comma, or none",
            )
    return names


def filter_samples(
    names: tuple[str, ...],
    samples: ImageData,
    real: ImageData,
    judge: Classifier,
    *,
    recipe: ClassifierRecipe,
    transforms: Transforms,
    seed: int,
    device: str,
    reporter: Reporter,
    should_stop: ShouldStop,
) -> tuple[ImageData, FilterReport]:
    """The samples that every filter of `names` keeps.

    confidence: drop those whose label is not what a classifier reads that was trained, with classical augmentation, on
    `real` (the images that the experiment's classifiers have, and no others). nearest: drop near copies of `real`.

    Raises: UsageError when a class of the samples loses all of its images.
    """
    assert samples.labels is not None and real.labels is not None
    misread, near, threshold = np.zeros(len(samples), bool), np.zeros(len(samples), bool), None
    if "confidence" in names:
        height, width, channels = real.shape
        model = fit(
            judge.build((channels, height, width), len(real.class_names), seed),
            real.images,
            real.labels,
            len(real.class_names),
            recipe=recipe,
            transforms=transforms,
            seed=seed,
            device=device,
            label="training the judge of the samples",
            should_stop=should_stop,
            reporter=reporter,
        )
        misread = logits_of(model, samples.images, should_stop=should_stop).argmax(axis=1) != samples.labels
    if "nearest" in names:
        threshold = near_distance(real)
        near = nearest_distances(samples.images, real.images) < threshold
    keep = ~(misread | near)
    per_class = {
        name: float(keep[samples.labels == label].mean()) if np.any(samples.labels == label) else None
        for label, name in enumerate(real.class_names)
    }
    emptied = [name for name, share in per_class.items() if share == 0]
    if emptied:
        raise UsageError(
            f"--filter {','.join(names)} drops every sample of class '{emptied[0]}'",
            "use --filter none, or a better generator",
        )
    report = FilterReport(
        names, int(keep.sum()), len(samples), int(misread.sum()), int(near.sum()), threshold, per_class
    )
    return samples.select(np.flatnonzero(keep)), report


def near_distance(real: ImageData) -> float:
    """The distance that 1 % of the training images fall short of to their nearest fellow, over up to 2,000 of them."""
    chosen = stratified_subset(real.labels, len(real), _MOST_CALIBRATED)
    distances = nearest_distances(real.images[chosen], real.images, own=chosen)
    return float(np.quantile(distances, _NEAR_SHARE))


def nearest_distances(images: np.ndarray, among: np.ndarray, own: np.ndarray | None = None) -> np.ndarray:
    """Root mean square difference in grey levels of each image to the nearest of `among`: float64 (N,).

    own: the position of each image in `among`, which is then left out.
    """
    flat = among.reshape(len(among), -1).astype(np.float32)
    norms = np.einsum("ij,ij->i", flat, flat)
    found = np.empty(len(images))
    for start in range(0, len(images), _CHUNK):
        part = images[start : start + _CHUNK].reshape(len(images[start : start + _CHUNK]), -1).astype(np.float32)
        squares = np.einsum("ij,ij->i", part, part)[:, None] + norms[None] - 2.0 * part @ flat.T
        if own is not None:
            squares[np.arange(len(part)), own[start : start + _CHUNK]] = np.inf
        best = squares.argmin(axis=1)
        # Anew from the pixels: the squares above cancel where two images are nearly equal.
        found[start : start + _CHUNK] = np.sqrt(np.mean((part - flat[best]) ** 2, axis=1))
    return found
