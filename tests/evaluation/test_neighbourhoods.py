"""Balls of nearest neighbours against `prdc`, scikit-learn and plain numpy, whatever the blocks."""

from __future__ import annotations

import numpy as np
import pytest
from prdc import compute_prdc
from sklearn.neighbors import NearestNeighbors

from synthgen.errors import StoppedError
from synthgen.evaluation import neighbourhoods
from synthgen.evaluation.metrics import Figure, crossed_mean, share
from synthgen.evaluation.neighbourhoods import Overlap, overlap, radii


def _points(count: int, seed: int, scale: float = 1.0, shift: float = 0.0, dimensions: int = 6) -> np.ndarray:
    return (scale * np.random.default_rng(seed).normal(size=(count, dimensions)) + shift).astype(np.float32)


def _overlap(real: np.ndarray, fake: np.ndarray, narrow: int = 3, wide: int = 5) -> Overlap:
    return overlap(real, fake, radii(real, (narrow, wide)), radii(fake, (narrow,))[0])


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks that do not divide the sets, several of them."""
    monkeypatch.setattr(neighbourhoods, "_ROWS", 37)
    monkeypatch.setattr(neighbourhoods, "_COLUMNS", 53)


@pytest.mark.parametrize("k", [1, 3, 5, 40])
def test_radii_are_scikit_learns(k: int, small_blocks: None) -> None:
    points = _points(233, 0, shift=20.0)
    expected = NearestNeighbors(n_neighbors=k + 1).fit(points.astype(np.float64)).kneighbors()[0][:, k - 1]
    np.testing.assert_allclose(np.sqrt(radii(points, (k,))[0]), expected, rtol=1e-4)


@pytest.mark.parametrize("k", [3, 5])
@pytest.mark.parametrize(("scale", "shift"), [(1.0, 0.0), (0.5, 0.0), (1.0, 1.5), (1.0, 30.0)])
def test_precision_recall_density_and_coverage_are_those_of_prdc(
    k: int, scale: float, shift: float, small_blocks: None
) -> None:
    real, fake = _points(210, 0, shift=5.0), _points(190, 1, scale, shift + 5.0)
    found, expected = _overlap(real, fake, k, k), compute_prdc(real, fake, nearest_k=k)
    assert found.inside.mean() == pytest.approx(expected["precision"])
    assert found.reached.mean() == pytest.approx(expected["recall"])
    assert found.crowd.mean() / k == pytest.approx(expected["density"], rel=1e-6)
    assert found.covered.mean() == pytest.approx(expected["coverage"])
    np.testing.assert_array_equal(found.drawn > 0, found.covered)
    assert found.drawn.sum() == found.crowd.sum()


@pytest.mark.parametrize(("real_count", "fake_count"), [(300, 75), (150, 150), (75, 300)])
def test_intervals_count_that_both_sets_were_drawn(real_count: int, fake_count: int) -> None:
    """Of sets drawn anew, nearly all intervals hold the mean over all draws, whichever set is the smaller."""
    figures: dict[str, list[Figure]] = {"precision": [], "recall": [], "density": [], "coverage": []}
    for draw in range(60):
        found = _overlap(_points(real_count, 2 * draw), _points(fake_count, 2 * draw + 1, 1.1))
        figures["precision"].append(share(found.inside, against=real_count))
        figures["recall"].append(share(found.reached, against=fake_count))
        figures["coverage"].append(share(found.covered, against=fake_count))
        figures["density"].append(crossed_mean(found.crowd / 5, found.drawn * real_count / (5 * fake_count)))
    for name, drawn in figures.items():
        truth = np.mean([one.value for one in drawn])
        held = [one.interval is not None and one.interval[0] - 1e-9 <= truth <= one.interval[1] + 1e-9 for one in drawn]
        assert np.mean(held) >= 0.85, name


def test_blocks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    real, fake = _points(300, 0), _points(250, 1, 1.2)
    whole = _overlap(real, fake)
    monkeypatch.setattr(neighbourhoods, "_ROWS", 17)
    monkeypatch.setattr(neighbourhoods, "_COLUMNS", 29)
    for name, array in vars(_overlap(real, fake)).items():
        np.testing.assert_array_equal(array, getattr(whole, name))


def test_a_set_lies_in_itself_even_where_images_are_repeated() -> None:
    """Four copies of each: every radius is 0, and distances come out of a product with its rounding."""
    points = np.repeat(_points(60, 0, shift=100.0, dimensions=64), 4, axis=0)
    found = _overlap(points, points.copy())
    assert found.inside.all() and found.reached.all() and found.covered.all()


def test_fewer_images_than_neighbours_and_none_alike() -> None:
    real, fake = _points(3, 0), _points(2, 1, shift=50.0)
    found = _overlap(real, fake)
    assert not found.inside.any() and not found.covered.any() and (found.crowd == 0).all()


def test_a_stop_is_heeded_and_rows_are_counted(small_blocks: None) -> None:
    points, seen = _points(100, 0), []
    radii(points, (3,), tick=seen.append)
    assert sum(seen) == 100 and len(seen) == 3
    with pytest.raises(StoppedError):
        radii(points, (3,), should_stop=lambda: True)
    with pytest.raises(StoppedError):
        overlap(points, points, radii(points, (3, 5)), radii(points, (3,))[0], should_stop=lambda: True)
