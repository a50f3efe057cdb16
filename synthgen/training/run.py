"""One training run, from a config to a folder of checkpoints; stops, resumes, and keeps its promise of time."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from synthgen import devices
from synthgen.config.loading import dump_config
from synthgen.config.schema import Config, parse_duration
from synthgen.data import load_images
from synthgen.data.dataset import ImageCodec, ImageData
from synthgen.errors import StoppedError, SynthgenError, UsageError
from synthgen.generation.building import build_denoiser
from synthgen.models.images import fitting_size
from synthgen.outputs import atomic_write, check_output, prepare_output
from synthgen.reporting import NullReporter, Progress, Reporter
from synthgen.runs import list_checkpoints
from synthgen.stopping import ShouldStop, never_stop
from synthgen.training.batches import Batches
from synthgen.training.metrics import MetricsLog
from synthgen.training.saving import Saver, load_state
from synthgen.training.schedule import DEFAULT_BUDGET, Horizon, horizon_of
from synthgen.training.step import Trainer


@dataclass(frozen=True)
class TrainResult:
    """What a finished run reports. seconds: wall clock of all its sessions; loss: mean over the last report."""

    run: Path
    checkpoint: Path
    steps: int
    images_seen: int
    seconds: float
    loss: float
    parameters: int


def load_data(config: Config, reporter: Reporter | None = None) -> ImageData:
    """The training images that a config names, at a size that the network can halve as often as it must."""
    settings = config.data
    reporter = reporter or NullReporter()

    def at(size: int | tuple[int, int] | None) -> ImageData:
        return load_images(
            settings.source,
            image_size=size,
            channels=settings.channels,
            classes=settings.classes,
            limit=settings.limit,
            max_bad=settings.max_bad,
            reporter=reporter,
        )

    data = at(settings.image_size)
    height, width = data.shape[:2]
    fitting = fitting_size(config.model, height, width)
    if settings.image_size is not None or fitting == (height, width):
        return data
    reporter.info(
        f"images of {height} x {width} become {fitting[0]} x {fitting[1]}, which {len(config.model.channels)} "
        "resolutions can share (set data.image_size to choose)"
    )
    return at(fitting)


def plan(config: Config, data: ImageData) -> tuple[ImageCodec, tuple[str, ...]]:
    """The codec and the classes to condition on (empty: unconditional); raises UsageError when they do not fit."""
    if config.model.conditioning == "class" and data.labels is None:
        raise UsageError(
            f"model.conditioning is 'class', but {data.name} has no labels",
            "put the images into one sub-folder per class, or set model.conditioning to auto",
        )
    conditional = data.labels is not None and config.model.conditioning != "none"
    height, width, channels = data.shape
    return ImageCodec(height, width, channels), data.class_names if conditional else ()


def sigma_data(data: ImageData, codec: ImageCodec, sample: int = 8192) -> float:
    """Standard deviation of the encoded pixels, over an evenly spaced sample of the images."""
    stride = max(1, len(data) // sample)
    pixels = torch.from_numpy(data.images[::stride][:sample].copy())
    value = float(codec.encode(pixels).double().std())
    if value < 1e-4:
        raise UsageError(f"every image in {data.name} is the same flat colour: there is nothing to learn")
    return value


def train(
    config: Config,
    out: Path,
    *,
    resume: bool = False,
    force: bool = False,
    device: str = "auto",
    data: ImageData | None = None,
    reporter: Reporter | None = None,
    should_stop: ShouldStop = never_stop,
) -> TrainResult:
    """Train on `config.data` (or on `data`, already loaded) and leave a run folder at `out`.

    Args:
        resume: go on from the newest good checkpoint in `out`; its config must equal `config` but for the length.
        force: replace an existing run. device: auto, cpu, cuda, cuda:N, mps.
        should_stop: polled after every step; when it says so the run is saved and StoppedError raised.
    Raises: UsageError before anything is written; SynthgenError when the loss is not finite; StoppedError.
    """
    started = time.monotonic()
    reporter = reporter or NullReporter()
    check_output(out, force=force, resume=resume)
    data = data or load_data(config, reporter)
    codec, class_names = plan(config, data)
    place = devices.pick_device(device)
    torch.manual_seed(config.training.seed)  # initial weights and dropout
    denoiser = build_denoiser(config, codec, len(class_names), sigma_data(data, codec), place)
    trainer = Trainer(config, denoiser, codec, place)
    horizon = horizon_of(config.training, len(data), started)
    saver = Saver(out, config, codec, class_names, data)
    if resume:
        _restore(out, trainer, horizon, saver, reporter)
    prepare_output(out, force=force, resume=resume)
    atomic_write(out / "config.yaml", dump_config(config).encode())
    batches = Batches(data, config.training.batch_size, config.training.seed, place)
    with MetricsLog(out / "metrics.jsonl", trainer.step) as log:
        run = _Run(config, trainer, batches, horizon, saver, log, reporter, should_stop)
        run.loop()
    return TrainResult(
        out,
        saver.last_model,
        trainer.step,
        trainer.images_seen,
        round(horizon.elapsed, 1),
        log.last_loss,
        sum(p.numel() for p in denoiser.parameters()),
    )


def describe_plan(config: Config, data: ImageData, device: str = "auto") -> dict[str, Any]:
    """What a run would do, in a few plain facts; raises what `train` would raise before its first step."""
    codec, class_names = plan(config, data)
    place = devices.pick_device(device)
    denoiser = build_denoiser(config, codec, len(class_names), sigma_data(data, codec), place)
    horizon = horizon_of(config.training, len(data), 0.0)
    return {
        "data": f"{data.name}, {len(data):,} images of {codec.height} x {codec.width} x {codec.channels}",
        "classes": len(class_names),
        "parameters": sum(p.numel() for p in denoiser.parameters()),
        "length": f"{horizon.steps:,} steps" if horizon.steps else config.training.budget or DEFAULT_BUDGET,
        "batch_size": config.training.batch_size,
        "device": str(place),
        "precision": str(denoiser.precision).removeprefix("torch."),
    }


def _restore(out: Path, trainer: Trainer, horizon: Horizon, saver: Saver, reporter: Reporter) -> None:
    """Load the newest good state of `out`; a damaged one is named and the one before it is used."""
    for path in list_checkpoints(out, "state"):
        try:
            header, tensors = load_state(path)
        except SynthgenError as error:
            reporter.warn(f"{error.message}; trying the checkpoint before it")
            continue
        saver.check_same(header, path)
        trainer.restore(tensors, header["step"])
        horizon.seconds_before = header["seconds"]
        reporter.info(f"resuming {out} at step {trainer.step:,}")
        return
    reporter.info(f"no checkpoint in {out} yet: starting at step 0")


class _Run:
    """The loop around the trainer: reports, checkpoints, previews, the end."""

    def __init__(
        self,
        config: Config,
        trainer: Trainer,
        batches: Batches,
        horizon: Horizon,
        saver: Saver,
        log: MetricsLog,
        reporter: Reporter,
        should_stop: ShouldStop,
    ) -> None:
        self.config, self.trainer, self.batches, self.horizon = config, trainer, batches, horizon
        self.saver, self.log, self.reporter, self.should_stop = saver, log, reporter, should_stop
        self.clock: Callable[[], float] = time.monotonic
        began = self.clock()
        saver.rehearse(trainer)
        self.rehearsal_seconds = self.clock() - began
        self.saved = False

    def loop(self) -> None:
        every = parse_duration(self.config.training.checkpoint_every)
        last_save = last_log = self.clock()
        timed = self.horizon.steps is None
        total = self.horizon.seconds if timed else self.horizon.steps
        with self.reporter.progress("training", total, "s" if timed else "steps") as progress:
            while not self.horizon.finished(self.trainer.step):
                self.trainer.train_step(self.batches, self.horizon.progress(self.trainer.step))
                now = self.clock()
                if now - last_log >= 1.0:
                    self._report(progress, now - last_log)
                    last_log = self.clock()
                if self.should_stop():
                    self._stop()
                if now - last_save >= every:
                    self.save(preview=True)
                    last_save = last_log = self.clock()
            self._report(progress, max(1e-9, self.clock() - last_log))
        self.save(preview=True, finished=True)

    def _report(self, progress: Progress, interval: float) -> None:
        row = self.trainer.drain(interval)
        if row is None:
            return
        if not row["loss"] < float("inf"):  # also true of NaN
            raise SynthgenError(
                f"the loss became {row['loss']} at step {self.trainer.step:,}",
                "lower training.learning_rate, or set training.precision to fp32; the last checkpoint is good",
            )
        self.log.write({**row, "seconds": round(self.horizon.elapsed, 2)})
        if not self.saved:  # until a save was timed: a forward pass costs a third of a training step
            drawing = self.saver.preview_calls / (3 * row["images_per_second"])
            self.horizon.reserve = 1.2 * (self.rehearsal_seconds + drawing)
        done = self.horizon.elapsed if self.horizon.steps is None else self.trainer.step
        progress.update(
            done,
            step=f"{self.trainer.step:,}",
            loss=f"{row['loss']:.4f}",
            speed=f"{row['images_per_second']:,.0f} img/s",
        )

    def _stop(self) -> None:
        self.save(preview=False)
        raise StoppedError(f"stopped at step {self.trainer.step:,}; saved {self.saver.last_model}")

    def save(self, *, preview: bool, finished: bool = False) -> None:
        began = self.clock()
        self.saver.save(self.trainer, self.horizon.elapsed, self.log.last_loss, finished=finished)
        if preview:
            self.saver.preview(self.trainer, self.reporter)
        # The last checkpoint costs what this one did: kept aside, so that the budget covers it.
        self.horizon.reserve = 1.2 * (self.clock() - began)
        self.saved = True
