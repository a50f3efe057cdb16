"""Results on disk: never overwritten unasked, never half written."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from synthgen.errors import UsageError


def prepare_output(path: Path, *, force: bool = False, resume: bool = False) -> None:
    """Make sure a result may be written at `path` (a folder or a file), before any work begins.

    An existing non-empty path is refused unless `force` (it is removed) or `resume` (it is kept).
    `force` only removes what looks like a result of ours: a folder with a marker file, or a plain file.
    Raises: UsageError.
    """
    if force and resume:
        raise UsageError("--force starts anew and --resume goes on: give one of them")
    if path.is_symlink() or (path.exists() and not (path.is_dir() or path.is_file())):
        raise UsageError(f"{path} is neither a plain folder nor a plain file")
    if path.is_file():
        if not force:
            raise UsageError(f"{path} exists already", "give another --out, or --force to replace it")
        path.unlink()
    elif path.is_dir() and any(path.iterdir()):
        if resume:
            return
        if not force:
            raise UsageError(f"{path} exists already", "give another --out, --force to replace it, or --resume")
        if not any((path / marker).exists() for marker in MARKERS):
            raise UsageError(
                f"{path} was not made by synthgen: --force will not delete it", "give another --out, or remove it yourself"
            )
        shutil.rmtree(path)


MARKERS = ("config.yaml", "manifest.json", "meta.json", "model_index.json", "report.html", "summary.json", ".synthgen")
"""Files by which a result folder of ours is known."""


def atomic_write(path: Path, data: bytes) -> None:
    """Write `data` to `path` so that a reader or a crash sees the old file or the new one, never a part.

    Raises: OSError (disk full, no permission); the temporary file is removed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
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
