"""`synthgen sample` of a model of a table, as a shell sees it; in this process where it can be, to be quick."""

from __future__ import annotations

import io
import json
import signal
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from synthgen.cli import app
from synthgen.commands.sample_places import FORMATS, read_place
from synthgen.console.boundary import run
from synthgen.errors import UsageError
from synthgen.generation.tables import plan
from tests.conftest import Cli, interrupted, people

Shell = Callable[..., tuple[int, str, str]]

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def shell(
    table_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Shell:
    """shell("sample", "RUN", ..., SLURM_ARRAY_TASK_ID=3) -> exit code, stdout, stderr; in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")

    def call(*words: object, **environment: object) -> tuple[int, str, str]:
        with monkeypatch.context() as patch:
            for name, value in environment.items():
                patch.setenv(name, str(value))
            code = run(app, [str(table_run) if word == "RUN" else str(word) for word in words])
        streams = capsys.readouterr()
        return int(code), streams.out, streams.err

    return call


def test_the_formats_of_the_command_are_those_of_the_core() -> None:
    assert FORMATS == plan.FORMATS


def test_the_plain_command_makes_a_file(shell: Shell, tmp_path: Path) -> None:
    code, out, err = shell("sample", "RUN", "--count", 200)
    assert code == 0 and out.startswith("200 rows in synthetic.csv\n")
    assert "next: synthgen evaluate --real " in err and "--fake synthetic.csv" in err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["synthetic.csv", "synthetic.csv.manifest.json"]
    assert len(pd.read_csv("synthetic.csv")) == 200
    assert shell("sample", "verify", "synthetic.csv", "--quiet")[:2] == (0, "whole\n")
    code, out, err = shell("sample", "RUN")
    assert (code, out) == (2, "") and "synthetic.csv exists already" in err and "loading" not in err
    code, out, _ = shell("sample", "RUN", "--force", "--json")
    found = json.loads(out)
    assert code == 0 and found["count"] == 1000 and found["file"] == "synthetic.csv" and found["sha256"]
    code, out, err = shell("sample", "RUN", "--resume")
    assert code == 0 and "synthetic.csv is complete already" in err


def test_conditions_and_balance(shell: Shell) -> None:
    ask = ("sample", "RUN", "-n", 90, "--out", "rich.tsv", "--where", "age=50..60", "--balance", "income")
    code, out, err = shell(*ask)
    assert code == 0 and "all of them with age=50..60" in out and "next: synthgen sample verify rich.tsv" in err
    rows = pd.read_csv("rich.tsv", sep="\t")
    assert rows["age"].between(50, 60).all() and rows["income"].value_counts().tolist() == [45, 45]


def test_completion(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "part.csv").write_text("income,age\n>50K,\n<=50K,30\n")
    code, out, _ = shell("sample", "RUN", "--complete", "part.csv", "--draws", 2, "--out", "-")
    rows = pd.read_csv(io.StringIO(out))
    assert code == 0 and rows["income"].tolist() == [">50K"] * 2 + ["<=50K"] * 2 and rows["draw"].tolist() == [0, 1] * 2
    assert list(rows.columns) == [*people(2).columns, "draw"]


def test_rows_to_stdout_and_nothing_else(shell: Shell, tmp_path: Path) -> None:
    code, out, err = shell("sample", "RUN", "-n", 70, "--out", "-", "--format", "tsv")
    assert code == 0 and len(pd.read_csv(io.StringIO(out), sep="\t")) == 70 and "sampling" in err
    assert list(tmp_path.iterdir()) == []


def test_shards_from_the_environment(shell: Shell) -> None:
    ask = ("sample", "RUN", "--count", 200, "--shards", 2, "--out", "set")
    code, out, err = shell(*ask, JOB_COMPLETION_INDEX=1)
    assert code == 0 and "making shard 1 of 2, counted from 0" in err and "1 of 2 shards are still to be made" in out
    code, out, err = shell(*ask)
    assert code == 0 and "the set is complete: 200 rows" in out
    assert "next: synthgen sample merge set --out synthetic.csv" in err
    assert shell("sample", "merge", "set", "--out", "synthetic.csv", "--quiet")[:2] == (0, "synthetic.csv\n")
    assert shell("sample", "verify", "set", "--quiet")[:2] == (0, "whole\n")
    code, out, _ = shell("sample", "RUN", "--count", 10**6, "--shard", "17/1000", "--dry-run", "--json")
    found = json.loads(out)
    assert found["rows_of_part"] == 1024 and found["part"] == {"index": 17, "total": 1000, "source": "--shard"}


def test_a_plan_makes_nothing(shell: Shell, tmp_path: Path) -> None:
    code, out, _ = shell("sample", "RUN", "--dry-run", "--where", "income=>50K", "--out", "x.parquet")
    assert code == 0 and "1,000 of 10 columns" in out and "income=>50K" in out and "parquet" in out
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--class", "3"], "--class belongs to a model of images"),
        (["--guidance-scale", "2", "--sampler", "ddim"], "--sampler, --guidance-scale belong to a model of images"),
        (["--eta", "0"], "--eta belongs to"),
        (["--format", "png"], "rows of a table are not written as png"),
        (["--out", "x.csv", "--format", "parquet"], "--format parquet and --out x.csv disagree"),
        (["--out", "-", "--format", "parquet"], "Parquet cannot be written to stdout"),
        (["--out", "-", "--json"], "--out - writes the rows to stdout"),
        (["--out", "x.csv", "--shards", "2"], "are many files, and --out x.csv is one"),
        (["--draws", "2"], "--draws is about rows that are completed"),
        (["--allow-missing"], "--allow-missing is about rows that are completed"),
        (["--complete", "x.csv", "--count", "5"], "as many rows as its file has"),
        (["--complete", "x.csv", "--where", "age=3"], "--where and --complete both say what is known"),
        (["--complete", "x.csv"], "there is no table 'x.csv'"),
        (["--where", "agee=3"], "'agee' (did you mean 'age'?)"),
        (["--where", "city=Roma"], "has no value 'Roma' (did you mean 'Rome'?)"),
        (["--where", "age=3"], "satisfies age=3"),
        (["--where", "high=3"], "a constraint makes it from low"),
        (["--balance", "age"], "cannot be balanced"),
        (["--count", "0"], "--count must be 1 or more"),
        (["--steps", "0"], "1 step or more"),
        (["--temperature", "0"], "the temperature must be above 0"),
        (["--shards", "99"], "shards are possible, not 99"),
    ],
)
def test_wrong_requests_begin_nothing(shell: Shell, tmp_path: Path, arguments: list[str], message: str) -> None:
    code, _, err = shell("sample", "RUN", *arguments)
    assert code == 2 and message in err and err.count("error:") == 1
    assert list(tmp_path.iterdir()) == []


def test_options_of_tables_are_refused_for_images(tiny_run: Path, shell: Shell) -> None:
    code, _, err = shell("sample", tiny_run, "--where", "age=3", "--temperature", 0.5)
    assert code == 2 and "--where, --temperature belong to a model of a table or of series, and" in err
    code, _, err = shell("sample", tiny_run, "--format", "csv")
    assert code == 2 and "csv" in err


@pytest.mark.parametrize(
    ("out", "format_", "expected"),
    [
        (None, None, ("synthetic.csv", "csv", False)),
        (None, "parquet", ("synthetic.parquet", "parquet", False)),
        ("a/B.CSV.GZ", None, ("a/B.CSV.GZ", "csv", True)),
        ("x.tab", None, ("x.tab", "tsv", False)),
        ("folder", "tsv", ("folder", "tsv", False)),
        ("v1.2", None, ("v1.2", "csv", False)),
        ("file:///tmp/x.pq", None, ("/tmp/x.pq", "parquet", False)),
    ],
)
def test_the_name_says_the_format(
    out: str | None,
    format_: str | None,
    expected: tuple[str, str, bool],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    place = read_place(out, format_, None, None, None)
    assert (place.out, place.format, place.packed) == expected and not place.in_shards


def test_parquet_is_not_gzipped(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="compresses its columns itself"):
        read_place("x.parquet.gz", None, None, None, None)
    assert read_place("s3://bucket/x", None, None, None, None).in_shards


def test_formulas_are_escaped(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "part.csv").write_text("age,city\n30,=1+2\n")
    for flags, text in (((), "=1+2"), (("--escape-formulas",), "'=1+2")):
        code, out, _ = shell("sample", "RUN", "--complete", "part.csv", "--out", "-", *flags)
        assert code == 0 and pd.read_csv(io.StringIO(out))["city"].tolist() == [text]


def test_an_interrupt_keeps_what_is_made(table_run: Path, tmp_path: Path, cli: Cli) -> None:
    ask = ["sample", str(table_run), "--count", "40000", "--out", "rows.csv"]
    code, out, err = interrupted(ask, tmp_path, "sampling: 0/40,000", signal.SIGINT)
    assert (code, out) == (130, "") and "resume with: synthgen sample" in err and not (tmp_path / "rows.csv").exists()
    done = cli(*ask[:2], "--count", 40000, "--out", "rows.csv", "--dry-run")
    assert done.returncode == 2 and "begun already and not finished" in done.stderr
