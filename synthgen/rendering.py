"""Pictures from arrays: grids, PNG bytes, data URIs. Shared by previews, samples, explanations and reports."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL import Image


def grid(images: np.ndarray, columns: int, *, gap: int = 1, background: int = 32) -> np.ndarray:
    """Lay images (N, H, W, C) uint8 out row by row; returns one uint8 picture (H', W', C)."""
    count, height, width, channels = images.shape
    columns = max(1, min(columns, count))
    rows = -(-count // columns)
    shape = (rows * (height + gap) + gap, columns * (width + gap) + gap, channels)
    canvas = np.full(shape, background, np.uint8)
    for index, image in enumerate(images):
        row, column = divmod(index, columns)
        top, left = gap + row * (height + gap), gap + column * (width + gap)
        canvas[top : top + height, left : left + width] = image
    return canvas


def to_pil(image: np.ndarray, *, scale: int = 1) -> Image.Image:
    """A PIL image of a uint8 array (H, W, 1 or 3), enlarged `scale` times without smoothing."""
    from PIL import Image

    picture = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
    if scale != 1:
        picture = picture.resize((picture.width * scale, picture.height * scale), Image.Resampling.NEAREST)
    return picture


def png_bytes(image: np.ndarray, *, scale: int = 1) -> bytes:
    """The PNG file of a uint8 array (H, W, C)."""
    buffer = io.BytesIO()
    to_pil(image, scale=scale).save(buffer, "PNG")
    return buffer.getvalue()


def data_uri(image: np.ndarray, *, scale: int = 1) -> str:
    """The picture as a `data:` URI, for HTML pages that stand alone."""
    return "data:image/png;base64," + base64.b64encode(png_bytes(image, scale=scale)).decode()
