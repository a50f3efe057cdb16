"""Calls that draw samples from a model into files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synthgen.errors import UsageError
from synthgen.generation.model import Model, load
from synthgen.generation.targets import named_format
from synthgen.reporting import Reporter

if TYPE_CHECKING:
    from synthgen.generation.folder import SampleResult
    from synthgen.generation.making import ShardsResult
    from synthgen.generation.onefile import FileResult
    from synthgen.generation.series.model import SeriesModel
    from synthgen.generation.series.work import SeriesWork
    from synthgen.generation.tables.model import TableModel
    from synthgen.generation.tables.work import TableWork


def sample(
    run: str | Path | Model | TableModel | SeriesModel,
    out: str | Path,
    count: int | None = None,
    *,
    labels: Sequence[int | str] | None = None,
    prompts: str | Sequence[str] | None = None,
    where: Sequence[str] | Mapping[str, Any] = (),
    balance: str | None = None,
    complete: str | Path | None = None,
    draws: int = 1,
    quantiles: Sequence[float] = (),
    allow_missing: bool = False,
    length: int | None = None,
    start_time: object | None = None,
    seed: int = 0,
    format: str | None = None,
    escape_formulas: bool = False,
    sampler: str | None = None,
    steps: int | None = None,
    eta: float | None = None,
    guidance_scale: float | None = None,
    guidance_interval: tuple[float, float] | None = None,
    autoguidance: str | Path | Model | None = None,
    quality: str | None = None,
    block_size: int | None = None,
    temperature: float | None = None,
    device: str = "auto",
    resume: bool = False,
    force: bool = False,
    reporter: Reporter | None = None,
) -> SampleResult | FileResult:
    """Write samples to `out`; for samples in memory use `sample` and `complete` of the model.

    Args:
        count: how many; 64 images, else 1,000 unless it is said, or 1 of series longer than a window. With `complete`,
            as many as that file has.
        prompts: of images, of a model that learned from captions: what to show in turn, in place of labels.
        labels, sampler, eta, guidance_scale: of images and series. guidance_interval, autoguidance, quality and
            block_size: of images; see `Model.recipe`. format: of images png (default), npz or idx, into the folder
            `out`.
        where, balance, temperature: of rows; see `TableModel.sample`; where: of series, too. complete, draws,
            allow_missing: a table, or series, whose missing cells are filled; see `TableModel.complete`.
            `out` is FILE.csv, .csv.gz, .tsv, .parquet, of series also .npz, or a folder for a file in `format`.
            escape_formulas: no cell that a spreadsheet would run as a formula.
        length, start_time, quantiles: of series; see `SeriesModel.sample` and `SeriesModel.complete`.
    Raises: UsageError for a request that cannot work or does not belong to the model, SynthgenError.
    """
    model = load(run, device=device) if isinstance(run, (str, Path)) else run
    shared: dict[str, Any] = {"resume": resume, "force": force, "reporter": reporter}
    chosen: dict[str, Any] = {"labels": labels, "sampler": sampler, "eta": eta, "guidance_scale": guidance_scale}
    images: dict[str, Any] = {"guidance_interval": guidance_interval, "autoguidance": autoguidance, "quality": quality}
    images |= {"prompts": prompts, "block_size": block_size}
    rows = {"balance": balance, "temperature": temperature}
    series = {"quantiles": tuple(quantiles) or None, "length": length, "start_time": start_time}
    if isinstance(model, Model):
        shared_rows = {"where": where or None, "complete": complete}
        _refuse({**shared_rows, **rows}, "a model of a table")
        _refuse(series, "a model of series")
        chosen |= images
        return _sample_images(model, Path(out), 64 if count is None else count, seed, steps, format, chosen, shared)
    _refuse(images, "a model of images")
    from synthgen.generation.tables.model import TableModel

    request: dict[str, Any] = {
        "count": count,
        "where": where,
        "complete": complete,
        "draws": draws,
        "allow_missing": allow_missing,
        "seed": seed,
        "steps": steps,
        "escape": escape_formulas,
    }
    if isinstance(model, TableModel):
        _refuse(chosen, "a model of images or of series")
        _refuse(series, "a model of series")
        request["count"] = count if complete or count is not None else 1000
        return _sample_rows(model, out, shared, format=format, **rows, **request)
    _refuse(rows, "a model of a table")
    return _sample_series(
        model, out, shared, format=format, **{**request, **series, **chosen, "quantiles": tuple(sorted(quantiles))}
    )


def _sample_images(
    model: Model,
    out: Path,
    count: int,
    seed: int,
    steps: int | None,
    format_: str | None,
    chosen: dict[str, Any],
    shared: dict[str, Any],
) -> SampleResult:
    from synthgen.generation.folder import plan_samples, sample_to_folder

    labels, prompts = chosen.pop("labels"), chosen.pop("prompts")
    if labels is not None and prompts is not None:
        raise UsageError("labels and prompts both say what to show", "give one of them")
    model = model if prompts is None else model.told(prompts)
    recipe = model.recipe(steps=steps, **chosen)
    plan = plan_samples(model, count, labels=labels, seed=seed, recipe=recipe, format=format_ or "png")
    return sample_to_folder(model, out, plan, **shared)


def _refuse(options: Mapping[str, object], of: str) -> None:
    given = [name for name, value in options.items() if value is not None]
    if given:
        raise UsageError(f"{', '.join(given)}: only {of} knows that")


def _sample_rows(
    model: TableModel, out: str | Path, shared: dict[str, Any], *, format: str | None, **request: Any
) -> FileResult:
    from synthgen.generation.tables.work import TableRequest, table_work

    named, packed = named_format(out)
    if named and format and named != format:
        raise UsageError(f"format '{format}' and '{out}' disagree", "leave one of them out")
    wanted = TableRequest(format=format or named or "csv", packed=packed, **request)
    return table_work(model, wanted, reporter=shared["reporter"]).to_file(out, **shared)


def _sample_series(
    model: SeriesModel, out: str | Path, shared: dict[str, Any], *, format: str | None, **request: Any
) -> FileResult:
    from synthgen.generation.series.work import SeriesRequest, series_work

    named, packed = named_format(out)
    if named and format and named != format:
        raise UsageError(f"format '{format}' and '{out}' disagree", "leave one of them out")
    form = format or named or ("npz" if model.schema.form == "array" else "csv")
    wanted = SeriesRequest(format=form, packed=packed, **{**request, "labels": request["labels"] or ()})
    return series_work(model, wanted, reporter=shared["reporter"]).to_file(out, **shared)


def sample_shards(
    run: str | Path | Model | TableModel | SeriesModel,
    out: str | Path,
    count: int,
    *,
    shards: int | None = None,
    shard_size: int | None = None,
    part: tuple[int, int] = (0, 1),
    labels: Sequence[int | str] | None = None,
    seed: int = 0,
    format: str | None = None,
    sampler: str | None = None,
    steps: int | None = None,
    guidance_scale: float | None = None,
    device: str = "auto",
    force: bool = False,
    reporter: Reporter | None = None,
) -> ShardsResult:
    """Write part i of N (counted from 0) of a set in shards to `out`, a folder or a URL; finished shards are kept.

    format: of images parquet (default), webdataset, png, npz, idx; of rows csv (default), tsv, parquet; of series npz,
    too. labels, sampler and guidance_scale are of images and series; for rows and series under conditions use
    `synthgen.generation.tables.work.table_work` and `synthgen.generation.series.work.series_work`.
    `synthgen.generation.verify.verify_samples` and `synthgen.generation.merge.merge_samples` check and merge the set.
    """
    from synthgen.generation.making import sample_to_shards
    from synthgen.generation.plan import plan_samples
    from synthgen.generation.sharding import Part, shard_count

    model = load(run, device=device) if isinstance(run, (str, Path)) else run
    who = Part(*part, "part")
    if not isinstance(model, Model):
        chosen = {"labels": labels, "sampler": sampler, "guidance_scale": guidance_scale}
        cut = {"shards": shards, "shard_size": shard_size, "part": who, "count": count, "seed": seed, "steps": steps}
        if model.modality == "tables":
            _refuse(chosen, "a model of images or of series")
        work = _work_of(model, format, chosen, cut)
        return work.to_shards(str(out), who, force=force, reporter=reporter)
    recipe = model.recipe(sampler=sampler, steps=steps, guidance_scale=guidance_scale)
    codec = model.codec
    image_bytes = codec.height * codec.width * codec.channels
    total = shard_count(count, recipe.block_size, image_bytes, shards=shards, shard_size=shard_size, part=who)
    plan = plan_samples(model, count, labels=labels, seed=seed, recipe=recipe, format=format or "parquet", shards=total)
    return sample_to_shards(model, str(out), plan, who, force=force, reporter=reporter)


def _work_of(
    model: TableModel | SeriesModel, format_: str | None, chosen: dict[str, Any], cut: dict[str, Any]
) -> TableWork | SeriesWork:
    from synthgen.generation.series.model import SeriesModel

    if isinstance(model, SeriesModel):
        from synthgen.generation.series.work import SeriesRequest, series_work

        form = format_ or ("npz" if model.schema.form == "array" else "csv")
        return series_work(model, SeriesRequest(format=form, **{**cut, **chosen, "labels": chosen["labels"] or ()}))
    from synthgen.generation.tables.work import TableRequest, table_work

    return table_work(model, TableRequest(format=format_ or "csv", **cut))
