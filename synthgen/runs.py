"""Run folders: where their checkpoints are, and what RUN on a command line means. Imports nothing heavy."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from synthgen.errors import UsageError, nearest


def checkpoint_path(run: Path, step: int, kind: str = "model") -> Path:
    """Where a run keeps the `model` or the resume `state` of a step."""
    prefix = "step" if kind == "model" else kind
    return run / "checkpoints" / f"{prefix}-{step:08d}.safetensors"


def kept_teacher(run: Path) -> Path:
    """Where a distillation that asks its teacher in every step keeps it."""
    return run / "teacher.safetensors"


def list_checkpoints(run: Path, kind: str = "model") -> list[Path]:
    """Checkpoints of a run folder, newest step first."""
    prefix = "step" if kind == "model" else kind
    found = (run / "checkpoints").glob(f"{prefix}-*.safetensors")
    named = [(int(match[1]), path) for path in found if (match := re.search(r"-(\d{8,})\.safetensors$", path.name))]
    return [path for _, path in sorted(named, reverse=True)]


def prune_checkpoints(run: Path, keep: int) -> None:
    """Delete all but the newest `keep` of each kind."""
    for kind in ("model", "state"):
        for path in list_checkpoints(run, kind)[keep:]:
            path.unlink()


BUNDLED = "bundled:"
"""Before the name of a model that comes with the package, where the bare name could mean something else."""


def bundled_models() -> dict[str, Path]:
    """The models that come with the package, by name."""
    folder = Path(__file__).parent / "bundled"
    return {path.stem: path for path in sorted(folder.glob("*.safetensors"))}


def resolve_run(run: str | Path) -> Path:
    """The model checkpoint that RUN means: a `.safetensors` file, a run folder (its newest), a name in `runs/`, or a
    model that comes with the package (`bundled:NAME` always means that).

    Raises: UsageError naming the nearest run.
    """
    bundled = bundled_models()
    if str(run).startswith(BUNDLED):
        name = str(run).removeprefix(BUNDLED)
        if name not in bundled:
            raise UsageError(
                f"no model called '{name}' comes with synthgen{nearest(name, list(bundled))}",
                f"those that do: {', '.join(bundled)}",
            )
        return bundled[name]
    path = Path(run)
    if not path.exists() and (Path("runs") / path).exists():
        path = Path("runs") / path
    if path.is_file():
        return path
    if path.is_dir():
        found = list_checkpoints(path)
        if found:
            return found[0]
        single = path / "model.safetensors"
        if single.is_file():
            return single
        hint = "a run folder has checkpoints/step-*.safetensors in it"
        if str(run) in bundled:
            hint += f"; the model that comes with synthgen is {BUNDLED}{run}"
        raise UsageError(f"{path} holds no checkpoint", hint)
    if str(run) in bundled:
        return bundled[str(run)]
    known = [str(entry) for entry in Path("runs").glob("*") if entry.is_dir()] if Path("runs").is_dir() else []
    known += [*(Path(name).name for name in known), *bundled]
    raise UsageError(
        f"there is no run or checkpoint '{run}'{nearest(str(run), known)}",
        "train one with `synthgen train`, or give the path of a run folder or a .safetensors file",
    )


_HEADER_LIMIT = 16 * 2**20


def peek(checkpoint: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """A checkpoint's header, and the entries of its tensors (`shape`, `dtype`) by name; two empty ones if unreadable.

    Nothing is verified and no torch imported: this is for showing and choosing, `load` for using.
    """
    try:
        with checkpoint.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            text = file.read(length) if length <= _HEADER_LIMIT else b"{}"
        tensors = json.loads(text)
        header = json.loads(tensors.pop("__metadata__")["synthgen"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}, {}
    return (header, tensors) if isinstance(header, dict) else ({}, {})


def modality_of(checkpoint: Path) -> str:
    """What a checkpoint is a model of, by its own word: images, tables, series; to choose a way by.

    Of a file that cannot be read it says images, and loading the model says what is wrong.
    """
    found = peek(checkpoint)[0].get("modality", "images")
    return found if isinstance(found, str) else "images"
