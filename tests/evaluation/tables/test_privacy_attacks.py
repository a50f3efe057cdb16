"""The attacks: against anonymeter's counts, on copies that each must catch, on strangers that none may."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest

from synthgen.data.tables.schema import ColumnSchema, TableData, TableSchema
from synthgen.evaluation.tables.privacy_risk import Attack, clipped, pooled, wilson
from synthgen.evaluation.tables.privacy_singling import Grid, grids, multivariate, singling_out, univariate
from synthgen.evaluation.tables.privacy_targets import inference, linkability, stage

sys.path.insert(0, str(Path(__file__).parent))
from anonymeter_check import HALVES, ROWS, tables

ANONYMETER = {
    "univariate": [14, 14],
    "multivariate": [94, 79, 300],
    "linkability 1": [186, 3],
    "linkability 5": [218, 40],
    "inference x": [268, 204],
    "inference y": [275, 196],
    "inference z": [187, 10],
    "inference n": [210, 21],
    "inference city": [276, 158],
    "inference job": [332, 271],
    "risk of city": [0.48376372227671127, 0.3986313879394226, 0.5688960566139999],
}
"""What anonymeter 1.1.0 finds with numpy 1.26.4: the output of anonymeter_check.py."""


def as_table(frame: pd.DataFrame) -> TableData:
    texts = frame.select_dtypes(exclude="number").columns
    columns = tuple(ColumnSchema(name, "category" if name in texts else "number") for name in frame.columns)
    return TableData(frame.astype(dict.fromkeys(texts, object)), TableSchema(columns), "t")


@pytest.fixture(scope="module")
def three() -> dict[str, TableData]:
    return {name: as_table(frame) for name, frame in tables().items()}


def test_singling_out_by_one_column_counts_what_anonymeter_counts(three: dict[str, TableData]) -> None:
    found = singling_out(three["train"], three["fake"], three["control"], attempts=9_999, seed=0, several=False)
    assert found is not None
    assert [found.successes, found.control] == ANONYMETER["univariate"]


def test_singling_out_by_three_columns_succeeds_as_often(three: dict[str, TableData]) -> None:
    """The descriptions are drawn at random in both: rates agree within their own intervals."""
    found = singling_out(three["train"], three["fake"], three["control"], attempts=1_000, seed=0, several=True)
    assert found is not None and found.attempts == 1_000
    hits, misses, total = ANONYMETER["multivariate"]
    for ours, theirs in ((found.successes, hits), (found.control, misses)):
        assert ours / 1_000 == pytest.approx(theirs / total, abs=3 * (0.25 / total) ** 0.5)


@pytest.mark.parametrize("neighbours", [1, 5])
def test_linkability_counts_what_anonymeter_counts(three: dict[str, TableData], neighbours: int) -> None:
    scene = stage(three["train"], three["fake"], three["control"], attempts=ROWS, seed=0)
    found = linkability(scene, seed=0, halves=HALVES, neighbours=neighbours)
    assert found is not None
    assert [found.successes, found.control] == ANONYMETER[f"linkability {neighbours}"]


def test_inference_counts_what_anonymeter_counts(three: dict[str, TableData]) -> None:
    scene = stage(three["train"], three["fake"], three["control"], attempts=ROWS, seed=0)
    found = inference(scene, [*"xyzn", "city", "job"], seed=0, attempts=ROWS)
    for name in ("city", "job"):
        assert [found[name].successes, found[name].control] == ANONYMETER[f"inference {name}"]
    for name in ("z", "n"):  # ours are within 5 % of the truth, anonymeter's of the guess
        assert [found[name].successes, found[name].control] == pytest.approx(ANONYMETER[f"inference {name}"], abs=2)
    for name in ("x", "y"):  # there every negative guess is right: the difference is divided by it
        assert found[name].control < 0.2 * ANONYMETER[f"inference {name}"][1]
    risk = found["city"].risk()
    assert [risk.value, *clipped(risk)] == pytest.approx(ANONYMETER["risk of city"])


def test_wilson_is_scipys() -> None:
    expected = binomtest(8, 40).proportion_ci(method="wilson")
    assert wilson(8, 40).interval == pytest.approx((expected.low, expected.high))


def test_risk_of_equal_rates_is_none_and_of_certainty_is_all() -> None:
    same = Attack("a", 1000, 300, 10, 1000, 300)
    assert same.risk().value == 0
    assert clipped(same.risk())[0] == 0
    sure = Attack("a", 100_000, 100_000, 10, 100_000, 30_000)
    assert sure.risk().value == pytest.approx(1, abs=1e-3)
    assert Attack("a", 10, 3, 3, 10, 3).weak
    assert pooled("both", [same, sure]).attempts == 101_000


def test_a_copy_is_caught_by_all_and_strangers_by_none(three: dict[str, TableData]) -> None:
    train, control = three["train"], three["control"]
    # New rows of the same kind: all of them fresh.
    random = np.random.default_rng(8)
    strangers = as_table(
        pd.DataFrame(
            {
                "x": (x := random.normal(size=ROWS)),
                "y": 0.7 * x + random.normal(size=ROWS),
                "z": random.exponential(size=ROWS) + 0.5 * np.abs(x),
                "n": random.integers(1, 60, ROWS).astype(float),
                "city": random.choice(["Lima", "Oslo", "Rome", "Kyiv"], ROWS, p=[0.5, 0.3, 0.15, 0.05]),
                "job": np.where(x + random.normal(size=ROWS) > 0, "baker", "pilot"),
            }
        )
    )
    for fake, guilty in ((train, True), (strangers, False)):
        scene = stage(train, fake, control, attempts=ROWS, seed=0)
        attacks = [
            singling_out(train, fake, control, attempts=500, seed=0, several=False),
            singling_out(train, fake, control, attempts=500, seed=0, several=True),
            linkability(scene, seed=0),
            pooled("inference", list(inference(scene, ["n", "city", "job"], seed=0, attempts=130).values())),
        ]
        for attack in attacks:
            assert attack is not None
            risk = attack.risk()
            if guilty:
                assert risk.value - risk.error > 0.3, attack
            else:
                assert risk.value - risk.error <= 0, attack


def test_descriptions_fit_one_synthetic_row(three: dict[str, TableData]) -> None:
    (grid,) = grids([three["fake"]])
    random = np.random.default_rng(0)
    for predicate in univariate(grid, 200, random) + multivariate(grid, 200, random):
        assert grid.fits(predicate) == 1


def test_missing_values_are_a_value_and_few_columns_are_enough() -> None:
    grid = Grid(np.array([[np.nan, 1.0, 1.0, 2.0, 2.0]]), np.array([False]))
    assert univariate(grid, 9, np.random.default_rng(0)) == [((0, "=", pytest.approx(np.nan, nan_ok=True)),)]
    one = as_table(pd.DataFrame({"x": np.arange(50.0)}))
    assert singling_out(one, one, one, attempts=20, seed=0, several=True) is not None
    assert linkability(stage(one, one, one, attempts=20, seed=0), seed=0) is None


def test_sides_of_unequal_size_are_made_equal() -> None:
    """Of 900 values nearly each occurs once; among a third of them a value that fits one row is as frequent."""
    random = np.random.default_rng(0)
    sides = [as_table(pd.DataFrame({"x": random.integers(0, 500, count).astype(float)})) for count in (900, 300, 500)]
    found = singling_out(sides[0], sides[2], sides[1], attempts=400, seed=0, several=False)
    assert found is not None
    assert abs(found.risk().value) < found.risk().error
