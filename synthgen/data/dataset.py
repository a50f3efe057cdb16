"""What every image loader returns, and how pixels become numbers and back."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from synthgen.errors import UsageError, nearest

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class ImageData:
    """A set of images in memory or memory-mapped.

    images: uint8 (N, H, W, C), C = 1 or 3; a `numpy.memmap` when it was prepared on disk.
    labels: int64 (N,) indices into `class_names`, or None for unlabelled data (then `class_names` is empty).
    name: `mnist`, or the folder or file; split: `train`, `test` or `all`.
    fingerprint: sha256 (hex) of pixels, labels and class names; two equal sets have equal fingerprints.
    skipped: the unreadable files that were left out, each with its reason.
    captioned: the classes are captions (`synthgen.data.captions`).
    """

    images: np.ndarray
    labels: np.ndarray | None
    class_names: tuple[str, ...]
    name: str
    split: str = "all"
    licence: str = ""
    fingerprint: str = ""
    skipped: tuple[str, ...] = ()
    captioned: bool = False

    def __post_init__(self) -> None:
        if not self.fingerprint:
            object.__setattr__(self, "fingerprint", fingerprint(self.images, self.labels, self.class_names))

    def __len__(self) -> int:
        return len(self.images)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(height, width, channels)."""
        height, width, channels = self.images.shape[1:]
        return int(height), int(width), int(channels)

    @property
    def has_classes(self) -> bool:
        """Whether there are two labels or more that a classifier can learn: captions need ten images each, or more."""
        if self.labels is None:
            return False
        return len(np.unique(self.labels)) > 1 and not (self.captioned and len(self) < 10 * len(self.class_names))

    def select(self, index: np.ndarray) -> ImageData:
        """The rows in `index`, copied into memory, with a fingerprint of their own."""
        labels = None if self.labels is None else self.labels[index]
        return replace(self, images=np.ascontiguousarray(self.images[index]), labels=labels, fingerprint="")

    def hold_out(self, share: float) -> tuple[ImageData, ImageData | None]:
        """(what to train on, what to choose by), the same for the same images whoever asks.

        The second has round(share x N) images in random order, each class in its share; None when that is nothing.
        """
        count = round(share * len(self))
        if count == 0:
            return self, None
        generator = np.random.Generator(np.random.Philox(key=len(self)))
        order = generator.permutation(len(self))
        if self.labels is not None:  # by the share of its class that is before it: every class is cut alike
            labels = self.labels[order]
            place = np.empty(len(self))
            for label in np.unique(labels):
                of_class = np.flatnonzero(labels == label)
                place[of_class] = (np.arange(len(of_class)) + 0.5) / len(of_class)
            order = order[np.argsort(place, kind="stable")]
        return self.select(np.sort(order[count:])), self.select(order[:count])

    def align(self, class_names: tuple[str, ...]) -> ImageData:
        """The same images with labels counted in `class_names`: two sources then mean the same by label 3.

        Raises UsageError when this set has no labels, or a class that is not among `class_names`.
        """
        if self.class_names == class_names:
            return self
        if self.labels is None:
            raise UsageError(f"{self.name} has no labels to match with the classes {', '.join(class_names[:10])}")
        foreign = [name for name in self.class_names if name not in class_names]
        if foreign:
            raise UsageError(
                f"{self.name} has a class '{foreign[0]}' that the other images have not"
                f"{nearest(foreign[0], class_names)}",
                f"The classes of the others: {', '.join(class_names[:20])}.",
            )
        position = np.array([class_names.index(name) for name in self.class_names], np.int64)
        return replace(self, labels=position[self.labels], class_names=class_names, fingerprint="")


class Fingerprint:
    """sha256 over pixels, labels, shape and class names, fed in pieces: what is hashed need not fit in memory."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()

    def add(self, images: np.ndarray) -> None:
        """The next images, uint8 (n, H, W, C)."""
        self._digest.update(np.ascontiguousarray(images).data)

    def finish(self, shape: tuple[int, ...], labels: np.ndarray | None, class_names: tuple[str, ...]) -> str:
        """The hex digest; `shape` is (N, H, W, C). Last come the parts that tell where the earlier ones ended."""
        if labels is not None:
            self._digest.update(np.ascontiguousarray(labels, dtype="<i8").data)
        plain_shape = tuple(int(side) for side in shape)
        self._digest.update(repr((plain_shape, labels is not None, class_names)).encode())
        return self._digest.hexdigest()


def fingerprint(images: np.ndarray, labels: np.ndarray | None, class_names: tuple[str, ...]) -> str:
    """The `Fingerprint` of a whole set; reads memory-mapped data in pieces."""
    digest = Fingerprint()
    for start in range(0, len(images), 4096):
        digest.add(images[start : start + 4096])
    return digest.finish(images.shape, labels, class_names)


@dataclass(frozen=True)
class ImageCodec:
    """uint8 pixels (N, H, W, C) <-> float32 (N, C, H, W) in [-1, 1]."""

    height: int
    width: int
    channels: int

    def encode(self, pixels: torch.Tensor) -> torch.Tensor:
        """uint8 (N, H, W, C) to float32 (N, C, H, W) in [-1, 1]."""
        return pixels.permute(0, 3, 1, 2).float().div_(127.5).sub_(1.0)

    def decode(self, x: torch.Tensor) -> torch.Tensor:
        """Float (N, C, H, W) to uint8 (N, H, W, C), rounded to the nearest grey level."""
        levels = x.float().clamp(-1.0, 1.0).add(1.0).mul(127.5).round()
        return levels.byte().permute(0, 2, 3, 1).contiguous()

    def to_dict(self) -> dict[str, Any]:
        return {"height": self.height, "width": self.width, "channels": self.channels}
