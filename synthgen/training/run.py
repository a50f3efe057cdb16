"""One training run, from a config to a folder of checkpoints; stops, resumes, and keeps its promise of time."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from synthgen import devices
from synthgen.checkpoints import Header
from synthgen.config.loading import dump_config
from synthgen.config.modalities import UNITS, AnyConfig
from synthgen.config.schema import Config
from synthgen.errors import SynthgenError, UsageError
from synthgen.outputs import atomic_write, check_output, prepare_output
from synthgen.reporting import NullReporter, Reporter
from synthgen.runs import kept_teacher, list_checkpoints
from synthgen.stopping import ShouldStop, never_stop
from synthgen.training.carding import finish_card
from synthgen.training.loop import Loop, open_log
from synthgen.training.saving import Saver, load_state
from synthgen.training.schedule import DEFAULT_BUDGET, Horizon, horizon_of
from synthgen.training.step import Trainer
from synthgen.training.subjects import AnyData, build_subject, load_data, settled
from synthgen.training.tracking import check_tracker, tracking
from synthgen.training.world import Tensors, World

__all__ = ["TrainResult", "check_share", "describe_plan", "load_data", "train"]


@dataclass(frozen=True)
class TrainResult:
    """What a finished run reports. seconds: wall clock of all its sessions; loss: mean over the last report.

    unit: what is seen, `images` or `rows`. bad_steps: steps left out because of a loss or gradient that was not finite;
    skipped: unreadable samples left out.
    """

    run: Path
    checkpoint: Path
    steps: int
    seen: int
    seconds: float
    loss: float
    parameters: int
    bad_steps: int = 0
    skipped: int = 0
    unit: str = "images"


def train(
    config: AnyConfig,
    out: Path,
    *,
    resume: bool = False,
    force: bool = False,
    device: str = "auto",
    data: AnyData | None = None,
    reporter: Reporter | None = None,
    should_stop: ShouldStop = never_stop,
    world: World | None = None,
    origin: Path | None = None,
) -> TrainResult:
    """Train on `config.data` (or on `data`, already loaded) and leave a run folder at `out`.

    Args:
        resume: go on from the newest good checkpoint in `out`; its config must equal `config` but for the length.
        force: replace an existing run. device: auto, cpu, cuda, cuda:N, mps.
        should_stop: polled after every step; when it says so the run is saved and StoppedError raised.
        world: the processes that train together, each of which calls this; it then names the device.
        origin: the checkpoint whose weights a distillation (`config.distill`) or a fine-tuning (`config.start`) starts
            from.
    Raises: UsageError before anything is written; StoppedError; SynthgenError when too many steps in a row have a loss
        or gradient that is not finite.
    """
    started = time.monotonic()
    world = world or World(devices.pick_device(device))
    devices.keep_freed_memory()
    reporter = (reporter if world.main else None) or NullReporter()
    if world.main:
        check_output(out, force=force, resume=resume)
        check_tracker(config.training.track)
    data = data or load_data(config, reporter, should_stop)
    config = settled(config, data)
    check_share(config, world.size)
    torch.manual_seed(config.training.seed)  # initial weights and dropout
    if origin is None and resume and _asks(config) and kept_teacher(out).is_file():
        origin = kept_teacher(out)
    subject = build_subject(config, data, world.device, origin)
    trainer = Trainer(config, subject, world.device, world)
    horizon = horizon_of(config.training, len(subject), started)
    saver = Saver(out, config, subject)
    if resume:
        _restore(out, trainer, horizon, saver, reporter)
    if origin is None:
        _check_origin(config, trainer.step)
    elif trainer.step == 0 and "starts from" in (told := subject.describe()):
        reporter.info(f"starting from {told['starts from']}")
    if world.main:
        kept = origin.read_bytes() if origin is not None and _asks(config) else None
        prepare_output(out, force=force, resume=resume)
        if kept is not None:
            atomic_write(kept_teacher(out), kept)
        atomic_write(out / "config.yaml", dump_config(config).encode())
    batches = subject.batches()
    track = config.training.track if world.main else "none"
    with (
        open_log(out / "metrics.jsonl", trainer.step, world) as log,
        tracking(track, out, config.model_dump(mode="json"), trainer.step, reporter) as tracker,
    ):
        trainer.bad_steps = log.bad_steps
        loop = Loop(trainer, batches, horizon, saver, log, reporter, should_stop, tracker)
        loop.run()
        finish_card(trainer, saver, horizon, data, reporter, should_stop)
    return TrainResult(
        out,
        saver.last_model,
        trainer.step,
        trainer.seen,
        round(horizon.elapsed, 1),
        log.last_loss,
        sum(p.numel() for p in trainer.denoiser.parameters()),
        trainer.bad_steps,
        subject.skipped,
        subject.unit,
    )


def _asks(config: AnyConfig) -> bool:
    """Whether a run asks its teacher in every step, and so has to keep it."""
    return isinstance(config, Config) and config.distill is not None and config.distill.guided


def _check_origin(config: AnyConfig, step: int) -> None:
    """Refuse a run that has neither a state to go on from nor the model that it starts from or asks."""
    start = config.start if isinstance(config, Config) else None
    if start is not None and step == 0:
        raise UsageError(
            f"this configuration starts from {start.model or 'a trained model'}, whose weights are not given",
            "add --from RUN",
        )
    distill = config.distill if isinstance(config, Config) else None
    if distill is not None and (step == 0 or distill.guided):
        raise UsageError(
            f"this configuration distils {distill.teacher or 'a trained model'}, whose weights are not given",
            "add --distill RUN",
        )


def check_share(config: AnyConfig, processes: int) -> None:
    """Raise UsageError when a batch has too few samples for every process to have one."""
    unit = UNITS[config.modality]
    if config.training.batch_size < processes:
        raise UsageError(
            f"training.batch_size is {config.training.batch_size}: too few {unit} for {processes} processes",
            f"it counts the {unit} of all processes together: raise it, or use fewer processes",
        )


def describe_plan(config: AnyConfig, data: AnyData, device: str = "auto", origin: Path | None = None) -> dict[str, Any]:
    """What a run would do, in a few plain facts; raises what `train` would raise before its first step."""
    place = devices.pick_device(device)
    config = settled(config, data)
    subject = build_subject(config, data, place, origin)
    denoiser: Any = subject.denoiser
    horizon = horizon_of(config.training, len(subject), 0.0)
    return {
        **subject.describe(),
        "parameters": sum(p.numel() for p in denoiser.parameters()),
        "length": f"{horizon.steps:,} steps" if horizon.steps else config.training.budget or DEFAULT_BUDGET,
        "batch_size": config.training.batch_size,
        "device": str(place),
        "precision": str(denoiser.precision).removeprefix("torch."),
    }


def _restore(out: Path, trainer: Trainer, horizon: Horizon, saver: Saver, reporter: Reporter) -> None:
    """Load the newest good state of `out` on every process; the main one reads it."""
    header, tensors = _newest_state(out, saver, reporter) if trainer.world.main else (None, {})
    header, tensors = trainer.world.spread(header, tensors)
    if header is None:
        reporter.info(f"no checkpoint in {out} yet: starting at step 0")
        return
    trainer.restore(tensors, header["step"], header.get("training"))
    horizon.seconds_before = header["seconds"]
    reporter.info(f"resuming {out} at step {trainer.step:,}")
    before = header.get("training", {})
    _take_micro_batch(trainer, header["config"]["training"].get("micro_batch"), before.get("micro_batch"), reporter)
    processes = before.get("processes", 1)
    if processes != trainer.world.size:
        reporter.warn(
            f"{out} was trained by {processes} process(es) and goes on with {trainer.world.size}: the batches stay the "
            "same, the weights will equal those of the other number up to rounding only"
        )


def _newest_state(out: Path, saver: Saver, reporter: Reporter) -> tuple[Header | None, Tensors]:
    """A damaged state is named and the one before it is used."""
    for path in list_checkpoints(out, "state"):
        try:
            header, tensors = load_state(path)
        except SynthgenError as error:
            reporter.warn(f"{error.message}; trying the checkpoint before it")
            path.replace(
                path.with_suffix(".damaged")
            )  # kept for whoever wants to know, and no longer one of the newest
            continue
        saver.check_same(header, path)
        return header, tensors
    return None, {}


def _take_micro_batch(trainer: Trainer, asked: int | None, used: int | None, reporter: Reporter) -> None:
    """Start from what fitted before, unless the user now asks for another number than then."""
    if used is None or trainer.config.training.micro_batch != asked:
        return
    trainer.micro_batch = min(trainer.micro_batch, used)
    reporter.info(f"computing {trainer.micro_batch} {trainer.subject.unit} at once, which fitted into memory before")
