"""`synthgen data inspect` on tables."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from synthgen.cli import app
from synthgen.console.boundary import run

Call = Callable[..., tuple[int, str, str]]

TABLE = "id,age,note\n" + "".join(f"{i},{20 + i % 30},thing {i} was {i * 7} long\n" for i in range(1, 120))


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Call:
    """Run a command in this process, in an empty folder: (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)

    def run_here(*words: object) -> tuple[int, str, str]:
        code = run(app, [str(word) for word in words])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run_here


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "people.csv"
    path.write_text(TABLE, encoding="utf-8")
    return path


def test_for_people(call: Call, table: Path) -> None:
    code, out, err = call("data", "inspect", table)
    assert code == 0
    assert "column" in out and "learned as" in out and "made anew" in out and "20 to 49" in out
    assert "note is free text: 119 different texts in 119 rows" in out
    assert "training would refuse 1 column(s): note" in err
    assert f"next: synthgen data inspect {table} --set 'data.drop=[note]'" in err


def test_the_next_command_trains(call: Call, table: Path) -> None:
    code, _, err = call("data", "inspect", table, "--set", "data.drop=[note]")
    assert code == 0 and f"next: synthgen train --data {table} --set 'data.drop=[note]'" in err


def test_as_json(call: Call, table: Path) -> None:
    code, out, _ = call("data", "inspect", table, "--json")
    document = json.loads(out)
    assert code == 0 and document["kind"] == "table" and document["count"] == 119
    age = next(column for column in document["columns"] if column["name"] == "age")
    assert age["kind"] == "integer" and age["distinct"] == 30 and age["tokens"] == 30 and age["missing"] == 0
    assert len(document["fingerprint"]) == 64


def test_quietly(call: Call, table: Path) -> None:
    code, out, _ = call("data", "inspect", table, "-q", "--set", "data.drop=[note]")
    assert (code, out) == (0, "119\n")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--image-size", "8"], "is a table: --image-size, --channels and --preview are for images"),
        (["--set", "data.drop=[nte]"], "has no column 'nte' (did you mean 'note'?)"),
        (["--set", "data.colums=[nte]"], "data.colums"),
        (["--set", "data.columns.age.kind=date"], "data.columns.age.kind"),
    ],
)
def test_mistakes(call: Call, table: Path, flags: list[str], message: str) -> None:
    code, _, err = call("data", "inspect", table, *flags)
    assert code == 2 and message in err


def test_settings_are_for_tables(call: Call) -> None:
    code, _, err = call("data", "inspect", "mnist-mini", "--set", "data.drop=[x]")
    assert code == 2 and "--set is for tables" in err
