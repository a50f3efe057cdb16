"""Strips and animations show the arrays, pixel by pixel."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from synthgen.explain.pictures import (
    ABOVE,
    BELOW,
    MAP_PARTS,
    MAX_COLUMNS,
    columns_of,
    displayed,
    frame_corner,
    frames,
    gif_bytes,
    map_strip,
    overlay,
    printable,
    signed_colors,
    strip,
    strip_layout,
    tile_size,
)


def arrays(steps: int, count: int, channels: int = 1, side: int = 8) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(steps)
    x = rng.uniform(-1, 1, (steps + 1, count, channels, side, side)).astype(np.float32)
    return x, rng.uniform(-1, 1, x[1:].shape).astype(np.float32), np.geomspace(80, 0.01, steps)


def pixels(value: np.ndarray) -> np.ndarray:
    """The grey levels of [-1, 1], by the definition: 0 at -1, 255 at 1."""
    return np.moveaxis(np.floor((value.astype(np.float64) + 1) * 127.5 + 0.5).astype(np.uint8), 0, -1)


def cut(picture: np.ndarray, corner: tuple[int, int], tile: tuple[int, int], side: int) -> np.ndarray:
    """The image under a tile, whose pixels must be blocks of one colour."""
    left, top = corner
    area = picture[top : top + tile[0], left : left + tile[1]].reshape(side, tile[0] // side, side, tile[1] // side, 3)
    assert (area == area[:, :1, :, :1]).all(), "not an enlargement without smoothing"
    return area[:, 0, :, 0]


@pytest.mark.parametrize("channels", [1, 3])
def test_strip_holds_every_step_of_every_sample(channels):
    x, x0, sigmas = arrays(5, 3, channels)
    names = ["a", "b", "c"]
    picture = strip(x, x0, sigmas, names)
    layout = strip_layout(x.shape, 5, names)
    assert picture.shape == (layout.size[1], layout.size[0], 3)
    for row in range(3):
        for column in range(6):
            for part, source in enumerate((x, x0)):
                shown = source[column, row] if column < 5 else x[-1, row]
                assert np.array_equal(
                    cut(picture, layout.corner(row, column, part), layout.tile, 8),
                    np.broadcast_to(pixels(shown), (8, 8, 3)),
                )


def test_strip_of_many_steps_shows_evenly_spaced_ones_with_both_ends():
    x, x0, sigmas = arrays(100, 1)
    steps = columns_of(100, MAX_COLUMNS)
    assert len(steps) == MAX_COLUMNS and steps[0] == 0 and steps[-1] == 99
    assert set(np.diff(steps)) <= {6, 7}
    layout = strip_layout(x.shape, MAX_COLUMNS, ["a"])
    shown = cut(strip(x, x0, sigmas, ["a"]), layout.corner(0, 7, 1), layout.tile, 8)
    assert np.array_equal(shown, np.broadcast_to(pixels(x0[steps[7], 0]), (8, 8, 3)))


def test_loud_noise_is_shown_in_grey_levels_not_clipped():
    noise = 80 * np.random.default_rng(0).normal(size=(1, 2, 1, 32, 32))
    shown = displayed(noise)
    assert 40 < np.median(np.abs(shown.astype(int) - 127)) < 128
    assert (shown == 0).mean() < 0.25 and (shown == 255).mean() < 0.25
    assert np.array_equal(displayed(np.array([[[[[-1.0, 1.0]]]]]))[0, 0, 0, :, 0], [0, 255])


@pytest.mark.parametrize("count", [1, 9])
def test_gif_has_a_frame_per_step_with_the_exact_grey_levels(count):
    x, x0, sigmas = arrays(4, count)
    names = [f"n{k}" for k in range(count)]
    animation = Image.open(io.BytesIO(gif_bytes(frames(x, x0, sigmas, names), milliseconds=100, hold=900)))
    assert animation.n_frames == 5 and animation.info["loop"] == 0
    size, times = tile_size(8, 8, 112), []
    for step in range(5):
        animation.seek(step)
        times.append(animation.info["duration"])
        picture = np.asarray(animation.convert("RGB"))
        for index in range(count):
            for part, shown in enumerate((x[step, index], x0[step, index] if step < 4 else x[-1, index])):
                found = cut(picture, frame_corner(index, count, size, part), size, 8)
                assert np.array_equal(found, np.broadcast_to(pixels(shown), (8, 8, 3)))
    assert times == [100, 100, 100, 100, 900]


def test_coloured_gif_keeps_its_frames_and_roughly_its_colours():
    x, x0, sigmas = arrays(3, 2, channels=3, side=4)
    pictures = frames(x, x0, sigmas, ["a", "b"])
    animation = Image.open(io.BytesIO(gif_bytes(pictures)))
    assert animation.n_frames == 4
    for step in range(4):
        animation.seek(step)
        difference = np.abs(np.asarray(animation.convert("RGB")).astype(int) - pictures[step])
        assert difference.mean() < 3


def test_large_images_are_reduced_small_ones_enlarged_by_whole_numbers():
    assert tile_size(28, 28, 84) == (84, 84)
    assert tile_size(30, 20, 84) == (60, 40)
    assert tile_size(512, 256, 84) == (84, 42)


def test_signed_map_is_white_at_zero_and_symmetric():
    values = np.linspace(-2, 2, 401).reshape(1, 401)
    colors = signed_colors(values)
    assert colors[0, 200].tolist() == [255, 255, 255]
    assert colors[0, -1].tolist() == list(ABOVE) and colors[0, 0].tolist() == list(BELOW)
    away = 255 - colors.astype(int).min(-1)[0]
    assert (np.diff(away[200:]) >= 0).all() and (np.diff(away[:201]) <= 0).all()
    assert (signed_colors(np.zeros((2, 2))) == 255).all()


def test_a_map_covers_its_image_where_it_says_something():
    image = np.arange(64, dtype=np.uint8).reshape(8, 8, 1)
    grey = np.repeat(image, 3, axis=-1)
    assert np.array_equal(overlay(image, np.zeros((8, 8))), grey)
    values = np.zeros((8, 8))
    values[0, 0], values[7, 7] = 1.0, -1.0
    found = overlay(grey, values)
    assert found[0, 0].tolist() == np.rint(0.25 * grey[0, 0] + 0.75 * np.array(ABOVE)).tolist()
    assert found[7, 7].tolist() == np.rint(0.25 * grey[7, 7] + 0.75 * np.array(BELOW)).tolist()
    values[0, 0] = values[7, 7] = 0.0
    assert np.array_equal(found[1:7], grey[1:7])


def test_a_strip_of_maps_shows_images_maps_and_overlays():
    images = np.random.default_rng(0).integers(0, 256, (9, 8, 8, 1), dtype=np.uint8)
    maps = np.random.default_rng(1).normal(size=(9, 8, 8))
    picture, size = map_strip(images, maps, [f"n{k}" for k in range(9)]), tile_size(8, 8, 140)
    for index in (0, 8):  # of the first row of samples and of the second
        shown = (np.repeat(images[index], 3, -1), signed_colors(maps[index]), overlay(images[index], maps[index]))
        for part, expected in enumerate(shown):
            corner = frame_corner(index, 9, size, part, len(MAP_PARTS))
            assert np.array_equal(cut(picture, corner, size, 8), expected), (index, part)


def test_names_are_brought_to_the_letters_of_the_font():
    assert printable("Überzug 1") == "Uberzug 1"
    assert printable("数字") == "??"
