"""One image file to pixels: safely, in any mode, at the size asked for."""

from __future__ import annotations

import struct
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import IO

import numpy as np
from PIL import Image, UnidentifiedImageError

from synthgen.data.geometry import Geometry

MAX_PIXELS = 64_000_000
"""An image whose header promises more pixels than this is not decoded."""

SUFFIXES = frozenset(
    f".{name}"
    for name in (
        *("png", "jpg", "jpeg", "jpe", "jfif", "bmp", "gif", "webp"),
        *("tif", "tiff", "ppm", "pgm", "pbm", "pnm", "avif", "jp2"),
    )
)
"""What counts as an image file, in lower case."""

_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "PPM", "AVIF", "JPEG2000")
_GREY_MODES = ("1", "L", "LA", "La", "I", "F")
_ORIENTATION_TAG = 0x0112
_UPRIGHT = {  # EXIF orientation -> what brings the image upright (TIFF 6.0, page 36)
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

# What Pillow's readers raise on files that are cut off, altered, or something else altogether.
_READ_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    OverflowError,
    EOFError,
    struct.error,
    zlib.error,
    zipfile.BadZipFile,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
)


class BadImageError(Exception):
    """This file cannot be used as an image; the text says why, without the file's name."""


@dataclass(frozen=True)
class Probe:
    """What the header says. height and width as the image is to be seen, after its EXIF orientation."""

    height: int
    width: int
    mode: str
    grey: bool


@lru_cache(maxsize=1)
def _formats() -> tuple[str, ...]:
    """Only plain image formats: Pillow would also run Ghostscript on an EPS file that is named .png."""
    Image.init()
    return tuple(name for name in _FORMATS if name in Image.OPEN)


@contextmanager
def strict_pillow() -> Iterator[None]:
    """Pillow's own warning of decompression bombs is an error inside; other warnings about metadata are not shown.

    To be entered by the main thread around the reading of many files: the filters are those of the process.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


@contextmanager
def _reading() -> Iterator[None]:
    try:
        yield
    except UnidentifiedImageError as error:
        raise BadImageError("not an image in a format that is read here") from error
    except Image.DecompressionBombError as error:
        raise BadImageError(f"a decompression bomb: {error}") from error
    except MemoryError as error:
        raise BadImageError("does not fit in memory when decoded") from error
    except FileNotFoundError as error:
        raise BadImageError("the file is not there (any more)") from error
    except _READ_ERRORS as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise BadImageError(reason[:200]) from error


def _open(stream: IO[bytes]) -> Image.Image:
    image = Image.open(stream, formats=_formats())
    if image.width * image.height > MAX_PIXELS:
        raise BadImageError(
            f"a decompression bomb: its header promises {image.width:,} x {image.height:,} pixels, "
            f"the limit is {MAX_PIXELS // 10**6} megapixels"
        )
    if min(image.size) < 1:
        raise BadImageError("an image without pixels")
    return image


def probe(stream: IO[bytes]) -> Probe:
    """Read the header only. Raises BadImageError."""
    with _reading(), _open(stream) as image:
        height, width = image.height, image.width
        # Only from what lies before the pixels: asking Pillow for the EXIF of a PNG may decode all of it.
        if "exif" in image.info and _orientation(image) >= 5:
            height, width = width, height
        return Probe(height, width, image.mode, _is_grey(image))


def decode(stream: IO[bytes], geometry: Geometry) -> np.ndarray:
    """The pixels at the size and channels of `geometry`: uint8 (H, W, C). Raises BadImageError.

    Transparent parts are laid on white; 16-bit grey is scaled to 8 bits; the EXIF orientation is applied.
    """
    with _reading(), _open(stream) as image:
        # JPEG can decode at a half, quarter or eighth: at no less than twice the target this is all but the same.
        image.draft(None, (2 * geometry.width, 2 * geometry.height))
        image.load()
        turn = _UPRIGHT.get(_orientation(image))
        pixels = to_mode(image, geometry.channels)
        return fit(pixels if turn is None else pixels.transpose(turn), geometry)


def fit(image: Image.Image, geometry: Geometry) -> np.ndarray:
    """Scale an L or RGB image to cover the target, cut the middle out: uint8 (H, W, C)."""
    if image.size != (geometry.width, geometry.height):
        scale = min(image.width / geometry.width, image.height / geometry.height)
        wide, high = geometry.width * scale, geometry.height * scale
        left, top = (image.width - wide) / 2, (image.height - high) / 2
        box = (left, top, min(left + wide, image.width), min(top + high, image.height))
        # Pillow's bicubic widens its kernel when shrinking, so it does not alias (Parmar et al. 2022, clean-fid).
        image = image.resize((geometry.width, geometry.height), Image.Resampling.BICUBIC, box=box)
    return np.asarray(image, np.uint8).reshape(geometry.height, geometry.width, geometry.channels)


def to_mode(image: Image.Image, channels: int) -> Image.Image:
    """The image in mode L (channels 1) or RGB (channels 3), whatever its own mode."""
    target = "L" if channels == 1 else "RGB"
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        image = _eight_bit(image)
    if image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        if image.mode == "La":  # no direct way from premultiplied grey
            image = image.convert("LA")
        layer = image.convert("RGBA")
        white = Image.new("RGBA", layer.size, (255, 255, 255, 255))
        image = Image.alpha_composite(white, layer)
    if image.mode not in ("1", "L", "RGB"):
        image = image.convert("RGB")
    return image if image.mode == target else image.convert(target)


def _eight_bit(image: Image.Image) -> Image.Image:
    """Grey levels of more than 8 bits to 8: whole numbers as 16-bit, real numbers as [0, 1]."""
    values = np.asarray(image, np.float32)  # exact: 16 bits fit in its 24
    if not np.isfinite(values).all():
        raise ValueError("holds values that are not finite")
    low, high = float(values.min()), float(values.max())
    top = 1.0 if image.mode == "F" else 65535.0
    if low < 0 or high > top:
        raise ValueError(f"holds grey levels from {low:g} to {high:g}; in mode {image.mode} 0 to {top:g} is understood")
    return Image.fromarray(np.rint(values * (255.0 / top)).astype(np.uint8))


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 (upright) where there is none or it cannot be read: the pixels are good all the same."""
    try:
        return int(image.getexif().get(_ORIENTATION_TAG, 1))
    except _READ_ERRORS:
        return 1


def _is_grey(image: Image.Image) -> bool:
    if image.mode in ("P", "PA"):
        palette = image.getpalette("RGB") or []
        return palette[0::3] == palette[1::3] == palette[2::3]
    return image.mode in _GREY_MODES or image.mode.startswith("I;16")
