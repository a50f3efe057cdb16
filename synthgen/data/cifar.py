"""CIFAR-10 in its owners' binary version (the Python version is made of pickles, which can run code when read).

A record is one byte of label and 3,072 bytes of pixels, channel by channel, 32 x 32 each (Krizhevsky 2009,
https://www.cs.toronto.edu/~kriz/cifar.html).
"""

from __future__ import annotations

import re
import tarfile
import zlib
from pathlib import Path

import numpy as np

from synthgen.data.arrays import ArraySet
from synthgen.data.contents import About, check_split
from synthgen.errors import UsageError

ARCHIVE = "cifar-10-binary.tar.gz"
FOLDER = "cifar-10-batches-bin"
CLASS_NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
LICENCE = "none stated"  # its owners ask to cite Krizhevsky 2009

_RECORD = 1 + 3 * 32 * 32
_BATCH = re.compile(r"data_batch_\d+\.bin")
_TEST = "test_batch.bin"
_MAX_BYTES = 2**30


def cifar_at(path: Path) -> Path | None:
    """Where below `path` (a folder, or the archive itself) CIFAR-10's binary files lie; None when it is something else.

    Raises UsageError when only the Python version is there.
    """
    if path.is_file():
        if path.name.startswith("cifar-10-python"):
            raise _pickled(path)
        return path if path.name == ARCHIVE else None
    for folder in (path, path / FOLDER):
        if folder.is_dir() and any(_BATCH.fullmatch(file.name) or file.name == _TEST for file in folder.iterdir()):
            return folder
    if (path / ARCHIVE).is_file():
        return path / ARCHIVE
    for folder in (path, path / "cifar-10-batches-py"):
        if (folder / "data_batch_1").is_file() or (folder / "cifar-10-python.tar.gz").is_file():
            raise _pickled(folder)
    return None


def read_cifar(place: Path, split: str) -> ArraySet:
    """The images of `place` as `cifar_at` gave it: uint8 (N, 32, 32, 3)."""
    batches = _from_archive(place) if place.is_file() else _from_folder(place)
    files = {
        "train": sorted(name for name in batches if _BATCH.fullmatch(name)),
        "test": [name for name in batches if name == _TEST],
    }
    splits = tuple(part for part, names in files.items() if names)
    if not splits:
        raise UsageError(f"{place} holds none of the files data_batch_1.bin ... {_TEST}")
    asked = check_split(split, splits, str(place))
    names = [name for part in splits if asked in ("all", part) for name in files[part]]
    records = np.concatenate([_records(batches[name], f"{place}/{name}") for name in names])
    images = np.ascontiguousarray(records[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
    labels = records[:, 0].astype(np.int64)
    return ArraySet(images, About("cifar10", asked, labels, CLASS_NAMES, splits, LICENCE))


def _records(content: bytes, where: str) -> np.ndarray:
    if not content or len(content) % _RECORD:
        raise UsageError(
            f"{where} is damaged: {len(content):,} bytes are no whole number of records of {_RECORD:,}",
            "Fetch or unpack it again.",
        )
    records = np.frombuffer(content, np.uint8).reshape(-1, _RECORD)
    if records[:, 0].max() > 9:
        raise UsageError(f"{where} is not CIFAR-10: it holds the label {records[:, 0].max()}")
    return records


def _from_folder(folder: Path) -> dict[str, bytes]:
    try:
        return {
            file.name: file.read_bytes()
            for file in folder.iterdir()
            if (_BATCH.fullmatch(file.name) or file.name == _TEST) and file.stat().st_size <= _MAX_BYTES
        }
    except OSError as error:
        raise UsageError(f"cannot read {error.filename or folder}: {error.strerror}") from error


def _from_archive(path: Path) -> dict[str, bytes]:
    batches: dict[str, bytes] = {}
    try:
        with tarfile.open(path, "r:gz") as archive:
            for member in archive:  # read, not unpacked: a name with ../ in it does nothing here
                name = member.name.rpartition("/")[2]
                wanted = _BATCH.fullmatch(name) or name == _TEST
                if not (wanted and member.isfile()):
                    continue
                if member.size > _MAX_BYTES:
                    raise UsageError(f"{path}: {name} claims {member.size:,} bytes")
                stream = archive.extractfile(member)
                batches[name] = stream.read() if stream else b""
    except (OSError, EOFError, zlib.error, tarfile.TarError) as error:
        raise UsageError(f"{path} is damaged: {error}", "Fetch it again.") from error
    return batches


def _pickled(place: Path) -> UsageError:
    return UsageError(
        f"{place} is CIFAR-10's Python version, which is made of pickles: reading them can run any code",
        f"Take the binary version {ARCHIVE} from the same owners.",
    )
