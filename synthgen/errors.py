"""The errors that a user sees, and the exit codes that a script sees."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of the executable; part of the output contract, never renumbered."""

    OK = 0
    FAILED = 1
    USAGE = 2
    GATE = 3
    SIGINT = 130
    SIGTERM = 143


class SynthgenError(Exception):
    """Something a user can understand and act on.

    Args:
        message: what is wrong, naming the thing and the place.
        hint: what to do next; one sentence or a command. Optional.
    """

    exit_code = ExitCode.FAILED

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(SynthgenError):
    """A wrong flag, path, name or configuration: nothing was started."""

    exit_code = ExitCode.USAGE


class GateError(SynthgenError):
    """A quality gate asked for by the user was not met."""

    exit_code = ExitCode.GATE


class StoppedError(SynthgenError):
    """A signal asked the work to stop; what was finished is saved. `hint` is the command that resumes."""

    def __init__(self, message: str, hint: str | None = None, *, exit_code: ExitCode = ExitCode.SIGINT) -> None:
        super().__init__(message, hint)
        self.exit_code = exit_code


def nearest(name: str, known: list[str] | tuple[str, ...]) -> str:
    """Return " (did you mean 'x'?)" for the closest known spelling, or an empty string."""
    import difflib

    match = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f" (did you mean '{match[0]}'?)" if match else ""
