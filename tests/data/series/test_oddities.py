"""Columns that one mistyped cell keeps from being numbers or dates: the error names the cell."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from synthgen.config.series import SeriesDataConfig
from synthgen.data.series.oddities import odd_text
from synthgen.data.series.reading import read_series
from synthgen.errors import UsageError


def written(folder: Path, count: int = 200, **cells: tuple[int, str]) -> Path:
    """A recording with these texts in these rows of its columns `when`, `a`, `n`."""
    generator = np.random.default_rng(0)
    frame = pd.DataFrame({"when": pd.date_range("2024-01-01", periods=count, freq="h").astype(str)})
    frame["a"] = generator.normal(size=count).round(4).astype(str)
    frame["n"] = generator.integers(0, 100, count).astype(str)
    for name, (row, text) in cells.items():
        frame.loc[row, name] = text
    frame.to_csv(folder / "a.csv", index=False)
    return folder / "a.csv"


@pytest.mark.parametrize("text", ["inf", "#REF!"])
def test_a_number_that_is_none(tmp_path: Path, text: str) -> None:
    for name in ("a", "n"):
        with pytest.raises(UsageError, match=f"line 12, column '{name}': '{text}', where most cells are numbers") as e:
            read_series(written(tmp_path, **{name: (10, text)}), SeriesDataConfig(window=5))
        assert f'data.columns.{name}.missing=["{text}"]' in str(e.value.hint)


@pytest.mark.parametrize("count", [15, 200])
@pytest.mark.parametrize("text", ["yesterday", "2024-02-31 00:00:00"])
def test_a_date_that_is_none(tmp_path: Path, count: int, text: str) -> None:
    path = written(tmp_path, count, when=(10, text))
    for config in (SeriesDataConfig(window=3), SeriesDataConfig(window=3, time="when")):
        with pytest.raises(
            UsageError, match=f"line 12, column 'when': '{text}', where most cells are dates like 2024"
        ) as e:
            read_series(path, config)
        assert "correct the cell" in str(e.value.hint)


def test_texts_that_are_categories_by_nature_or_by_order(tmp_path: Path) -> None:
    assert odd_text(pd.Series(["on", "off", "idle", "on", "7"])) is None
    assert odd_text(pd.Series([str(one) for one in range(30)])) is None
    assert odd_text(pd.Series([*map(str, range(30)), "x", "y"])) == (30, "x", "numbers")
    assert odd_text(pd.Series(["1,5", "2,5", "3,5", "-", "4,5"])) == (3, "-", "numbers")
    frame = pd.DataFrame({"v": np.arange(30) * 0.5, "level": ["1", "2", "3", "4", "x"] * 6})
    frame.to_csv(tmp_path / "few.csv", index=False)
    assert read_series(tmp_path / "few.csv").schema.table["level"].kind == "category"
    path = written(tmp_path, n=(10, "x"))
    told = SeriesDataConfig.model_validate({"window": 5, "columns": {"n": {"kind": "category"}}})
    assert read_series(path, told).schema.table["n"].kind == "category"


def test_times_in_nanoseconds_are_numbers_when_told_so(tmp_path: Path) -> None:
    times = 1704067200000000000 + 10**8 * np.arange(60)
    pd.DataFrame({"time": times, "v": np.random.default_rng(0).normal(size=60)}).to_csv(tmp_path / "a.csv", index=False)
    for time in (None, "time"):
        with pytest.raises(UsageError) as told:
            read_series(tmp_path / "a.csv", SeriesDataConfig(window=5, time=time))
        assert "--set data.columns.time.kind=integer" in str(told.value.hint)
    config = SeriesDataConfig.model_validate({"window": 5, "columns": {"time": {"kind": "integer"}}})
    assert read_series(tmp_path / "a.csv", config).schema.step["interval"] == 1e8
