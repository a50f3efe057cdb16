"""Which size and how many channels a set of images is brought to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from synthgen.errors import UsageError

NATIVE_SIDE = 64
"""Images of one size are kept as they are up to this side in pixels; larger or mixed ones become squares of it."""

_SMALLEST_SIDE = 4


@dataclass(frozen=True)
class Geometry:
    """The common shape of the images. note: one sentence when the choice was ours and changes them, else empty."""

    height: int
    width: int
    channels: int
    note: str = ""

    @property
    def bytes_per_image(self) -> int:
        return self.height * self.width * self.channels


@dataclass(frozen=True)
class Survey:
    """What the headers of some images say. sizes: int (N, 2), (height, width); grey: all are grey."""

    sizes: np.ndarray
    grey: bool

    def span(self) -> str:
        """`28 x 28` or `20 x 30 to 640 x 480`, height by width, ordered by area."""
        order = np.argsort(self.sizes[:, 0].astype(np.int64) * self.sizes[:, 1], kind="stable")
        small, large = self.sizes[order[0]], self.sizes[order[-1]]
        least, most = f"{small[0]} x {small[1]}", f"{large[0]} x {large[1]}"
        return least if (self.sizes == self.sizes[0]).all() else f"{least} to {most}"


def plan_geometry(
    survey: Survey, image_size: int | tuple[int, int] | None, channels: int | None, *, keep: bool = False
) -> Geometry:
    """Choose the shape.

    An explicit `image_size` (pixels; a square, or (height, width)) is taken. Otherwise images of one size are kept up
    to 64 pixels a side (or always, with `keep`: they were prepared for this), and all others become squares of the
    median short side, rounded down to a multiple of 8, between 8 and 64. channels None: 1 if all are grey, else 3.
    """
    if channels not in (None, 1, 3):
        raise UsageError(f"images have 1 channel (grey) or 3 (RGB), not {channels}")
    depth = channels or (1 if survey.grey else 3)
    if image_size is not None:
        height, width = (image_size, image_size) if isinstance(image_size, int) else image_size
        if min(height, width) < 1:
            raise UsageError(f"an image size of {height} x {width} pixels is no size")
        return Geometry(int(height), int(width), depth)
    one_size = bool((survey.sizes == survey.sizes[0]).all())
    height, width = (int(side) for side in survey.sizes[0])
    if one_size and (keep or (min(height, width) >= _SMALLEST_SIDE and max(height, width) <= NATIVE_SIDE)):
        return Geometry(height, width, depth)
    short = float(np.median(survey.sizes.min(axis=1)))
    side = int(min(NATIVE_SIDE, max(8, short // 8 * 8)))
    note = (
        f"The images measure {survey.span()} pixels: each is resized to {side} x {side}, cropped at the centre "
        "(give an image size to choose another)."
    )
    return Geometry(side, side, depth, note)
