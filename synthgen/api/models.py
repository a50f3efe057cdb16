"""Calls that make a model, look into it, and hand it on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from synthgen.config.modalities import wants_series
from synthgen.config.series import SeriesConfig
from synthgen.config.tables import TableConfig
from synthgen.errors import UsageError
from synthgen.generation.model import Model, load
from synthgen.reporting import Reporter
from synthgen.runs import resolve_run

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from synthgen.config.modalities import AnyConfig
    from synthgen.data.series.schema import SeriesData
    from synthgen.data.tables.schema import TableData
    from synthgen.explain.images.run import Explanation
    from synthgen.explain.series.run import SeriesExplanation
    from synthgen.explain.tables.run import TableExplanation
    from synthgen.export.exporting import ExportResult
    from synthgen.generation.series.model import SeriesModel
    from synthgen.generation.tables.model import TableModel


def train(
    what: str | Path | None = None,
    out: str | Path | None = None,
    *,
    data: str | Path | pd.DataFrame | np.ndarray | None = None,
    config: str | Path | None = None,
    budget: str | None = None,
    steps: int | None = None,
    epochs: float | None = None,
    settings: dict[str, Any] | None = None,
    start: str | Path | Model | None = None,
    distill: str | Path | Model | None = None,
    device: str = "auto",
    resume: bool = False,
    force: bool = False,
    reporter: Reporter | None = None,
) -> Model | TableModel | SeriesModel:
    """Train a model and load it.

    Args:
        what: a preset's name, a config file, or data, as on the command line. out: the run folder
            (default: `runs/NAME`).
        data, config: name them where `what` would be ambiguous. data may be a pandas DataFrame (a table, or series when
            settings such as `data.window` say so) or an array (N, L, C) of series.
        budget, steps, epochs: how long; at most one of them. settings: dotted keys and values, such as
            `{"training.batch_size": 128}`.
        start: a model of images whose weights the run starts from: `train --from`.
        distill: a model of images to tune, with its own data, so that one or two steps of its sampler are enough.
    Raises: UsageError for a request that cannot work, SynthgenError when training fails.
    """
    from synthgen.training.choosing import choose_settings
    from synthgen.training.run import train as train_core

    in_memory = data is not None and not isinstance(data, (str, Path))
    if in_memory and config is None:
        series = not hasattr(data, "columns") or wants_series(
            [f"{key}={value}" for key, value in (settings or {}).items()]
        )
        what, config = None, what or ("series" if series else "table")
    given = {"training.budget": budget, "training.steps": steps, "training.epochs": epochs}
    lengths = {key: value for key, value in given.items() if value is not None}  # None must not undo `settings`
    source = type(data).__name__ if in_memory else None if data is None else str(data)
    flags = {"data.source": source, **(settings or {}), **lengths}
    folder = None if out is None else Path(out)
    begin, teacher = (
        None if named is None else named.path if isinstance(named, Model) else resolve_run(named)
        for named in (start, distill)
    )
    name, chosen = choose_settings(
        what, config=config, flags=flags, resumed=folder if resume else None, distill=teacher, start=begin
    )
    result = train_core(
        chosen,
        folder or Path("runs") / name,
        resume=resume,
        force=force,
        device=device,
        data=_loaded(data, chosen) if in_memory else None,
        origin=teacher or begin,
        reporter=reporter,
    )
    return load(result.checkpoint, device=device)


def _loaded(data: Any, config: AnyConfig) -> TableData | SeriesData:
    """Data in memory as the modality of `config` has it."""
    if isinstance(config, SeriesConfig):
        from synthgen.data.series.reading import series_from_array, series_from_frame

        if hasattr(data, "columns"):
            return series_from_frame(data, config.data, split="train")
        return series_from_array(data, config=config.data, split="train")
    if not isinstance(config, TableConfig) or not hasattr(data, "columns"):
        name = type(data).__name__
        raise UsageError(
            f"data is a {name}, and the configuration is one of {config.modality}", "leave out the configuration"
        )
    from synthgen.data.tables.reading import table_from_frame

    return table_from_frame(data, config.data)


def explain(
    run: str | Path | Model | TableModel | SeriesModel,
    out: str | Path,
    *,
    samples: int = 8,
    labels: Sequence[int | str] = (),
    rival: str | None = None,
    images: Sequence[str] = (),
    rows: str | Path | None = None,
    data: str | Path | None = None,
    test: str | Path | None = None,
    target: str | None = None,
    count: int | None = None,
    seed: int = 0,
    methods: Sequence[str] | None = None,
    device: str = "auto",
    force: bool = False,
    reporter: Reporter | None = None,
) -> Explanation | TableExplanation | SeriesExplanation:
    """Write how samples came to be to the folder `out`: page, numbers, arrays; of images pictures too.

    labels: classes of images and series. rival: of these, the class to compare with. images: files to explain instead
    of samples. data: what was trained on. rows, test, target, count: for tables and series, as the flags of `synthgen
    explain` (target: tables only). methods: by default all. Raises UsageError.
    """
    model = load(run, device=device) if isinstance(run, (str, Path)) else run
    mine, train, held_out = (None if one is None else str(one) for one in (rows, data, test))
    chosen = None if methods is None else tuple(methods)
    if isinstance(model, Model):
        from synthgen.explain.images.run import Request, explain_to_folder

        asked = Request(samples, tuple(labels), seed, methods=chosen, rival=rival, images=tuple(images), data=train)
        return explain_to_folder(model, Path(out), asked, force=force, reporter=reporter)
    if model.modality == "series":
        from synthgen.explain.series.run import SeriesRequest, explain_series_to_folder

        of_series = SeriesRequest(
            samples, tuple(map(str, labels)), rival, mine, train, held_out, count or SeriesRequest.count, chosen, seed
        )
        return explain_series_to_folder(
            cast("SeriesModel", model), Path(out), of_series, force=force, reporter=reporter
        )
    from synthgen.explain.tables.run import TableRequest, explain_table_to_folder

    request = TableRequest(samples, mine, train, held_out, target, count or 1000, chosen, seed)
    return explain_table_to_folder(cast("TableModel", model), Path(out), request, force=force, reporter=reporter)


def export(
    run: str | Path | Model | TableModel | SeriesModel,
    out: str | Path,
    *,
    format: str = "diffusers",
    dtype: str | None = None,
    metrics: str | Path | dict[str, Any] | None = None,
    aot: bool = False,
    sampler: str | None = None,
    steps: int | None = None,
    device: str = "auto",
    force: bool = False,
    reporter: Reporter | None = None,
) -> ExportResult:
    """Write a model for others, load it back and compare its samples.

    format: diffusers, safetensors, hub, onnx or torch-export. dtype: of safetensors and hub, what weights are rounded
    to: fp32, fp16 or bf16. metrics: of hub, the result of `synthgen.evaluate` as a dict, or a file with what
    `synthgen evaluate --json` said. aot: of torch-export, compile too. sampler, steps: how the export samples unless
    told otherwise; by default as the model does.
    """
    from synthgen.export.exporting import export_model
    from synthgen.export.quality import read_metrics

    if isinstance(metrics, (str, Path)):
        metrics = read_metrics(Path(metrics))

    model: Any = load(run, device=device) if isinstance(run, (str, Path)) else run
    recipe = model.recipe(**({} if sampler is None else {"sampler": sampler}), steps=steps)
    return export_model(
        model,
        Path(out),
        format=format,
        recipe=recipe,
        dtype=dtype,
        metrics=metrics,
        aot=aot,
        force=force,
        reporter=reporter,
    )
