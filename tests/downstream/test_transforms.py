"""Classical augmentation against scipy's resampling, and its bounds."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import affine_transform

from synthgen.downstream.transforms import Transforms, parse_transforms
from synthgen.errors import UsageError

STILL = Transforms(shift=0.0, rotation=0.0, scale=0.0)


def _smooth(height: int, width: int) -> np.ndarray:
    """A picture without symmetry, smooth enough for any interpolation."""
    y, x = np.mgrid[:height, :width]
    return np.exp(-((y - 9.0) ** 2 + (x - 6.0) ** 2) / 18) + 0.5 * np.exp(-((y - 5.0) ** 2 + (x - 12.0) ** 2) / 8)


def test_without_any_change_the_images_stay() -> None:
    images = torch.rand(5, 3, 11, 17)
    torch.testing.assert_close(STILL.apply(images, np.random.default_rng(0)), images, atol=1e-5, rtol=0)


@pytest.mark.parametrize("seed", range(4))
def test_turning_scaling_and_moving_is_what_scipy_does(seed: int) -> None:
    """On an image that is not square; scipy works in pixels, from the centre, rows first."""
    height, width = 16, 21
    picture = _smooth(height, width)
    transforms = Transforms(shift=0.1, rotation=30.0, scale=0.2)
    found = transforms.apply(torch.from_numpy(picture)[None, None], np.random.default_rng(seed))[0, 0].numpy()

    random = np.random.default_rng(seed)  # the draws in the order of the code, the arithmetic anew
    angle = np.deg2rad(random.uniform(-30, 30, 1))[0]
    zoom = 1 / random.uniform(0.8, 1.2, 1)[0]
    (across,), (down,) = random.uniform(-0.2, 0.2, (2, 1))
    turn = zoom * np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    centre = np.array([(height - 1) / 2, (width - 1) / 2])
    moved = np.array([down * height / 2, across * width / 2])
    expected = affine_transform(picture, turn, centre - turn @ centre + moved, order=1, mode="nearest")
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_half_of_the_images_are_mirrored_when_asked_for_and_none_otherwise() -> None:
    images = torch.rand(1, 1, 8, 8).expand(200, 1, 8, 8)
    flips = Transforms(0.0, 0.0, 0.0, horizontal_flip=True).apply(images, np.random.default_rng(0))
    mirrored = [torch.allclose(one, images[0].flip(-1), atol=1e-5) for one in flips]
    plain = [torch.allclose(one, images[0], atol=1e-5) for one in flips]
    assert all(a != b for a, b in zip(mirrored, plain, strict=True))
    assert 70 < sum(mirrored) < 130
    assert not Transforms().horizontal_flip


def test_the_changes_stay_within_their_bounds_and_reach_them() -> None:
    transforms = Transforms(shift=0.1, rotation=20.0, scale=0.25)
    matrices = transforms.matrices(4000, 12, 12, np.random.default_rng(0)).astype(np.float64)
    zoom = 1 / np.hypot(matrices[:, 0, 0], matrices[:, 1, 0])
    angle = np.rad2deg(np.arctan2(matrices[:, 1, 0], matrices[:, 0, 0]))
    shift = matrices[:, :, 2] / 2
    for values, most, centre in ((zoom, 0.25, 1.0), (angle, 20.0, 0.0), (shift, 0.1, 0.0)):
        away = np.abs(values - centre).max()
        assert 0.98 * most < away <= most * (1 + 1e-5)
        assert abs(np.mean(values) - centre) < 0.05 * most


def test_texts() -> None:
    assert parse_transforms("") == Transforms()
    assert parse_transforms("shift=0.2, flip") == Transforms(shift=0.2, horizontal_flip=True)
    assert "never mirrored" in Transforms().sentence
    for text, said in (
        ("rotate=3", r"no change 'rotate=3' \(did you mean 'rotation'"),
        ("shift=2", "shift must be a number from 0 to 0.5, not '2'"),
        ("scale=nan", "scale must be a number"),
        ("rotation", "rotation must be a number"),
        ("flip=1", "no change 'flip=1'"),
    ):
        with pytest.raises(UsageError, match=said):
            parse_transforms(text)
