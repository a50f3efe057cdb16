"""Where a sharded set lies: a local folder, or anything that fsspec reaches (s3://, gs://, memory://).

An object appears under its name when it is whole, never before: local files are flushed and renamed, remote ones are
uploaded in one piece.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Protocol

from synthgen.errors import SynthgenError, UsageError
from synthgen.outputs import MARKER, atomic_write, prepare_output, sync_folder

MOST_BYTES = 256 * 2**20
"""A manifest with more is damaged, or hostile."""
_COPY_BYTES = 4 * 2**20
_WORK = ".partial-"


class Store(Protocol):
    """A place for named objects. Names are relative, with `/`."""

    url: str

    def entries(self) -> list[str]:
        """Names at the top, hidden ones left out; empty when nothing is there."""

    def names(self, folder: str) -> Iterator[str]:
        """Names of the files directly in `folder`, hidden ones left out; nothing when it is not there."""

    def open(self, name: str) -> IO[bytes]:
        """Raises FileNotFoundError."""

    def write(self, name: str, data: bytes) -> None:
        """Write an object whole."""

    def remove(self, name: str) -> None:
        """Remove an object, if it is there."""

    def prepare(self) -> None:
        """Make the place, which may be there already."""

    def clear(self) -> None:
        """Remove everything. Raises UsageError where not all of it is ours."""

    def workspace(self, name: str) -> Any:
        """A context: an empty local folder in which objects are made."""

    def publish(self, made: list[tuple[Path, str]]) -> None:
        """Move local files, made in a workspace, to their names."""

    def sweep(self) -> None:
        """Remove what killed processes left behind, when nobody works here any more."""


def open_store(out: str | Path) -> Store:
    """The store of a path or a URL. Raises UsageError for one that cannot be, naming the package that is missing."""
    text = without_scheme(out)
    return RemoteStore(text) if is_remote(text) else LocalStore(Path(text))


def without_scheme(out: str | Path) -> str:
    """`out` as a path where it is a URL of this machine (file://), else as it is."""
    return str(out).removeprefix("file://")


def is_remote(out: str | Path) -> bool:
    """Whether `out` is a URL and not a path."""
    protocol, separator, _ = str(out).partition("://")
    return bool(separator) and protocol.isalnum() and protocol != "file"


def read(store: Store, name: str) -> bytes | None:
    """The bytes of a manifest, or one more than it may have; None when it is not there."""
    try:
        with store.open(name) as file:
            return file.read(MOST_BYTES + 1)
    except FileNotFoundError:
        return None


def sha256_of(store: Store, name: str) -> tuple[str, int] | None:
    """Hash and size of an object, read in pieces; None when it is not there."""
    try:
        with store.open(name) as file:
            return _digest(file)
    except FileNotFoundError:
        return None


def sha256_of_file(path: Path) -> tuple[str, int]:
    """Hash and size of a local file."""
    with path.open("rb") as file:
        return _digest(file)


def _digest(file: IO[bytes]) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    while data := file.read(_COPY_BYTES):
        digest.update(data)
        size += len(data)
    return digest.hexdigest(), size


class LocalStore:
    """A folder."""

    def __init__(self, root: Path) -> None:
        self.root, self.url = root, str(root)
        if root.is_symlink() or (root.exists() and not root.is_dir()):
            raise UsageError(f"{root} is not a plain folder", "give another --out")

    def entries(self) -> list[str]:
        return sorted(name for name in os.listdir(self.root) if name[0] != ".") if self.root.is_dir() else []

    def names(self, folder: str) -> Iterator[str]:
        if not (self.root / folder).is_dir():
            return
        with os.scandir(self.root / folder) as found:
            for entry in found:
                if entry.is_file() and not entry.name.startswith("."):
                    yield f"{folder}/{entry.name}"

    def open(self, name: str) -> IO[bytes]:
        return (self.root / name).open("rb")

    def write(self, name: str, data: bytes) -> None:
        atomic_write(self.root / name, data)

    def remove(self, name: str) -> None:
        (self.root / name).unlink(missing_ok=True)

    def prepare(self) -> None:
        prepare_output(self.root, resume=True)

    def clear(self) -> None:
        if self.root.is_dir() and self.entries() and not (self.root / MARKER).is_file():
            raise UsageError(
                f"{self.root} was not made by synthgen: --force will not delete it",
                "give another --out, or remove it yourself",
            )
        prepare_output(self.root, force=True)

    @contextmanager
    def workspace(self, name: str) -> Iterator[Path]:
        """Inside the folder, so that a rename moves what was made; its name says whose it is."""
        folder = self.root / f"{_WORK}{name}-{socket.gethostname()}-{os.getpid()}"
        self._sweep(name)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _sweep(self, name: str) -> None:
        """Remove what processes of this machine that are no more left of the same object."""
        for folder in self.root.glob(f"{_WORK}{name}-{socket.gethostname()}-*"):
            if not _alive(folder.name.rpartition("-")[2]):
                shutil.rmtree(folder, ignore_errors=True)

    def publish(self, made: list[tuple[Path, str]]) -> None:
        folders = {}
        for path, name in made:
            target = self.root / name
            if target.parent not in folders:
                target.parent.mkdir(parents=True, exist_ok=True)
                folders[target.parent] = True
            if len(made) <= 16:  # a flush costs milliseconds: not for each of a thousand small pictures
                _flush(path)
            os.replace(path, target)
        for folder in folders:
            sync_folder(folder)

    def sweep(self) -> None:
        for folder in self.root.glob(f"{_WORK}*"):
            shutil.rmtree(folder, ignore_errors=True)


class RemoteStore:
    """A folder behind a URL, reached through fsspec. Listings are not cached: other machines write here too."""

    def __init__(self, url: str) -> None:
        import fsspec

        self.url = url.rstrip("/")
        protocol = url.partition("://")[0]
        try:
            self.fs, root = fsspec.core.url_to_fs(self.url, use_listings_cache=False)
        except ImportError as error:
            missing = "s3fs" if protocol in ("s3", "s3a") else str(error)
            hint = 'pip install "synthgen[s3]"' if protocol in ("s3", "s3a") else f"{error}"
            raise UsageError(f"{protocol}:// needs the package {missing}", hint) from error
        except ValueError as error:
            raise UsageError(
                f"{url} is not a place that fsspec knows ({error})", "for example s3://bucket/dir"
            ) from error
        self.root = str(root).rstrip("/")

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Errors of the network and of permissions, by name; FileNotFoundError is the caller's."""
        try:
            yield
        except FileNotFoundError:
            raise
        except OSError as error:
            raise SynthgenError(f"{self.url}: {error or type(error).__name__}", _REMOTE_HINT) from error
        except Exception as error:
            if type(error).__module__.partition(".")[0] not in _REMOTE_MODULES:
                raise
            raise SynthgenError(f"{self.url}: {error}", _REMOTE_HINT) from error

    def _list(self, folder: str) -> list[dict[str, Any]]:
        path = f"{self.root}/{folder}".rstrip("/")
        with self._errors():
            self.fs.invalidate_cache()
            try:
                return list(self.fs.ls(path, detail=True))
            except FileNotFoundError:
                return []

    def entries(self) -> list[str]:
        names = [str(entry["name"]).rstrip("/").rpartition("/")[2] for entry in self._list("")]
        return sorted(name for name in names if name and name[0] != ".")

    def names(self, folder: str) -> Iterator[str]:
        for entry in self._list(folder):
            name = str(entry["name"]).rpartition("/")[2]
            if entry["type"] == "file" and name and name[0] != ".":
                yield f"{folder}/{name}"

    def open(self, name: str) -> IO[bytes]:
        with self._errors():
            return self.fs.open(f"{self.root}/{name}", "rb")  # type: ignore[no-any-return]

    def write(self, name: str, data: bytes) -> None:
        with self._errors():
            try:
                self.fs.pipe_file(f"{self.root}/{name}", data)
            except FileNotFoundError as error:
                raise SynthgenError(f"{self.url}: {error}", "make the bucket first, or correct --out") from error

    def remove(self, name: str) -> None:
        with self._errors(), suppress(FileNotFoundError):
            self.fs.rm_file(f"{self.root}/{name}")

    def prepare(self) -> None:
        """Nothing: object stores have no folders."""

    def clear(self) -> None:
        """Not `self.root` itself: that may be a bucket."""
        with self._errors():
            if found := self.entries():
                self.fs.rm([f"{self.root}/{name}" for name in found], recursive=True)

    @contextmanager
    def workspace(self, name: str) -> Iterator[Path]:
        with tempfile.TemporaryDirectory(prefix="synthgen-") as folder:
            yield Path(folder)

    def publish(self, made: list[tuple[Path, str]]) -> None:
        """All at once, side by side where the file system can."""
        with self._errors():
            self.fs.put([str(path) for path, _ in made], [f"{self.root}/{name}" for _, name in made])

    def sweep(self) -> None:
        """Nothing: what is being made is made elsewhere."""


_REMOTE_HINT = "check the address, the credentials (for S3: AWS_PROFILE, AWS_ENDPOINT_URL) and the network"
_REMOTE_MODULES = ("botocore", "aiobotocore", "aiohttp", "s3fs", "gcsfs", "adlfs", "azure", "google", "requests")


def _alive(pid: str) -> bool:
    """Whether a process of this machine runs; True where that cannot be asked."""
    if os.name != "posix" or not pid.isdigit():
        return True
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _flush(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())
