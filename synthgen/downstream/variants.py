"""What the classifiers are trained on: real images, changed ones, synthetic ones, and their mixtures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from synthgen.data.dataset import ImageData
from synthgen.data.subset import class_positions, stratified_subset


@dataclass(frozen=True)
class Kind:
    """A kind of training set.

    real: none; all: as they are; balanced: rare classes repeated. synthetic: none; all; rare: as many as a rare class
    lacks. classical: every batch is changed by classical augmentation.
    """

    name: str
    label: str
    real: Literal["none", "all", "balanced"]
    synthetic: Literal["none", "all", "rare"]
    classical: bool


KINDS = {
    kind.name: kind
    for kind in (
        Kind("real", "real", "all", "none", False),
        Kind("real_classical", "real + classical", "all", "none", True),
        Kind("synthetic", "synthetic", "none", "all", False),
        Kind("both", "real + synthetic", "all", "all", False),
        Kind("both_classical", "real + both", "all", "all", True),
        Kind("repeated", "rare repeated", "balanced", "none", False),
        Kind("repeated_classical", "repeated + classical", "balanced", "none", True),
        Kind("filled", "rare filled up", "all", "rare", False),
        Kind("filled_classical", "filled up + classical", "all", "rare", True),
    )
}
"""Every kind by its name. The last four balance classes that have become rare."""

PLAIN = ("real", "real_classical", "synthetic", "both", "both_classical")
IMBALANCED = ("real", "repeated", "repeated_classical", "filled", "filled_classical")


@dataclass(frozen=True)
class TrainingSet:
    """One variant's images. ratio: synthetic per real image, None for all there are; filtered: the samples were."""

    kind: Kind
    images: np.ndarray = field(repr=False)
    labels: np.ndarray = field(repr=False)
    name: str
    label: str
    ratio: float | None = None
    filtered: bool = False


def training_sets(
    kinds: tuple[str, ...],
    real: ImageData,
    pools: dict[bool, ImageData],
    ratios: tuple[float | None, ...],
) -> Iterator[TrainingSet]:
    """The variants in order. pools: synthetic images by whether they were filtered, the unfiltered first.

    A ratio that asks for more synthetic images than there are takes all of them.
    """
    for name in kinds:
        kind = KINDS[name]
        if kind.synthetic == "none":
            yield _assemble(kind, real, None, None, False, False)
            continue
        amounts = ratios if name in ("both", "both_classical") else (None,)
        for filtered, pool in pools.items():
            for ratio in amounts:
                yield _assemble(kind, real, pool, ratio, filtered, len(amounts) > 1)


def _assemble(
    kind: Kind, real: ImageData, pool: ImageData | None, ratio: float | None, filtered: bool, several: bool
) -> TrainingSet:
    assert real.labels is not None
    parts = []
    if kind.real != "none":
        chosen = np.arange(len(real)) if kind.real == "all" else repeated(real.labels)
        parts.append((real.images[chosen], real.labels[chosen]))
    if pool is not None:
        assert pool.labels is not None
        if kind.synthetic == "rare":
            index = filling(real.labels, pool.labels)
        else:
            wanted = len(pool) if ratio is None else max(1, round(ratio * len(real)))
            index = stratified_subset(pool.labels, len(pool), wanted)
        parts.append((pool.images[index], pool.labels[index]))
    shown = "all" if ratio is None else f"{ratio:g}"
    name = kind.name + (f"_ratio_{shown}" if several else "") + ("_filtered" if filtered else "")
    label = (
        kind.label + (f", {shown} : 1" if several and ratio is not None else "") + (", filtered" if filtered else "")
    )
    images, labels = (np.concatenate(column) for column in zip(*parts, strict=True))
    return TrainingSet(kind, images, labels, name, label, ratio, filtered)


def repeated(labels: np.ndarray) -> np.ndarray:
    """Positions int (M,) in which every class comes as often as the largest does, its members in turn."""
    counts = np.bincount(labels)
    return np.concatenate(
        [np.resize(np.flatnonzero(labels == label), counts.max()) for label in np.flatnonzero(counts)]
    )


def filling(labels: np.ndarray, pool: np.ndarray) -> np.ndarray:
    """Positions in `pool` (labels, int) of what each class lacks to be as large as the largest of `labels`."""
    counts = np.bincount(labels, minlength=int(pool.max()) + 1)
    lacking = counts.max() - counts
    return np.sort(np.concatenate([np.flatnonzero(pool == label)[:number] for label, number in enumerate(lacking)]))


@dataclass(frozen=True)
class Imbalance:
    """Classes that are cut down: `shares` as (class name, share of its images that stays), or one share; see `rare`."""

    shares: tuple[tuple[str, float], ...] = ()
    share: float | None = None

    def rare(self, class_names: tuple[str, ...]) -> dict[int, float]:
        """Class index -> share. A share without classes cuts every second class down, from the second on.

        Raises: UsageError for a class that is not among `class_names`.
        """
        if self.share is not None:
            return dict.fromkeys(range(1, len(class_names), 2), self.share)
        return {class_positions([name], class_names, "the real set")[0]: share for name, share in self.shares}

    def thin(self, data: ImageData) -> ImageData:
        """`data` with its rare classes cut down; one image of each remains at least, the first of the nested order."""
        assert data.labels is not None
        keep = np.ones(len(data), bool)
        for label, share in self.rare(data.class_names).items():
            members = np.flatnonzero(data.labels == label)
            if len(members):
                kept = stratified_subset(None, len(members), max(1, round(share * len(members))))
                keep[np.delete(members, kept)] = False
        return data.select(np.flatnonzero(keep))
