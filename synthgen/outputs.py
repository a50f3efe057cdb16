"""Results on disk: never overwritten unasked, never half written."""

from __future__ import annotations

import os
import secrets
import shutil
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
    """`check_output`, then make the folder `path`: emptied first with `force`, kept with `resume`.

    A folder with somebody else's files is not marked as ours by going on in it: a later `force` must not delete them.
    """
    check_output(path, force=force, resume=resume)
    foreign = resume and path.is_dir() and bool(_contents(path)) and not (path / MARKER).is_file()
    if path.is_file():
        path.unlink()
    elif path.is_dir() and force and _contents(path):
        shutil.rmtree(path)
    path.mkdir(parents=True, exist_ok=True)
    if not foreign:
        (path / MARKER).touch()


def _contents(folder: Path) -> list[str]:
    return [name for name in os.listdir(folder) if name != MARKER]


def atomic_write(path: Path, data: bytes) -> None:
    """Write `data` to `path` so that a reader or a crash sees the old file or the new one, never a part.

    Raises: OSError (disk full, no permission); the temporary file is removed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f".{path.name}.{secrets.token_hex(8)}{_HALF_WRITTEN}"
    # The kernel applies the umask: to ask for it is to change it for a moment, for all threads.
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def put_folder(building: Path, place: Path) -> None:
    """Move finished files to their place; what was there goes only now. The folder itself stays if it is there."""
    if place.is_file():
        place.unlink()
    place.mkdir(exist_ok=True)
    for old in place.iterdir():
        if old.is_dir() and not old.is_symlink():
            shutil.rmtree(old)
        else:
            old.unlink()
    for new in building.iterdir():
        new.rename(place / new.name)


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
