"""The trajectory in pictures: a strip of all steps, and the frames of an animation."""

from __future__ import annotations

import io
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from synthgen.rendering import to_pil

PAPER, INK, SOFT = (255, 255, 255), (32, 32, 32), (112, 112, 112)  # greys, so that a GIF of greys is exact
ABOVE, BELOW = (194, 87, 12), (37, 99, 201)
_HEAD, _GAP, _PAIR_GAP = 44, 3, 12
_PART_WIDTH, _NAME_LIMIT = 58, 150
MAP_PARTS = ("image", "map", "overlay")
_COVER = 0.75
"""Of an image's pixel, that the strongest value of a map over it hides."""
MAX_COLUMNS, MAX_FRAMES = 16, 48
"""Steps that a strip and an animation show at most; of more, evenly spaced ones."""


def displayed(x: np.ndarray) -> np.ndarray:
    """Encoded images of each step, float (R, N, C, H, W), as uint8 (R, N, H, W, C) that can be looked at.

    [-1, 1] becomes 0 to 255. A step whose root mean square exceeds 1 (noise of sigma 80) is divided by it
    first: clipped, it would be black and white only.
    """
    level = np.sqrt(np.square(np.asarray(x, np.float64)).mean(axis=tuple(range(1, x.ndim)), keepdims=True))
    shown = np.clip(x / np.maximum(level, 1.0), -1.0, 1.0)
    return np.moveaxis(np.rint((shown + 1.0) * 127.5).astype(np.uint8), 2, -1)


def columns_of(steps: int, limit: int) -> list[int]:
    """The steps to draw: all of them, or `limit` evenly spaced ones with the first and the last."""
    if steps <= limit:
        return list(range(steps))
    return [int(i) for i in np.rint(np.linspace(0, steps - 1, limit))]


def sigma_text(sigma: float) -> str:
    """A noise level in a few letters: 80, 2.5, 0.02."""
    return f"{sigma:.0f}" if sigma >= 10 else f"{sigma:.2g}"


@dataclass(frozen=True)
class StripLayout:
    """Where things stand in a strip: `rows` samples of two tiles each, `columns` steps and the final image.

    tile: (height, width) of a tile in pixels. side: pixels left of the tiles, for names.
    """

    rows: int
    columns: int
    tile: tuple[int, int]
    side: int

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        left, top = self.corner(self.rows - 1, self.columns, 1)
        return left + self.tile[1] + _GAP, top + self.tile[0] + _GAP

    def corner(self, row: int, column: int, part: int) -> tuple[int, int]:
        """(left, top) of a tile; part 0 is x_t, 1 is x0_hat; column `columns` is the final image."""
        height, width = self.tile
        left = self.side + column * (width + _GAP) + (_PAIR_GAP if column == self.columns else 0)
        return left, _HEAD + row * (2 * (height + _GAP) + _PAIR_GAP) + part * (height + _GAP)


