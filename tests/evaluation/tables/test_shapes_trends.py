"""Shape and trend errors: SDMetrics' own numbers, closed forms, and what fixed bins are for."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import ks_2samp

from synthgen.data.tables.schema import TableData
from synthgen.evaluation.tables.cells import Cells, Coder
from synthgen.evaluation.tables.shapes import SHAPES, column_errors, kolmogorov_smirnov, shape_error, total_variation
from synthgen.evaluation.tables.trends import (
    TRENDS,
    correlations,
    fixed_bins,
    fixed_edges,
    pair_errors,
    pairs_of,
    trend_error,
)
from tests.evaluation.tables.conftest import MakeParts, as_table
from tests.evaluation.tables.mixed import mixed, shuffled

RECORDED = json.loads((Path(__file__).parent / "sdmetrics-0.32.json").read_text())


def sides(real: TableData, name: str) -> tuple[Cells, Cells]:
    coder = Coder(real.schema)
    fake = mixed(1000, 2) if name == "other" else shuffled(mixed(1200, 1), 3)
    return coder.encode(real), coder.encode(as_table(fake, real))


@pytest.mark.parametrize("name", ["other", "shuffled"])
def test_errors_are_those_of_sdmetrics(real: TableData, name: str) -> None:
    ours, theirs = sides(real, name)
    recorded = RECORDED[name]
    errors = column_errors(ours, theirs)
    assert errors == pytest.approx(recorded["columns"], abs=1e-6)
    assert shape_error(ours, theirs) == pytest.approx(recorded["shape"], abs=1e-6)
    pairs = pairs_of(ours, 0)
    assert [list(pair) for pair in pairs] == [row[:2] for row in recorded["pairs"]]
    assert pair_errors(ours, theirs, pairs) == pytest.approx([row[2] for row in recorded["pairs"]], abs=1e-9)
    assert trend_error(ours, theirs, pairs) == pytest.approx(recorded["trend"], abs=1e-9)


@pytest.mark.skipif(importlib.util.find_spec("sdmetrics") is None, reason="sdmetrics is not installed")
def test_the_recorded_numbers_are_those_of_the_installed_sdmetrics() -> None:
    from tests.evaluation.tables.sdmetrics_reference import reference

    found = reference()
    for name in ("other", "shuffled"):
        assert found[name]["trend"] == pytest.approx(RECORDED[name]["trend"])  # type: ignore[index]


def test_shuffled_columns_keep_shapes_and_lose_trends(real: TableData) -> None:
    ours, theirs = sides(real, "shuffled")
    pairs = pairs_of(ours, 0)
    assert shape_error(ours, theirs) < 1e-12
    for edges in (None, fixed_edges(ours)):
        assert trend_error(ours, theirs, pairs, edges) > 2 * trend_error(*sides(real, "other"), pairs, edges)
        assert trend_error(ours, ours, pairs, edges) == 0.0


def test_the_distance_of_numbers_is_scipys_without_missing_values() -> None:
    random = np.random.default_rng(0)
    first, second = random.normal(size=300).round(1), random.normal(0.2, 1, 200).round(1)
    holes = np.where(random.random(300) < 0.2, np.nan, first)
    assert kolmogorov_smirnov(first, second) == pytest.approx(ks_2samp(first, second).statistic)
    assert kolmogorov_smirnov(holes, second) == pytest.approx(ks_2samp(holes[~np.isnan(holes)], second).statistic)
    assert np.isnan(kolmogorov_smirnov(np.full(3, np.nan), second))


def test_the_distance_of_categories_counts_new_ones() -> None:
    assert total_variation(np.array([0, 0, 1, 1]), np.array([0, 0, 0, 1])) == pytest.approx(0.25)
    assert total_variation(np.array([0, -1, -1]), np.array([2, 2])) == 1.0  # -1 is missing, 2 is new


def test_fixed_bins_do_not_move_with_one_outlier(real: TableData) -> None:
    """SDMetrics cuts each table by its own range: one outlier puts all other rows into one bin."""
    outlier = mixed(1200, 1)
    outlier.loc[0, "size"] = 1e6
    coder = Coder(real.schema)
    ours, theirs = coder.encode(real), coder.encode(as_table(outlier, real))
    pairs = [("size", "colour"), ("size", "buys")]
    assert (pair_errors(ours, theirs, pairs) > 0.3).all()
    assert (pair_errors(ours, theirs, pairs, fixed_edges(ours)) < 0.002).all()


def test_fixed_bins_are_deciles_with_missing_values_apart() -> None:
    values = np.arange(1.0, 101.0)
    table = Cells(("x",), {"x": values}, {}, 100)
    bins = fixed_bins(np.append(values, np.nan), fixed_edges(table)["x"])
    assert bins[-1] == 0
    assert np.bincount(bins[:-1])[1:].tolist() == [10] * 10
    inflated = np.append(np.zeros(95), np.arange(1, 6))  # nine deciles are the same value
    edges = fixed_edges(Cells(("x",), {"x": inflated}, {}, 100))["x"]
    assert np.bincount(fixed_bins(inflated, edges)).tolist() == [0, 95, 5]


def test_correlations_leave_out_missing_pairs_as_pandas_does() -> None:
    random = np.random.default_rng(3)
    frame = mixed(400, 5)[["size", "age", "weight"]].astype(float)
    frame.loc[random.random(400) < 0.2, "age"] = np.nan
    frame["same"] = 7.0
    found = correlations(frame.to_numpy() * 1e6 + 1e9)
    assert found[:3, :3] == pytest.approx(frame.iloc[:, :3].corr().to_numpy(), abs=1e-9)
    assert np.isnan(found[3]).all()


def test_figures_come_with_floors_and_intervals(make_parts: MakeParts) -> None:
    fake = mixed(900, 7)
    for measure, names in ((SHAPES, ["shape"]), (TRENDS, ["trend", "trend_fixed"])):
        found = measure.measure(make_parts(fake))
        assert [one.name for one in found.metrics] == names
        for one in found.metrics:
            assert one.interval is not None and one.interval[0] < one.value < one.interval[1]
            assert [floor.name for floor in one.floors] == ["bootstrap", "holdout"]
            assert one.n == 900 and one.floors[0].n == 900 and one.floors[1].n == 800
            assert 0.3 < one.value / one.floors[1].value < 3  # as good as other real rows
            assert "%" in one.sentence


def test_wide_tables_show_the_pairs_that_were_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("synthgen.evaluation.tables.trends.MOST_PAIRS", 5)
    table = Cells(tuple("abcdef"), {name: np.arange(4.0) for name in "abcdef"}, {}, 4)
    pairs = pairs_of(table, 0)
    assert len(pairs) == 5 == len(set(pairs)) and pairs == pairs_of(table, 0)


def test_many_categories_do_not_make_a_huge_table() -> None:
    count = 5000
    codes = {name: np.arange(count) for name in ("a", "b")}
    table = Cells(("a", "b"), {}, codes, count)
    other = Cells(("a", "b"), {}, {"a": np.arange(count), "b": np.roll(np.arange(count), 1)}, count)
    assert pair_errors(table, other, [("a", "b")]) == pytest.approx([1.0])
    assert pair_errors(table, table, [("a", "b")]).tolist() == [0.0]
