"""What the classifiers are trained on: real images or series, changed ones, synthetic ones, and their mixtures."""

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
class Mixture:
    """What a variant is made of: positions in the real set and in a pool of synthetic ones, either may be empty.

    ratio: synthetic per real one, None for all there are; filtered: the samples were.
    """

    kind: Kind
    real: np.ndarray = field(repr=False)
    synthetic: np.ndarray = field(repr=False)
    name: str
    label: str
    ratio: float | None = None
    filtered: bool = False

    @property
    def size(self) -> int:
        """Members, repetitions included."""
        return len(self.real) + len(self.synthetic)


@dataclass(frozen=True)
class TrainingSet(Mixture):
    """A mixture of images."""

    images: np.ndarray = field(repr=False, default_factory=lambda: np.empty(0))
    labels: np.ndarray = field(repr=False, default_factory=lambda: np.empty(0))


def training_sets(
    kinds: tuple[str, ...],
    real: ImageData,
    pools: dict[bool, ImageData],
    ratios: tuple[float | None, ...],
) -> Iterator[TrainingSet]:
    """The images of `mixtures`."""
    assert real.labels is not None
    for one in mixtures(kinds, real.labels, {key: _labels(pool) for key, pool in pools.items()}, ratios):
        parts = [(real.images[one.real], real.labels[one.real])]
        if len(one.synthetic):
            pool = pools[one.filtered]
            parts.append((pool.images[one.synthetic], _labels(pool)[one.synthetic]))
        images, labels = (np.concatenate(column) for column in zip(*parts, strict=True))
        yield TrainingSet(**vars(one), images=images, labels=labels)


def _labels(data: ImageData) -> np.ndarray:
    assert data.labels is not None
    return data.labels


def mixtures(
    kinds: tuple[str, ...], labels: np.ndarray, pools: dict[bool, np.ndarray], ratios: tuple[float | None, ...]
) -> Iterator[Mixture]:
    """The variants in order. labels: of the real ones; pools: of the synthetic ones by whether they were filtered.

    The unfiltered come first. A ratio that asks for more synthetic ones than there are takes all of them.
    """
    for name in kinds:
        kind = KINDS[name]
        if kind.synthetic == "none":
            yield _mix(kind, labels, None, None, False, False)
            continue
        amounts = ratios if name in ("both", "both_classical") else (None,)
        for filtered, pool in pools.items():
            for ratio in amounts:
                yield _mix(kind, labels, pool, ratio, filtered, len(amounts) > 1)


def _mix(
    kind: Kind, labels: np.ndarray, pool: np.ndarray | None, ratio: float | None, filtered: bool, several: bool
) -> Mixture:
    real = synthetic = np.empty(0, np.int64)
    if kind.real != "none":
        real = np.arange(len(labels)) if kind.real == "all" else repeated(labels)
    if pool is not None:
        if kind.synthetic == "rare":
            synthetic = filling(labels, pool)
        else:
            wanted = len(pool) if ratio is None else max(1, round(ratio * len(labels)))
            synthetic = stratified_subset(pool, len(pool), wanted)
    shown = "all" if ratio is None else f"{ratio:g}"
    name = kind.name + (f"_ratio_{shown}" if several else "") + ("_filtered" if filtered else "")
    label = (
        kind.label + (f", {shown} : 1" if several and ratio is not None else "") + (", filtered" if filtered else "")
    )
    return Mixture(kind, real, synthetic, name, label, ratio, filtered)


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
        """`data` with its rare classes cut down; see `kept`."""
        assert data.labels is not None
        return data.select(self.kept(data.labels, data.class_names))

    def kept(self, labels: np.ndarray, class_names: tuple[str, ...]) -> np.ndarray:
        """Ascending positions of what stays: of a rare class one at least, the first ones of the nested order."""
        keep = np.ones(len(labels), bool)
        for label, share in self.rare(class_names).items():
            members = np.flatnonzero(labels == label)
            if len(members):
                kept = stratified_subset(None, len(members), max(1, round(share * len(members))))
                keep[np.delete(members, kept)] = False
        return np.flatnonzero(keep)
