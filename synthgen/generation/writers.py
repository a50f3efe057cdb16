"""Where samples go: PNG files by class, one npz, an IDX pair; containers.py adds Parquet and WebDataset.

Memory stays constant in the count.
"""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
import io
import os
import shutil
import struct
import zipfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Protocol

import numpy as np
from numpy.typing import DTypeLike

from synthgen.data.classes import class_folder as safe_name
from synthgen.errors import UsageError
from synthgen.outputs import sync_folder
from synthgen.rendering import png_bytes

FORMATS = ("png", "npz", "idx", "parquet", "webdataset")
SINGLE = ("png", "npz", "idx")
"""Formats of a set that one process writes as a whole; the others come in shards, always."""
_COPY_BYTES = 4 * 2**20


class LabelSource(Protocol):
    """The classes of samples, wherever they come from; see `synthgen.generation.plan.Labels`."""

    class_names: tuple[str, ...]

    def parts(self, start: int, stop: int) -> Iterator[np.ndarray]:
        """int64 labels of samples start ... stop - 1 in pieces; nothing without classes."""

    def present(self, start: int, stop: int) -> list[int]:
        """The classes that occur among them."""


class Writer(Protocol):
    """Takes consecutive samples in order; may be asked again for samples after the last finished chunk."""

    def write(self, start: int, images: np.ndarray, labels: np.ndarray | None) -> None:
        """Store samples start, start + 1, ...: uint8 (n, H, W, C). Returns when they are on disk."""

    def holds(self, start: int, count: int) -> bool:
        """Whether the samples start ... start + count - 1, written earlier, are still to be found."""

    def finish(self, labels: LabelSource) -> list[Path]:
        """Complete the result, all samples written; may be called again after a kill. Returns its files or folders."""

    def discard(self) -> None:
        """Remove what `finish` worked from, once the manifest says that the result is complete."""


class PngLayout:
    """`<class name>/<k>.png`, or `images/<k>.png` without classes; k has as many digits as the last one."""

    def __init__(self, class_names: tuple[str, ...], count: int) -> None:
        self.folders = [safe_name(name, index, class_names) for index, name in enumerate(class_names)] or ["images"]
        self.digits = max(6, len(str(count - 1)))

    def name(self, key: int, label: int) -> str:
        return f"{self.folders[label]}/{key:0{self.digits}d}.png"


class PngWriter:
    """A file per sample, by class; see `PngLayout`."""

    def __init__(self, out: Path, class_names: tuple[str, ...], count: int, first: int = 0, stop: int = 0) -> None:
        self.out, self.first, self.stop = out, first, stop or count
        self.layout = PngLayout(class_names, count)
        self.folders = self.layout.folders
        # PNG compression releases the interpreter lock: it runs beside the next block's network calls.
        self.pool = ThreadPoolExecutor(2, thread_name_prefix="png")

    def path_of(self, key: int, label: int) -> Path:
        return self.out / self.layout.name(key, label)

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

    def holds(self, start: int, count: int) -> bool:
        return True  # a file is in its place or `synthgen sample verify` names it

    def discard(self) -> None:
        """Nothing: the files are the result."""

    def finish(self, labels: LabelSource) -> list[Path]:
        self.pool.shutdown()
        folders = [self.out / self.folders[index] for index in labels.present(self.first, self.stop) or [0]]
        for folder in folders:
            for stray in folder.glob(".*.tmp"):
                stray.unlink()
            sync_folder(folder)
        return folders


class _RawWriter:
    """Collects raw pixels in one file at fixed offsets, for formats that are written in one piece at the end."""

    def __init__(self, out: Path, class_names: tuple[str, ...], shape: tuple[int, ...], first: int = 0) -> None:
        self.out, self.class_names, self.shape, self.first = out, class_names, shape, first
        self.raw = out / ".partial.u8"

    def write(self, start: int, images: np.ndarray, labels: np.ndarray | None) -> None:
        size = int(np.prod(self.shape[1:]))
        self.raw.touch()
        with self.raw.open("r+b") as file:
            file.seek((start - self.first) * size)
            file.write(np.ascontiguousarray(images).tobytes())
            file.flush()
            os.fsync(file.fileno())

    def holds(self, start: int, count: int) -> bool:
        needed = (start + count - self.first) * int(np.prod(self.shape[1:]))
        return count == 0 or (self.raw.is_file() and self.raw.stat().st_size >= needed)

    def discard(self) -> None:
        self.raw.unlink(missing_ok=True)

    def _labels(self, labels: LabelSource, dtype: DTypeLike) -> Iterator[bytes]:
        """Labels of the samples held, as bytes of `dtype`, in pieces."""
        for part in labels.parts(self.first, self.first + self.shape[0]):
            yield part.astype(dtype).tobytes()


