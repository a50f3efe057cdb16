"""What a run is called, and where its log is: what both the command and the page need, without anything heavy."""

from __future__ import annotations

from pathlib import Path

RUN_VARIABLE, DEVICE_VARIABLE = "SYNTHGEN_DASHBOARD_RUN", "SYNTHGEN_DASHBOARD_DEVICE"
"""How `synthgen dashboard` tells the page, which is another process, what to show."""


def log_of(run: str) -> Path | None:
    """The log of the training of `run`, a folder or a name in `runs/`, or a checkpoint in one; None without any."""
    for folder in (Path(run), Path("runs") / run, Path(run).parent.parent):
        if (folder / "metrics.jsonl").is_file():
            return folder / "metrics.jsonl"
    return None
