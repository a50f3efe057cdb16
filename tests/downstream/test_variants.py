"""The training sets: how many images of what, nested amounts, rare classes."""

from __future__ import annotations

import numpy as np
import pytest

from synthgen.data.dataset import ImageData
from synthgen.downstream.copies import count_copies
from synthgen.downstream.parsing import parse_imbalance, parse_ratios, parse_sizes
from synthgen.downstream.variants import IMBALANCED, PLAIN, Imbalance, filling, repeated, training_sets
from synthgen.errors import UsageError
from tests.downstream.conftest import corners

REAL, MADE = corners(20), corners(100, seed=3)


def _classes(count: int) -> ImageData:
    random = np.random.default_rng(count)
    images = random.integers(0, 256, (count * 4, 8, 8, 1), dtype=np.uint8)
    return ImageData(images, np.arange(count * 4) % 4, ("a", "b", "c", "d"), "four")


def test_the_plain_variants_hold_what_their_names_say() -> None:
    sets = {one.name: one for one in training_sets(PLAIN, REAL, {False: MADE}, (None,))}
    assert list(sets) == list(PLAIN)
    assert [len(one.images) for one in sets.values()] == [20, 20, 100, 120, 120]
    assert [one.kind.classical for one in sets.values()] == [False, True, False, False, True]
    assert count_copies(sets["synthetic"].images, REAL.images) == 0
    assert count_copies(sets["both"].images, REAL.images) == 20
    assert all(len(one.labels) == len(one.images) for one in sets.values())


def test_ratios_are_synthetic_per_real_nested_and_stratified() -> None:
    sets = {one.name: one for one in training_sets(("both",), REAL, {False: MADE}, (0.5, 2.0, 9.0, None))}
    assert list(sets) == ["both_ratio_0.5", "both_ratio_2", "both_ratio_9", "both_ratio_all"]
    assert [len(one.images) for one in sets.values()] == [30, 60, 120, 120]  # 9 : 1 would be 180: all are taken
    assert count_copies(sets["both_ratio_0.5"].images, sets["both_ratio_2"].images) == 30
    assert np.bincount(sets["both_ratio_2"].labels).tolist() == [30, 30]


def test_filtered_twins_stand_beside_the_unfiltered() -> None:
    few = MADE.select(np.arange(10))
    sets = [one.name for one in training_sets(("real", "synthetic", "both"), REAL, {False: MADE, True: few}, (None,))]
    assert sets == ["real", "synthetic", "synthetic_filtered", "both", "both_filtered"]


def test_rare_classes_are_cut_down_repeated_and_filled_up() -> None:
    real, made = _classes(50), _classes(60)
    assert made.labels is not None
    thin = Imbalance(share=0.1).thin(real)
    assert thin.labels is not None
    assert np.bincount(thin.labels).tolist() == [50, 5, 50, 5]
    assert count_copies(Imbalance(shares=(("b", 0.02),)).thin(real).images, thin.images) == 50 + 1 + 50 + 5
    assert np.bincount(thin.labels[repeated(thin.labels)]).tolist() == [50] * 4
    assert np.bincount(made.labels[filling(thin.labels, made.labels)], minlength=4).tolist() == [0, 45, 0, 45]
    sets = {one.name: one for one in training_sets(IMBALANCED, thin, {False: made}, (None,))}
    assert {name: np.bincount(one.labels).tolist() for name, one in sets.items()} == {
        "real": [50, 5, 50, 5],
        "repeated": [50] * 4,
        "repeated_classical": [50] * 4,
        "filled": [50] * 4,
        "filled_classical": [50] * 4,
    }
    assert count_copies(sets["repeated"].images, thin.images) == 200
    assert count_copies(sets["filled"].images, thin.images) == 110


def test_texts_become_numbers() -> None:
    assert parse_sizes(None) == (None,) and parse_sizes("100, 1000,all") == (100, 1000, None)
    assert parse_ratios("5,0.5,all,1") == (0.5, 1.0, 5.0, None)
    assert parse_imbalance(None) is None
    assert parse_imbalance("0.1") == Imbalance(share=0.1)
    assert parse_imbalance("3=0.1,7=0.05") == Imbalance(shares=(("3", 0.1), ("7", 0.05)))


@pytest.mark.parametrize(
    ("parse", "text", "said"),
    [
        (parse_sizes, "100,1", "'1' is not a number of 2 or more"),
        (parse_sizes, "many", "'many' is not a number"),
        (parse_sizes, "100,100", "the same value twice"),
        (parse_ratios, "0", "'0' is not a number above 0"),
        (parse_ratios, "inf", "'inf' is not a number above 0"),
        (parse_ratios, "1,1.0", "the same value twice"),
        (parse_imbalance, "1.5", "'1.5' is not a number above 0 and at most 1"),
        (parse_imbalance, "=0.5", "'=0.5' is not CLASS=SHARE"),
        (parse_imbalance, "3=x", "'x' is not a number"),
    ],
)
def test_texts_that_mean_nothing_are_refused(parse: object, text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        parse(text)  # type: ignore[operator]
