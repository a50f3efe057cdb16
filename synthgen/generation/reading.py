"""Pixels and labels of written samples, back from every format, in pieces and in the order of the sample numbers."""

from __future__ import annotations

import gzip
import io
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, Any

import numpy as np
from PIL import Image

from synthgen.errors import SynthgenError
from synthgen.generation.manifest import Origin
from synthgen.generation.pipeline import piece_size

Open = Callable[[str], IO[bytes]]
"""An object by its name; raises FileNotFoundError."""

Piece = tuple[np.ndarray, "np.ndarray | None"]
"""uint8 (n, H, W, C) and int64 (n,), or None without classes."""

_ERRORS = (
    *(OSError, ValueError, TypeError, KeyError, EOFError, SyntaxError, StopIteration, NotImplementedError),
    *(struct.error, zlib.error, zipfile.BadZipFile, tarfile.TarError, Image.DecompressionBombError),
)


def read_pieces(format_: str, open_: Open, names: list[str], count: int, origin: Origin) -> Iterator[Piece]:
    """The `count` samples in the objects `names`, which a writer of that format made, in their order.

    For PNG: an object per sample, and no labels. Raises SynthgenError naming what is missing or damaged.
    """
    readers = {"png": _png, "npz": _npz, "idx": _idx, "parquet": _parquet, "webdataset": _webdataset}
    done = 0
    with _damage(names[0] if len(names) <= 2 else f"one of {len(names):,} files"):
        for images, labels in readers[format_](open_, names, count, origin):
            done += len(images)
            if done > count:
                break
            yield images, labels
    if done != count:
        raise SynthgenError(f"{names[0]} holds another number of samples than {count:,}")


