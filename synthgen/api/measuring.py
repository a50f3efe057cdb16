"""Calls that say what synthetic data is worth."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from synthgen.generation.model import Model
from synthgen.reporting import Reporter

if TYPE_CHECKING:
    from synthgen.downstream.result import Augmentation
    from synthgen.evaluation.result import Evaluation
    from synthgen.evaluation.tables.result import TableEvaluation


def evaluate(
    real: str | Path,
    fake: str | Path | Model,
    *,
    count: int | None = None,
    features: str | Path = "domain",
    metrics: Sequence[str] | None = None,
    gates: Sequence[str] = (),
    holdout: Literal["half", "test"] = "half",
    test: str | Path | None = None,
    target: str | None = None,
    seed: int = 0,
    cache: bool = True,
    device: str = "auto",
    reporter: Reporter | None = None,
) -> Evaluation | TableEvaluation:
    """Measure synthetic images, or rows of a table, against real ones.

    Tables: test names real rows that no generator saw, target the column that models are trained to predict; features,
    holdout and cache are for images. See `synthgen.evaluation.tables.comparing.evaluate_table_sources` and
    `synthgen.evaluation.comparing.evaluate_sources`.

    fake: images (a folder, npz, IDX, parquet, webdataset), a run, or a model (2,000 samples are drawn in memory unless
    `count` says otherwise). gates: such as `fid>30`; the result's `gates` say which were met. holdout: which real
    images the floor is made of. cache: keep features in the user's cache. Raises UsageError for what cannot be
    compared.
    """
    from synthgen.data.tables import is_table
    from synthgen.evaluation.comparing import evaluate_sources

    if is_table(real):
        from synthgen.evaluation.tables.comparing import evaluate_table_sources

        compared = evaluate_table_sources(
            str(real),
            [_source(fake)],
            test=None if test is None else str(test),
            target=target,
            count=count,
            metrics=metrics,
            gates=gates,
            seed=seed,
            device=device,
            reporter=reporter,
        )
        return compared.results[0]
    found = evaluate_sources(
        str(real),
        [_source(fake)],
        count=count,
        features=features,
        metrics=metrics,
        gates=gates,
        holdout=holdout,
        seed=seed,
        cache=cache,
        device=device,
        reporter=reporter,
    )
    return found.results[0]


def augment_classifier(
    real: str | Path,
    synthetic: str | Path | Model,
    *,
    test: str | Path | None = None,
    real_size: int | None = None,
    count: int | None = None,
    seeds: Sequence[int] = (0, 1, 2, 3, 4),
    steps: int = 600,
    batch_size: int = 256,
    classifier: str = "cnn",
    filter: str = "none",
    allow_leak: bool = False,
    device: str = "auto",
    reporter: Reporter | None = None,
) -> Augmentation:
    """Does the synthetic data help a classifier? See `synthgen.downstream.images.run_augmentation`.

    test: real test images (default: those of `real`, else a fifth of it, cut off before anything else). classifier:
    cnn, resnet, logistic, or your own code as module:factory. filter: confidence, nearest, both with a comma, or none.
    Curves, rare classes and training the generator: `synthgen.downstream.protocol.run_protocol`.

    Raises: UsageError when the generator saw images that the classifier has not, unless `allow_leak`.
    """
    from synthgen.downstream.classifier import ClassifierRecipe
    from synthgen.downstream.filters import parse_filters
    from synthgen.downstream.protocol import Request, run_protocol
    from synthgen.downstream.result import Design

    design = Design(
        recipe=ClassifierRecipe(steps=steps, batch_size=batch_size),
        seeds=tuple(seeds),
        classifier=classifier,
        filters=parse_filters(filter),
        allow_leak=allow_leak,
    )
    request = Request(
        str(real),
        (_source(synthetic),),
        test=None if test is None else str(test),
        real_sizes=(real_size,),
        count=count,
        design=design,
        seed=design.seeds[0] if design.seeds else 0,
        device=device,
    )
    return run_protocol(request, reporter=reporter)[0]


def _source(images: str | Path | Model) -> str:
    return str(images.path) if isinstance(images, Model) else str(images)
