"""The interval of a paired difference: against scipy where it must agree, and by its coverage."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import ttest_rel
from sklearn.metrics import confusion_matrix as reference_confusion

from synthgen.downstream.statistics import calibration_error, confusion_matrix, deviation, paired_difference


def test_one_seed_is_a_paired_t_test_over_the_test_images() -> None:
    random = np.random.default_rng(0)
    first, second = random.random((1, 400)) < 0.90, random.random((1, 400)) < 0.93
    expected = ttest_rel(second[0].astype(float), first[0].astype(float)).confidence_interval(0.95)
    found = paired_difference(first, second)
    assert found.value == pytest.approx(second.mean() - first.mean())
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), rel=1e-6)


def test_with_endless_test_images_it_is_a_paired_t_test_over_the_seeds() -> None:
    """Images answered alike within a seed: only the seeds' own rates differ."""
    images = 400_000
    rates = np.array([0.90, 0.92, 0.91, 0.93])
    first = np.arange(images)[None] < (rates[:, None] * images)
    second = np.arange(images)[None] < ((rates + np.array([0.01, 0.03, 0.02, 0.04]))[:, None] * images)
    expected = ttest_rel(second.mean(1), first.mean(1)).confidence_interval(0.95)
    found = paired_difference(first, second)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), rel=0.01)


def test_the_interval_holds_the_truth_nineteen_times_of_twenty_or_more() -> None:
    """Both seeds and images vary; the true difference is 0.02."""
    random = np.random.default_rng(1)
    covered = 0
    trials = 300
    for _ in range(trials):
        hard = random.normal(size=(1, 300))
        skill = [1.4 + 0.05 * random.normal(size=(4, 1)), 1.5 + 0.05 * random.normal(size=(4, 1))]
        tables = [random.random((4, 300)) < 1 / (1 + np.exp(-(s + hard))) for s in skill]
        found = paired_difference(*tables)
        grid = np.random.default_rng(2).normal(size=200_000)
        truth = float((1 / (1 + np.exp(-(1.5 + grid))) - 1 / (1 + np.exp(-(1.4 + grid)))).mean())
        covered += found.low <= truth <= found.high
    assert covered / trials > 0.93


def test_an_interval_ends_where_differences_of_shares_do() -> None:
    random = np.random.default_rng(0)
    found = paired_difference(random.random((2, 50)) < [[0.9], [0.1]], random.random((2, 50)) < [[0.1], [0.9]])
    assert (found.low, found.high) == (-1.0, 1.0)


def test_verdicts() -> None:
    right, wrong = np.ones((2, 500), bool), np.zeros((2, 500), bool)
    mixed = np.random.default_rng(0).random((2, 500)) < 0.5
    assert paired_difference(wrong, right).verdict == "helps"
    assert paired_difference(right, wrong).verdict == "hurts"
    assert paired_difference(mixed, mixed).verdict == "no difference"
    assert paired_difference(mixed, mixed[::-1]).verdict == "no difference"


def test_a_deviation_needs_two_values() -> None:
    assert deviation(np.array([1.0])) is None
    assert deviation(np.array([1.0, 3.0])) == pytest.approx(np.sqrt(2.0))


def test_a_level_is_that_of_scipy() -> None:
    random = np.random.default_rng(0)
    first, second = random.random((1, 400)) < 0.90, random.random((1, 400)) < 0.93
    expected = ttest_rel(second[0].astype(float), first[0].astype(float)).confidence_interval(0.995)
    found = paired_difference(first, second, level=0.995)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), rel=1e-6)


def test_calibration_error_by_its_definition() -> None:
    random = np.random.default_rng(0)
    confidence = np.append(random.uniform(0.1, 1.0, 998), [1.0, 1 / 15])
    right = random.random(1000) < confidence**2
    expected = 0.0
    for number in range(15):
        inside = (confidence > number / 15) & (confidence <= (number + 1) / 15)
        if inside.any():
            expected += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    assert calibration_error(right, confidence) == pytest.approx(expected, abs=1e-12)
    assert calibration_error(np.ones(10, bool), np.ones(10)) == 0.0
    assert calibration_error(np.zeros(10, bool), np.ones(10)) == 1.0


def test_a_calibrated_classifier_has_almost_none() -> None:
    random = np.random.default_rng(1)
    confidence = random.uniform(0.2, 1.0, 200_000)
    assert calibration_error(random.random(200_000) < confidence, confidence) < 0.006


def test_confusion_is_that_of_scikit_learn() -> None:
    random = np.random.default_rng(0)
    labels, read = random.integers(0, 4, 300), random.integers(0, 5, 300)
    expected = reference_confusion(labels, read, labels=range(5))
    np.testing.assert_array_equal(confusion_matrix(labels, read, 5), expected)
