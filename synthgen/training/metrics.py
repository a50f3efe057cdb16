"""`metrics.jsonl`: one JSON object a line, flushed as it is written."""

from __future__ import annotations

import json
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from synthgen.outputs import atomic_write


class MetricsLog:
    """Appends rows to a run's log. Rows after `step` are dropped first: a resumed run repeats those steps."""

    def __init__(self, path: Path, step: int) -> None:
        self.path = path
        self.last_loss = float("nan")
        rows = [row for row in read_metrics(path) if row["step"] <= step]
        self.last_loss = next((row["loss"] for row in reversed(rows) if row["loss"] is not None), self.last_loss)
        self.bad_steps: int = rows[-1].get("bad_steps", 0) if rows else 0
        atomic_write(path, "".join(json.dumps(row) + "\n" for row in rows).encode())
        self._file: IO[str] = path.open("a", encoding="utf-8")

    def write(self, row: dict[str, Any]) -> None:
        if row["loss"] is not None:  # as it is while every step is skipped
            self.last_loss = row["loss"]
        self._file.write(json.dumps(_rounded(row)) + "\n")
        self._file.flush()

    def __enter__(self) -> MetricsLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()


class SilentLog:
    """The log of a process that leaves writing to another."""

    last_loss = float("nan")
    bad_steps = 0

    def write(self, row: dict[str, Any]) -> None:
        return None


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The rows of a log; a last line cut short by a kill is left out."""
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n")]


def _rounded(row: dict[str, Any]) -> dict[str, Any]:
    return {key: float(f"{value:.6g}") if isinstance(value, float) else value for key, value in row.items()}
