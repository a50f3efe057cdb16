"""Files by relative name, whether they lie in a folder or in a zip archive."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Protocol

from synthgen.errors import UsageError

_MAX_MEMBER_BYTES = 256 * 2**20
"""An image file inside an archive may unpack to this much; 64 megapixels of 8-bit RGB are 192 MiB."""

_HIDDEN = (".", "__MACOSX")


class Store(Protocol):
    """Read access to files named by relative POSIX paths."""

    @property
    def path(self) -> Path:
        """The folder or archive."""

    def names(self) -> list[str]:
        """Every file below, sorted; hidden ones left out."""

    def open(self, name: str) -> IO[bytes]:
        """A seekable stream. Raises OSError or zipfile.BadZipFile."""

    def size(self, name: str) -> int:
        """Bytes of the file as stored for reading."""

    def stamp(self, name: str) -> tuple[int, int]:
        """Two numbers that change when the file changes."""


class FolderStore:
    """The files of a folder. Symbolic links are followed, and a folder that contains itself is entered once."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def names(self) -> list[str]:
        try:
            return sorted(self._walk(str(self.path), "", ()))
        except OSError as error:
            raise UsageError(f"cannot list {error.filename or self.path}: {error.strerror}") from error

    def _walk(self, folder: str, prefix: str, above: tuple[str, ...]) -> Iterator[str]:
        real = os.path.realpath(folder)
        if real in above:
            return
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith(_HIDDEN):
                    continue
                if entry.is_dir():
                    yield from self._walk(entry.path, f"{prefix}{entry.name}/", (*above, real))
                elif entry.is_file():
                    yield prefix + entry.name

    def open(self, name: str) -> IO[bytes]:
        return (self.path / name).open("rb")

    def size(self, name: str) -> int:
        return (self.path / name).stat().st_size

    def stamp(self, name: str) -> tuple[int, int]:
        stat = (self.path / name).stat()
        return stat.st_size, stat.st_mtime_ns


class ZipStore:
    """The files of a zip archive, below `prefix`. Reading is safe from several threads."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._zip = zipfile.ZipFile(path)
        except (OSError, zipfile.BadZipFile) as error:
            raise UsageError(f"{path} is not a readable zip archive: {error}") from error
        infos = {info.filename: info for info in self._zip.infolist() if not info.is_dir()}
        visible = [name for name in infos if not any(part.startswith(_HIDDEN) for part in PurePosixPath(name).parts)]
        self._prefix = _wrapper(visible)
        self._infos = {name[len(self._prefix) :]: infos[name] for name in visible}

    def names(self) -> list[str]:
        return sorted(self._infos)

    def open(self, name: str) -> IO[bytes]:
        info = self._infos[name]
        if info.file_size > _MAX_MEMBER_BYTES:
            raise OSError(f"unpacks to {info.file_size:,} bytes, more than {_MAX_MEMBER_BYTES:,}")
        if info.flag_bits & 1:
            raise OSError("is encrypted")
        with self._zip.open(info) as stream:
            return io.BytesIO(stream.read(_MAX_MEMBER_BYTES))

    def size(self, name: str) -> int:
        return self._infos[name].file_size

    def stamp(self, name: str) -> tuple[int, int]:
        return self._infos[name].file_size, self._infos[name].CRC


def _wrapper(names: list[str]) -> str:
    """`digits/` when everything lies below one folder that has folders itself: the name of the archive, not a class."""
    first = {name.split("/", 1)[0] for name in names}
    deep = all(name.count("/") >= 2 for name in names)
    return f"{first.pop()}/" if len(first) == 1 and deep else ""


def inside(folder: Path, name: str) -> Path | None:
    """`folder / name` if that lies in `folder` once links and dots are resolved, else None."""
    root = os.path.realpath(folder)
    path = os.path.realpath(os.path.join(root, name))
    return Path(path) if os.path.commonpath([root, path]) == root else None
