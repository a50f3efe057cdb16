"""Who judges the settings of a sampler: real images that training never saw, and features to compare by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from synthgen.data.dataset import ImageData
from synthgen.errors import UsageError
from synthgen.evaluation.domain import domain_extractor
from synthgen.evaluation.extractors import Extractor, Features
from synthgen.evaluation.metrics import LEAST_IMAGES, fid
from synthgen.evaluation.splits import halves, stratified_order
from synthgen.generation.model import Model
from synthgen.reporting import Reporter
from synthgen.stopping import ShouldStop, never_stop
from synthgen.training.images import load_data

LEAST_HELD_OUT = 500
"""With fewer images held out than this the training images are the reference: FID would be mostly chance."""

MOST_REFERENCE = 10_000


@dataclass(frozen=True)
class Judge:
    """The reference that samples are held against. against: `held-out` or `training`, what the reference is made of.

    labels: classes of samples 0, 1, ..., repeated: the reference's own, so that shares of classes do not count as
    quality; None for a model without classes. other: real images for the floor, in a stratified order.
    """

    extractor: Extractor
    reference: Features
    labels: np.ndarray | None
    position: np.ndarray | None
    other: ImageData
    against: Literal["held-out", "training"]

    def labels_of(self, start: int, stop: int) -> np.ndarray | None:
        """int64 labels of samples start ... stop - 1."""
        if self.labels is None:
            return None
        labels: np.ndarray = self.labels[np.arange(start, stop) % len(self.labels)]
        return labels

    def read(self, images: np.ndarray) -> Features:
        """Features of uint8 images (N, H, W, C)."""
        return self.extractor.extract(images)

    def fid(self, features: np.ndarray) -> float:
        """Domain FID of samples with these features (N, d) against the reference."""
        return fid(self.reference.features, features, interval=False).value

    def hits(self, found: Features, labels: np.ndarray | None) -> np.ndarray | None:
        """Whether the judge reads the class that was asked for, bool (N,); None where it reads none of the model's."""
        if labels is None or found.logits is None or self.position is None:
            return None
        asked = self.position[labels]
        hits: np.ndarray = (found.logits.argmax(axis=1) == asked)[asked >= 0]
        return hits

    def floors(self, count: int, repeats: int) -> list[float]:
        """FID of `repeats` disjoint sets of `count` other real images; fewer where there are not so many."""
        sets = min(repeats, len(self.other) // count)
        return [self.fid(self.read(self.other.images[i * count : (i + 1) * count]).features) for i in range(sets)]


def judge_of(
    model: Model,
    *,
    source: str | None = None,
    seed: int = 0,
    data: ImageData | None = None,
    reporter: Reporter | None = None,
    should_stop: ShouldStop = never_stop,
) -> Judge:
    """The judge of a model: the images that its training held out, never a test set.

    Args:
        source: where the training data lies now, if not where the model's config says. data: that data, if loaded.
        seed: decides the orders and halves of the images.
    Raises: UsageError when the data is not there, or not what the model was trained on.
    """
    config = model.config
    if source is not None:
        config = config.model_copy(update={"data": config.data.model_copy(update={"source": source})})
    data = data or load_data(config, reporter, should_stop)
    if data.fingerprint != model.header["data"]["fingerprint"]:
        raise UsageError(
            f"{config.data.source} does not hold the images that {model.path} was trained on",
            "name them with --data; only images that training left out can judge it",
        )
    train, held_out = data.hold_out(config.data.validation)
    if held_out is not None and len(held_out) >= LEAST_HELD_OUT:
        known, new = halves(train.labels, len(train), seed)  # the floor's images are new to features trained now
        reference, learn, other = held_out, train.select(known), train.select(new)
    else:
        first, second = halves(train.labels, len(train), seed)
        reference, other = train.select(first), train.select(second)
        learn = reference
    if len(reference) < LEAST_IMAGES:
        raise UsageError(f"{data.name} has {len(data)} images: too few to measure samples against")
    extractor = domain_extractor(learn, device=str(model.device), reporter=reporter, should_stop=should_stop)
    kept = reference.select(stratified_order(reference.labels, len(reference), seed)[:MOST_REFERENCE])
    found = extractor.extract(kept.images, label="reading the real images", should_stop=should_stop, reporter=reporter)
    return Judge(
        extractor,
        found,
        _as_model(kept.labels, len(model.class_names)),
        _position(model.class_names, extractor.class_names),
        other,
        "held-out" if reference is held_out else "training",
    )


def _as_model(labels: np.ndarray | None, classes: int) -> np.ndarray | None:
    """Labels as the model counts them: a caption that it does not remember as a whole is its null label."""
    return np.minimum(labels, classes) if labels is not None and classes else None


def _position(asked: tuple[str, ...], read: tuple[str, ...]) -> np.ndarray | None:
    """Where the judge has each class of the model and no class, -1 where nowhere; None when it has none of them."""
    places = np.array([*(read.index(name) if name in read else -1 for name in asked), -1], np.int64)
    return places if (places >= 0).any() else None
