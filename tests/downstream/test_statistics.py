"""The interval of a paired difference: against scipy where it must agree, and by its coverage."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import ttest_rel

from synthgen.downstream.statistics import deviation, paired_difference


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
