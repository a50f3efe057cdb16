"""Where samples go: a folder of PNG files, one npz, or an IDX pair. Memory stays constant in the count."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import shutil
import struct
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Protocol

import numpy as np

from synthgen.data.classes import class_folder as safe_name
from synthgen.errors import UsageError
from synthgen.outputs import atomic_write, sync_folder
from synthgen.rendering import png_bytes

FORMATS = ("png", "npz", "idx")
_COPY_BYTES = 4 * 2**20


class Writer(Protocol):
    """Takes consecutive samples in order; may be asked again for samples after the last finished chunk."""

    def write(self, start: int, images: np.ndarray, labels: np.ndarray | None) -> None:
        """Store samples start, start + 1, ...: uint8 (n, H, W, C). Returns when they are on disk."""

    def finish(self, labels: np.ndarray | None) -> list[Path]:
        """Complete the result, all samples written; `labels` of all of them. Returns its files or folders."""


class PngWriter:
    """`OUT/<class name>/<k>.png`, or `OUT/images/<k>.png` without classes."""

    def __init__(self, out: Path, class_names: tuple[str, ...], count: int) -> None:
        self.out = out
        self.folders = [safe_name(name, index, class_names) for index, name in enumerate(class_names)] or ["images"]
        self.digits = max(6, len(str(count - 1)))
        # PNG compression releases the interpreter lock: it runs beside the next block's network calls.
        self.pool = ThreadPoolExecutor(2, thread_name_prefix="png")

    def path_of(self, key: int, label: int) -> Path:
        return self.out / self.folders[label] / f"{key:0{self.digits}d}.png"

    def write(self, start: int, images: np.ndarray, labels: np.ndarray | None) -> None:
        for label in set() if labels is None else set(labels.tolist()):
            (self.out / self.folders[label]).mkdir(parents=True, exist_ok=True)
        if labels is None:
            (self.out / self.folders[0]).mkdir(parents=True, exist_ok=True)

        def one(row: int) -> None:
            path = self.path_of(start + row, 0 if labels is None else int(labels[row]))
            temporary = path.with_name(f".{path.name}.tmp")  # same name on a retry: a kill leaves at most one behind
            temporary.write_bytes(png_bytes(images[row]))
            os.replace(temporary, path)

        list(self.pool.map(one, range(len(images))))

    def finish(self, labels: np.ndarray | None) -> list[Path]:
        self.pool.shutdown()
        used = range(len(self.folders)) if labels is None else np.unique(labels).tolist()
        folders = [self.out / self.folders[index] for index in used]
        for folder in folders:
            for stray in folder.glob(".*.tmp"):
                stray.unlink()
            sync_folder(folder)
        return folders


class _RawWriter:
    """Collects raw pixels in one file at fixed offsets, for formats that are written in one piece at the end."""

    def __init__(self, out: Path, class_names: tuple[str, ...], shape: tuple[int, ...]) -> None:
        self.out, self.class_names, self.shape = out, class_names, shape
        self.raw = out / ".partial.u8"

    def write(self, start: int, images: np.ndarray, labels: np.ndarray | None) -> None:
        size = int(np.prod(self.shape[1:]))
        self.raw.touch()
        with self.raw.open("r+b") as file:
            file.seek(start * size)
            file.write(np.ascontiguousarray(images).tobytes())
            file.flush()
            os.fsync(file.fileno())

    @contextmanager
    def _pixels(self) -> Iterator[IO[bytes]]:
        with self.raw.open("rb") as file:
            yield file
        self.raw.unlink()


class NpzWriter(_RawWriter):
    """`OUT/samples.npz` with `images` uint8 (N, H, W, C), `labels` int64 (N,) and `class_names`."""

    def finish(self, labels: np.ndarray | None) -> list[Path]:
        path = self.out / "samples.npz"
        temporary = path.with_name(".samples.npz.tmp")
        with self._pixels() as raw:
            with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
                with archive.open(_member("images.npy"), "w", force_zip64=True) as file:
                    header = {"descr": "|u1", "fortran_order": False, "shape": self.shape}
                    np.lib.format.write_array_header_1_0(file, header)
                    shutil.copyfileobj(raw, file, _COPY_BYTES)
                if labels is not None:
                    archive.writestr(_member("labels.npy"), _npy(labels.astype(np.int64)))
                    archive.writestr(_member("class_names.npy"), _npy(np.array(self.class_names)))
            _flush(temporary)
            os.replace(temporary, path)
        sync_folder(self.out)
        return [path]


class IdxWriter(_RawWriter):
    """The layout of MNIST: `images-idx3-ubyte.gz` and `labels-idx1-ubyte.gz`; grey images, at most 256 classes."""

    def __init__(self, out: Path, class_names: tuple[str, ...], shape: tuple[int, ...]) -> None:
        if shape[-1] != 1:
            raise UsageError("the IDX format holds grey images; these have 3 channels", "use --format png or npz")
        if len(class_names) > 256:
            raise UsageError(f"the IDX format holds 256 classes, not {len(class_names)}", "use --format png or npz")
        super().__init__(out, class_names, shape)

    def finish(self, labels: np.ndarray | None) -> list[Path]:
        path = self.out / "images-idx3-ubyte.gz"
        temporary = path.with_name(f".{path.name}.tmp")
        with self._pixels() as raw:
            with (
                temporary.open("wb") as target,
                gzip.GzipFile("", "wb", compresslevel=6, fileobj=target, mtime=0) as file,
            ):
                file.write(struct.pack(">BBBBIII", 0, 0, 8, 3, *self.shape[:3]))
                shutil.copyfileobj(raw, file, _COPY_BYTES)
            _flush(temporary)
            os.replace(temporary, path)
        written = [path]
        if labels is not None:
            buffer = io.BytesIO()
            with gzip.GzipFile("", "wb", compresslevel=6, fileobj=buffer, mtime=0) as file:
                file.write(struct.pack(">BBBBI", 0, 0, 8, 1, len(labels)) + labels.astype(np.uint8).tobytes())
            written.append(self.out / "labels-idx1-ubyte.gz")
            atomic_write(written[-1], buffer.getvalue())
        sync_folder(self.out)
        return written


def build_writer(format_: str, out: Path, class_names: tuple[str, ...], shape: tuple[int, int, int, int]) -> Writer:
    """The writer of `png`, `npz` or `idx` for `shape` (N, H, W, C). Raises UsageError for what it cannot hold."""
    if format_ == "png":
        return PngWriter(out, class_names, shape[0])
    if format_ == "npz":
        return NpzWriter(out, class_names, shape)
    if format_ == "idx":
        return IdxWriter(out, class_names, shape)
    raise UsageError(f"unknown format '{format_}'", f"use one of {', '.join(FORMATS)}")


def digest(images: np.ndarray) -> str:
    """sha256 of a chunk of pixels."""
    return hashlib.sha256(np.ascontiguousarray(images).tobytes()).hexdigest()


def _member(name: str) -> zipfile.ZipInfo:
    """An archive member with a fixed date: the same samples give the same file."""
    info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
    info.compress_type = zipfile.ZIP_DEFLATED
    return info


def _npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def _flush(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())