@contextmanager
def _damage(name: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise SynthgenError(f"{error.filename or name} is missing") from error
    except _ERRORS as error:
        raise SynthgenError(f"{name} is damaged: {error}") from error


def _decode(data: bytes, origin: Origin) -> np.ndarray:
    """One PNG, of exactly the size that the set has: nothing larger is ever unpacked."""
    height, width, channels = origin.image
    with Image.open(io.BytesIO(data), formats=("PNG",)) as picture:
        if picture.size != (width, height) or picture.mode != ("L" if channels == 1 else "RGB"):
            raise ValueError(f"a picture of {picture.width} x {picture.height}, {picture.mode}")
        return np.asarray(picture).reshape(origin.image)


def _size(origin: Origin) -> int:
    return piece_size(1, origin.image_bytes)


def _gather(pairs: Iterator[tuple[np.ndarray, int | None]], size: int) -> Iterator[Piece]:
    images: list[np.ndarray] = []
    labels: list[int] = []
    for image, label in pairs:
        images.append(image)
        labels += [] if label is None else [label]
        if len(images) == size:
            yield np.stack(images), np.array(labels, np.int64) if labels else None
            images, labels = [], []
    if images:
        yield np.stack(images), np.array(labels, np.int64) if labels else None


def _png(open_: Open, names: list[str], count: int, origin: Origin) -> Iterator[Piece]:
    def each() -> Iterator[tuple[np.ndarray, None]]:
        for name in names:
            with _damage(name), open_(name) as file:
                image = _decode(file.read(), origin)
            yield image, None

    return _gather(each(), _size(origin))


def _webdataset(open_: Open, names: list[str], count: int, origin: Origin) -> Iterator[Piece]:
    def each() -> Iterator[tuple[np.ndarray, int | None]]:
        with open_(names[0]) as file, tarfile.open(fileobj=file, mode="r|") as tar:
            while (member := tar.next()) is not None:
                image = _decode(_member(tar, member, ".png", 2 * origin.image_bytes + 2**20), origin)
                label = int(_member(tar, tar.next(), ".cls", 20)) if origin.class_names else None
                tar.members.clear()  # type: ignore[attr-defined]  # it would remember every member
                yield image, label

    return _gather(each(), _size(origin))


def _member(tar: tarfile.TarFile, member: tarfile.TarInfo | None, suffix: str, most: int) -> bytes:
    """A plain file's bytes; a sparse one takes no room in the tar and any in memory."""
    plain = member is not None and member.isreg() and not member.issparse() and member.size <= most
    file = tar.extractfile(member) if member is not None and plain and member.name.endswith(suffix) else None
    if file is None:
        raise ValueError(f"a member {suffix} is not where it should be")
    return file.read()


def _parquet(open_: Open, names: list[str], count: int, origin: Origin) -> Iterator[Piece]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with open_(names[0]) as file:
        try:
            table = pq.ParquetFile(file)
            for batch in table.iter_batches(batch_size=_rows_at_once(table.metadata, origin)):
                images = np.stack([_decode(row["bytes"], origin) for row in batch.column("image").to_pylist()])
                labels = batch.column("label").to_numpy() if origin.class_names else None
                yield images, labels
        except pa.ArrowException as error:
            raise ValueError(str(error)) from error


def _rows_at_once(metadata: Any, origin: Origin) -> int:
    """As many as fit in 1 GiB even if a dictionary puts the largest value that the file can hold in every row."""
    largest = 1
    for group in range(metadata.num_row_groups):
        for place in range(metadata.num_columns):
            chunk = metadata.row_group(group).column(place)
            if chunk.compression != "UNCOMPRESSED":
                raise ValueError("it is compressed, which samples of ours are not")
            largest = max(largest, chunk.total_uncompressed_size)
    return max(1, min(_size(origin), 2**30 // largest))


def _npz(open_: Open, names: list[str], count: int, origin: Origin) -> Iterator[Piece]:
    with open_(names[0]) as file, zipfile.ZipFile(file) as archive, archive.open("images.npy") as images:
        _check_npy(images, (count, *origin.image), "uint8")
        if not origin.class_names:
            yield from ((part, None) for part in _raw(images, count, origin))
            return
        with archive.open("labels.npy") as labels:
            _check_npy(labels, (count,), "int64")
            for part in _raw(images, count, origin):
                yield part, np.frombuffer(_exactly(labels, 8 * len(part)), "<i8")


def _check_npy(file: IO[bytes], shape: tuple[int, ...], dtype: str) -> None:
    if np.lib.format.read_magic(file) != (1, 0):
        raise ValueError("another version of npy")
    found, fortran, kind = np.lib.format.read_array_header_1_0(file)
    if (found, fortran, kind) != (shape, False, np.dtype(dtype)):
        raise ValueError(f"an array {kind} of {found} instead of {dtype} of {shape}")


def _idx(open_: Open, names: list[str], count: int, origin: Origin) -> Iterator[Piece]:
    with open_(names[0]) as packed, _unpacked(packed) as images:
        if struct.unpack(">HBBIII", _exactly(images, 16)) != (0, 8, 3, count, *origin.image[:2]):
            raise ValueError("its header is not that of these samples")
        if not origin.class_names:
            yield from ((part, None) for part in _raw(images, count, origin))
            return
        with open_(names[1]) as packed_labels, _unpacked(packed_labels) as labels:
            with _damage(names[1]):
                if struct.unpack(">HBBI", _exactly(labels, 8)) != (0, 8, 1, count):
                    raise ValueError("its header is not that of the labels of these samples")
            for part in _raw(images, count, origin):
                with _damage(names[1]):
                    found = np.frombuffer(_exactly(labels, len(part)), np.uint8).astype(np.int64)
                yield part, found


def _unpacked(file: IO[bytes]) -> IO[bytes]:
    return gzip.GzipFile(fileobj=file)  # type: ignore[return-value]


def _raw(file: IO[bytes], count: int, origin: Origin) -> Iterator[np.ndarray]:
    size = _size(origin)
    for first in range(0, count, size):
        rows = min(size, count - first)
        data = _exactly(file, rows * origin.image_bytes)
        yield np.frombuffer(data, np.uint8).reshape(rows, *origin.image)


def _exactly(file: IO[bytes], size: int) -> bytes:
    data = file.read(size)
    if len(data) != size:
        raise ValueError(f"it ends after {len(data):,} of {size:,} bytes")
    return data
