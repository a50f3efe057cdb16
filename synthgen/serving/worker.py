"""The one thread that computes: a bounded queue before it, and a way to give up on what nobody waits for."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from synthgen.errors import StoppedError

Task = Callable[["Job"], Any]


class Job:
    """One request's work. Calling it answers `ShouldStop`: it was cancelled, or its time is over."""

    def __init__(self, task: Task, seconds: float) -> None:
        self.task, self.deadline = task, time.monotonic() + seconds
        self.future: Future[Any] = Future()
        self._cancelled = threading.Event()

    def __call__(self) -> bool:
        return self._cancelled.is_set() or time.monotonic() > self.deadline

    def cancel(self) -> None:
        """Nobody waits any more: it stops at the next block, or never starts."""
        self._cancelled.set()

    @property
    def left(self) -> float:
        """Seconds until its time is over."""
        return self.deadline - time.monotonic()


class FullError(Exception):
    """No place in the queue."""


class Worker:
    """Runs jobs one after the other in a thread of its own.

    size: jobs that may wait beside the one that runs. A place is free again as soon as a job begins, ends or is
    found cancelled.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._waiting: queue.Queue[Job | None] = queue.Queue()
        self._lock = threading.Lock()
        self._held = 0
        self._thread = threading.Thread(target=self._run, name="model", daemon=True)
        self._thread.start()

    @property
    def held(self) -> int:
        """Jobs that wait or run."""
        return self._held

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def submit(self, task: Task, seconds: float) -> Job:
        """Queue a task that may take `seconds` from now. Raises FullError at once when there is no place."""
        job = Job(task, seconds)
        with self._lock:
            if self._held > self.size:
                raise FullError
            self._held += 1
        self._waiting.put(job)
        return job

    def close(self) -> None:
        """Finish what was accepted, then end the thread."""
        self._waiting.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (job := self._waiting.get()) is not None:
            self._do(job)

    def _do(self, job: Job) -> None:
        result, failure = None, None
        try:
            if job():
                raise StoppedError("given up before it began")
            result = job.task(job)
        except BaseException as error:  # whoever waits is told, and the next job gets its turn
            failure = error
        with self._lock:  # before the answer goes out: whoever has it finds the place free
            self._held -= 1
        if failure is None:
            job.future.set_result(result)
        else:
            job.future.set_exception(failure)