def tile_size(height: int, width: int, aim: int) -> tuple[int, int]:
    """(height, width) of a tile of about `aim` pixels: a whole multiple of the image, or a reduction."""
    side = max(height, width)
    if side <= aim:
        return height * (aim // side), width * (aim // side)
    return max(1, round(height * aim / side)), max(1, round(width * aim / side))


def strip(x: np.ndarray, x0: np.ndarray, sigmas: np.ndarray, names: Sequence[str], *, aim: int = 84) -> np.ndarray:
    """Samples (rows) over steps (columns): what the sampler holds above, the guess below, the end at right.

    Args:
        x: float (R + 1, N, C, H, W). x0: float (R, N, C, H, W). sigmas: (R,). names: N labels.
        aim: pixels of a tile, about.
    Returns: uint8 (height, width, 3).
    """
    held, guessed = displayed(x), displayed(x0)
    steps = columns_of(len(x0), MAX_COLUMNS)
    layout = strip_layout(x.shape, len(steps), names, aim)
    canvas = Image.new("RGB", layout.size, PAPER)
    draw = ImageDraw.Draw(canvas)
    for column, step in enumerate(steps):
        _head(draw, layout.corner(0, column, 0)[0], layout.tile[1], f"{step + 1}", sigma_text(sigmas[step]))
    _head(draw, layout.corner(0, len(steps), 0)[0], layout.tile[1], "final", "0")
    draw.text((8, 6), "step", INK, _font(13))
    draw.text((8, 23), "noise level", SOFT, _font(13))
    for row, name in enumerate(names):
        _side(draw, layout, row, name)
        for column, step in enumerate(steps):
            canvas.paste(tile(held[step, row], layout.tile), layout.corner(row, column, 0))
            canvas.paste(tile(guessed[step, row], layout.tile), layout.corner(row, column, 1))
        for part in (0, 1):
            canvas.paste(tile(held[-1, row], layout.tile), layout.corner(row, len(steps), part))
    return np.asarray(canvas)


def strip_layout(shape: tuple[int, ...], columns: int, names: Sequence[str], aim: int = 84) -> StripLayout:
    """The layout of `strip` for x of `shape` (R + 1, N, C, H, W) with `columns` drawn steps."""
    longest = max(_font(14).getlength(_fitting(name, _NAME_LIMIT, 14)) for name in names)
    side = _PART_WIDTH + max(40, int(longest) + 18)
    return StripLayout(shape[1], columns, tile_size(shape[3], shape[4], aim), side)


def tile(image: np.ndarray, size: tuple[int, int]) -> Image.Image:
    """A uint8 image (H, W, C) as RGB of (height, width) `size`: enlarged as it is, reduced smoothly."""
    picture = to_pil(image).convert("RGB")
    height, width = size
    how = Image.Resampling.NEAREST if height >= picture.height else Image.Resampling.LANCZOS
    return picture.resize((width, height), how)


def frames(
    x: np.ndarray, x0: np.ndarray, sigmas: np.ndarray, names: Sequence[str], *, aim: int = 112
) -> list[np.ndarray]:
    """One picture per step and one of the end: the samples side by side (eight to a row), x_t above x0_hat.

    Arguments as in `strip`. Returns: R + 1 uint8 pictures (height, width, 3) of one size; of more than 48
    steps, those of 48 evenly spaced ones and the end.
    """
    held, guessed = displayed(x), displayed(x0)
    steps, size = len(x0), tile_size(x.shape[3], x.shape[4], aim)
    pictures = [
        _frame(
            (held[step], guessed[step]),
            names,
            size,
            f"step {step + 1} of {steps}, noise level {sigma_text(sigmas[step])}",
        )
        for step in columns_of(steps, MAX_FRAMES)
    ]
    return [*pictures, _frame((held[-1], held[-1]), names, size, "final image")]


def frame_corner(index: int, count: int, size: tuple[int, int], part: int, parts: int = 2) -> tuple[int, int]:
    """(left, top) of sample `index` of `count` in a frame with tiles of `size`; part 0 of `parts` is the upper one."""
    row, column = divmod(index, min(8, count))
    block = parts * (size[0] + _GAP) + 24
    return 74 + column * (size[1] + _GAP), 34 + row * block + part * (size[0] + _GAP)


def _frame(
    shown: Sequence[np.ndarray],
    names: Sequence[str],
    size: tuple[int, int],
    told: str,
    parts: Sequence[str] = ("x_t", "x0_hat"),
) -> np.ndarray:
    """One frame: sets of uint8 images (N, H, W, C) above each other, one for each of `parts`, `told` as headline."""
    count, last = len(names), len(parts) - 1
    right = 74 + min(8, count) * (size[1] + _GAP) + _GAP
    bottom = frame_corner(count - 1, count, size, last, len(parts))[1] + size[0] + 24
    canvas = Image.new("RGB", (max(420, right), bottom), PAPER)
    draw = ImageDraw.Draw(canvas)
    draw.text((8, 8), told, INK, _font(15))
    for index, name in enumerate(names):
        for part, (images, label) in enumerate(zip(shown, parts, strict=True)):
            left, top = frame_corner(index, count, size, part, len(parts))
            canvas.paste(tile(images[index], size), (left, top))
            if index % 8 == 0:
                draw.text((8, top + size[0] // 2 - 8), label, SOFT, _font(13))
        left, top = frame_corner(index, count, size, last, len(parts))
        draw.text((left, top + size[0] + 3), _fitting(name, size[1], 13), SOFT, _font(13))
    return np.asarray(canvas)


def gif_bytes(pictures: Sequence[np.ndarray], *, milliseconds: int = 260, hold: int = 1800) -> bytes:
    """An endless GIF of uint8 pictures (H, W, 3), one frame each; the last one stays for `hold` milliseconds.

    Grey pictures keep their 256 levels exactly; coloured ones are brought to 256 colours of each frame's own.
    """
    grey = all((p[..., 0] == p[..., 1]).all() and (p[..., 0] == p[..., 2]).all() for p in pictures)
    mode = "L" if grey else "RGB"
    images = [Image.fromarray(p).convert(mode) for p in pictures]
    if not grey:
        images = [image.quantize(256, dither=Image.Dither.NONE) for image in images]
    times = [milliseconds] * (len(images) - 1) + [hold]
    buffer = io.BytesIO()
    images[0].save(buffer, "GIF", save_all=True, append_images=images[1:], duration=times, loop=0, optimize=False)
    return buffer.getvalue()


def printable(name: str) -> str:
    """The name in the letters that the font has: accents dropped, a question mark for what is left."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", name) if not unicodedata.combining(c))
    return "".join(letter if " " <= letter <= "~" else "?" for letter in plain)


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Pillow's own font: ASCII only, but there on every machine."""
    return ImageFont.load_default(size)


def _fitting(name: str, width: int, size: int) -> str:
    """The name, cut to `width` pixels with two dots where it is longer."""
    text, font = printable(name), _font(size)
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "..") > width:
        text = text[:-1]
    return text.rstrip() + ".."


def _head(draw: ImageDraw.ImageDraw, left: int, width: int, first: str, second: str) -> None:
    for top, text, colour in ((6, first, INK), (23, second, SOFT)):
        draw.text((left + width / 2, top), text, colour, _font(13), anchor="ma")


def _side(draw: ImageDraw.ImageDraw, layout: StripLayout, row: int, name: str) -> None:
    height = layout.tile[0]
    for part, text in enumerate(("x_t", "x0_hat")):
        top = layout.corner(row, 0, part)[1] + height // 2
        draw.text((layout.side - _PART_WIDTH + 6, top - 8), text, SOFT, _font(13))
    draw.text((8, layout.corner(row, 0, 0)[1] + height // 2 - 8), _fitting(name, _NAME_LIMIT, 14), INK, _font(14))


def signed_colors(values: np.ndarray, top: float | None = None) -> np.ndarray:
    """A signed map (H, W) in colours: orange above zero, white at zero, blue below; uint8 (H, W, 3).

    The scale is symmetric, its end `top`, or the 99.5th percentile of the absolute values, so that one pixel does not
    hide the rest.
    """
    strength, color = _strength(values, top)
    return np.rint(255.0 + strength * (color - 255.0)).astype(np.uint8)


def overlay(image: np.ndarray, values: np.ndarray) -> np.ndarray:
    """A signed map (H, W) over its image, uint8 (H, W, C): the colours of `signed_colors` where the map says most, the
    image as it is where it says nothing; uint8 (H, W, 3)."""
    strength, color = _strength(values)
    weight = _COVER * strength
    return np.rint(image.astype(np.float64) * (1.0 - weight) + color * weight).astype(np.uint8)


def _strength(values: np.ndarray, top: float | None = None) -> tuple[np.ndarray, np.ndarray]:
    """How strong a signed map is, (H, W, 1) in [0, 1], and in which colour, (H, W, 3)."""
    top = top or float(np.quantile(np.abs(values), 0.995)) or float(np.abs(values).max()) or 1.0
    signed = np.clip(values / top, -1.0, 1.0)[..., None]
    color = np.where(signed >= 0, np.array(ABOVE, np.float64), np.array(BELOW, np.float64))
    return np.abs(signed), color


def map_strip(images: np.ndarray, maps: np.ndarray, names: Sequence[str], *, aim: int = 140) -> np.ndarray:
    """Images (uint8 N, H, W, C), below them their signed maps (N, H, W), and these over the images; uint8 (height,
    width, 3)."""
    colored = np.stack([signed_colors(one) for one in maps])
    both = np.stack([overlay(image, one) for image, one in zip(images, maps, strict=True)])
    size, told = tile_size(images.shape[1], images.shape[2], aim), "orange speaks for the class, blue against it"
    return _frame((images, colored, both), names, size, told, MAP_PARTS)
