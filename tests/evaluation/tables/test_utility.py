"""What rows are worth as training data: tasks, ceilings, test rows that the generator saw."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import f1_score

from synthgen.data.tables.schema import TableData
from synthgen.evaluation.tables.cells import Cells, Coder
from synthgen.evaluation.tables.measure import TableParts
from synthgen.evaluation.tables.tuning import candidates, tune
from synthgen.evaluation.tables.utility import UTILITY, _macro_f1, on_log_scale, pose, train_and_test, unsuitable
from tests.evaluation.tables.conftest import MakeParts, as_table
from tests.evaluation.tables.mixed import mixed, shuffled


def test_good_rows_are_worth_as_much_as_real_ones_and_broken_ones_nothing(make_parts: MakeParts) -> None:
    good = {one.name: one for one in UTILITY.measure(make_parts(mixed(1200, 7), target="buys")).metrics}
    assert list(good) == ["tstr_auc", "tstr_f1", "tstr_accuracy"]
    auc = good["tstr_auc"]
    ceiling = auc.at("real")
    assert ceiling is not None and ceiling.value > 0.75 and abs(auc.value - ceiling.value) < 0.05
    assert auc.method == "delong" and auc.interval is not None
    broken = shuffled(mixed(1200, 7), 1)
    bad = {one.name: one for one in UTILITY.measure(make_parts(broken, target="buys")).metrics}
    assert bad["tstr_auc"].value < 0.62


def test_numbers_are_regressed_and_skewed_ones_also_by_their_logarithm(make_parts: MakeParts) -> None:
    found = {one.name: one for one in UTILITY.measure(make_parts(mixed(1200, 7), target="size")).metrics}
    assert list(found) == ["tstr_r2", "tstr_rmse", "tstr_log_rmse"]
    assert found["tstr_r2"].value > 0.8 and found["tstr_rmse"].better == "lower"
    assert on_log_scale(np.array([0.0, 1.0, np.e])).tolist() == [0.0, 0.0, 1.0]


def test_without_test_rows_a_fifth_of_the_real_ones_is_taken_and_that_is_said(make_parts: MakeParts) -> None:
    found = UTILITY.measure(make_parts(mixed(1200, 7), holdout=False, target="colour"))
    assert [one.name for one in found.metrics] == ["tstr_f1", "tstr_accuracy"]  # four colours
    assert "which the generator may have seen" in found.warnings[0]
    assert found.metrics[0].floors[0].n <= 960  # four fifths


def test_classes_that_the_synthetic_rows_lack_count_as_wrong(real: TableData, make_parts: MakeParts) -> None:
    frame = mixed(600, 7)
    frame["buys"] = "yes"
    found = {one.name: one for one in UTILITY.measure(make_parts(frame, target="buys")).metrics}
    assert found["tstr_auc"].value == 0.5
    assert found["tstr_f1"].value < 0.5


def test_the_mean_over_classes_is_scikit_learns() -> None:
    random = np.random.default_rng(0)
    truth, answers = random.integers(0, 4, 200), random.integers(0, 4, 200)
    assert _macro_f1(answers, truth) == pytest.approx(f1_score(truth, answers, average="macro"))


def test_columns_that_cannot_be_predicted_are_named(real: TableData) -> None:
    assert unsuitable(real.schema, "buys", real) is None
    assert unsuitable(real.schema, "day", real) == "day is a date"


def test_settings_are_searched_on_the_training_rows_alone() -> None:
    """A target that only small leaves can learn: the search must find them, and be the same every time."""
    random = np.random.default_rng(0)
    x = random.random((600, 3))
    y = np.floor(x[:, 0] * 8) % 2 + 0.1 * random.normal(size=600)
    first, second = (tune(x, y, np.zeros(3, bool), "regression", 0) for _ in range(2))
    assert first.settings in candidates(0) and first.settings == second.settings
    assert first.score > 0.5 and np.array_equal(first.model.predict(x), second.model.predict(x))


def test_rows_without_a_target_are_left_out(real: TableData, make_parts: MakeParts) -> None:
    table = Coder(real.schema).encode(real)
    problem = pose("weight", table)
    assert len(problem.usable(table)) == int(real.frame["weight"].notna().sum())
    figures, count = train_and_test(problem, table, table, make_parts(mixed(100, 1)))
    assert count == len(problem.usable(table)) and figures["tstr_r2"][0] > 0.9
    assert isinstance(table, Cells)


def test_too_few_known_targets_and_no_other_column_are_told_before_anything_is_trained(
    held_out: TableData, make_parts: MakeParts
) -> None:
    frame = mixed(600, 7)
    frame["buys"] = "perhaps"  # no real row says so
    reason = UTILITY.impossible(make_parts(frame, target="buys"))
    assert reason == "0 synthetic rows have a buys that real training rows have, 50 are the least"
    frame["buys"] = None
    assert "0 synthetic rows" in str(UTILITY.impossible(make_parts(frame, target="buys")))
    assert UTILITY.impossible(make_parts(mixed(600, 7), target="buys")) is None
    nine = replace(make_parts(mixed(600, 7), target="buys"), holdout=held_out.select(np.arange(9)), shared={})
    assert "9 test rows" in str(UTILITY.impossible(nine))
    alone = as_table(mixed(200, 1)[["colour"]])
    parts = TableParts(alone, alone, None, alone, None, "colour")
    assert UTILITY.impossible(parts) == "the table has no other column to predict colour from"


def test_test_rows_of_one_class_have_no_area(held_out: TableData, make_parts: MakeParts) -> None:
    yes = held_out.select(np.flatnonzero((held_out.frame["buys"] == "yes").to_numpy(bool)))
    parts = replace(make_parts(mixed(200, 7), target="buys"), holdout=yes, shared={})
    assert [one.name for one in UTILITY.measure(parts).metrics] == ["tstr_f1", "tstr_accuracy"]
