"""From what a user names to evaluations: one synthetic set or several, against the same real images at the same n."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from synthgen.data.dataset import ImageData
from synthgen.errors import UsageError
from synthgen.evaluation.cache import evaluation_cache
from synthgen.evaluation.extractors import Extractor
from synthgen.evaluation.gates import parse_gates
from synthgen.evaluation.images import evaluate_images
from synthgen.evaluation.measures import check_metrics
from synthgen.evaluation.result import Evaluation
from synthgen.evaluation.sources import Synthetic, check_is_images, load_like, load_synthetic, resizing_note
from synthgen.reporting import NullReporter, Reporter
from synthgen.stopping import ShouldStop, never_stop

RUN_COUNT = 2000
"""Samples drawn from a run when no count is given: the least at which figures are steady."""


@dataclass(frozen=True)
class Compared:
    """One evaluation per synthetic set, in the order given, and the images that they are about, whole."""

    results: tuple[Evaluation, ...]
    real: ImageData
    fakes: tuple[ImageData, ...]

    def to_dict(self) -> dict[str, Any]:
        """The evaluation's own document; of several, one that lists theirs under `evaluations`."""
        if len(self.results) == 1:
            return self.results[0].to_dict()
        return {"kind": "synthgen-comparison", "evaluations": [one.to_dict() for one in self.results]}


def evaluate_sources(
    real: str,
    fakes: Sequence[str],
    *,
    count: int | None = None,
    holdout: Literal["half", "test"] = "half",
    features: str | Path | Extractor = "domain",
    inception_weights: Path | None = None,
    metrics: Sequence[str] | None = None,
    gates: Sequence[str] = (),
    seed: int = 0,
    device: str = "auto",
    max_bad: int = 0,
    cache: bool = True,
    reporter: Reporter | None = None,
    should_stop: ShouldStop = never_stop,
) -> Compared:
    """Evaluate every source of synthetic images in `fakes` against the real images that `real` names.

    A run is sampled in memory: `count` images, or `RUN_COUNT`. Several sources are compared at the same n, that of the
    smallest; features of the real images are read once. holdout: the floor comes from half of the real images, or from
    their test split. Other arguments and errors as for `evaluate_images` and `load_images`.
    """
    reporter = reporter or NullReporter()
    check_metrics(metrics)
    parse_gates(gates, metrics)
    _check_sources(real, fakes)
    common: dict[str, Any] = {"max_bad": max_bad, "reporter": reporter, "should_stop": should_stop}
    made = [
        load_synthetic(fake, count=count, default_count=RUN_COUNT, seed=seed, device=device, **common) for fake in fakes
    ]
    shape = _common_shape(made)
    note = resizing_note(real, shape)
    if note:
        reporter.info(note)
    truth = load_like(real, shape, **common)
    held_out = load_like(real, shape, split="test", **common) if holdout == "test" else None
    if len(made) > 1:
        count = min(len(one.data) for one in made) if count is None else min(count, *(len(one.data) for one in made))
    kept = evaluation_cache(enabled=cache, in_memory=len(made) > 1, reporter=reporter)
    results = [
        evaluate_images(
            truth,
            one.data,
            features=features,
            inception_weights=inception_weights,
            metrics=metrics,
            count=count,
            held_out=held_out,
            generator=one.generator,
            gates=gates,
            seed=seed,
            device=device,
            cache=kept,
            reporter=reporter,
            should_stop=should_stop,
        )
        for one in made
    ]
    return Compared(tuple(results), truth, tuple(one.data for one in made))


def _check_sources(real: str, fakes: Sequence[str]) -> None:
    check_is_images("--real", real)
    if not fakes:
        raise UsageError("no synthetic images were named", "give --fake a folder, a file or a run")
    for place, fake in enumerate(fakes):
        if fake in fakes[:place]:
            raise UsageError(f"--fake {fake} is given twice", "name each set of synthetic images once")


def _common_shape(made: Sequence[Synthetic]) -> tuple[int, int, int]:
    first = made[0].data
    for other in made[1:]:
        if other.data.shape != first.shape:
            raise UsageError(
                f"{first.name} has images of {_size(first)}, {other.data.name} of {_size(other.data)}: they cannot be "
                "compared side by side",
                "evaluate each by itself: the real images then take its size",
            )
    return first.shape


def _size(data: ImageData) -> str:
    height, width, channels = data.shape
    return f"{height} x {width} pixels, {'grey' if channels == 1 else 'RGB'}"


def ranking(results: Sequence[Evaluation]) -> str | None:
    """One sentence on which set is nearest to the real images by FID, and whether it can be told from the next."""
    ranked = sorted((one for one in results if "fid" in one.metrics), key=lambda one: one.metrics["fid"].value)
    if len(ranked) < 2:
        return None
    (best, first), (_, second) = ((one.fake.name, one.metrics["fid"]) for one in ranked[:2])
    next_name = ranked[1].fake.name
    apart = first.interval is None or second.interval is None or first.interval[1] < second.interval[0]
    figures = f"FID {first.value:.3g} against {second.value:.3g} of {next_name}"
    if apart:
        return f"{best} is nearest to the real images: {figures}."
    return f"{best} and {next_name} cannot be told apart by FID: {figures}, and the intervals overlap."
