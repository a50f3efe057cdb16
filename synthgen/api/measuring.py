"""Calls that say what synthetic data is worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from synthgen.errors import UsageError
from synthgen.reporting import Reporter

if TYPE_CHECKING:
    from synthgen.downstream.result import Augmentation
    from synthgen.downstream.series.result import SeriesAugmentation
    from synthgen.downstream.tables.result import TableAugmentation
    from synthgen.evaluation.result import Evaluation
    from synthgen.evaluation.series.result import SeriesEvaluation
    from synthgen.evaluation.tables.result import TableEvaluation
    from synthgen.generation.model import Model
    from synthgen.generation.series.model import SeriesModel
    from synthgen.generation.tables.model import TableModel


def evaluate(
    real: str | Path,
    fake: str | Path | Model | TableModel | SeriesModel,
    *,
    count: int | None = None,
    features: str | Path = "domain",
    metrics: Sequence[str] | None = None,
    gates: Sequence[str] = (),
    holdout: Literal["half", "test"] = "half",
    test: str | Path | None = None,
    target: str | None = None,
    window: int | None = None,
    protocol: Literal["honest", "leaky"] | None = None,
    seeds: int = 5,
    seed: int = 0,
    cache: bool = True,
    device: str = "auto",
    reporter: Reporter | None = None,
) -> Evaluation | TableEvaluation | SeriesEvaluation:
    """Measure synthetic images, rows of a table, or series against real ones.

    Series: window, protocol and seeds are theirs, and a window makes a CSV file a recording; test names series that no
    generator saw. See `synthgen.evaluation.series.comparing.evaluate_series_sources`. Tables: test names real rows that
    no generator saw, target the column that models are trained to predict; see
    `synthgen.evaluation.tables.comparing.evaluate_table_sources`. features and holdout are for images; see
    `synthgen.evaluation.comparing.evaluate_sources`.

    fake: images (a folder, npz, IDX, parquet, webdataset), a table, a run, or a model (2,000 images or as many rows as
    it learned are drawn in memory unless `count` says otherwise). gates: such as `fid>30`; the result's `gates` say
    which were met. holdout: which real images the floor is made of. cache: keep features and encoders in the user's
    cache. Raises UsageError for what cannot be compared.
    """
    from synthgen.data.tables import is_table
    from synthgen.evaluation.comparing import evaluate_sources
    from synthgen.evaluation.series.choosing import means_series

    if means_series(str(real), [_source(fake)], window=window):
        from synthgen.evaluation.series.comparing import evaluate_series_sources

        _refuse({"target": target}, "tables")
        return evaluate_series_sources(
            str(real),
            [_source(fake)],
            protocol=protocol,
            window=window,
            test=None if test is None else str(test),
            count=count,
            metrics=metrics,
            gates=gates,
            seed=seed,
            seeds=seeds,
            device=device,
            cache=cache,
            reporter=reporter,
        ).results[0]
    _refuse({"protocol": protocol}, "series")
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
    synthetic: str | Path | Model | TableModel,
    *,
    test: str | Path | None = None,
    real_size: int | None = None,
    count: int | None = None,
    target: str | None = None,
    seeds: Sequence[int] = (0, 1, 2, 3, 4),
    steps: int | None = None,
    batch_size: int | None = None,
    classifier: str | None = None,
    filter: str | None = None,
    allow_leak: bool = False,
    device: str = "auto",
    reporter: Reporter | None = None,
) -> Augmentation | TableAugmentation | SeriesAugmentation:
    """Does the synthetic data help a classifier, or what else predicts a column of a table?

    test: real test data (default: that of `real`, else a fifth of it, cut off before anything else). classifier: of
    images cnn (default), resnet, logistic, or your own code as module:factory; of tables boosting, mlp, or both;
    of series rocket, cnn, or both. Images: steps (600) of batch_size (256); filter: confidence, nearest, both with a
    comma, or none. Series: steps (200) of batch_size (64) of the network. Tables: target is the column to predict
    (default: the one that the model's configuration names, else the last).
    Curves, rare classes and training the generator: `run_protocol` in `synthgen.downstream.protocol`,
    `synthgen.downstream.tables.protocol` and `synthgen.downstream.series.protocol`.

    Raises: UsageError when the generator saw real data that the classifier has not, unless `allow_leak`, and for
        arguments of the other kind of data.
    """
    from synthgen.data.tables import is_table
    from synthgen.downstream.series.meaning import means_series

    common = _Asked(str(real), _source(synthetic), None if test is None else str(test), real_size, count, tuple(seeds))
    if means_series(common.real, [common.synthetic]):
        _refuse({"target": target}, "tables")
        _refuse({"filter": filter}, "images")
        return _augment_series(common, classifier, steps, batch_size, allow_leak, device, reporter)
    if is_table(real):
        _refuse({"steps": steps, "batch_size": batch_size, "filter": filter}, "images")
        return _augment_rows(common, target, classifier, allow_leak=allow_leak, device=device, reporter=reporter)
    _refuse({"target": target}, "tables")
    from synthgen.downstream.classifier import ClassifierRecipe
    from synthgen.downstream.filters import parse_filters
    from synthgen.downstream.protocol import Request, run_protocol
    from synthgen.downstream.result import Design

    design = Design(
        recipe=ClassifierRecipe(steps=steps or 600, batch_size=batch_size or 256),
        seeds=common.seeds,
        classifier=classifier or "cnn",
        filters=parse_filters(filter or "none"),
        allow_leak=allow_leak,
    )
    request = Request(
        common.real,
        (common.synthetic,),
        test=common.test,
        real_sizes=(common.real_size,),
        count=common.count,
        design=design,
        seed=common.seed,
        device=device,
    )
    return run_protocol(request, reporter=reporter)[0]


@dataclass(frozen=True)
class _Asked:
    """What `augment_classifier` is asked of everything."""

    real: str
    synthetic: str
    test: str | None
    real_size: int | None
    count: int | None
    seeds: tuple[int, ...]

    @property
    def seed(self) -> int:
        return self.seeds[0] if self.seeds else 0


def _augment_rows(
    asked: _Asked,
    target: str | None,
    learners: str | None,
    *,
    allow_leak: bool,
    device: str,
    reporter: Reporter | None,
) -> TableAugmentation:
    from synthgen.downstream.tables.learners import parse_learners
    from synthgen.downstream.tables.protocol import Request, run_protocol
    from synthgen.downstream.tables.result import Design

    request = Request(
        asked.real,
        (asked.synthetic,),
        test=asked.test,
        target=target,
        real_sizes=(asked.real_size,),
        count=asked.count,
        design=Design(parse_learners(learners), asked.seeds, allow_leak=allow_leak),
        seed=asked.seed,
        device=device,
    )
    return run_protocol(request, reporter=reporter)[0]


def _augment_series(
    asked: _Asked,
    classifiers: str | None,
    steps: int | None,
    batch_size: int | None,
    allow_leak: bool,
    device: str,
    reporter: Reporter | None,
) -> SeriesAugmentation:
    from synthgen.downstream.series.classifiers import SeriesRecipe, parse_classifiers
    from synthgen.downstream.series.protocol import Request, run_protocol
    from synthgen.downstream.series.result import SeriesDesign

    default = SeriesRecipe()
    recipe = SeriesRecipe(steps=steps or default.steps, batch_size=batch_size or default.batch_size)
    request = Request(
        asked.real,
        (asked.synthetic,),
        test=asked.test,
        real_sizes=(asked.real_size,),
        count=asked.count,
        classifiers=parse_classifiers(classifiers),
        design=SeriesDesign(recipe=recipe, seeds=asked.seeds, allow_leak=allow_leak),
        seed=asked.seed,
        device=device,
    )
    return run_protocol(request, reporter=reporter)[0]


def _refuse(arguments: dict[str, object], of: str) -> None:
    given = [name for name, value in arguments.items() if value is not None]
    if given:
        raise UsageError(f"{', '.join(given)}: for {of} only")


def _source(data: str | Path | Model | TableModel | SeriesModel) -> str:
    """The text that the command line would have: a place of data, or the checkpoint of a model."""
    return str(data) if isinstance(data, (str, Path)) else str(data.path)
