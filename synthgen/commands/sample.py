"""`synthgen sample`: synthetic images, rows of a table or series from a trained model, any number of them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from synthgen.commands.options import (
    Color,
    ColorOption,
    DeviceOption,
    DryRunOption,
    ForceOption,
    JsonOption,
    QuietOption,
    ResumeOption,
    RunArgument,
    SeedOption,
)
from synthgen.commands.sample_choices import Compile, Format, Quality, Sampler, refuse_foreign
from synthgen.commands.sample_compile import as_it_runs_best
from synthgen.commands.sample_images import make_folder, make_shards, note_quality, show_plan
from synthgen.commands.sample_request import read_interval, read_levels, read_request
from synthgen.commands.sample_series import SeriesFlags, sample_series
from synthgen.commands.sample_tables import TableFlags, sample_table
from synthgen.console import command_console
from synthgen.errors import UsageError
from synthgen.outputs import check_output
from synthgen.runs import modality_of, resolve_run


def sample(
    run: RunArgument,
    count: Annotated[
        int | None,
        typer.Option("--count", "-n", metavar="N", help="How many samples [default: 64; rows, series: 1000]."),
    ] = None,
    out: Annotated[
        str | None,
        typer.Option(
            "--out",
            "-o",
            metavar="PATH",
            help="A folder, or a URL (s3://bucket/dir); rows, series: FILE.csv, .tsv, .parquet, .npz, -.",
        ),
    ] = None,
    class_: Annotated[
        list[str] | None,
        typer.Option(
            "--class", metavar="NAME", help="This class; repeatable [default: all, balanced; series: as in the data]."
        ),
    ] = None,
    prompt: Annotated[
        list[str] | None,
        typer.Option("--prompt", metavar="TEXT", help="Images: show this; repeatable. For models that know captions."),
    ] = None,
    where: Annotated[
        list[str] | None,
        typer.Option("--where", metavar="COND", help="Rows: age=30..40, city='Rome|Paris', x=; series: covariates."),
    ] = None,
    balance: Annotated[
        str | None, typer.Option("--balance", metavar="COLUMN", help="Rows: equally many of each of its values.")
    ] = None,
    complete: Annotated[
        Path | None,
        typer.Option("--complete", metavar="FILE", help="Fill the missing cells of these rows or series."),
    ] = None,
    draws: Annotated[
        int | None,
        typer.Option("--draws", min=1, metavar="N", help="Completions of each [default: 1; for quantiles 100]."),
    ] = None,
    allow_missing: Annotated[
        bool, typer.Option("--allow-missing", help="Completed cells may stay missing, as often as in the data.")
    ] = False,
    quantiles: Annotated[
        str | None,
        typer.Option("--quantiles", metavar="LIST", help="Series: 0.1,0.5,0.9 of the draws, in place of them."),
    ] = None,
    length: Annotated[
        int | None, typer.Option("--length", metavar="N", help="Series: steps of each, also beyond the window.")
    ] = None,
    start: Annotated[
        str | None, typer.Option("--start", metavar="TIME", help="Series: the time of the first step.")
    ] = None,
    format_: Annotated[
        Format | None,
        typer.Option("--format", help="[default: png, in shards parquet; others: by --out, else csv]"),
    ] = None,
    escape_formulas: Annotated[
        bool, typer.Option("--escape-formulas", help="No cell that a spreadsheet would run as a formula.")
    ] = False,
    seed: SeedOption = 0,
    shards: Annotated[
        int | None, typer.Option("--shards", min=1, metavar="N", help="Cut the set into N shards.")
    ] = None,
    shard_size: Annotated[
        int | None, typer.Option("--shard-size", min=1, metavar="N", help="Shards of at most N samples.")
    ] = None,
    shard: Annotated[
        str | None,
        typer.Option("--shard", metavar="i/N", help="Make part i of N only [default: of the SLURM array, ...]."),
    ] = None,
    sampler: Annotated[Sampler | None, typer.Option("--sampler", help="[default: the model's own]")] = None,
    steps: Annotated[
        int | None, typer.Option("--steps", metavar="N", help="Sampler steps; rows: network calls, one per column.")
    ] = None,
    noise_levels: Annotated[
        str | None,
        typer.Option("--noise-levels", metavar="LIST", help="Images: sigma/alpha at each step, e.g. 80,0.8."),
    ] = None,
    eta: Annotated[float | None, typer.Option("--eta", metavar="X", help="Fresh noise of ddim, 0 to 1.")] = None,
    guidance_scale: Annotated[
        float | None,
        typer.Option("--guidance-scale", metavar="X", help="Guidance; 1.0 is off."),
    ] = None,
    guidance_interval: Annotated[
        str | None,
        typer.Option("--guidance-interval", metavar="LOW,HIGH", help="Images: guide at these noise levels only."),
    ] = None,
    autoguidance: Annotated[
        str | None,
        typer.Option("--autoguidance", metavar="RUN", help="Images: guide by this weaker copy, not by the label."),
    ] = None,
    quality: Annotated[
        Quality | None,
        typer.Option("--quality", help="Images: a setting of the sampler card, in place of --sampler and --steps."),
    ] = None,
    compile_: Annotated[
        Compile | None,
        typer.Option("--compile", help="Images: compile the network [default: auto, where that saves time]."),
    ] = None,
    block_size: Annotated[
        int | None,
        typer.Option(
            "--block-size", min=1, metavar="N", help="Images: computed together [default: on a GPU what fits]."
        ),
    ] = None,
    temperature: Annotated[
        float | None, typer.Option("--temperature", metavar="X", help="Rows: below 1, likelier values only.")
    ] = None,
    device: DeviceOption = "auto",
    resume: ResumeOption = False,
    force: ForceOption = False,
    dry_run: DryRunOption = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
    color: ColorOption = Color.auto,
) -> None:
    """Draw samples from a model. Sample k depends on the model, the settings, the seed and k alone.

    A model of images makes a folder of pictures, a model of a table a file of rows, a model of series a file in the
    form that its data had.
    """
    with command_console(json=json, quiet=quiet, color=color) as console:
        if count is not None and count < 1:
            raise UsageError(f"--count must be 1 or more, not {count}")
        chosen = format_.value if format_ else None
        checkpoint = resolve_run(run)
        given: dict[str, object] = {
            "--class": class_,
            "--prompt": prompt,
            "--where": where,
            "--balance": balance,
            "--complete": complete,
            "--draws": draws,
            "--allow-missing": allow_missing,
            "--quantiles": quantiles,
            "--length": length,
            "--start": start,
            "--escape-formulas": escape_formulas,
            "--sampler": sampler,
            "--noise-levels": noise_levels,
            "--eta": eta,
            "--guidance-scale": guidance_scale,
            "--guidance-interval": guidance_interval,
            "--autoguidance": autoguidance,
            "--quality": quality,
            "--compile": compile_,
            "--block-size": block_size,
            "--temperature": temperature,
        }
        modality = modality_of(checkpoint)
        refuse_foreign(given, modality, run)
        if modality == "series":
            series = SeriesFlags(
                count=count,
                out=out,
                classes=tuple(class_ or ()),
                where=tuple(where or ()),
                length=length,
                start=start,
                complete=complete,
                draws=draws,
                quantiles=quantiles,
                allow_missing=allow_missing,
                format=chosen,
                escape=escape_formulas,
                seed=seed,
                shards=shards,
                shard_size=shard_size,
                shard=shard,
                sampler=sampler.value if sampler else None,
                steps=steps,
                eta=eta,
                guidance_scale=guidance_scale,
                device=device,
                resume=resume,
                force=force,
                dry_run=dry_run,
            )
            sample_series(console, checkpoint, series)
            return
        if modality == "tables":
            flags = TableFlags(
                count=count,
                out=out,
                where=tuple(where or ()),
                balance=balance,
                complete=complete,
                draws=draws,
                allow_missing=allow_missing,
                format=chosen,
                escape=escape_formulas,
                seed=seed,
                shards=shards,
                shard_size=shard_size,
                shard=shard,
                steps=steps,
                temperature=temperature,
                device=device,
                resume=resume,
                force=force,
                dry_run=dry_run,
            )
            sample_table(console, checkpoint, flags)
            return
        if class_ and prompt:
            raise UsageError("--class and --prompt both say what the samples show", "give one of them")
        request = read_request(64 if count is None else count, out or "synthetic", chosen, shards, shard_size, shard)
        if not request.in_shards:
            check_output(Path(request.out), force=force, resume=resume)
        console.loading("torch")
        from synthgen.generation.model import load_image_model
        from synthgen.generation.plan import plan_samples

        model = load_image_model(checkpoint, device=device)
        if prompt:
            model = model.told(prompt)
        recipe = model.recipe(
            sampler=sampler.value if sampler else None,
            steps=steps,
            eta=eta,
            guidance_scale=guidance_scale,
            noise_levels=read_levels(noise_levels),
            guidance_interval=read_interval(guidance_interval),
            autoguidance=autoguidance,
            quality=quality.value if quality else None,
            block_size=block_size,
        )
        if quality:
            note_quality(console, model, quality.value)
        mode = compile_.value if compile_ else None
        recipe = as_it_runs_best(console, model, recipe, request, mode, block_size, force=force, dry_run=dry_run)
        total = request.shard_count(model, recipe)
        plan = plan_samples(
            model, request.count, labels=class_, seed=seed, recipe=recipe, format=request.format, shards=total
        )
        if dry_run:
            show_plan(console, model, plan, request)
        elif request.in_shards:
            make_shards(console, model, plan, request, force)
        else:
            make_folder(console, model, plan, Path(request.out), force, resume)
