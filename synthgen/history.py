"""What run folders tell of themselves: the facts of each, its curve, and how several differ. No tracker is needed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synthgen.config.modalities import parse_config
from synthgen.errors import SynthgenError, UsageError
from synthgen.runs import list_checkpoints, peek, resolve_run
from synthgen.training.metrics import read_metrics

_CODEC = "codec."


@dataclass(frozen=True)
class RunRecord:
    """One run, from its newest checkpoint and its log.

    header: of the checkpoint. parameters: of the network. metrics: the rows of `metrics.jsonl`, [] for a lone file.
    """

    name: str
    path: Path
    checkpoint: Path
    header: dict[str, Any]
    parameters: int
    metrics: list[dict[str, Any]]

    @property
    def modality(self) -> str:
        return str(self.header.get("modality", "images"))

    @property
    def training(self) -> dict[str, Any]:
        return _mapping(self.header.get("training"))

    @property
    def data(self) -> dict[str, Any]:
        return _mapping(self.header.get("data"))

    @property
    def config(self) -> dict[str, Any]:
        return _mapping(self.header.get("config"))

    @property
    def bytes(self) -> int:
        return self.checkpoint.stat().st_size

    def curve(self, value: str = "loss") -> tuple[list[float], list[float]]:
        """Steps, and the log's `value` at each of them, where there is one."""
        rows = [row for row in self.metrics if isinstance(row.get(value), (int, float))]
        return [float(row["step"]) for row in rows], [float(row[value]) for row in rows]

    def summary(self) -> dict[str, Any]:
        """The run in a few plain facts, snake_case."""
        training = self.training
        return {
            "name": self.name,
            "path": str(self.path),
            "modality": self.modality,
            "data": self.data.get("name"),
            "samples": self.data.get("count"),
            "steps": training.get("steps"),
            "seconds": training.get("seconds"),
            "loss": training.get("loss"),
            "finished": training.get("finished"),
            "parameters": self.parameters,
            "bytes": self.bytes,
            "checkpoint": str(self.checkpoint),
        }


def read_run(run: str | Path) -> RunRecord:
    """The record of a run folder, a checkpoint file or a name in `runs/`. Raises UsageError, SynthgenError."""
    checkpoint = resolve_run(run)
    header, tensors = peek(checkpoint)
    if header.get("kind") != "model":
        raise SynthgenError(
            f"{checkpoint} is no model of synthgen, or damaged", "`synthgen runs list` names the runs that can be read"
        )
    folder = checkpoint.parent.parent if checkpoint.parent.name == "checkpoints" else checkpoint
    sizes = [math.prod(_mapping(one).get("shape", ())) for name, one in tensors.items() if not name.startswith(_CODEC)]
    log = folder / "metrics.jsonl"
    return RunRecord(folder.name, folder, checkpoint, header, sum(sizes), read_metrics(log) if folder.is_dir() else [])


def find_runs(folder: str | Path = "runs") -> list[RunRecord]:
    """The runs in a folder (and the folder itself when it is one), newest first; what cannot be read is left out."""
    folder = Path(folder)
    if not folder.is_dir():
        raise UsageError(f"there is no folder {folder}", "`synthgen train` makes runs/; name another folder as DIR")
    candidates = [folder, *(child for child in folder.iterdir() if child.is_dir())]
    found = []
    for path in candidates:
        for checkpoint in list_checkpoints(path)[:1]:
            header, _ = peek(checkpoint)
            if header.get("kind") == "model":
                found.append(read_run(path))
    return sorted(found, key=lambda record: (-record.checkpoint.stat().st_mtime, record.name))


def flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted keys and values of nested settings."""
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield prefix + str(key), value


def changed_settings(record: RunRecord) -> dict[str, Any]:
    """The settings of a run that are not the defaults of its modality, by dotted key."""
    own = dict(flat(record.config))
    try:
        defaults = dict(flat(type(parse_config(record.config))().model_dump(mode="json")))
    except ValueError:  # written by another version: everything is worth saying
        return own
    return {key: value for key, value in own.items() if key not in defaults or defaults[key] != value}


def differences(records: Sequence[RunRecord]) -> dict[str, list[Any]]:
    """The settings in which runs differ: dotted key -> the value of each run, None where it has no such setting."""
    settings = [dict(flat(record.config)) for record in records]
    keys = dict.fromkeys(key for values in settings for key in values)
    rows = {key: [values.get(key) for values in settings] for key in keys}
    return {key: values for key, values in rows.items() if any(value != values[0] for value in values)}


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
