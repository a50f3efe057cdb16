"""Compare synthetic images with real ones: every figure beside what real images score against real images.

The protocol. The real set is cut into two random, stratified halves. Half A is the reference. The fake images are
measured against A, and so is half B, at the same n = min(fake, B, --count): that is the floor, what a perfect generator
would score. An extractor that is trained on demand learns from A alone, so that B and the fake images are equally new
to it. With held-out images (the test split), they take the place of B and the whole real set is the reference.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from synthgen.data.dataset import ImageData
from synthgen.downstream.copies import count_copies
from synthgen.errors import StoppedError, UsageError, nearest
from synthgen.evaluation import metrics as formulas
from synthgen.evaluation.choosing import choose_extractor
from synthgen.evaluation.extractors import Extractor, Features
from synthgen.evaluation.metrics import LEAST_IMAGES, Figure
from synthgen.evaluation.result import (
    SMALL_COUNT,
    ClassFigures,
    Evaluation,
    Metric,
    SetSummary,
    build_metric,
)
from synthgen.evaluation.sides import Sides, check_sets, choose_sides
from synthgen.reporting import NullReporter, Reporter
from synthgen.stopping import ShouldStop, never_stop

METRICS = ("fid", "kid", "is", "prc", "agreement", "classes")
"""What `metrics` may name: `prc` gives precision and recall, `classes` the figures of every class."""


@dataclass(frozen=True)
class _Part:
    """Images of one role with their features; labels are class names, or None."""

    data: ImageData
    features: Features

    def of(self, name: str) -> Features:
        """The features of one class."""
        assert self.data.labels is not None
        return self.features.take(np.flatnonzero(self.data.labels == self.data.class_names.index(name)))


def evaluate_images(
    real: ImageData,
    fake: ImageData,
    *,
    features: str | Path | Extractor = "domain",
    inception_weights: Path | None = None,
    metrics: Sequence[str] | None = None,
    count: int | None = None,
    held_out: ImageData | None = None,
    seed: int = 0,
    device: str = "auto",
    reporter: Reporter | None = None,
    should_stop: ShouldStop = never_stop,
) -> Evaluation:
    """Measure how far `fake` is from `real`.

    Args:
        features: `domain`, `inception`, the file of a domain extractor, or an extractor.
        metrics: of `METRICS`; None: all that the data and the extractor allow.
        count: images per side at most. held_out: real images for the floor instead of half of `real`.
        seed: decides the halves, the subsets and the bootstrap replicates.
    Raises: UsageError when the sets cannot be compared, or a metric asked for is impossible; StoppedError.
    """
    reporter = reporter or NullReporter()
    wanted = check_metrics(metrics)
    check_sets(real, fake, held_out)
    sides = choose_sides(real, fake, held_out, count, seed)
    extractor = choose_extractor(
        features, sides.reference, weights=inception_weights, device=device, reporter=reporter, should_stop=should_stop
    )
    work = _Work(sides, extractor, seed, reporter, should_stop)
    notes = [f"{name}: {reason}" for name in wanted if (reason := work.impossible(name))]
    if metrics is not None and notes:
        raise UsageError(f"cannot compute {notes[0]}")
    possible = [name for name in wanted if not work.impossible(name)]
    found, classes = work.measure(possible)
    copies = count_copies(fake.images, real.images)
    return Evaluation(
        real=SetSummary(real.name, real.split, len(real), len(sides.reference), real.fingerprint),
        fake=SetSummary(fake.name, fake.split, len(fake), sides.n, fake.fingerprint),
        n=sides.n,
        seed=seed,
        reference=sides.text,
        extractor={"name": extractor.name, **extractor.card},
        metrics=found,
        classes=classes,
        exact_copies=copies,
        identical=sides.identical,
        warnings=tuple(_warnings(sides, fake, copies)),
        notes=tuple(notes),
    )


class _Work:
    """Features once, then one figure after the other."""

    def __init__(
        self, sides: Sides, extractor: Extractor, seed: int, reporter: Reporter, should_stop: ShouldStop
    ) -> None:
        self.sides, self.extractor, self.seed = sides, extractor, seed
        self.reporter, self.should_stop = reporter, should_stop

    def impossible(self, name: str) -> str | None:
        """Why a metric cannot be had here, or None."""
        fake, reference = self.sides.fake, self.sides.reference
        if name == "is" and self.extractor.logits_layer is None:
            return "the features read no classes"
        if name == "agreement":
            if fake.labels is None:
                return "the fake images have no labels"
            if not set(fake.class_names) & set(self.extractor.class_names):
                return f"the features {self.extractor.name} do not read the fake images' classes"
        if name == "classes":
            if fake.labels is None or reference.labels is None:
                return "both sets need labels"
            if not set(fake.class_names) & set(reference.class_names):
                return "the two sets have no class name in common"
        return None

    def measure(self, names: Sequence[str]) -> tuple[dict[str, Metric], tuple[ClassFigures, ...]]:
        """Every figure asked for, and the figures of the classes."""
        self.reference = self._read(self.sides.reference, "reading the real images")
        self.fake = self._read(self.sides.fake, "reading the fake images")
        other = self.sides.other
        self.other = None if other is None else self._read(other, "reading the other real images")
        found: dict[str, Metric] = {}
        classes: tuple[ClassFigures, ...] = ()
        with self.reporter.progress("measuring", len(names), "figures") as progress:
            for done, name in enumerate(names):
                progress.update(done, now=name)
                if name == "classes":
                    classes = self._classes()
                else:
                    found |= self._figures(name)
            progress.update(len(names))
        return found, classes

    def _read(self, data: ImageData, label: str) -> _Part:
        found = self.extractor.extract(data.images, label=label, should_stop=self.should_stop, reporter=self.reporter)
        return _Part(data, found)

    def _figures(self, name: str) -> dict[str, Metric]:
        compute = {"fid": self._fid, "kid": self._kid, "is": self._is, "prc": self._prc, "agreement": self._agreement}
        values = self._ask(compute[name], self.fake)
        floors = self._ask(compute[name], self.other) if self.other else {}
        return {
            key: build_metric(key, value, floors.get(key), self.sides.n, self.extractor.name)
            for key, value in values.items()
        }

    def _ask(self, compute: Callable[[_Part], dict[str, Figure]], part: _Part) -> dict[str, Figure]:
        if self.should_stop():
            raise StoppedError("stopped while measuring")
        return compute(part)

    def _fid(self, part: _Part) -> dict[str, Figure]:
        found = formulas.fid(
            self.reference.features.features,
            part.features.features,
            seed=self.seed,
            reference_labels=self.reference.data.labels,
            other_labels=part.data.labels,
        )
        return {"fid": found}

    def _kid(self, part: _Part) -> dict[str, Figure]:
        return {"kid": formulas.kid(self.reference.features.features, part.features.features, seed=self.seed)}

    def _is(self, part: _Part) -> dict[str, Figure]:
        assert part.features.logits is not None
        return {"is": formulas.inception_score(part.features.logits, seed=self.seed)}

    def _prc(self, part: _Part) -> dict[str, Figure]:
        precision, recall = formulas.precision_recall(self.reference.features.features, part.features.features)
        return {"precision": precision, "recall": recall}

    def _agreement(self, part: _Part) -> dict[str, Figure]:
        hits = self._hits(part)
        return {"agreement": formulas.share(hits)} if len(hits) else {}

    def _hits(self, part: _Part, name: str | None = None) -> np.ndarray:
        """Whether the judge reads the label, for the images (of one class) whose label it knows."""
        if part.data.labels is None or part.features.logits is None:
            return np.empty(0, bool)
        judge = self.extractor.class_names
        position = np.array([judge.index(c) if c in judge else -1 for c in part.data.class_names], np.int64)
        expected = position[part.data.labels]
        read = part.features.logits.argmax(axis=1)
        known = expected >= 0
        if name is not None:
            known &= part.data.labels == part.data.class_names.index(name)
        hits: np.ndarray = (read == expected)[known]
        return hits

    def _classes(self) -> tuple[ClassFigures, ...]:
        """FID and agreement of every class that both sets have, floors at the same n per class."""
        fake_names = self.fake.data.class_names
        return tuple(self._one_class(name) for name in self.reference.data.class_names if name in fake_names)

    def _one_class(self, name: str) -> ClassFigures:
        if self.should_stop():
            raise StoppedError("stopped while measuring the classes")
        reference, fake = self.reference.of(name).features, self.fake.of(name).features
        has_other = self.other is not None and name in self.other.data.class_names
        other = self.other.of(name).features if self.other is not None and has_other else None
        n = len(fake) if other is None else min(len(fake), len(other))
        enough = n >= LEAST_IMAGES and len(reference) >= LEAST_IMAGES
        judged = self._hits(self.fake, name)
        floor = self._hits(self.other, name) if self.other is not None and has_other else np.empty(0, bool)
        return ClassFigures(
            name=name,
            n=n,
            fid=formulas.fid(reference, fake[:n], interval=False).value if enough else None,
            fid_floor=formulas.fid(reference, other[:n], interval=False).value
            if enough and other is not None
            else None,
            agreement=float(judged.mean()) if len(judged) else None,
            agreement_floor=float(floor.mean()) if len(floor) else None,
        )


def check_metrics(metrics: Sequence[str] | None) -> tuple[str, ...]:
    """The metrics meant, in the order of `METRICS`; None means all. Raises UsageError for an unknown name or none."""
    if metrics is None:
        return METRICS
    for name in metrics:
        if name not in METRICS:
            raise UsageError(f"unknown metric '{name}'{nearest(name, METRICS)}", f"known: {', '.join(METRICS)}")
    if not metrics:
        raise UsageError("no metric was named", f"known: {', '.join(METRICS)}")
    return tuple(name for name in METRICS if name in metrics)


def _warnings(sides: Sides, fake: ImageData, copies: int) -> list[str]:
    found = []
    if sides.n < SMALL_COUNT:
        found.append(
            f"n = {sides.n:,}: below {SMALL_COUNT:,} images every figure depends strongly on n; read each beside its "
            "floor, and compare only figures at the same n"
        )
    if copies and not sides.identical:
        found.append(f"{copies:,} of the {len(fake):,} fake images are exact copies of real ones")
    missing = set(sides.reference.class_names) - set(fake.class_names)
    if missing and fake.class_names and set(fake.class_names) & set(sides.reference.class_names):
        found.append(
            f"the fake images lack {len(missing)} of the {len(sides.reference.class_names)} real classes "
            f"({', '.join(sorted(missing)[:5])}): FID and recall count that against them"
        )
    return found
