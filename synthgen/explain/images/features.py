"""Images as numbers that a forest reads and a person understands: ink, edges, frequencies, symmetry, shape, colour."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy import ndimage

DARK, BRIGHT = 0.1, 0.9
"""Of the range from black to white: below, a pixel counts as dark; above, as bright."""

BANDS = ((0.0, 0.125, "coarse"), (0.125, 0.25, "middling"), (0.25, 0.75, "fine"))
"""Shares of the power by cycles per pixel: periods of 8 pixels and more, of 4 to 8, under 4."""

_CUT = 0.5
"""Where a pixel is part of a bright figure."""


def image_features(images: np.ndarray) -> tuple[tuple[str, ...], np.ndarray]:
    """(names, float64 (N, F)) of uint8 images (N, H, W, C)."""
    scaled = images.astype(np.float64) / 255.0
    bright = scaled.mean(axis=-1)
    found = [
        *_tones(bright),
        *_edges(bright),
        *_bands(bright),
        *_symmetry(bright),
        *_place(bright),
        *_figures(bright),
        *_colours(scaled),
    ]
    return tuple(name for name, _ in found), np.stack([values for _, values in found], axis=1)


def _tones(bright: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """How light and dark are shared out."""
    yield "mean brightness", bright.mean(axis=(1, 2))
    yield "contrast", bright.std(axis=(1, 2))
    yield "share of dark pixels", (bright < DARK).mean(axis=(1, 2))
    yield "share of bright pixels", (bright > BRIGHT).mean(axis=(1, 2))
    yield "share of black pixels", (bright == 0).mean(axis=(1, 2))
    yield "share of white pixels", (bright == 1).mean(axis=(1, 2))
    yield "brightest pixel", bright.max(axis=(1, 2))
    yield "darkest pixel", bright.min(axis=(1, 2))
    border = np.concatenate([bright[:, [0, -1]].reshape(len(bright), -1), bright[:, :, 0], bright[:, :, -1]], axis=1)
    yield "brightness of the border", border.mean(axis=1)


def _edges(bright: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """How hard the steps are from pixel to pixel, and how much grain there is."""
    down, right = np.gradient(bright, axis=(1, 2))
    length = np.hypot(down, right)
    bent = ndimage.laplace(bright, axes=(1, 2), mode="nearest")
    yield "mean edge", length.mean(axis=(1, 2))
    yield "sharpest edge", length.max(axis=(1, 2))
    yield "sharpness", bent.var(axis=(1, 2))
    yield "grain", np.median(np.abs(bent), axis=(1, 2))
    yield "upright over level edges", np.abs(right).mean(axis=(1, 2)) - np.abs(down).mean(axis=(1, 2))
    yield "slant of the edges", (down * right).mean(axis=(1, 2))


def _bands(bright: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Where the power lies among the frequencies."""
    centred = bright - bright.mean(axis=(1, 2), keepdims=True)
    power = np.abs(np.fft.rfft2(centred)) ** 2
    frequency = np.hypot(np.fft.fftfreq(bright.shape[1])[:, None], np.fft.rfftfreq(bright.shape[2])[None])
    total = power.sum(axis=(1, 2))
    for low, high, name in BANDS:
        inside = (frequency > low) & (frequency <= high)
        yield f"share of {name} detail", power[:, inside].sum(axis=1) / np.where(total > 0, total, np.inf)


def _symmetry(bright: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Correlation with the mirror image."""
    centred = bright - bright.mean(axis=(1, 2), keepdims=True)
    power = np.square(centred).sum(axis=(1, 2))
    for axis, name in ((2, "left and right alike"), (1, "top and bottom alike")):
        mirrored = (centred * np.flip(centred, axis)).sum(axis=(1, 2))
        yield name, mirrored / np.where(power > 0, power, np.inf)


def _place(bright: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Where the light lies: its centre, spread and slant, in parts of the side."""
    height, width = bright.shape[1:]
    rows, columns = np.arange(height)[:, None] / height, np.arange(width)[None] / width
    mass = bright.sum(axis=(1, 2))
    weight = bright / np.where(mass > 0, mass, np.inf)[:, None, None]
    down, right = (weight * rows).sum(axis=(1, 2)), (weight * columns).sum(axis=(1, 2))
    off_down, off_right = rows - down[:, None, None], columns - right[:, None, None]
    yield "centre, from the top", down
    yield "centre, from the left", right
    yield "height of the light", np.sqrt((weight * off_down**2).sum(axis=(1, 2)))
    yield "width of the light", np.sqrt((weight * off_right**2).sum(axis=(1, 2)))
    yield "slant of the light", (weight * off_down * off_right).sum(axis=(1, 2))


def _figures(bright: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """The bright figures: how many, with how many holes, how thick their strokes are."""
    figures, holes, thickness = np.empty((3, len(bright)))
    diagonal = np.ones((3, 3), bool)
    for row, image in enumerate(bright):
        inside = image > _CUT
        figures[row] = ndimage.label(inside, diagonal)[1]
        outside = np.pad(~inside, 1, constant_values=True)
        holes[row] = ndimage.label(outside)[1] - 1  # one of them is the ground around
        thickness[row] = ndimage.distance_transform_edt(np.pad(inside, 1)).max()
    yield "bright figures", figures
    yield "holes", holes
    yield "thickest stroke", thickness


def _colours(scaled: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Of images with more than one channel."""
    if scaled.shape[-1] == 1:
        return
    means = scaled.mean(axis=(1, 2))
    for channel, name in enumerate(("red", "green", "blue")[: scaled.shape[-1]]):
        yield f"{name} against grey", means[:, channel] - means.mean(axis=1)
    yield "saturation", (scaled.max(axis=-1) - scaled.min(axis=-1)).mean(axis=(1, 2))
    yield "spread of saturation", (scaled.max(axis=-1) - scaled.min(axis=-1)).std(axis=(1, 2))
