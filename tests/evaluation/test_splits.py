"""Orders and halves: everything once, every beginning with every class in its share."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from synthgen.evaluation.splits import halves, stratified_order

LABELS = st.lists(st.integers(0, 4), min_size=2, max_size=120).map(np.array)


@given(LABELS, st.integers(0, 2**32))
def test_an_order_holds_every_item_once(labels: np.ndarray, seed: int) -> None:
    assert sorted(stratified_order(labels, len(labels), seed)) == list(range(len(labels)))
    assert sorted(stratified_order(None, len(labels), seed)) == list(range(len(labels)))


@given(LABELS, st.integers(0, 2**32), st.integers(1, 120))
def test_every_beginning_holds_every_class_in_its_share(labels: np.ndarray, seed: int, length: int) -> None:
    length = min(length, len(labels))
    begin = labels[stratified_order(labels, len(labels), seed)[:length]]
    for label in np.unique(labels):
        expected = length * np.mean(labels == label)
        # Each of the other classes can be ahead or behind by less than one item.
        assert abs(np.sum(begin == label) - expected) < len(np.unique(labels)) + 1


@given(LABELS, st.integers(0, 2**32))
def test_halves_are_disjoint_equal_and_stratified(labels: np.ndarray, seed: int) -> None:
    first, second = halves(labels, len(labels), seed)
    assert len(first) == len(second) == len(labels) // 2
    assert not set(first) & set(second)
    for label in np.unique(labels):
        assert abs(np.sum(labels[first] == label) - np.sum(labels[second] == label)) <= len(np.unique(labels)) + 1


def test_the_seed_decides() -> None:
    labels = np.arange(60) % 3
    np.testing.assert_array_equal(stratified_order(labels, 60, 5), stratified_order(labels, 60, 5))
    assert not np.array_equal(stratified_order(labels, 60, 5), stratified_order(labels, 60, 6))


@given(sizes=st.lists(st.integers(1, 30), min_size=1, max_size=12), seed=st.integers(0, 2**32))
def test_halves_share_every_class_alike(sizes: list[int], seed: int) -> None:
    """Also where all classes are equally large, and the places of a class are therefore all odd or all even."""
    labels = np.repeat(np.arange(len(sizes)), sizes)
    first, second = halves(labels, len(labels), seed)
    assert len(first) == len(second) == len(labels) // 2
    assert not set(first) & set(second)
    counts = [np.bincount(labels[half], minlength=len(sizes)) for half in (first, second)]
    assert np.abs(counts[0] - counts[1]).max() <= 2


def test_halves_of_balanced_classes_hold_all_of_them() -> None:
    labels = np.tile(np.arange(10), 20)
    for half in halves(labels, 200, 0):
        assert np.bincount(labels[half]).tolist() == [10] * 10
