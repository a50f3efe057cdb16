"""What the stoppable commands share: signals, and the command line that goes on where they stopped."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from synthgen.errors import StoppedError
from synthgen.stopping import StopRequest, graceful_stop


def resume_command(argv: list[str] | None = None) -> str:
    """This process's own command line with --resume, and without --force."""
    words = [word for word in (sys.argv[1:] if argv is None else argv) if word not in ("--force", "--resume")]
    return shlex.join(["synthgen", *words, "--resume"])


@contextmanager
def stoppable(resume: str | None = None) -> Iterator[StopRequest]:
    """Poll the yielded request in long work; a StoppedError leaves with its exit code and how to resume."""
    with graceful_stop() as request:
        try:
            yield request
        except StoppedError as error:
            hint = error.hint or (f"resume with: {resume}" if resume else None)
            raise StoppedError(error.message, hint, exit_code=request.exit_code) from error
