"""Diversity: closed forms, independent formulas, and collapsed generators."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.distance import pdist

from synthgen.data.dataset import ImageData
from synthgen.evaluation.diversity import Modes, find_modes, mean_pairwise_distance, vendi, vendi_score
from synthgen.evaluation.extractors import Extractor
from synthgen.evaluation.images import evaluate_images
from tests.evaluation.conftest import blobs

pytestmark = pytest.mark.usefixtures("one_thread")


def test_the_vendi_score_counts_entirely_different_images() -> None:
    assert vendi_score(np.eye(6)) == pytest.approx(6.0)
    assert vendi_score(np.repeat(np.eye(4), 25, axis=0)) == pytest.approx(4.0)
    assert vendi_score(np.ones((50, 3))) == pytest.approx(1.0)


@pytest.mark.parametrize("shape", [(60, 5), (10, 40)])
def test_the_vendi_score_is_the_entropy_of_the_kernel(shape: tuple[int, int]) -> None:
    features = np.random.default_rng(0).normal(1.0, 1.0, shape)
    rows = features / np.linalg.norm(features, axis=1, keepdims=True)
    values = np.linalg.eigvalsh(rows @ rows.T / len(rows))
    values = values[values > 1e-12]
    assert vendi_score(features) == pytest.approx(np.exp(-(values * np.log(values)).sum()), rel=1e-6)


def test_weights_repeat_images_and_the_interval_holds_the_value() -> None:
    features = np.random.default_rng(0).normal(size=(200, 6)).astype(np.float32)
    weights = np.arange(200) % 3
    assert vendi_score(features, weights) == pytest.approx(vendi_score(np.repeat(features, weights, axis=0)))
    found = vendi(features)
    assert found.interval is not None and found.interval[0] < found.value < found.interval[1]


def test_the_pairwise_distance_and_its_error() -> None:
    random = np.random.default_rng(0)
    features = random.normal(size=(80, 4))
    assert mean_pairwise_distance(features)[0] == pytest.approx(pdist(features).mean())
    means, errors = zip(*(mean_pairwise_distance(random.normal(size=(80, 4))) for _ in range(200)), strict=True)
    assert np.std(means) == pytest.approx(np.sqrt(np.mean(errors)), rel=0.15)


def test_modes_that_are_hit_by_chance_differ_in_five_percent() -> None:
    random = np.random.default_rng(0)
    centres = np.zeros((200, 1), np.float32)
    modes = Modes(centres, random.multinomial(20_000, np.full(200, 1 / 200)), 20_000)
    shares = [np.mean(modes.different(random.multinomial(4000, np.full(200, 1 / 200))) != 0) for _ in range(50)]
    assert np.mean(shares) == pytest.approx(0.05, abs=0.01)
    halved = random.multinomial(4000, np.repeat([0.5 / 200, 1.5 / 200], 100))
    different = modes.different(halved)
    assert (different[:100] <= 0).all() and (different[:100] < 0).mean() > 0.5 and (different[100:] > 0).mean() > 0.5


def test_modes_are_found_where_the_images_lie() -> None:
    random = np.random.default_rng(0)
    features = (np.repeat(np.eye(5) * 50, 20, axis=0) + random.normal(size=(100, 5))).astype(np.float32)
    modes = find_modes(features)
    assert len(modes.centres) == 5
    np.testing.assert_array_equal(modes.sizes, 20)
    np.testing.assert_array_equal(np.sort(modes.counts(features[:40])), [0, 0, 0, 20, 20])


def test_a_collapsed_generator_is_less_various_than_real_images(real: ImageData, extractor: Extractor) -> None:
    fake = blobs(300, seed=5)
    collapsed = fake.images.copy()
    collapsed[30:] = collapsed[np.arange(270) % 3]
    found = {
        name: evaluate_images(
            real, replace(fake, images=images, fingerprint=""), features=extractor, metrics=["diversity"]
        )
        for name, images in (("various", fake.images), ("collapsed", collapsed))
    }
    for name in ("vendi", "pairwise", "modes"):
        various, low = (found[key].metrics[name] for key in ("various", "collapsed"))
        assert various.floor is not None and low.value < min(various.value, various.floor)
    assert found["collapsed"].metrics["pairwise"].value < 0.5 * found["various"].metrics["pairwise"].value
    assert found["various"].metrics["vendi"].value == pytest.approx(found["various"].metrics["vendi"].floor, rel=0.1)
    assert found["collapsed"].metrics["ndb"].value > 0.5
    classes = found["various"].details["diversity"]["classes"]
    assert [row["name"] for row in classes] == ["red", "green", "blue"]
    assert found["various"].details["diversity"]["classes_read"] == 3


def test_images_without_labels_are_one_class(real: ImageData, extractor: Extractor) -> None:
    bare = [replace(data, labels=None, class_names=(), fingerprint="") for data in (real, blobs(100, seed=5))]
    found = evaluate_images(*bare, features=extractor, metrics=["diversity"])
    assert found.details["diversity"]["classes"] == []
    assert found.metrics["pairwise"].sentence.startswith("Two fake images are")
