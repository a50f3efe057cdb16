"""The loop around the steps: when to report, to save, to stop and to end, the same on every process."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import NamedTuple

from synthgen.config.schema import parse_duration
from synthgen.errors import StoppedError
from synthgen.reporting import Progress, Reporter
from synthgen.stopping import ShouldStop
from synthgen.training.carding import kept_for_card
from synthgen.training.guards import NotFiniteError, Tally
from synthgen.training.metrics import MetricsLog, SilentLog
from synthgen.training.saving import Saver
from synthgen.training.schedule import Horizon
from synthgen.training.step import Trainer
from synthgen.training.subject import Batches
from synthgen.training.tracking import BackgroundTracker, NullTracker
from synthgen.training.world import World

_NAMED_ROWS = 16
"""Samples of a bad batch that a message names; `metrics.jsonl` has them all."""


def open_log(path: Path, step: int, world: World) -> AbstractContextManager[MetricsLog | SilentLog]:
    """The run's log on the main process; elsewhere one that writes nothing."""
    return MetricsLog(path, step) if world.main else nullcontext(SilentLog())


class _Orders(NamedTuple):
    """What to do before the next step. Counts of processes that want it; only the main one looks at a clock."""

    report: float
    stop: float
    save: float
    end: float
    progress: float


class Loop:
    """Reports, checkpoints, previews and the end of one run."""

    def __init__(
        self,
        trainer: Trainer,
        batches: Batches,
        horizon: Horizon,
        saver: Saver,
        log: MetricsLog | SilentLog,
        reporter: Reporter,
        should_stop: ShouldStop,
        tracker: NullTracker | BackgroundTracker,
    ) -> None:
        self.trainer, self.batches, self.horizon = trainer, batches, horizon
        self.world, self.config, self.unit = trainer.world, trainer.config, trainer.subject.unit
        self.saver, self.log, self.reporter, self.should_stop = saver, log, reporter, should_stop
        self.tracker = tracker
        self.clock: Callable[[], float] = time.monotonic
        began = self.clock()
        with trainer.whole():
            if self.world.main:
                saver.rehearse(trainer)
        self.rehearsal_seconds = self.clock() - began
        self.saved = False
        self.micro_batch = trainer.micro_batch
        if self.world.size > 1 and not self.world.sharded:
            trainer.fit(batches)

    def run(self) -> None:
        """Train to the end. Raises StoppedError once a stop was asked for on any process and the state is saved."""
        self.every = parse_duration(self.config.training.checkpoint_every)
        self.first_step = self.trainer.step
        self.last_save = self.last_log = self.clock()
        timed = self.horizon.steps is None
        total = self.horizon.seconds if timed else self.horizon.steps
        with self.reporter.progress("training", total, "s" if timed else "steps") as progress:
            while not (orders := self._orders()).end:
                if orders.report:
                    self._report(progress)
                if orders.stop:
                    self._stop()
                if orders.save:
                    self.save(preview=True)
                    self.last_save = self.last_log = self.clock()
                    continue  # saving took time: the end may have come
                self.trainer.train_step(self.batches, orders.progress)
                self._look()
            self._look(at_end=True)
            self._report(progress, at_end=True)
        if orders.stop:
            self._stop()
        self.save(preview=True, finished=True)
        self.world.barrier()

    def _orders(self) -> _Orders:
        """This process's wishes, agreed with the others: whoever acts alone leaves the rest waiting."""
        step, now = self.trainer.step, self.clock()
        stop = step > self.first_step and self.should_stop()
        if not self.world.main:
            return _Orders(*self.world.agree([0, stop, 0, 0, 0]))
        wishes = _Orders(
            report=now - self.last_log >= 1.0,
            stop=stop,
            save=now - self.last_save >= self.every,
            end=self.horizon.finished(step) or self.trainer.watch.over,
            progress=self.horizon.progress(step),
        )
        return _Orders(*self.world.agree(wishes))

    def _look(self, *, at_end: bool = False) -> None:
        """Check on the samples held out. With weights in pieces nobody has a whole model to check."""
        if not self.world.main or self.world.sharded:
            return
        watch = self.trainer.watch
        watch.look(self.trainer.step, at_end=at_end)
        if at_end and watch.over:
            self.reporter.info(
                f"stopped at step {self.trainer.step:,}: the loss on the {self.unit} held out has not improved for "
                f"{watch.since} checks; the weights of step {watch.step:,} are kept"
            )

    def _report(self, progress: Progress, *, at_end: bool = False) -> None:
        drained = self.trainer.drain(max(1e-9, self.clock() - self.last_log))
        self.last_log = self.clock()
        if drained is None:
            return
        row, tally = drained
        if tally.bad:
            row |= {"bad_step": tally.first + 1, f"bad_{self.unit}": self.batches.indices(tally.first).tolist()}
        held_out = self.trainer.watch.loss
        row |= {} if held_out is None else {"validation_loss": held_out}
        row["seconds"] = round(self.horizon.elapsed, 2)
        self.log.write(row)
        self.tracker.metrics(row)
        self._judge(tally, at_end=at_end)
        self._say_micro_batch()
        if not self.saved:  # until a save was timed: a forward pass costs a third of a training step
            drawing = self.saver.preview_calls / (3 * row[f"{self.unit}_per_second"])
            self.horizon.reserve = 1.2 * (self.rehearsal_seconds + drawing)
            self.horizon.card = kept_for_card(self.config, self.world, self.horizon, row[f"{self.unit}_per_second"])
        done = self.horizon.elapsed if self.horizon.steps is None else self.trainer.step
        progress.update(
            done,
            step=f"{self.trainer.step:,}",
            loss=f"{self.log.last_loss:.4f}",
            speed=f"{row[f'{self.unit}_per_second']:,.0f} {'img' if self.unit == 'images' else self.unit}/s",
        )

    def _judge(self, tally: Tally, *, at_end: bool) -> None:
        """Warn of bad steps; give up after too many in a row, or when a run would end without a good one."""
        if not tally.bad:
            return
        limit = self.trainer.guard.limit
        hopeless = at_end and tally.streak >= self.trainer.step - self.first_step
        batch = f"step {tally.first + 1:,}, whose batch holds {self._rows(tally.first)}"
        if tally.streak >= limit or hopeless:
            raise NotFiniteError(
                f"the {tally.what} at {batch}; {min(limit, tally.streak)} steps in a row were skipped",
                "lower training.learning_rate, or set training.precision to fp32; the last checkpoint is good",
            )
        self.reporter.warn(
            f"the {tally.what} at {batch}; {tally.bad:,} step(s) skipped, the weights are as before them "
            f"({self.trainer.bad_steps:,} in this run)"
        )

    def _rows(self, step: int) -> str:
        """The samples of a batch, as rows of the data (from 0)."""
        rows = self.batches.indices(step)
        more = f" and {len(rows) - _NAMED_ROWS:,} more" if len(rows) > _NAMED_ROWS else ""
        return f"{self.unit} {', '.join(map(str, rows[:_NAMED_ROWS]))}{more} of {self.trainer.subject.name}"

    def _say_micro_batch(self) -> None:
        if self.trainer.micro_batch != self.micro_batch:
            self.micro_batch = self.trainer.micro_batch
            self.reporter.warn(
                f"memory ran out: computing {self.micro_batch} {self.unit} at once from now on, with the same "
                f"batch of {self.config.training.batch_size}"
            )

    def _stop(self) -> None:
        self.save(preview=False)
        self.world.barrier()
        raise StoppedError(f"stopped at step {self.trainer.step:,}; saved {self.saver.last_model}")

    def save(self, *, preview: bool, finished: bool = False) -> None:
        """Write a checkpoint, and a preview, from the main process; the others hand in their parts."""
        began = self.clock()
        with self.trainer.whole():
            if self.world.main:
                self.saver.save(self.trainer, self.horizon.elapsed, self.log.last_loss, finished=finished)
                if preview:
                    self.saver.preview(self.trainer, self.reporter)
                self.tracker.saved(self.trainer.step, self.saver.previews(self.trainer.step), self.saver.last_model)
        # The last checkpoint costs what this one did: kept aside, so that the budget covers it.
        self.horizon.reserve = 1.2 * (self.clock() - began)
        self.saved = True
