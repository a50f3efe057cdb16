"""What `data inspect` finds in series, against numbers computed apart."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from synthgen.cli import app
from synthgen.config.series import SeriesDataConfig
from synthgen.console.boundary import run
from synthgen.data.series.inspection import inspect_series, sparkline


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """200 hours of a smooth channel with a hole of five steps, a constant, and a state."""
    generator = np.random.default_rng(0)
    frame = pd.DataFrame({"when": pd.date_range("2024-01-01", periods=200, freq="h")})
    frame["load"] = generator.normal(size=200).cumsum().round(3)
    frame.loc[20:24, "load"] = np.nan
    frame["state"] = generator.choice(["on", "off"], 200)
    frame["same"] = 7
    frame.to_csv(tmp_path / "recording.csv", index=False)
    return tmp_path / "recording.csv"


def test_facts_of_channels(recording: Path) -> None:
    found = inspect_series(recording, SeriesDataConfig(window=24, validation=0.1))
    load, state, same = found.channels
    frame = pd.read_csv(recording)
    assert load.missing == pytest.approx(5 / 200) and load.longest_gap == 5
    assert load.autocorrelation == pytest.approx(frame["load"].autocorr(1), abs=1e-9)
    assert state.repeats == pytest.approx((frame["state"].shift() == frame["state"])[1:].mean())
    assert load.values == f"{frame['load'].min()} to {frame['load'].max()}"
    assert same.learned == "repeated" and same.warnings == ("never changes, so there is nothing to learn",)
    assert [(part.name, part.steps, part.windows) for part in found.parts] == [
        ("train", 140, 117),
        ("validation", 20, 1),
        ("test", 40, 17),
    ]
    assert (found.interval, found.span) == ("1 hour", ("2024-01-01 00:00:00", "2024-01-09 07:00:00"))
    assert (found.given, found.window, found.stride) == (("hour",), 24, 1)


def test_ranges_of_many_digits_are_rounded(tmp_path: Path) -> None:
    values = [-22.70599937438965, 1234.5, *np.linspace(0, 1, 20)]
    pd.DataFrame({"a": values, "b": np.arange(22) * 10_000_000}).to_csv(tmp_path / "a.csv", index=False)
    found = {one.name: one.values for one in inspect_series(tmp_path / "a.csv", SeriesDataConfig(window=3)).channels}
    assert found == {"a": "-22.706 to 1234.5", "b": "0 to 210000000"}


def test_sparkline() -> None:
    assert sparkline([0.0, 0.5, None, 1.0]) == "▁▅ █"


def call(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    code = run(app, [str(word) for word in words])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_the_command(recording: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = call(capsys, "data", "inspect", recording)
    assert code == 0 and "tokens" in out
    assert "'when' goes on by 1 hour from row to row: --set data.window=24 learns the rows as a series" in err
    code, out, err = call(capsys, "data", "inspect", recording, "--set", "data.window=24")
    assert code == 0
    for text in ("1, 200 steps", "when, 1 hour from step to step", "137 windows", "2.5%, 5 in a row", "same never"):
        assert text in out, text
    assert "next: synthgen train --data" in err and "--set data.window=24" in err
    code, out, _ = call(capsys, "data", "inspect", recording, "--set", "data.window=24", "--json")
    document = json.loads(out)
    assert (code, document["kind"], document["count"], document["steps"]) == (0, "series", 1, 200)
    assert document["roles"] == {"time": "when", "id": None, "label": None}
    assert document["lengths"] == {"shortest": 200, "median": 200.0, "longest": 200}
    assert document["channels"][0]["longest_gap"] == 5
    assert call(capsys, "data", "inspect", recording, "--set", "data.window=24", "-q")[1] == "200\n"


def test_sequences_so_few_that_parts_are_learned(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for count, told in ((5, True), (30, False)):
        np.savez(tmp_path / "set.npz", X=np.random.default_rng(0).normal(size=(count, 20, 2)))
        out = call(capsys, "data", "inspect", tmp_path / "set.npz")[1]
        assert ("--set data.window=20 learns whole sequences" in out) is told
    out = call(capsys, "data", "inspect", tmp_path / "set.npz", "--set", "data.window=20")[1]
    assert "20 steps, one every 1\n" in out.replace(" \n", "\n")


def test_wrong_flags(recording: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = call(capsys, "data", "inspect", recording, "--set", "data.window=24", "--image-size", "8")
    assert (code, "are for images" in err) == (2, True)
    code, _, err = call(capsys, "data", "inspect", recording, "--set", "data.windw=24", "--set", "data.time=when")
    assert (code, "did you mean 'data.window'" in err) == (2, True)
    code, _, err = call(capsys, "data", "inspect", recording, "--set", "data.time=wen")
    assert (code, "(did you mean 'when'?)" in err) == (2, True)


def test_series_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = call(capsys, "data", "inspect", "sines", "--set", "data.limit=50", "--json")
    document = json.loads(out)
    assert (code, document["count"], document["window"]) == (0, 50, 24)
    assert [part["sequences"] for part in document["parts"]] == [40, 10]
    assert document["channels"][0]["autocorrelation"] > 0.9
