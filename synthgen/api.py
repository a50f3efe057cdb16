"""Every verb as one Python call: the same core functions that the commands call, with the same defaults."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from synthgen.config.tables import TableConfig
from synthgen.errors import UsageError
from synthgen.generation.model import Model, load, load_image_model
from synthgen.generation.tables.targets import named_format
from synthgen.reporting import Reporter

if TYPE_CHECKING:
    import pandas as pd

    from synthgen.config.modalities import AnyConfig
    from synthgen.data.tables.schema import TableData
    from synthgen.downstream.result import Augmentation
    from synthgen.evaluation.result import Evaluation
    from synthgen.evaluation.tables.result import TableEvaluation
    from synthgen.explain.run import Explanation
    from synthgen.explain.tables.run import TableExplanation
    from synthgen.export.exporting import ExportResult
    from synthgen.generation.folder import SampleResult
    from synthgen.generation.making import ShardsResult
    from synthgen.generation.tables.files import TableResult
    from synthgen.generation.tables.model import TableModel

__all__ = ["augment_classifier", "evaluate", "explain", "export", "sample", "sample_shards", "train"]


def _model(run: str | Path | Model, device: str) -> Model:
    return run if isinstance(run, Model) else load_image_model(run, device=device)


def train(
    what: str | Path | None = None,
    out: str | Path | None = None,
    *,
    data: str | Path | pd.DataFrame | None = None,
    config: str | Path | None = None,
    budget: str | None = None,
    steps: int | None = None,
    epochs: float | None = None,
    settings: dict[str, Any] | None = None,
    device: str = "auto",
    resume: bool = False,
    force: bool = False,
    reporter: Reporter | None = None,
) -> Model | TableModel:
    """Train a model and load it.

    Args:
        what: a preset's name, a config file, or data, as on the command line. out: the run folder
            (default: `runs/NAME`).
        data, config: name them where `what` would be ambiguous. data may be a pandas DataFrame.
        budget, steps, epochs: how long; at most one of them. settings: dotted keys and values, such as
            `{"training.batch_size": 128}`.
    Raises: UsageError for a request that cannot work, SynthgenError when training fails.
    """
    from synthgen.training.choosing import choose_settings
    from synthgen.training.run import train as train_core

    in_memory = data is not None and not isinstance(data, (str, Path))
    if in_memory and config is None:
        what, config = None, what or "table"
    lengths = {"training.budget": budget, "training.steps": steps, "training.epochs": epochs}
    source = "DataFrame" if in_memory else None if data is None else str(data)
    flags = {"data.source": source, **(settings or {}), **lengths}
    folder = None if out is None else Path(out)
    name, chosen = choose_settings(what, config=config, flags=flags, resumed=folder if resume else None)
    result = train_core(
        chosen,
        folder or Path("runs") / name,
        resume=resume,
        force=force,
        device=device,
        data=_table(data, chosen) if in_memory else None,
        reporter=reporter,
    )
    return load(result.checkpoint, device=device)


def sample(
    run: str | Path | Model | TableModel,
    out: str | Path,
    count: int | None = None,
    *,
    labels: Sequence[int | str] | None = None,
    where: Sequence[str] | Mapping[str, Any] = (),
    balance: str | None = None,
    complete: str | Path | None = None,
    draws: int = 1,
    allow_missing: bool = False,
    seed: int = 0,
    format: str | None = None,
    escape_formulas: bool = False,
    sampler: str | None = None,
    steps: int | None = None,
    guidance_scale: float | None = None,
    temperature: float | None = None,
    device: str = "auto",
    resume: bool = False,
    force: bool = False,
    reporter: Reporter | None = None,
) -> SampleResult | TableResult:
    """Write samples to `out`; for samples in memory use `Model.sample`, `TableModel.sample`, `TableModel.complete`.

    Args:
        count: how many; 64 images or 1,000 rows unless it is said. With `complete`, as many as that file has rows.
        labels, sampler, guidance_scale: of images. format: of images png (default), npz or idx, into the folder `out`.
        where, balance, temperature: of rows; see `TableModel.sample`. complete, draws, allow_missing: a table whose
            missing cells are filled; see `TableModel.complete`. `out` is FILE.csv, .csv.gz, .tsv or .parquet, or a
            folder for a table in `format`. escape_formulas: no cell that a spreadsheet would run as a formula.
    Raises: UsageError for a request that cannot work or does not belong to the model, SynthgenError.
    """
    model = load(run, device=device) if isinstance(run, (str, Path)) else run
    shared: dict[str, Any] = {"resume": resume, "force": force, "reporter": reporter}
    if not isinstance(model, Model):
        _refuse({"labels": labels, "sampler": sampler, "guidance_scale": guidance_scale}, "a model of images")
        return _sample_rows(
            model,
            out,
            shared,
            count=count if complete or count is not None else 1000,
            where=where,
            balance=balance,
            complete=complete,
            draws=draws,
            allow_missing=allow_missing,
            seed=seed,
            steps=steps,
            temperature=temperature,
            escape=escape_formulas,
            format=format,
        )
    given: dict[str, object] = {
        "where": where or None,
        "balance": balance,
        "complete": complete,
        "temperature": temperature,
    }
    _refuse(given, "a model of a table")
    from synthgen.generation.folder import plan_samples, sample_to_folder

    recipe = model.recipe(sampler=sampler, steps=steps, guidance_scale=guidance_scale)
    number = 64 if count is None else count
    plan = plan_samples(model, number, labels=labels, seed=seed, recipe=recipe, format=format or "png")
    return sample_to_folder(model, Path(out), plan, **shared)


def _refuse(options: dict[str, object], of: str) -> None:
    given = [name for name, value in options.items() if value is not None]
    if given:
        raise UsageError(f"{', '.join(given)}: only {of} knows that")


def _sample_rows(
    model: TableModel, out: str | Path, shared: dict[str, Any], *, format: str | None, **request: Any
) -> TableResult:
    from synthgen.generation.tables.work import TableRequest, table_work

    named, packed = named_format(out)
    if named and format and named != format:
        raise UsageError(f"format '{format}' and '{out}' disagree", "leave one of them out")
    wanted = TableRequest(format=format or named or "csv", packed=packed, **request)
    return table_work(model, wanted, reporter=shared["reporter"]).to_file(out, **shared)


def sample_shards(
    run: str | Path | Model,
    out: str | Path,
    count: int,
    *,
    shards: int | None = None,
    shard_size: int | None = None,
    part: tuple[int, int] = (0, 1),
    labels: Sequence[int | str] | None = None,
    seed: int = 0,
    format: str = "parquet",
    sampler: str | None = None,
    steps: int | None = None,
    guidance_scale: float | None = None,
    device: str = "auto",
    force: bool = False,
    reporter: Reporter | None = None,
) -> ShardsResult:
    """Write part i of N (counted from 0) of a set in shards to `out`, a folder or a URL; finished shards are kept.

    `synthgen.generation.verify.verify_samples` and `synthgen.generation.merge.merge_samples` check and merge the set.
    """
    from synthgen.generation.making import sample_to_shards
    from synthgen.generation.plan import plan_samples
    from synthgen.generation.sharding import Part, shard_count

    model = _model(run, device)
    recipe = model.recipe(sampler=sampler, steps=steps, guidance_scale=guidance_scale)
    who, codec = Part(*part, "part"), model.codec
    image_bytes = codec.height * codec.width * codec.channels
    total = shard_count(count, recipe.block_size, image_bytes, shards=shards, shard_size=shard_size, part=who)
    plan = plan_samples(model, count, labels=labels, seed=seed, recipe=recipe, format=format, shards=total)
    return sample_to_shards(model, str(out), plan, who, force=force, reporter=reporter)


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


def explain(
    run: str | Path | Model | TableModel,
    out: str | Path,
    *,
    samples: int = 8,
    labels: Sequence[int | str] = (),
    rows: str | Path | None = None,
    data: str | Path | None = None,
    test: str | Path | None = None,
    target: str | None = None,
    count: int = 1000,
    seed: int = 0,
    methods: Sequence[str] | None = None,
    device: str = "auto",
    force: bool = False,
    reporter: Reporter | None = None,
) -> Explanation | TableExplanation:
    """Write how samples came to be to the folder `out`: page, numbers, arrays; of images pictures too.

    labels: classes of images. rows, data, test, target, count: for tables, as the flags of `synthgen explain`.
    methods: by default `trajectory` for images, all for tables. Raises UsageError.
    """
    from synthgen.explain.run import Request, explain_to_folder
    from synthgen.explain.tables.run import TableRequest, explain_table_to_folder

    model = load(run, device=device) if isinstance(run, (str, Path)) else run
    if isinstance(model, Model):
        asked = Request(samples=samples, labels=tuple(labels), seed=seed, methods=tuple(methods or ("trajectory",)))
        return explain_to_folder(model, Path(out), asked, force=force, reporter=reporter)
    mine, train, held_out = (None if one is None else str(one) for one in (rows, data, test))
    chosen = None if methods is None else tuple(methods)
    request = TableRequest(samples, mine, train, held_out, target, count, chosen, seed)
    return explain_table_to_folder(model, Path(out), request, force=force, reporter=reporter)


def export(
    run: str | Path | Model,
    out: str | Path,
    *,
    format: str = "diffusers",
    sampler: str | None = None,
    steps: int | None = None,
    device: str = "auto",
    force: bool = False,
    reporter: Reporter | None = None,
) -> ExportResult:
    """Write a model for others (`diffusers` or `safetensors`), load it back and compare its samples.

    sampler, steps: how the export samples unless told otherwise; by default as the model does.
    """
    from synthgen.export.exporting import export_model

    model = _model(run, device)
    recipe = model.recipe(sampler=sampler, steps=steps)
    return export_model(model, Path(out), format=format, recipe=recipe, force=force, reporter=reporter)


def _table(frame: Any, config: AnyConfig) -> TableData:
    from synthgen.data.tables.reading import table_from_frame

    if not isinstance(config, TableConfig):
        raise UsageError("data is a DataFrame, and the configuration is one of images", "leave out the configuration")
    return table_from_frame(frame, config.data)


def _source(images: str | Path | Model) -> str:
    return str(images.path) if isinstance(images, Model) else str(images)
