"""Classifiers that tell real from fake, and neighbourhoods: known answers and independent references."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestNeighbors

from synthgen.data.tables.schema import TableData
from synthgen.evaluation.tables.auc import auc, auc_with_interval
from synthgen.evaluation.tables.cells import Cells
from synthgen.evaluation.tables.design import boosting_matrix, dense_features, standard_scale
from synthgen.evaluation.tables.detection import DETECTION
from synthgen.evaluation.tables.support import SUPPORT, alpha_precision, beta_recall, nearest, reach
from tests.evaluation.tables.conftest import MakeParts
from tests.evaluation.tables.mixed import mixed, shuffled


def test_the_area_is_scikit_learns_and_its_interval_covers() -> None:
    random = np.random.default_rng(0)
    covered = 0
    for _ in range(200):
        positive, negative = random.normal(0.5, 1, 80), random.normal(0, 1, 60)
        value, (low, high) = auc_with_interval(positive, negative)
        covered += low <= 0.6382 <= high  # Phi(0.5 / sqrt 2)
    labels = np.repeat([1, 0], [80, 60])
    assert value == pytest.approx(roc_auc_score(labels, np.concatenate([positive, negative])))
    assert 180 <= covered <= 199
    assert auc(np.array([1, 1, 2]), np.array([1, 1])) == pytest.approx((0.5 + 0.5 + 1) / 3)


def test_real_rows_cannot_be_told_apart_and_broken_ones_can(make_parts: MakeParts) -> None:
    good = {one.name: one for one in DETECTION.measure(make_parts(mixed(900, 7))).metrics}
    bad = {one.name: one for one in DETECTION.measure(make_parts(shuffled(mixed(900, 7), 1))).metrics}
    low, high = good["detection_auc"].interval or (0, 0)
    assert low - 0.02 < 0.5 < high + 0.02
    assert bad["detection_auc"].value > 0.9
    assert bad["detection_auc_logistic"].value < 0.7  # nothing linear tells shuffled columns
    assert [floor.name for floor in good["detection_auc"].floors] == ["holdout", "bootstrap"]
    assert all(abs(floor.value - 0.5) < 0.05 for floor in good["detection_auc"].floors)


def test_copies_of_training_rows_do_not_push_the_area_below_a_half(real: TableData, make_parts: MakeParts) -> None:
    found = DETECTION.measure(make_parts(real.select(np.arange(len(real))), holdout=False))
    assert found.metrics[0].value == pytest.approx(0.5, abs=1e-9)


def test_matrices_hold_missing_values_categories_and_indicators() -> None:
    numbers = {"x": np.array([1.0, np.nan, 3.0])}
    table = Cells(("x", "c"), numbers, {"c": np.array([0, 1, -1])}, 3)
    (x,), categorical = boosting_matrix([table])
    assert categorical.tolist() == [False, True]
    assert np.isnan(x).tolist() == [[False, False], [True, False], [False, True]]
    (dense,) = dense_features([table], {"x": standard_scale(numbers["x"])})
    assert dense[:, 0].tolist() == [-1.0, 0.0, 1.0] and dense[:, 1].tolist() == [0.0, 1.0, 0.0]
    assert dense[:, 2:].sum(axis=1).tolist() == [1.0, 1.0, 1.0] and dense.shape == (3, 5)
    many = Cells(("c",), {}, {"c": np.arange(1000)}, 1000)
    (codes,), _ = boosting_matrix([many])
    assert codes.max() < 255  # the most that boosting takes


def test_figures_are_those_of_the_published_definition() -> None:
    """Alaa et al. 2022 as in synthcity, with scikit-learn's neighbours instead of ours."""
    random = np.random.default_rng(0)
    real, fake = random.normal(size=(300, 4)), random.normal(0.3, 1.1, size=(300, 4))
    alphas = np.linspace(0, 1, 30)
    radii = np.quantile(np.linalg.norm(real - real.mean(0), axis=1), alphas)
    outward = np.linalg.norm(fake - real.mean(0), axis=1)
    precision = [np.mean(outward <= radius) for radius in radii]
    own = NearestNeighbors(n_neighbors=2).fit(real).kneighbors(real)[0][:, 1]
    to_fake, which = NearestNeighbors(n_neighbors=1).fit(fake).kneighbors(real)
    beyond = np.linalg.norm(fake[which[:, 0]] - fake.mean(0), axis=1)
    near = to_fake[:, 0] <= own
    recall = [np.mean(near & (beyond <= radius)) for radius in np.quantile(beyond, alphas)]
    found = reach(real, fake)
    expected = [1 - np.abs(alphas - curve).sum() / alphas.sum() for curve in (precision, recall)]
    assert alpha_precision(found.outward, found.outward_fake) == pytest.approx(expected[0], abs=1e-6)
    assert beta_recall(found.own, found.to_fake, found.beyond) == pytest.approx(expected[1], abs=1e-6)


def test_neighbours_are_exact_for_equal_rows() -> None:
    rows = np.array([[1000.0, 2.0], [1000.0, 2.0], [0.0, 0.0]], np.float32)
    distance, place = nearest(rows, rows, same=True)
    assert distance[:2].tolist() == [0.0, 0.0] and place.tolist()[:2] == [1, 0]


def test_real_rows_score_one_and_a_half_and_a_collapse_shows(make_parts: MakeParts) -> None:
    good = {one.name: one for one in SUPPORT.measure(make_parts(mixed(800, 7))).metrics}
    few = mixed(800, 7).iloc[:15]
    collapsed = few.iloc[np.arange(800) % 15].reset_index(drop=True)
    bad = {one.name: one for one in SUPPORT.measure(make_parts(collapsed)).metrics}
    assert good["alpha_precision"].value > 0.93 and 0.4 < good["beta_recall"].value < 0.6
    assert bad["beta_recall"].value < 0.1
    floor = good["beta_recall"].at("holdout")
    assert floor is not None and 0.4 < floor.value < 0.6
    assert good["beta_recall"].interval is not None
