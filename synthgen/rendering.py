"""Pictures from arrays: grids, PNG bytes, data URIs. Shared by previews, samples, explanations and reports."""

from __future__ import annotations

import base64
import io
import itertools
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


def curves(values: np.ndarray, *, height: int = 28, width: int = 60) -> np.ndarray:
    """Draw sequences as small curves: values float (N, L, C) with NaN for gaps -> uint8 picture (H', W', 1).

    A column for each sequence, a row for each channel; the curves of a channel share one scale.
    """
    from PIL import Image, ImageDraw

    count, steps, channels = values.shape
    tiles = []
    for channel in range(channels):
        rows = values[..., channel]
        seen = rows[np.isfinite(rows)]
        low, high = (float(seen.min()), float(seen.max())) if len(seen) else (0.0, 1.0)
        span = high - low or 1.0
        for row in rows:
            tile = Image.new("L", (width, height), 255)
            points = [
                (1 + (width - 3) * index / max(steps - 1, 1), 1 + (height - 3) * (high - value) / span)
                for index, value in enumerate(row)
                if np.isfinite(value)
            ]
            if len(points) > 1:
                ImageDraw.Draw(tile).line(points, fill=20, width=1)
            tiles.append(np.asarray(tile)[..., None])
    return grid(np.stack(tiles), count, background=220)


_BARS = "▁▂▃▄▅▆▇█"


def sparkline(values: np.ndarray, *, width: int = 60) -> str:
    """A sequence as a line of bars: values float (L,) with NaN for gaps, which are blanks.

    More than `width` steps are drawn as the means of equal stretches.
    """
    if len(values) > width:
        ends = np.linspace(0, len(values), width + 1).astype(int)
        parts = [values[begin:end] for begin, end in itertools.pairwise(ends)]
        values = np.array([part[np.isfinite(part)].mean() if np.isfinite(part).any() else np.nan for part in parts])
    seen = values[np.isfinite(values)]
    if not len(seen):
        return ""
    low, span = float(seen.min()), float(seen.max() - seen.min()) or 1.0
    places = [int((value - low) / span * (len(_BARS) - 1) + 0.5) if np.isfinite(value) else -1 for value in values]
    return "".join(" " if place < 0 else _BARS[place] for place in places).rstrip()


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
