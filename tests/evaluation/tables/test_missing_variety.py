"""Missing values and variety: known rates, closed forms, planted faults."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import mutual_info_score

from synthgen.data.tables.schema import TableData
from synthgen.evaluation.tables.cells import Cells, Coder
from synthgen.evaluation.tables.missing import (
    MISSING,
    dependence_error,
    information,
    information_error,
    rate_error,
    rates,
)
from synthgen.evaluation.tables.trends import fixed_edges
from synthgen.evaluation.tables.variety import VARIETY, categories, duplicates, ranges
from tests.evaluation.tables.conftest import MakeParts, as_table
from tests.evaluation.tables.mixed import mixed


def cells(real: TableData, frame: pd.DataFrame) -> tuple[Cells, Cells]:
    coder = Coder(real.schema)
    return coder.encode(real), coder.encode(as_table(frame, real))


def test_rates_and_their_error_are_plain_shares(real: TableData) -> None:
    frame = mixed(1200, 1)
    ours, theirs = cells(real, frame)
    assert rates(ours)["weight"] == pytest.approx(frame["weight"].isna().mean())
    assert rate_error(ours, theirs) == 0.0
    frame["weight"] = frame["weight"].fillna(1.0)
    gone = frame["colour"].isna().mean()
    weight = mixed(1200, 1)["weight"].isna().mean()
    assert rate_error(*cells(real, frame)) == pytest.approx(weight / (weight + gone))


def test_missing_at_random_has_the_right_rate_and_the_wrong_dependence() -> None:
    """The rate depends on `size` in the real table; here it does not."""
    truth = mixed(8000, 1)
    frame = mixed(8000, 1, missing=False)
    random = np.random.default_rng(4)
    frame.loc[random.permutation(8000)[: int(truth["weight"].isna().sum())], "weight"] = np.nan
    frame["colour"] = truth["colour"]
    real = as_table(truth)
    ours, theirs = cells(real, frame)
    edges = fixed_edges(ours)
    other = cells(real, mixed(8000, 8))
    assert rate_error(ours, theirs) == 0.0
    assert dependence_error(ours, theirs, edges) > 1.5 * dependence_error(*other, edges)
    assert information_error(ours, theirs, edges) > 0.7 > 2 * information_error(*other, edges)
    assert dependence_error(ours, ours, edges) == information_error(ours, ours, edges) == 0.0


def test_information_is_scikit_learns_less_its_bias() -> None:
    random = np.random.default_rng(0)
    groups = random.integers(0, 5, 2000)
    gone = random.random(2000) < np.array([0.1, 0.2, 0.3, 0.4, 0.5])[groups]
    counts = np.bincount(groups)
    found = information(np.bincount(groups[gone], minlength=5), counts)
    assert found == pytest.approx(mutual_info_score(groups, gone) - 4 / 4000)
    assert information(np.zeros(3, int), np.array([5, 5, 5])) == 0.0


def test_cells_that_should_not_be_missing_are_named(make_parts: MakeParts) -> None:
    frame = mixed(900, 7)
    frame["size"] = frame["size"].where(frame["size"] < 10)
    found = MISSING.measure(make_parts(frame))
    assert [one.name for one in found.metrics] == ["missing_rate", "missing_dependence", "missing_information"]
    assert any("never missing in the real table: size" in text for text in found.warnings)
    assert found.details is not None and {row["name"] for row in found.details["columns"]} == {
        "size",
        "weight",
        "colour",
    }


def test_a_table_without_missing_values_has_nothing_to_measure() -> None:
    whole = as_table(mixed(100, 1, missing=False))
    from synthgen.evaluation.tables.measure import TableParts

    assert "no values are missing" in (MISSING.impossible(TableParts(whole, whole, None, whole, None)) or "")


def test_repeated_rows_lacking_categories_and_short_ranges_are_counted(real: TableData, make_parts: MakeParts) -> None:
    frame = mixed(600, 7)
    frame.loc[frame["colour"] == "grey", "colour"] = "red"
    frame = frame[frame["age"] < 60]
    frame = pd.concat([frame, frame.iloc[:50]], ignore_index=True)
    found = {one.name: one for one in VARIETY.measure(make_parts(frame)).metrics}
    assert found["duplicates"].value == pytest.approx(50 / len(frame))
    assert found["duplicates"].floor == 0.0
    ours, theirs = cells(real, frame)
    assert duplicates(theirs).sum() == 50
    hits, total = categories(ours, theirs)
    assert (hits, total) == (7, 8)  # four colours, two answers, true and false
    truth = real.frame["age"]
    assert ranges(ours, theirs)["age"] == pytest.approx(
        (frame["age"].max() - max(truth.min(), frame["age"].min())) / (truth.max() - truth.min())
    )
    details = VARIETY.measure(make_parts(frame)).details
    assert details is not None and [row["category"] for row in details["lacking"]] == ["grey"]
