"""Filters drop what they say they drop: wrong labels and near copies, planted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from synthgen.data.dataset import ImageData
from synthgen.downstream.factories import resolve_classifier
from synthgen.downstream.filters import FilterReport, filter_samples, near_distance, nearest_distances, parse_filters
from synthgen.downstream.transforms import Transforms
from synthgen.errors import UsageError
from synthgen.reporting import NullReporter
from synthgen.stopping import never_stop
from tests.downstream.conftest import corners, mislabelled, quick

pytestmark = pytest.mark.usefixtures("one_thread")

REAL = corners(120)


def _filter(names: tuple[str, ...], samples: ImageData) -> tuple[ImageData, FilterReport]:
    return filter_samples(
        names,
        samples,
        REAL,
        resolve_classifier("logistic"),
        recipe=quick(0).recipe,
        transforms=Transforms(0.0, 0.0, 0.0),
        seed=1,
        device="cpu",
        reporter=NullReporter(),
        should_stop=never_stop,
    )


def test_distances_are_those_of_scikit_learn() -> None:
    made = corners(60, seed=5)
    search = NearestNeighbors(n_neighbors=2).fit(REAL.images.reshape(120, -1).astype(float))
    expected = search.kneighbors(made.images.reshape(60, -1).astype(float))[0][:, 0] / 8
    np.testing.assert_allclose(nearest_distances(made.images, REAL.images), expected, rtol=1e-5)
    own = search.kneighbors(REAL.images.reshape(120, -1).astype(float))[0][:, 1] / 8
    found = nearest_distances(REAL.images, REAL.images, own=np.arange(120))
    np.testing.assert_allclose(found, own, rtol=1e-5)
    assert near_distance(REAL) == pytest.approx(np.quantile(own, 0.01), rel=1e-5)


def test_wrong_labels_are_dropped_and_right_ones_kept() -> None:
    good, bad = corners(80, seed=5), mislabelled(corners(40, seed=6))
    assert good.labels is not None and bad.labels is not None
    samples = ImageData(
        np.concatenate([good.images, bad.images]), np.concatenate([good.labels, bad.labels]), good.class_names, "made"
    )
    kept, report = _filter(("confidence",), samples)
    assert len(kept) == report.kept and report.total == 120
    assert report.misread == pytest.approx(40, abs=2)
    assert report.per_class["top"] == pytest.approx(2 / 3, abs=0.05)
    assert "does not read" in report.sentence and report.to_dict()["kept_share"] == report.kept / 120


def test_near_copies_are_dropped() -> None:
    samples = corners(80, seed=5)
    samples.images[:10] = REAL.images[:10]
    samples.images[10:20] = np.clip(REAL.images[10:20].astype(int) + 2, 0, 255)
    kept, report = _filter(("nearest",), replace(samples, fingerprint=""))
    assert report.near >= 20 and report.near <= 24
    assert nearest_distances(kept.images, REAL.images).min() >= (report.threshold or 0)
    assert "nearer to a training image" in report.sentence


def test_a_class_that_would_vanish_is_an_error() -> None:
    with pytest.raises(UsageError, match="drops every sample of class 'top'"):
        _filter(("confidence", "nearest"), mislabelled(corners(40, seed=6)))


def test_names() -> None:
    assert parse_filters("none") == ()
    assert parse_filters("confidence, nearest") == ("confidence", "nearest")
    with pytest.raises(UsageError, match=r"no 'nearst' \(did you mean 'nearest'"):
        parse_filters("nearst")
    with pytest.raises(UsageError, match="no 'none'"):
        parse_filters("none,nearest")
