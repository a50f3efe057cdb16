"""Which checkpoint a run means where the newest one may be damaged."""

from __future__ import annotations

import warnings
from pathlib import Path

from synthgen.checkpoints import Header, Tensors, load_checkpoint
from synthgen.errors import SynthgenError, UsageError
from synthgen.reporting import Reporter
from synthgen.runs import list_checkpoints, resolve_run


def newest_good(run: str | Path, reporter: Reporter | None) -> tuple[Path, Header, Tensors]:
    """The checkpoint that RUN means; of a run folder, the newest one that is whole."""
    path = resolve_run(run)
    candidates = [path]
    if not (Path(run).is_file()):
        candidates += [older for older in list_checkpoints(path.parent.parent) if older != path]
    for candidate in candidates[:-1]:
        try:
            return candidate, *load_checkpoint(candidate)
        except SynthgenError as error:  # noqa: PERF203 - each file is tried in turn
            if isinstance(error, UsageError):
                raise
            message = f"{error.message}; using the checkpoint before it"
            if reporter is None:
                warnings.warn(message, stacklevel=3)
            else:
                reporter.warn(message)
    return candidates[-1], *load_checkpoint(candidates[-1])
