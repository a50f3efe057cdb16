"""Results on disk: never overwritten unasked, never half written."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from synthgen.errors import UsageError

MARKER = ".synthgen"
"""An empty file in every result folder of ours: `--force` deletes only folders that have one."""


_HALF_WRITTEN = ".tmp"
"""How the temporary files of `atomic_write` end."""


def check_output(path: Path, *, force: bool = False, resume: bool = False) -> None:
    """Refuse, before any work begins, to put a result where something else is. Changes nothing.

    `path` is a folder to be made or a file to be written. An existing one is refused unless `force` (it will be
    replaced; a folder only when it is a result of ours) or `resume` (it will be added to). Raises UsageError.
    """
    if force and resume:
        raise UsageError("--force starts anew and --resume goes on: give one of them")
    if path.is_symlink() or (path.exists() and not (path.is_dir() or path.is_file())):
        raise UsageError(f"{path} is neither a plain folder nor a plain file")
    if path.is_file() and not force:
        raise UsageError(f"{path} exists already", "give another --out, or --force to replace it")
    if not path.is_dir() or resume or not _contents(path):
        return
    if not force:
        raise UsageError(f"{path} exists already", "give another --out, --force to replace it, or --resume to go on")
    if not (path / MARKER).is_file():
        raise UsageError(
            f"{path} was not made by synthgen: --force will not delete it",
            "give another --out, or remove it yourself",
        )


def prepare_output(path: Path, *, force: bool = False, resume: bool = False) -> None:
    """`check_output`, then make the folder `path`: emptied first with `force`, kept with `resume`."""
    check_output(path, force=force, resume=resume)
    if path.is_file():
        path.unlink()
    elif path.is_dir() and force and _contents(path):
        shutil.rmtree(path)
    path.mkdir(parents=True, exist_ok=True)
    (path / MARKER).touch()


def _contents(folder: Path) -> list[str]:
    return [name for name in os.listdir(folder) if name != MARKER]


def atomic_write(path: Path, data: bytes) -> None:
    """Write `data` to `path` so that a reader or a crash sees the old file or the new one, never a part.

    Raises: OSError (disk full, no permission); the temporary file is removed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=_HALF_WRITTEN)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def remove_leftovers(folder: Path) -> None:
    """Delete what `atomic_write` had half written below `folder` when its process was killed.

    Only for the one process that writes there: another one's file may be about to be renamed.
    """
    for path in folder.rglob(f".*{_HALF_WRITTEN}"):
        path.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Flush a folder's entries, so that a rename survives a power cut. A no-op where folders cannot be opened."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
