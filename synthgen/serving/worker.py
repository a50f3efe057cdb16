"""The one thread that computes: a bounded queue before it, and a way to give up on what nobody waits for."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from synthgen.errors import StoppedError

Task = Callable[["Job"], Any]


class Job:
    """One request's work. Calling it answers `ShouldStop`: it was cancelled, or its time is over.

    withdraw: takes it out of the queue, where it still waits.
    """

    def __init__(self, task: Task, seconds: float, withdraw: Callable[[Job], None]) -> None:
        self.task, self.deadline = task, time.monotonic() + seconds
        self.future: Future[Any] = Future()
        self._cancelled, self._withdraw = threading.Event(), withdraw

    def __call__(self) -> bool:
        return self._cancelled.is_set() or time.monotonic() > self.deadline

    def cancel(self) -> None:
        """Nobody waits any more: it leaves the queue at once, or stops at the next block."""
        self._cancelled.set()
        self._withdraw(self)

    @property
    def left(self) -> float:
        """Seconds until its time is over."""
        return self.deadline - time.monotonic()


class FullError(Exception):
    """No place in the queue."""


class Worker:
    """Runs jobs one after the other in a thread of its own.

    size: jobs that may wait beside the one that runs. A place is free again as soon as a job ends or, while it waits,
    is cancelled.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._waiting: deque[Job] = deque()
        self._running, self._closed = False, False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="model", daemon=True)
        self._thread.start()

    @property
    def held(self) -> int:
        """Jobs that wait or run."""
        with self._changed:
            return len(self._waiting) + self._running

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def submit(self, task: Task, seconds: float) -> Job:
        """Queue a task that may take `seconds` from now. Raises FullError at once when there is no place."""
        job = Job(task, seconds, self._withdraw)
        with self._changed:
            if self._closed or len(self._waiting) + self._running > self.size:
                raise FullError
            self._waiting.append(job)
            self._changed.notify()
        return job

    def close(self) -> None:
        """Finish what was accepted, then end the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _withdraw(self, job: Job) -> None:
        with self._changed:
            if job not in self._waiting:
                return
            self._waiting.remove(job)
        job.future.set_exception(StoppedError("given up before it began"))

    def _run(self) -> None:
        while (job := self._next()) is not None:
            self._do(job)

    def _next(self) -> Job | None:
        """The job that has waited longest; waits for one. None once it was closed and nothing is left."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed)
            if not self._waiting:
                return None
            self._running = True
            return self._waiting.popleft()

    def _do(self, job: Job) -> None:
        result, failure = None, None
        try:
            if job():
                raise StoppedError("given up before it began")
            result = job.task(job)
        except BaseException as error:  # whoever waits is told, and the next job gets its turn
            failure = error
        with self._changed:  # before the answer goes out: whoever has it finds the place free
            self._running = False
        if failure is None:
            job.future.set_result(result)
        else:
            job.future.set_exception(failure)
