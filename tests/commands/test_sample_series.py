"""`synthgen sample` of a model of series, as a shell sees it; in this process where it can be, to be quick."""

from __future__ import annotations

import io
import json
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from synthgen.cli import app
from synthgen.commands.sample_choices import Format, Sampler
from synthgen.commands.sample_series import FORMATS, read_quantiles
from synthgen.console.boundary import run
from synthgen.errors import UsageError
from synthgen.generation.series import plan
from tests.conftest import Cli, interrupted, sensors

Shell = Callable[..., tuple[int, str, str]]

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def shell(
    series_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Shell:
    """shell("sample", "RUN", ..., SLURM_ARRAY_TASK_ID=3) -> exit code, stdout, stderr; in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")

    def call(*words: object, **environment: object) -> tuple[int, str, str]:
        with monkeypatch.context() as patch:
            for name, value in environment.items():
                patch.setenv(name, str(value))
            code = run(app, [str(series_run) if word == "RUN" else str(word) for word in words])
        streams = capsys.readouterr()
        return int(code), streams.out, streams.err

    return call


def test_the_formats_and_samplers_of_the_command_are_those_of_the_core() -> None:
    from synthgen.diffusion.samplers import SAMPLERS

    assert FORMATS == plan.FORMATS and set(FORMATS) <= {one.value for one in Format}
    assert tuple(one.value for one in Sampler) == SAMPLERS


def test_the_plain_command_makes_a_file_in_the_form_of_the_data(shell: Shell, tmp_path: Path) -> None:
    code, out, err = shell("sample", "RUN", "--count", 20)
    assert code == 0 and out.startswith("20 sequences in synthetic.csv\n")
    assert "next: synthgen evaluate --real " in err and "--fake synthetic.csv" in err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["synthetic.csv", "synthetic.csv.manifest.json"]
    assert list(pd.read_csv("synthetic.csv").columns) == list(sensors(1).columns)
    assert shell("sample", "verify", "synthetic.csv", "--quiet")[:2] == (0, "whole\n")
    code, out, err = shell("sample", "RUN")
    assert (code, out) == (2, "") and "synthetic.csv exists already" in err and "loading" not in err
    code, out, _ = shell("sample", "RUN", "-n", 20, "--force", "--json")
    found = json.loads(out)
    assert code == 0 and found["count"] == 20 and found["rows"] == 240 and found["sha256"]
    code, out, err = shell("sample", "RUN", "-n", 20, "--resume")
    assert code == 0 and "synthetic.csv is complete already" in err


def test_classes_length_start_and_covariates(shell: Shell) -> None:
    ask = ("sample", "RUN", "-n", 4, "--class", "up", "--class", "down", "--length", 20, "--start", "2018-07-01")
    code, out, err = shell(*ask, "--where", "site=south", "--out", "asked.tsv")
    assert code == 0 and "all of them class up, down; site=south; from 2018-07-01 on" in out
    assert "next: synthgen sample verify asked.tsv" in err
    rows = pd.read_csv("asked.tsv", sep="\t", parse_dates=["when"])
    assert rows.groupby("sensor", sort=False)["mood"].first().tolist() == ["up", "down"] * 2
    assert (rows["site"] == "south").all() and len(rows) == 80
    assert rows["when"].min() == pd.Timestamp("2018-07-01") and rows["when"].max() == pd.Timestamp("2018-07-01 19:00")


def test_forecasts_and_quantiles(shell: Shell, tmp_path: Path) -> None:
    frame = sensors(2)
    frame[frame.groupby("sensor").cumcount() < 10].to_csv(tmp_path / "known.csv", index=False)
    ask = ("sample", "RUN", "--complete", "known.csv", "--length", 14)
    code, out, _ = shell(*ask, "--draws", 2, "--out", "-")
    rows = pd.read_csv(io.StringIO(out))
    assert code == 0 and rows["draw"].value_counts().tolist() == [28, 28] and not rows["level"].isna().any()
    code, out, _ = shell(*ask, "--draws", 9, "--quantiles", "0.9,0.1", "--out", "levels.csv")
    rows = pd.read_csv("levels.csv")
    assert code == 0 and rows["quantile"].unique().tolist() == [0.1, 0.9]
    low, high = (rows[rows["quantile"] == level]["level"].to_numpy() for level in (0.1, 0.9))
    assert (low <= high).all()
    code, out, _ = shell(*ask, "--quantiles", "0.5", "--out", "middle.csv", "--dry-run")
    assert code == 0 and "100 draw(s) each; quantiles 0.5" in out and not Path("middle.csv").exists()


def test_arrays(shell: Shell) -> None:
    assert shell("sample", "RUN", "-n", 20, "--format", "npz", "-q")[:2] == (0, "synthetic.npz\n")
    with np.load("synthetic.npz") as made:
        assert made["X"].shape == (20, 12, 3) and set(made["y"]) <= {"up", "down"}
    assert shell("sample", "RUN", "-n", 20, "--out", "again.npz", "--shards", 2)[0] == 2
    assert shell("sample", "RUN", "-n", 20, "--out", "set", "--format", "npz", "--shards", 2)[0] == 0
    assert shell("sample", "merge", "set", "--out", "again.npz")[0] == 0
    assert Path("again.npz").read_bytes() == Path("synthetic.npz").read_bytes()


def test_shards_from_the_environment(shell: Shell) -> None:
    ask = ("sample", "RUN", "--count", 40, "--shards", 2, "--out", "set")
    code, out, err = shell(*ask, JOB_COMPLETION_INDEX=1)
    assert code == 0 and "making shard 1 of 2, counted from 0" in err and "1 of 2 shards are still to be made" in out
    code, out, err = shell(*ask)
    assert code == 0 and "the set is complete: 40 sequences" in out
    assert "next: synthgen sample merge set --out synthetic.csv" in err
    assert shell("sample", "verify", "set", "--quiet")[:2] == (0, "whole\n")
    code, out, _ = shell("sample", "RUN", "--count", 10**6, "--shard", "17/1000", "--dry-run", "--json")
    found = json.loads(out)
    assert found["sequences_of_part"] in (992, 1008) and found["part"]["index"] == 17


def test_a_plan_makes_nothing(shell: Shell, tmp_path: Path) -> None:
    code, out, _ = shell("sample", "RUN", "--dry-run", "--class", "up", "--length", 100, "--out", "x.parquet")
    assert code == 0 and "1 of 3 channel(s)" in out and "100, in 16 overlapping windows" in out and "up" in out
    assert "network calls a window" in out and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--balance", "mood", "--temperature", "2"], "--balance, --temperature belong to a model of a table, and"),
        (["--format", "png"], "series are not written as png"),
        (["--out", "x.csv", "--format", "npz"], "--format npz and --out x.csv disagree"),
        (["--out", "-", "--format", "npz"], "npz cannot be written to stdout"),
        (["--out", "-", "--json"], "--out - writes to stdout"),
        (["--out", "x.npz", "--shards", "2"], "are many files, and --out x.npz is one"),
        (["--out", "x.npz.gz"], "npz compresses its arrays itself"),
        (["--draws", "2"], "--draws is about sequences that are completed"),
        (["--quantiles", "0.5"], "--quantiles is about sequences that are completed"),
        (["--complete", "x.csv", "--quantiles", "a"], "'a' is not a list of numbers"),
        (["--complete", "x.csv", "--quantiles", "0.1,2"], "quantiles lie between 0 and 1"),
        (["--complete", "x.csv", "--count", "5"], "as many sequences as its file has"),
        (["--complete", "x.csv", "--class", "up"], "--class and --complete both say what is known"),
        (["--complete", "x.csv"], "x.csv does not exist"),
        (["--class", "upp"], "unknown class 'upp' (did you mean 'up'?)"),
        (["--where", "sit=north"], "'sit' (did you mean 'site'?)"),
        (["--where", "level=3"], "'level' is a channel"),
        (["--start", "yesterday-ish"], "'yesterday-ish' is no date"),
        (["--length", "0"], "--length must be 1 or more"),
        (["--count", "0"], "--count must be 1 or more"),
        (["--steps", "0"], "between 1 and 10,000 steps"),
        (["--eta", "0.5"], "has no meaning for sampler"),
        (["--shards", "99"], "shards are possible, not 99"),
    ],
)
def test_wrong_requests_begin_nothing(shell: Shell, tmp_path: Path, arguments: list[str], message: str) -> None:
    code, _, err = shell("sample", "RUN", *arguments)
    assert code == 2 and message in err and err.count("error:") == 1
    assert list(tmp_path.iterdir()) == []


def test_options_of_series_are_refused_elsewhere(table_run: Path, shell: Shell) -> None:
    code, _, err = shell("sample", table_run, "--length", 3, "--class", "up")
    assert code == 2 and "--class, --length belong to a model of images or of series, and" in err
    code, _, err = shell("sample", table_run, "--out", "x.npz")
    assert code == 2 and "rows of a table are not written as npz" in err


def test_quantiles_are_sorted_and_said_once() -> None:
    assert read_quantiles("0.9, 0.1,0.1") == (0.1, 0.9) and read_quantiles(None) == ()
    with pytest.raises(UsageError):
        read_quantiles("")


def test_a_process_of_its_own(series_run: Path, tmp_path: Path, cli: Cli) -> None:
    """An interrupt keeps what is made and names the command that goes on; a pipe gets rows and nothing else."""
    ask = ["sample", str(series_run), "--count", "20000", "--length", "30", "--out", "made.csv"]
    code, out, err = interrupted(ask, tmp_path, "sampling: 0/20,000", signal.SIGINT)
    assert (code, out) == (130, "") and "resume with: synthgen sample" in err and not (tmp_path / "made.csv").exists()
    done = cli("sample", series_run, "--count", 5, "--out", "-")
    assert done.returncode == 0 and len(pd.read_csv(io.StringIO(done.stdout))) == 60
    assert "sampling: 5/5 sequences" in done.stderr
