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
    from synthgen.generation.tables.model import TableModel


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
) -> SampleResult | FileResult:
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
) -> FileResult:
    from synthgen.generation.tables.work import TableRequest, table_work

    named, packed = named_format(out)
    if named and format and named != format:
        raise UsageError(f"format '{format}' and '{out}' disagree", "leave one of them out")
    wanted = TableRequest(format=format or named or "csv", packed=packed, **request)
    return table_work(model, wanted, reporter=shared["reporter"]).to_file(out, **shared)


def sample_shards(
    run: str | Path | Model | TableModel,
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

    format: of images parquet (default), webdataset, png, npz, idx; of rows csv (default), tsv, parquet. labels, sampler
    and guidance_scale are of images; for rows under conditions use `synthgen.generation.tables.work.table_work`.
    `synthgen.generation.verify.verify_samples` and `synthgen.generation.merge.merge_samples` check and merge the set.
    """
    from synthgen.generation.making import sample_to_shards
    from synthgen.generation.plan import plan_samples
    from synthgen.generation.sharding import Part, shard_count

    model = load(run, device=device) if isinstance(run, (str, Path)) else run
    who = Part(*part, "part")
    if not isinstance(model, Model):
        _refuse({"labels": labels, "sampler": sampler, "guidance_scale": guidance_scale}, "a model of images")
        from synthgen.generation.tables.work import TableRequest, table_work

        cut = {"shards": shards, "shard_size": shard_size, "part": who}
        wanted = TableRequest(count=count, seed=seed, steps=steps, format=format or "csv", **cut)  # type: ignore[arg-type]
        return table_work(model, wanted, reporter=reporter).to_shards(str(out), who, force=force, reporter=reporter)
    recipe = model.recipe(sampler=sampler, steps=steps, guidance_scale=guidance_scale)
    codec = model.codec
    image_bytes = codec.height * codec.width * codec.channels
    total = shard_count(count, recipe.block_size, image_bytes, shards=shards, shard_size=shard_size, part=who)
    plan = plan_samples(model, count, labels=labels, seed=seed, recipe=recipe, format=format or "parquet", shards=total)
    return sample_to_shards(model, str(out), plan, who, force=force, reporter=reporter)
