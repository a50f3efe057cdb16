"""The trained model that a run starts from, as its settings name it: to be tuned, or to be distilled.

Imports nothing heavy: settings are settled before torch is loaded.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from synthgen.config.modalities import parse_config
from synthgen.config.schema import Config
from synthgen.errors import UsageError
from synthgen.runs import peek, resolve_run


def name_of(path: Path) -> str:
    """What people call a checkpoint: its run folder, or the file itself where there is none."""
    return path.parent.parent.name if path.parent.name == "checkpoints" else path.stem


def header_of(path: Path) -> dict[str, Any]:
    """The header of a model, not verified yet: loading its weights does that."""
    header = peek(path)[0]
    if header.get("kind") == "model" and isinstance(header.get("config"), dict):
        return header
    from synthgen.checkpoints import load_checkpoint  # which says what is wrong with it

    return load_checkpoint(path)[0]


def start_flags(start: str | Path) -> dict[str, str]:
    """The settings that say which checkpoint a run starts from. Raises UsageError for a model that is not of images."""
    path = resolve_run(start)
    header = header_of(path)
    theirs = parse_config(header["config"])
    if not isinstance(theirs, Config):
        raise UsageError(
            f"{path} is a model of {theirs.modality}; only models of images can be started from",
            "the columns of another table are not those that its weights know: leave out --from",
        )
    return {"start.model": name_of(path), "start.sha256": header["sha256"]}
