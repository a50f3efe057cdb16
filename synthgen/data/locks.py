"""One process at a time: a lock on a file, given back by the system when its holder dies."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from synthgen.errors import StoppedError
from synthgen.reporting import Reporter
from synthgen.stopping import ShouldStop, never_stop


@contextmanager
def exclusive(
    path: Path,
    what: str,
    reporter: Reporter,
    *,
    should_stop: ShouldStop = never_stop,
    wait: Callable[[float], None] = time.sleep,
) -> Iterator[None]:
    """Hold the lock file `path` inside the block; says once that another process is busy with `what`, and waits.

    Raises StoppedError when asked to stop while waiting. Where the system has no such locks, there is none.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as file:
        told = False
        while not _try_lock(file):
            if should_stop():
                raise StoppedError(f"stopped while another process was {what}")
            if not told:
                reporter.info(f"Another process is {what}; waiting for it.")
                told = True
            wait(0.5)
        yield


def _try_lock(file: IO[bytes]) -> bool:
    try:
        import fcntl
    except ImportError:  # Windows: two writers would each write their own and the last rename wins
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
