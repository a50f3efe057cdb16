"""Images that are arrays already: from IDX, npz, CIFAR-10, or a prepared cache."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from synthgen.data.contents import About, Bad, Chunk
from synthgen.data.decode import fit, to_mode
from synthgen.data.geometry import Geometry, Survey
from synthgen.errors import UsageError
from synthgen.reporting import Reporter
from synthgen.stopping import ShouldStop, never_stop

_CHUNK_BYTES = 8 * 2**20
MAX_BYTES = 16 * 2**30
"""An array file that claims to unpack to more is refused before anything is unpacked."""
_BOMB_BYTES, _BOMB_RATIO = 2**30, 200
"""So is one that claims this many bytes or more, and that many times what is stored: images do not shrink so far."""


@dataclass(frozen=True)
class ArraySet:
    """uint8 images (N, H, W, 1 or 3), in memory or mapped; `index` names the rows in use (None: all).

    fingerprint: of the whole set, when it is known.
    """

    images: np.ndarray
    about: About
    index: np.ndarray | None = None
    fingerprint: str = ""

    def __len__(self) -> int:
        return len(self.images) if self.index is None else len(self.index)

    def take(self, index: np.ndarray | None, labels: np.ndarray | None, class_names: tuple[str, ...]) -> ArraySet:
        about = replace(self.about, labels=labels, class_names=class_names)
        if index is None:
            return replace(self, about=about)
        rows = index if self.index is None else self.index[index]
        return replace(self, about=about, index=rows, fingerprint="")

    def without(self, names: set[str]) -> ArraySet:
        return self  # there are no files to be without

    def survey(self, reporter: Reporter, should_stop: ShouldStop = never_stop) -> tuple[Survey, tuple[Bad, ...]]:
        height, width, channels = self.images.shape[1:]
        return Survey(np.array([[height, width]], np.int32), channels == 1), ()

    def is_at(self, geometry: Geometry) -> bool:
        """Whether the images have this shape already."""
        return self.images.shape[1:] == (geometry.height, geometry.width, geometry.channels)

    def read(self, geometry: Geometry, *, start: int = 0, should_stop: ShouldStop = never_stop) -> Iterator[Chunk]:
        largest = max(geometry.bytes_per_image, int(np.prod(self.images.shape[1:])))
        step = int(np.clip(_CHUNK_BYTES // largest, 16, 4096))
        for first in range(start, len(self), step):
            if should_stop():
                return
            positions = np.arange(first, min(first + step, len(self)))
            rows = positions if self.index is None else self.index[positions]
            yield Chunk(resize(np.ascontiguousarray(self.images[rows]), geometry), positions)

    def identity(self) -> str:
        whole = self.fingerprint or hashlib.sha256(np.ascontiguousarray(self.images).data).hexdigest()
        rows = b"" if self.index is None else self.index.tobytes()
        return hashlib.sha256(repr((whole, self.about.class_names)).encode() + rows).hexdigest()


def check_claim(where: str, claimed: int, stored: int) -> None:
    """Refuse an array by what its header says, before it is unpacked. Raises UsageError.

    claimed: bytes that it promises; stored: bytes that it takes up in its file.
    """
    if claimed > MAX_BYTES:
        raise UsageError(f"{where} claims {claimed:,} bytes: more than the limit of {MAX_BYTES:,}")
    if claimed >= _BOMB_BYTES and claimed > _BOMB_RATIO * stored:
        raise UsageError(
            f"{where} is a decompression bomb: {stored:,} bytes that claim to be {claimed:,}",
            "Save it again without compression if it is what you mean.",
        )


def resize(images: np.ndarray, geometry: Geometry) -> np.ndarray:
    """uint8 (n, H, W, 1 or 3) brought to `geometry`, exactly as an image file with these pixels would be."""
    shape = (geometry.height, geometry.width, geometry.channels)
    if images.shape[1:] == shape:
        return images
    result = np.empty((len(images), *shape), np.uint8)
    for row, image in enumerate(images):
        picture = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
        result[row] = fit(to_mode(picture, geometry.channels), geometry)
    return result


def to_uint8(values: np.ndarray, where: str) -> np.ndarray:
    """Pixels as uint8: bytes as they are, truth values and reals in [0, 1] scaled to 255, whole numbers in 0..255.

    Raises UsageError naming `where` and the offending range; NaN is an error.
    """
    if values.dtype == np.uint8:
        return values
    if values.dtype == np.bool_:
        return values.astype(np.uint8) * np.uint8(255)
    if values.dtype.kind not in "iuf":
        raise UsageError(f"{where} holds values of type {values.dtype}; images are uint8, or reals between 0 and 1")
    real = values.dtype.kind == "f"
    low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 0.0)
    if not (np.isfinite(low) and np.isfinite(high)):
        raise UsageError(f"{where} holds values that are not finite (NaN or infinity)")
    top = 1.0 if real else 255.0
    if low < 0 or high > top:
        raise UsageError(
            f"{where} holds values from {low:g} to {high:g}; {values.dtype} images must lie between 0 and {top:g}",
            "Scale them before saving: (x + 1) / 2 for [-1, 1], x / 255 for [0, 255]."
            if real
            else "Scale them to 0..255 before saving.",
        )
    result = np.empty(values.shape, np.uint8)
    for start in range(0, len(values), 1024):  # in pieces: no second array of reals
        piece = values[start : start + 1024]
        result[start : start + 1024] = np.rint(piece.astype(np.float64) * 255.0) if real else piece
    return result


def to_nhwc(images: np.ndarray, where: str) -> np.ndarray:
    """(N, H, W), (N, H, W, C) or (N, C, H, W) as contiguous (N, H, W, 1 or 3); four channels are laid on white."""
    if images.ndim == 3:
        images = images[..., None]
    elif images.ndim == 4 and images.shape[-1] not in (1, 3, 4) and images.shape[1] in (1, 3, 4):
        images = images.transpose(0, 2, 3, 1)
    if images.ndim != 4 or images.shape[-1] not in (1, 3, 4) or min(images.shape[1:3]) < 1:
        raise UsageError(
            f"{where} has shape {images.shape}; images are "
            "(N, H, W), (N, H, W, C) or (N, C, H, W) with 1, 3 or 4 channels"
        )
    if len(images) == 0:
        raise UsageError(f"{where} holds no images")
    if images.shape[-1] == 4:
        opaque = np.empty((*images.shape[:3], 3), np.uint8)
        for row, image in enumerate(images):
            opaque[row] = np.asarray(to_mode(Image.fromarray(np.ascontiguousarray(image)), 3))
        return opaque
    return np.ascontiguousarray(images)


def to_labels(
    values: np.ndarray, count: int, class_names: tuple[str, ...] | None, where: str
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Labels as int64 (N,) and the class names; without given names, the distinct values are the names.

    Raises UsageError when there are more or fewer labels than images, or a label without a name.
    """
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.shape != (count,):
        raise UsageError(
            f"{where} has shape {values.shape}, but there are {count:,} images: one label for each is needed"
        )
    if values.dtype.kind not in "iubU":
        raise UsageError(f"{where} holds values of type {values.dtype}; labels are whole numbers or texts")
    if class_names is None or values.dtype.kind == "U":
        distinct, labels = np.unique(values, return_inverse=True)
        names = tuple(str(value) for value in distinct.tolist())
        if class_names is not None:
            foreign = [name for name in names if name not in class_names]
            if foreign:
                raise UsageError(f"{where} holds the label '{foreign[0]}', which is not among the class names")
            labels = np.array([class_names.index(name) for name in names], np.int64)[labels]
        return labels.astype(np.int64).reshape(-1), class_names or names
    low, high = int(values.min()), int(values.max())
    if low < 0 or high >= len(class_names):
        raise UsageError(f"{where} holds labels from {low} to {high}, but there are {len(class_names)} class names")
    return values.astype(np.int64), class_names
