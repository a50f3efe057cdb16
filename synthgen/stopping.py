"""Signals that ask long work to stop: the first finishes the step and saves, the second stops at once."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from synthgen.errors import ExitCode

ShouldStop = Callable[[], bool]
"""Polled by long loops between steps; True once a stop was asked for."""


def never_stop() -> bool:
    """The default `ShouldStop`: nobody asks."""
    return False


class StopRequest:
    """What the signal handlers have seen. Calling it answers `ShouldStop`."""

    def __init__(self) -> None:
        self.signum: int | None = None

    def __call__(self) -> bool:
        return self.signum is not None

    @property
    def exit_code(self) -> ExitCode:
        """130 for SIGINT, 143 for SIGTERM and SIGUSR1 (the pre-emption notice of SLURM)."""
        return ExitCode.SIGINT if self.signum == signal.SIGINT else ExitCode.SIGTERM

    def _handle(self, signum: int, frame: FrameType | None) -> None:
        if self.signum is not None:  # the second signal: stop now
            if signum == signal.SIGINT:
                raise KeyboardInterrupt
            raise SystemExit(int(ExitCode.SIGTERM))
        self.signum = signum


@contextmanager
def graceful_stop() -> Iterator[StopRequest]:
    """Catch SIGINT, SIGTERM and SIGUSR1 inside the block; hand out what was asked. Main thread only."""
    request = StopRequest()
    signals = [signal.SIGINT, signal.SIGTERM]
    if hasattr(signal, "SIGUSR1"):
        signals.append(signal.SIGUSR1)
    before = {signum: signal.signal(signum, request._handle) for signum in signals}
    try:
        yield request
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
