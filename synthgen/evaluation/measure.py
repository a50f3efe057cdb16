"""What a measure is, what it is handed, and what it gives back. The list of all measures is `measures`."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np

from synthgen.data.dataset import ImageData
from synthgen.downstream.leaks import Provenance
from synthgen.errors import StoppedError
from synthgen.evaluation.cache import ArrayCache, Arrays, pixel_digest
from synthgen.evaluation.extractors import Extractor, Features
from synthgen.evaluation.metrics import Figure
from synthgen.evaluation.result import ClassFigures, Metric
from synthgen.reporting import NullReporter, Reporter
from synthgen.stopping import ShouldStop, never_stop

Role = Literal["reference", "fake", "other", "real", "samples", "held_out"]


@dataclass(frozen=True)
class Part:
    """Images of one role; their features are computed (or read from the cache) when first asked for."""

    data: ImageData
    read: Callable[[], Features]

    def __len__(self) -> int:
        return len(self.data)

    @cached_property
    def found(self) -> Features:
        """Features and logits, in the order of `data`."""
        return self.read()

    @property
    def features(self) -> np.ndarray:
        """float32 (N, d)."""
        return self.found.features

    @property
    def logits(self) -> np.ndarray | None:
        """float32 (N, K), None when the extractor reads no classes."""
        return self.found.logits

    @property
    def labels(self) -> np.ndarray | None:
        return self.data.labels

    @cached_property
    def digest(self) -> str:
        """sha256 (hex) of the pixels."""
        return pixel_digest(self.data.images)

    def members(self, name: str) -> np.ndarray:
        """Which images are of the class `name`: indices into `data`; none where the class or labels are missing."""
        if self.data.labels is None or name not in self.data.class_names:
            return np.empty(0, np.int64)
        return np.flatnonzero(self.data.labels == self.data.class_names.index(name))


@dataclass(frozen=True)
class Parts:
    """Who takes part in a comparison.

    reference: the real images that all are compared with. fake: the synthetic ones, n of them. other: n real images for
    the floor, None when `identical`. real: all real images that were given, whether in the reference, in `other` or in
    neither. samples: all synthetic images that were given. held_out: real images that no generator was trained on,
    where the user named some; `other` is taken from them then. identical: real and samples are the same images.
    generator: what the generator of the fake images was trained on, None when nothing says so. fake_index: where the
    images of `fake` stand in `samples`.
    cache: through `keep`, for what takes a measure long; `Part.digest` and `Extractor.digest` belong into its keys.
    """

    reference: Part
    fake: Part
    other: Part | None
    real: Part
    samples: Part
    held_out: Part | None
    extractor: Extractor
    n: int
    seed: int
    identical: bool = False
    generator: Provenance | None = None
    fake_index: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))
    cache: ArrayCache = field(default_factory=ArrayCache)
    reporter: Reporter = field(default_factory=NullReporter)
    should_stop: ShouldStop = never_stop
    _kept: dict[str, Arrays] = field(default_factory=dict, init=False, repr=False)

    @cached_property
    def width(self) -> int:
        """d, the number of features."""
        return int(self.extractor.extract(self.reference.data.images[:1]).features.shape[1])

    def keep(self, key: dict[str, Any], compute: Callable[[], Arrays]) -> Arrays:
        """As `ArrayCache.get`, and within this evaluation also where nothing is kept on disk."""
        text = json.dumps(key, sort_keys=True)
        if text not in self._kept:
            self._kept[text] = self.cache.get(key, compute)
        return self._kept[text]

    def check_stop(self) -> None:
        """Raise StoppedError when the user asked to stop. Call it every second or so."""
        if self.should_stop():
            raise StoppedError("stopped while measuring")

    def metric(
        self,
        name: str,
        title: str,
        found: Figure,
        floor: Figure | None,
        *,
        better: Literal["lower", "higher"],
        sentence: str,
        share: bool = False,
    ) -> Metric:
        """A figure of the fake images beside its floor; see `Metric`."""
        limit = None if floor is None else floor.value
        return Metric(
            name=name,
            title=title,
            value=found.value,
            floor=limit,
            interval=found.interval,
            spread=found.spread,
            better=better,
            n=self.n,
            extractor=self.extractor.name,
            sentence=sentence,
            share=share,
            method=found.method if found.interval else None,
        )


@dataclass(frozen=True)
class Found:
    """What a measure gives back.

    metrics: the figures, each under its `name`. classes: figures per class. details: anything JSON-ready that the
    report shows beside the figures, such as pairs of indices into `real` and `samples`. warnings: sentences.
    """

    metrics: tuple[Metric, ...] = ()
    classes: tuple[ClassFigures, ...] = ()
    details: dict[str, Any] | None = None
    warnings: tuple[str, ...] = ()


def _always(parts: Parts) -> str | None:
    return None


@dataclass(frozen=True)
class Measure:
    """One thing that can be measured.

    name: what `--metrics` calls it. gives: the names of the figures that it may give, which `--fail-if` may name.
    measure: computes them. impossible: why it cannot be had for these parts, or None; it must not touch any features.
    needs: the parts whose features are read before the measuring begins.
    """

    name: str
    gives: tuple[str, ...]
    measure: Callable[[Parts], Found]
    impossible: Callable[[Parts], str | None] = _always
    needs: tuple[Role, ...] = ("reference", "fake", "other")
