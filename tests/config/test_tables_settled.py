"""Settings of tables that depend on the number of rows."""

from __future__ import annotations

import pytest

from synthgen.config.tables import TableConfig


@pytest.mark.parametrize(
    ("rows", "bins", "batch", "steps"),
    [(50, 8, 16, 114), (1070, 33, 133, 524), (32_561, 100, 1024, 2888), (1_000_000, 100, 1024, 6000)],
)
def test_few_rows_get_fewer_bins_smaller_batches_and_fewer_steps(rows: int, bins: int, batch: int, steps: int) -> None:
    settled = TableConfig().for_rows(rows)
    assert (settled.data.bins, settled.training.batch_size, settled.training.steps) == (bins, batch, steps)
    assert settled.for_rows(rows) == settled


def test_a_length_that_is_given_stays() -> None:
    config = TableConfig.model_validate({"training": {"epochs": 3, "batch_size": 64}, "data": {"bins": 20}})
    settled = config.for_rows(10_000)
    assert settled == config
    budget = TableConfig.model_validate({"training": {"budget": "2m"}}).for_rows(10_000)
    assert (budget.training.budget, budget.training.steps) == ("2m", None)
