"""The IDX format of MNIST: big-endian header, raw bytes, often gzipped.

Layout (LeCun, Cortes, Burges): two zero bytes, one byte for the type (0x08: unsigned byte), one byte for the number of
dimensions, one big-endian uint32 per dimension, then the values in C order.
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path
from typing import IO

import numpy as np

from synthgen.data.arrays import check_claim
from synthgen.errors import UsageError

_UNSIGNED_BYTE = 0x08


def read_idx(path: Path) -> np.ndarray:
    """The uint8 array in an IDX file, gzipped or not (told by its first bytes, not by its name).

    Raises UsageError naming the file when it is no IDX file, holds another type, or is shorter or longer than its
    header says.
    """
    try:
        with path.open("rb") as raw:
            zipped = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            if not zipped:
                return _read(raw, path)
            with gzip.GzipFile(fileobj=raw) as stream:
                return _read(stream, path)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise UsageError(f"{path} is damaged: {error}", "Delete it and fetch or copy the file again.") from error
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror or error}") from error


def _read(stream: IO[bytes] | gzip.GzipFile, path: Path) -> np.ndarray:
    shape = _read_shape(stream, path)
    expected = math.prod(shape)
    check_claim(str(path), expected, path.stat().st_size)
    # In pieces: a header that lies must not make us allocate what is not there.
    values = bytearray()
    while len(values) < expected:
        piece = stream.read(min(expected - len(values), 1 << 24))
        if not piece:
            raise UsageError(
                f"{path} is truncated: its header promises {expected:,} bytes, it holds {len(values):,}",
                "Fetch or copy the file again.",
            )
        values += piece
    if stream.read(1):
        raise UsageError(f"{path} holds more than the {expected:,} bytes its header promises")
    return np.frombuffer(values, np.uint8).reshape(shape)


def _read_shape(stream: IO[bytes] | gzip.GzipFile, path: Path) -> tuple[int, ...]:
    head = stream.read(4)
    if len(head) < 4 or head[:2] != b"\0\0" or not 1 <= head[3] <= 4:
        raise UsageError(f"{path} is not an IDX file: it begins with the bytes {head.hex(' ') or '(none)'}")
    if head[2] != _UNSIGNED_BYTE:
        raise UsageError(f"{path} holds values of IDX type 0x{head[2]:02x}; images and labels must be bytes (0x08)")
    dimensions = stream.read(4 * head[3])
    if len(dimensions) < 4 * head[3]:
        raise UsageError(f"{path} is truncated inside its header")
    return struct.unpack(f">{head[3]}I", dimensions)


def encode_idx(array: np.ndarray, *, compress: bool = True) -> bytes:
    """The bytes of an IDX file for a uint8 array of 1 to 4 dimensions; gzip without a time stamp: same in, same out."""
    if array.dtype != np.uint8 or not 1 <= array.ndim <= 4:
        raise ValueError(f"IDX here holds uint8 in 1 to 4 dimensions, not {array.dtype} in {array.ndim}")
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, _UNSIGNED_BYTE, array.ndim, *array.shape)
    content = header + np.ascontiguousarray(array).tobytes()
    return gzip.compress(content, compresslevel=9, mtime=0) if compress else content


def read_pair(images_path: Path, labels_path: Path | None) -> tuple[np.ndarray, np.ndarray | None]:
    """Images as uint8 (N, H, W, C) and labels as int64 (N,) or None; checks that the two files belong together."""
    images = read_idx(images_path)
    if images.ndim == 3:
        images = images[..., None]
    if images.ndim != 4 or images.shape[-1] not in (1, 3):
        raise UsageError(f"{images_path} holds an array of shape {images.shape}, not images (N, H, W) or (N, H, W, 3)")
    if labels_path is None:
        return images, None
    labels = read_idx(labels_path)
    if labels.shape != (len(images),):
        raise UsageError(
            f"{labels_path} does not belong to {images_path.name}: "
            f"labels of shape {labels.shape} for {len(images):,} images"
        )
    return images, labels.astype(np.int64)
