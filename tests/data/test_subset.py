from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthgen.data.subset import choose, class_positions, stratified_subset
from synthgen.errors import UsageError


@given(
    counts=st.lists(st.integers(1, 60), min_size=1, max_size=6),
    limits=st.tuples(st.integers(1, 300), st.integers(1, 300)),
)
def test_a_smaller_limit_is_part_of_a_larger_one(counts, limits):
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(len(counts)), counts))
    small, large = (stratified_subset(labels, len(labels), limit) for limit in sorted(limits))
    assert set(small) <= set(large)
    assert len(small) == min(min(limits), len(labels))
    assert (np.diff(small) > 0).all()


@given(counts=st.lists(st.integers(1, 200), min_size=2, max_size=8), share=st.floats(0.1, 0.9))
def test_every_class_keeps_its_share(counts, share):
    labels = np.repeat(np.arange(len(counts)), counts)
    limit = max(len(counts), round(share * len(labels)))
    found = np.bincount(labels[stratified_subset(labels, len(labels), limit)], minlength=len(counts))
    # Each class may be off by one for rounding, and by what the certain first image of rare classes costs.
    expected = np.array(counts) * limit / len(labels)
    assert np.abs(found - expected).max() <= 2
    assert found.min() >= 1


def test_a_limit_is_mixed_and_not_the_first_images():
    chosen = stratified_subset(np.zeros(1000, int), 1000, 100)
    assert 350 < chosen.mean() < 650
    unlabelled = stratified_subset(None, 1000, 100)
    assert 350 < unlabelled.mean() < 650


def test_the_choice_never_changes():
    # Philox4x64-10 with this key, by its definition (Salmon et al. 2011), not by numpy's distributions.
    assert stratified_subset(None, 12, 4).tolist() == sorted(np.argsort(_philox(20240607, 12))[:4].tolist())


def _philox(key: int, count: int) -> list[int]:
    """Raw words of Philox4x64-10, written from the paper; numpy counts the counter up before its first block."""
    multipliers, weyl = (0xD2E7470EE14C6C93, 0xCA5A826395121157), (0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B)
    mask, words = 2**64 - 1, []
    for block in range(1, count // 4 + 2):
        c, k = [block, 0, 0, 0], [key, 0]
        for _ in range(10):
            high0, low0 = divmod(multipliers[0] * c[0], 2**64)
            high1, low1 = divmod(multipliers[1] * c[2], 2**64)
            c = [high1 ^ c[1] ^ k[0], low1, high0 ^ c[3] ^ k[1], low0]
            k = [(k[0] + weyl[0]) & mask, (k[1] + weyl[1]) & mask]
        words += c
    return words[:count]


def test_classes_by_name_in_the_order_of_the_set():
    names = ("T-shirt/top", "Trouser", "Bag")
    assert class_positions(["bag", "T-shirt/top"], names, "x") == [0, 2]
    labels = np.array([2, 1, 0, 2])
    index, chosen, left = choose(labels, names, 4, classes=["Bag", "Trouser"], limit=None, name="x")
    assert (index.tolist(), chosen.tolist(), left) == ([0, 1, 3], [1, 0, 1], ("Trouser", "Bag"))


def test_a_name_that_fits_two_classes_by_case_only_is_taken_exactly_or_refused():
    assert class_positions(["a"], ("A", "a"), "x") == [1]
    with pytest.raises(UsageError, match="no class 'Ab'"):
        class_positions(["Ab"], ("AB", "ab"), "x")


@pytest.mark.parametrize(
    ("classes", "names", "message"),
    [
        (["Trousers"], ("Trouser", "Bag"), r"no class 'Trousers' \(did you mean 'Trouser'\?\)"),
        (["a"], (), "no labels"),
        ([], ("a",), "empty"),
    ],
)
def test_wrong_classes_are_named(classes, names, message):
    with pytest.raises(UsageError, match=message):
        class_positions(classes, names, "x")


def test_limit_and_classes_together():
    labels = np.tile([0, 1, 2], 100)
    index, chosen, _ = choose(labels, ("a", "b", "c"), 300, classes=["c", "a"], limit=20, name="x")
    assert np.bincount(chosen).tolist() == [10, 10]
    assert set(labels[index]) == {0, 2}
    np.testing.assert_array_equal(np.where(labels[index] == 2, 1, 0), chosen)


def test_a_limit_below_one_is_an_error():
    with pytest.raises(UsageError, match="limit of 0"):
        choose(None, (), 5, classes=None, limit=0, name="x")