class NpzWriter(_RawWriter):
    """`OUT/samples.npz` with `images` uint8 (N, H, W, C), `labels` int64 (N,) and `class_names`."""

    def finish(self, labels: LabelSource) -> list[Path]:
        path = self.out / "samples.npz"
        temporary = path.with_name(".samples.npz.tmp")
        with self.raw.open("rb") as raw:
            with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
                with archive.open(_member("images.npy"), "w", force_zip64=True) as file:
                    _npy_header(file, "|u1", self.shape)
                    shutil.copyfileobj(raw, file, _COPY_BYTES)
                if labels.class_names:
                    with archive.open(_member("labels.npy"), "w", force_zip64=True) as file:
                        _npy_header(file, "<i8", self.shape[:1])
                        for part in self._labels(labels, "<i8"):
                            file.write(part)
                    archive.writestr(_member("class_names.npy"), _npy(np.array(self.class_names)))
            _flush(temporary)
            os.replace(temporary, path)
        sync_folder(self.out)
        return [path]


class IdxWriter(_RawWriter):
    """The layout of MNIST: `images-idx3-ubyte.gz` and `labels-idx1-ubyte.gz`; grey images, at most 256 classes."""

    def __init__(self, out: Path, class_names: tuple[str, ...], shape: tuple[int, ...], first: int = 0) -> None:
        if shape[-1] != 1:
            raise UsageError("the IDX format holds grey images; these have 3 channels", "use --format png or npz")
        if len(class_names) > 256:
            raise UsageError(f"the IDX format holds 256 classes, not {len(class_names)}", "use --format png or npz")
        super().__init__(out, class_names, shape, first)

    def finish(self, labels: LabelSource) -> list[Path]:
        written = [self.out / "images-idx3-ubyte.gz"]
        with self.raw.open("rb") as raw, self._compressed(written[0]) as file:
            file.write(struct.pack(">BBBBIII", 0, 0, 8, 3, *self.shape[:3]))
            shutil.copyfileobj(raw, file, _COPY_BYTES)
        if labels.class_names:
            written.append(self.out / "labels-idx1-ubyte.gz")
            with self._compressed(written[-1]) as file:
                file.write(struct.pack(">BBBBI", 0, 0, 8, 1, self.shape[0]))
                for part in self._labels(labels, np.uint8):
                    file.write(part)
        sync_folder(self.out)
        return written

    @contextmanager
    def _compressed(self, path: Path) -> Iterator[IO[bytes]]:
        """A gzip file that appears under its name when it is whole; no date inside: the same bytes each time."""
        temporary = path.with_name(f".{path.name}.tmp")
        with (
            temporary.open("wb") as target,
            gzip.GzipFile("", "wb", compresslevel=6, fileobj=target, mtime=0) as file,
        ):
            yield file  # type: ignore[misc]
        _flush(temporary)
        os.replace(temporary, path)


def check_format(format_: str) -> None:
    """Raises UsageError for a format that is not known, or whose library is not installed."""
    if format_ not in FORMATS:
        raise UsageError(f"unknown format '{format_}'", f"use one of {', '.join(FORMATS)}")
    if format_ == "parquet" and importlib.util.find_spec("pyarrow") is None:
        raise UsageError(
            "the parquet format needs the package pyarrow",
            'pip install "synthgen[parquet]", or choose another with --format webdataset',
        )


def build_writer(
    format_: str,
    out: Path,
    class_names: tuple[str, ...],
    count: int,
    image: Sequence[int],
    first: int = 0,
    stop: int = 0,
) -> Writer:
    """The writer of a format into the folder `out`. Raises UsageError for what it cannot hold.

    count: samples of the whole set. image: (H, W, C). first, stop: the samples to be written, by default all.
    """
    check_format(format_)
    stop = stop or count
    shape = (stop - first, *image)
    if format_ == "npz":
        return NpzWriter(out, class_names, shape, first)
    if format_ == "idx":
        return IdxWriter(out, class_names, shape, first)
    if format_ == "png":
        return PngWriter(out, class_names, count, first, stop)
    from synthgen.generation.containers import ParquetWriter, WebDatasetWriter

    return ParquetWriter(out, class_names) if format_ == "parquet" else WebDatasetWriter(out)


def digest(images: np.ndarray) -> str:
    """sha256 of a chunk of pixels."""
    return hashlib.sha256(np.ascontiguousarray(images).tobytes()).hexdigest()


def _member(name: str) -> zipfile.ZipInfo:
    """An archive member with a fixed date: the same samples give the same file."""
    info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
    info.compress_type = zipfile.ZIP_DEFLATED
    return info


def _npy_header(file: IO[bytes], descr: str, shape: tuple[int, ...]) -> None:
    np.lib.format.write_array_header_1_0(file, {"descr": descr, "fortran_order": False, "shape": shape})


def _npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def _flush(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())
