"""The nearest image: against an exhaustive search, under shifts and brightness, in blocks."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import zscore

from synthgen.errors import StoppedError
from synthgen.evaluation.neighbours import RANK, PixelIndex, _top, nearest_features
from synthgen.evaluation.planting import KINDS, plant

pytestmark = pytest.mark.usefixtures("one_thread")


def textures(count: int, *, seed: int = 0, size: int = 16, channels: int = 1) -> np.ndarray:
    """Smooth random images, all different."""
    random = np.random.default_rng(seed)
    coarse = random.uniform(0, 255, (count, 5, 5, channels))
    return np.kron(coarse, np.ones((1, 4, 4, 1)))[:, :size, :size].astype(np.uint8)


def exhaustive(queries: np.ndarray, images: np.ndarray, reach: int) -> np.ndarray:
    """The highest correlation of every query with every image over all shifts, (M, N), one pair at a time."""
    height, width = queries.shape[1:3]
    found = np.full((len(queries), len(images)), -1.0)
    inner = queries[:, reach : height - reach, reach : width - reach].astype(float).reshape(len(queries), -1)
    for down in range(-reach, reach + 1):
        for right in range(-reach, reach + 1):
            rows, columns = slice(reach + down, height - reach + down), slice(reach + right, width - reach + right)
            moved = images[:, rows, columns].astype(float).reshape(len(images), -1)
            found = np.maximum(found, zscore(inner, axis=1) @ zscore(moved, axis=1).T / moved.shape[1])
    return found


@pytest.mark.parametrize("channels", [1, 3])
def test_likeness_and_rank_are_those_of_an_exhaustive_search(channels: int) -> None:
    images, queries = textures(16, channels=channels), textures(20, seed=1, channels=channels)
    found, expected = PixelIndex(images).search(queries), exhaustive(queries, images, 2)
    np.testing.assert_array_equal(found.index, expected.argmax(1))
    np.testing.assert_allclose(found.likeness, expected.max(1), atol=1e-5)
    local = np.sqrt(2 - 2 * np.sort(expected, axis=1)[:, -RANK])
    np.testing.assert_allclose(found.local, local, atol=1e-4)
    np.testing.assert_allclose(found.ratio, np.sqrt(2 - 2 * expected.max(1)) / local, atol=1e-4)


def test_candidates_from_many_images_are_nearly_always_the_nearest() -> None:
    images, queries = textures(1500), textures(60, seed=1)
    found, expected = PixelIndex(images).search(queries), exhaustive(queries, images, 2)
    assert np.mean(found.index == expected.argmax(1)) > 0.6
    assert np.mean(expected.max(1) - found.likeness) < 0.01
    assert found.likeness.max() < 0.999


@pytest.mark.parametrize("kind", KINDS)
def test_altered_copies_are_found_with_their_source(kind: str) -> None:
    images = textures(1000, channels=3)
    source = np.arange(0, 1000, 10)
    found = PixelIndex(images).search(plant(images[source], kind))
    assert np.mean(found.index == source) >= 0.98
    assert np.mean(found.ratio < 0.5) >= 0.98


@pytest.mark.parametrize("step", [(2, 0), (-1, 2), (0, 0)])
def test_the_shift_is_told(step: tuple[int, int]) -> None:
    images = textures(50)
    moved = np.roll(images, step, axis=(1, 2))
    found = PixelIndex(images).search(moved)
    np.testing.assert_array_equal(found.index, np.arange(50))
    assert found.copy.all() and not found.ratio.any()
    np.testing.assert_array_equal(found.shift, np.tile([-step[0], -step[1]], (50, 1)))


def test_an_image_is_not_its_own_neighbour() -> None:
    images = textures(40)
    images[7] = images[31]
    found = PixelIndex(images).search(images, exclude=np.arange(40))
    assert (found.index != np.arange(40)).all()
    assert (found.index[7], found.index[31]) == (31, 7)
    np.testing.assert_array_equal(np.flatnonzero(found.copy), [7, 31])


def test_flat_images_are_like_flat_images_only() -> None:
    images = textures(30)
    images[4] = 0
    queries = np.stack([np.full_like(images[0], 200), images[9]])
    found = PixelIndex(images).search(queries)
    np.testing.assert_array_equal(found.index, [4, 9])
    np.testing.assert_allclose(found.likeness, 1.0, atol=1e-5)
    alone = PixelIndex(images[5:]).search(queries[:1])
    assert alone.likeness[0] == 0.0


def test_an_image_of_which_there_are_many_is_one_of_many() -> None:
    images = textures(60)
    images[: RANK + 5] = images[0]
    assert PixelIndex(images).search(images[:1]).ratio[0] == 1.0
    assert PixelIndex(images[RANK:]).search(images[:1]).ratio[0] == 0.0


def test_large_and_tiny_images() -> None:
    large = np.kron(textures(20, size=20), np.ones((1, 4, 5, 1), np.uint8))
    found = PixelIndex(large).search(large)
    np.testing.assert_array_equal(found.index, np.arange(20))
    tiny = np.random.default_rng(0).integers(0, 256, (3, 4, 4, 1), dtype=np.uint8)
    np.testing.assert_array_equal(PixelIndex(tiny).search(tiny).index, np.arange(3))


def test_the_best_columns_are_those_of_a_full_sort() -> None:
    scores = torch.randn(7, 32 * 50, generator=torch.Generator().manual_seed(0))
    values, columns = _top(scores, 16)
    expected = scores.topk(16, dim=1)
    assert torch.equal(values, expected.values) and torch.equal(columns, expected.indices)


def test_feature_neighbours_are_exact_far_from_the_origin_too() -> None:
    random = np.random.default_rng(0)
    base, queries = (random.normal(1000.0, 1.0, (count, 8)).astype(np.float32) for count in (700, 300))
    distances = np.linalg.norm(queries[:, None].astype(float) - base[None], axis=2)
    index, distance = nearest_features(queries, base)
    np.testing.assert_array_equal(index, distances.argmin(1))
    np.testing.assert_allclose(distance, distances.min(1), rtol=1e-4)
    index, _ = nearest_features(base, base, exclude=np.arange(700))
    assert (index != np.arange(700)).all()


def test_a_stop_is_heeded() -> None:
    def stop() -> None:
        raise StoppedError("stopped")

    with pytest.raises(StoppedError):
        PixelIndex(textures(30), check=stop)
    with pytest.raises(StoppedError):
        nearest_features(np.zeros((2, 2), np.float32), np.zeros((2, 2), np.float32), check=stop)
