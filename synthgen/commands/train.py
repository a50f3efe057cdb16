"""`synthgen train`: learn a diffusion model from a preset, a config, a folder of images or a table."""

from __future__ import annotations

import shlex
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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
    SetOption,
)
from synthgen.commands.resuming import resume_command, stoppable
from synthgen.console import Console, command_console
from synthgen.errors import UsageError
from synthgen.outputs import check_output
from synthgen.runs import resolve_run
from synthgen.training.launching import die_with_parent, is_main, plan_launch
from synthgen.training.tracking import check_tracker

if TYPE_CHECKING:
    from synthgen.config.modalities import AnyConfig
    from synthgen.training.launching import Launch
    from synthgen.training.run import TrainResult
    from synthgen.training.subjects import AnyData


class Strategy(str, Enum):
    """How several processes share the work."""

    ddp = "ddp"
    fsdp = "fsdp"


class Precision(str, Enum):
    """The network's arithmetic."""

    auto = "auto"
    fp32 = "fp32"
    bf16 = "bf16"


class Track(str, Enum):
    """The experiment tracker that is told of the run."""

    none = "none"
    mlflow = "mlflow"
    tensorboard = "tensorboard"


def train(
    what: Annotated[
        str | None,
        typer.Argument(metavar="WHAT", help="A preset (mnist), a config file (my.yaml), or data (my-folder/, my.csv)."),
    ] = None,
    config: Annotated[Path | None, typer.Option("--config", "-c", metavar="FILE", help="A YAML config.")] = None,
    data: Annotated[
        str | None,
        typer.Option("--data", metavar="SOURCE", help="Data to learn: a name, a folder, .npz, IDX, CSV, Parquet."),
    ] = None,
    from_: Annotated[
        str | None, typer.Option("--from", metavar="RUN", help="Start from the weights of this model of images.")
    ] = None,
    distill: Annotated[
        str | None, typer.Option("--distill", metavar="RUN", help="Tune this model to need one or two steps only.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="DIR", help="The run folder [default: runs/NAME].")
    ] = None,
    budget: Annotated[
        str | None, typer.Option("--budget", metavar="TIME", help="Wall-clock time: 90s, 15m, 2h.")
    ] = None,
    steps: Annotated[int | None, typer.Option("--steps", metavar="N", help="Optimizer steps.")] = None,
    epochs: Annotated[float | None, typer.Option("--epochs", metavar="N", help="Passes over the data.")] = None,
    seed: Annotated[int | None, typer.Option("--seed", metavar="N", help="Seed of weights, order and noise.")] = None,
    devices: Annotated[
        int | None,
        typer.Option("--devices", min=1, metavar="N", help="Processes on this machine, one GPU each."),
    ] = None,
    nodes: Annotated[
        int | None, typer.Option("--nodes", min=1, metavar="N", help="Machines, started by torchrun or srun.")
    ] = None,
    strategy: Annotated[
        Strategy | None, typer.Option("--strategy", help="How processes share the work [default: ddp].")
    ] = None,
    precision: Annotated[
        Precision | None, typer.Option("--precision", help="The network's arithmetic [default: auto].")
    ] = None,
    max_bad: Annotated[
        int | None, typer.Option("--max-bad", metavar="N", help="Unreadable images to skip [default: 0].")
    ] = None,
    track: Annotated[
        Track | None, typer.Option("--track", help="Tell an experiment tracker of the run [default: none].")
    ] = None,
    set_: SetOption = None,
    device: DeviceOption = "auto",
    resume: ResumeOption = False,
    force: ForceOption = False,
    dry_run: DryRunOption = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
    color: ColorOption = Color.auto,
) -> None:
    """Train a diffusion model and leave a run folder."""
    speaks = is_main()
    with command_console(json=json and speaks, quiet=quiet or not speaks, color=color) as console:
        lengths = {"--budget": budget, "--steps": steps, "--epochs": epochs}
        given = [flag for flag, value in lengths.items() if value is not None]
        if len(given) > 1:
            raise UsageError(f"{' and '.join(given)} both say how long to train: give one of them")
        launch = plan_launch(devices, nodes, strategy.value if strategy else None)
        if launch is not None and launch.started_by_another:
            die_with_parent()
        flags = {
            "data.source": data,
            "training.budget": budget,
            "training.steps": steps,
            "training.epochs": epochs,
            "training.seed": seed,
            "training.precision": precision.value if precision else None,
            "training.track": track.value if track else None,
            "data.max_bad": max_bad,
        }
        from synthgen.training.choosing import choose_settings

        name, settings = choose_settings(
            what,
            config=config,
            overrides=set_ or (),
            flags=flags,
            resumed=out if resume else None,
            distill=distill,
            start=from_,
        )
        named = distill or from_
        origin = None if named is None else resolve_run(named)
        run = out or Path("runs") / name
        if speaks:
            check_output(run, force=force, resume=resume)
        check_tracker(settings.training.track)
        console.loading("torch")
        from synthgen.training.run import load_data
        from synthgen.training.run import train as train_core
        from synthgen.training.together import together

        with stoppable(resume_command()) as stop:
            found = load_data(settings, console.reporter if speaks else None, stop)
            if dry_run:
                _show_plan(console, run, settings, found, device, launch, origin)
                return
            with together(launch, settings, device, console.reporter) as world:
                result = train_core(
                    settings,
                    run,
                    resume=resume,
                    force=force,
                    device=device,
                    data=found,
                    reporter=console.reporter,
                    should_stop=stop,
                    world=world,
                    origin=origin,
                )
        if speaks:
            _show_result(console, result, f"synthgen sample {shlex.quote(str(run))} {_wish(settings, found)}")


def _wish(settings: AnyConfig, data: AnyData) -> str:
    """The flags with which a first sample of a model is worth drawing."""
    if settings.modality == "images":
        return f"--count {100 if getattr(data, 'class_names', ()) else 64} --out synthetic/"
    if settings.modality == "tables":
        return f"--count {len(data)} --out synthetic.csv"
    form = getattr(data, "schema").form  # noqa: B009 - AnyData has no common face
    return f"--count 1000 --out synthetic.{'npz' if form == 'array' else 'csv'}"


def _show_plan(
    console: Console,
    run: Path,
    settings: AnyConfig,
    data: AnyData,
    device: str,
    launch: Launch | None,
    origin: Path | None,
) -> None:
    """What --dry-run prints; building the network checks that it fits the data."""
    from synthgen.training.run import describe_plan
    from synthgen.training.together import check_together

    if launch is not None:
        device = check_together(launch, settings, device)
    plan = describe_plan(settings, data, device, origin)
    if launch is not None:
        plan |= {"processes": launch.size, "strategy": launch.strategy}
    if launch is not None and not launch.main:
        return
    rows = [(key.replace("_", " "), value) for key, value in plan.items()]
    document = {"run": str(run), "plan": plan, "config": settings.model_dump(mode="json")}
    console.result(document, lambda: console.table(f"would train into {run}", ("", ""), rows), quiet=run)


def _show_result(console: Console, result: TrainResult, following: str) -> None:
    document = {
        "run": str(result.run),
        "checkpoint": str(result.checkpoint),
        "steps": result.steps,
        f"{result.unit}_seen": result.seen,
        "seconds": result.seconds,
        "loss": result.loss,
        "parameters": result.parameters,
        "bad_steps": result.bad_steps,
        f"skipped_{result.unit}": result.skipped,
    }

    def human() -> None:
        console.line(f"trained {result.run}", "bold")
        console.line(f"  {result.steps:,} steps over {result.seen:,} {result.unit} in {_duration(result.seconds)}")
        console.line(f"  loss {result.loss:.4f}, {result.parameters / 1e6:.2f} M parameters, {result.checkpoint.name}")
        if result.bad_steps or result.skipped:
            console.line(
                f"  left out: {result.bad_steps:,} step(s) not finite, {result.skipped:,} unreadable {result.unit}"
            )

    console.result(document, human, quiet=result.run)
    console.next(following)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return (f"{hours} h " if hours else "") + (f"{minutes} min " if minutes or hours else "") + f"{rest} s"
