"""Scores against scikit-learn, their intervals against the bootstrap and the images' paired difference."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, balanced_accuracy_score, r2_score, roc_auc_score

from synthgen.downstream.statistics import paired_difference
from synthgen.downstream.tables.measures import Judge, auc_parts, paired_scores, precision_parts
from synthgen.downstream.tables.problem import Problem

TWO, THREE, NUMBER = Problem("t", ("a", "b")), Problem("t", ("a", "b", "c")), Problem("t", ())


def chances(truth: np.ndarray, classes: int, seed: int, skill: float = 1.0) -> np.ndarray:
    random = np.random.default_rng(seed)
    found = np.round(np.exp(random.normal(size=(len(truth), classes)) + skill * np.eye(classes)[truth]), 1) + 0.05
    return found / found.sum(axis=1, keepdims=True)


def test_the_figures_are_scikit_learns() -> None:
    random = np.random.default_rng(0)
    truth = (random.random(500) < 0.2).astype(np.int64)
    answers = chances(truth, 2, 1)
    judge = Judge(TWO, truth)
    assert judge.positives == (1,)
    assert judge.score("auc", answers).value == pytest.approx(roc_auc_score(truth, answers[:, 1]))
    assert judge.score("average_precision", answers).value == pytest.approx(
        average_precision_score(truth, answers[:, 1])
    )
    expected = balanced_accuracy_score(truth, answers.argmax(axis=1))
    assert judge.score("balanced_accuracy", answers).value == pytest.approx(expected)
    three = random.integers(0, 3, 400)
    answers = chances(three, 3, 2)
    expected = roc_auc_score(three, answers, multi_class="ovr", average="macro")
    assert Judge(THREE, three).score("auc", answers).value == pytest.approx(expected)
    y, guess = random.normal(size=(2, 300))
    assert Judge(NUMBER, y).score("r2", guess).value == pytest.approx(r2_score(y, guess))


@pytest.mark.parametrize("measure", ["auc", "average_precision", "balanced_accuracy"])
@pytest.mark.parametrize("problem", [TWO, THREE])
def test_influences_give_the_bootstraps_deviation(measure: str, problem: Problem) -> None:
    random = np.random.default_rng(3)
    classes = len(problem.classes)
    truth = np.repeat(np.arange(classes), [300, 150, 100][:classes])
    answers = chances(truth, classes, 4)
    score = Judge(problem, truth).score(measure, answers)
    expected = sum(part.var(ddof=1) / len(part) for part in score.parts) ** 0.5
    drawn = []
    for _ in range(300):  # every class by itself: the strata
        rows = np.concatenate([random.choice(np.flatnonzero(truth == k), (truth == k).sum()) for k in range(classes)])
        drawn.append(Judge(problem, truth[rows]).score(measure, answers[rows]).value)
    assert expected == pytest.approx(np.std(drawn), rel=0.15)


def test_of_accuracies_the_difference_is_that_of_the_images() -> None:
    random = np.random.default_rng(5)
    truth = random.integers(0, 2, 200)
    sides = [[chances(truth, 2, 10 * side + seed, 0.5 + side) for seed in range(4)] for side in range(2)]
    judge = Judge(TWO, truth)
    found = paired_scores(*[[judge.score("accuracy", one) for one in side] for side in sides])
    hits = [np.stack([one.argmax(axis=1) == truth for one in side]) for side in sides]
    expected = paired_difference(*hits)
    assert (found.value, found.low, found.high) == pytest.approx((expected.value, expected.low, expected.high))
    assert found.verdict == "helps"


def test_equal_answers_make_no_difference() -> None:
    truth = np.arange(40) % 2
    score = Judge(TWO, truth).score("auc", chances(truth, 2, 0))
    assert paired_scores([score] * 3, [score] * 3).verdict == "no difference"


def test_perfect_and_useless_orders() -> None:
    assert auc_parts(np.array([2.0, 3.0]), np.array([0.0, 1.0]))[0] == 1.0
    assert precision_parts(np.array([2.0, 3.0]), np.array([0.0, 1.0]))[0] == 1.0
    assert precision_parts(np.zeros(3), np.zeros(9))[0] == pytest.approx(0.25)


def test_rare_classes_decide_what_is_measured() -> None:
    truth = np.array([0, 0, 0, 1, 1, 2])
    judge = Judge(THREE, truth, rare=(1,))
    assert judge.measures[0] == "average_precision"
    assert judge.positives == (1,)
    answers = np.eye(3)[[0, 0, 0, 1, 0, 2]]
    assert judge.score("rare_recall", answers).value == 0.5
