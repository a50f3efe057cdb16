"""An experiment tracker told of a run while it trains: what it hears, when, and that it can never harm the run.

Imports no tracker: each lives in a module of its own and is loaded when it is asked for.
"""

from __future__ import annotations

import json
import math
import queue
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from synthgen.errors import StoppedError, UsageError
from synthgen.outputs import atomic_write
from synthgen.reporting import Reporter
from synthgen.runs import peek

TRACKERS = {"mlflow": ("mlflow", "sqlalchemy", "alembic"), "tensorboard": ("tensorboard",)}
"""The packages that each tracker needs; the extra that brings them has its name."""

FLUSH_SECONDS = 120.0
"""The longest that the end of a run waits for its tracker. One that cannot be reached gives up sooner by itself."""


class Tracker(Protocol):
    """Hears what a run leaves in its folder, from one thread and in this order; may raise what it likes."""

    def begin(self, settings: dict[str, Any]) -> None:
        """The run starts or goes on. settings: the resolved configuration, nested."""

    def metrics(self, row: dict[str, Any]) -> None:
        """A row of `metrics.jsonl`."""

    def saved(self, step: int, previews: list[Path], checkpoint: Path, header: dict[str, Any]) -> None:
        """A checkpoint was written, perhaps with previews. header: the checkpoint's, its sha256 among it."""

    def end(self, status: str) -> None:
        """No more is to come. status: finished, stopped or failed."""


class NullTracker:
    """Hears and does nothing."""

    def metrics(self, row: dict[str, Any]) -> None:
        return None

    def saved(self, step: int, previews: list[Path], checkpoint: Path) -> None:
        return None


class BackgroundTracker:
    """A tracker in a thread of its own: training never waits for it, and its first failure is its last.

    The failure becomes one warning. flush_seconds: the longest that `close` waits for what was not yet told.
    """

    def __init__(self, tracker: Tracker, name: str, reporter: Reporter, flush_seconds: float = FLUSH_SECONDS) -> None:
        self.tracker, self.name, self.reporter, self.flush_seconds = tracker, name, reporter, flush_seconds
        self._calls: queue.Queue[Callable[[], None] | None] = queue.Queue()
        self._failure: Exception | None = None
        self._warned = False
        self._last: tuple[int, Path, dict[str, Any]] | None = None
        self._thread = threading.Thread(target=self._run, name=f"track-{name}", daemon=True)
        self._thread.start()

    def begin(self, settings: dict[str, Any]) -> None:
        self._tell(lambda: self.tracker.begin(settings))

    def metrics(self, row: dict[str, Any]) -> None:
        self._tell(lambda: self.tracker.metrics(row))

    def saved(self, step: int, previews: list[Path], checkpoint: Path) -> None:
        header = peek(checkpoint)[0]  # now: the file may be gone when its turn comes
        self._last = (step, checkpoint, header)
        self._tell(lambda: self.tracker.saved(step, previews, checkpoint, header))

    def close(self, status: str) -> None:
        """Tell the end, and wait until everything was told, or failed, or `flush_seconds` are over."""
        if self._last is not None:
            step, checkpoint, header = self._last
            if peek(checkpoint)[0] not in (header, {}):  # a card was measured after the last step
                self.saved(step, [], checkpoint)
        self._tell(lambda: self.tracker.end(status))
        self._calls.put(None)
        self._thread.join(self.flush_seconds)
        if self._thread.is_alive() and self._failure is None:
            self._failure = TimeoutError(f"it has not answered for {self.flush_seconds:g} s")
        self._warn()

    def _tell(self, call: Callable[[], None]) -> None:
        if self._failure is None:
            self._calls.put(call)
        self._warn()

    def _run(self) -> None:
        try:
            while (call := self._calls.get()) is not None:
                call()
        except Exception as error:  # of any kind: a tracker's trouble is not the run's
            self._failure = error

    def _warn(self) -> None:
        if self._failure is not None and not self._warned:
            self._warned = True
            lines = without_password(str(self._failure)).strip().splitlines() or [""]
            what = type(self._failure).__name__
            self.reporter.warn(
                f"{self.name} failed ({what}: {lines[0][:200]}); training goes on, and the run folder has everything"
            )


def check_tracker(name: str) -> None:
    """Raise UsageError when a tracker's packages are missing; nothing is imported."""
    missing = [package for package in TRACKERS.get(name, ()) if find_spec(package) is None]
    if missing:
        raise UsageError(f"tracking with {name} needs the package {missing[0]}", f'pip install "synthgen[{name}]"')


@contextmanager
def tracking(
    name: str, run: Path, settings: dict[str, Any], step: int, reporter: Reporter
) -> Iterator[NullTracker | BackgroundTracker]:
    """The tracker `name` (mlflow, tensorboard or none) for the length of a run that goes on from `step`."""
    if name == "none":
        yield NullTracker()
        return
    tracker = BackgroundTracker(_load(name, run, step), name, reporter)
    tracker.begin(settings)
    try:
        yield tracker
    except StoppedError:
        tracker.close("stopped")
        raise
    except Exception:  # a second Ctrl-C is none: it waits for nobody
        tracker.close("failed")
        raise
    tracker.close("finished")


def _load(name: str, run: Path, step: int) -> Tracker:
    """The tracker itself; its packages are imported by its own thread, in `begin`."""
    if name == "mlflow":
        from synthgen.training.tracking_mlflow import MlflowTracker

        return MlflowTracker(run)
    from synthgen.training.tracking_tensorboard import TensorboardTracker

    return TensorboardTracker(run, step)


def numbers(row: dict[str, Any]) -> dict[str, float]:
    """What a tracker can draw of a row: its finite numbers but for the step."""
    plain = {key: value for key, value in row.items() if type(value) in (int, float) and key != "step"}
    return {key: float(value) for key, value in plain.items() if math.isfinite(value)}


def cards(header: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What a checkpoint says of itself, by file name: the model card, and the sampler card where it has one."""
    sampler = header.get("sampler_card")
    model = {key: value for key, value in header.items() if key not in ("config", "sampler_card")}
    return {"model_card.json": model} | ({"sampler_card.json": sampler} if isinstance(sampler, dict) else {})


def without_password(text: str) -> str:
    """Text in which no address `https://name:secret@host` has what is before its @."""
    return re.sub(r"(?<=://)[^/@\s]*@", "", text)


NOTE = "tracking.json"
"""Where a run folder says which run of a tracker it is, so that --resume goes on with the same one."""


def read_note(run: Path) -> dict[str, str]:
    """What an earlier session noted; {} when there is nothing that can be read."""
    try:
        found = json.loads((run / NOTE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {key: value for key, value in found.items() if isinstance(value, str)} if isinstance(found, dict) else {}


def write_note(run: Path, note: dict[str, str]) -> None:
    """Keep it in the run folder."""
    atomic_write(run / NOTE, (json.dumps(note, indent=2) + "\n").encode())
