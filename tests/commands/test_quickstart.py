"""`synthgen quickstart` as a user runs it, once really from end to end."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from synthgen.cli import app
from synthgen.console.boundary import run
from synthgen.quickstart.plan import STAGES

Cli = Callable[..., "CompletedProcess[str]"]


def test_dry_run_prints_the_commands_and_makes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(app, ["quickstart", "--dry-run"]) == 0
    lines = capfd.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines] == [["synthgen", stage] for stage in STAGES]
    assert run(app, ["quickstart", "--dry-run", "--json", "--budget", "7s"]) == 0
    document = json.loads(capfd.readouterr().out)
    assert document["budget"] == "7s" and "--budget 7s" in document["commands"]["train"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--budget", "soon"], "'soon' is not a duration"),
        (["--count", "3"], "--count"),
        (["--out", "taken"], "taken exists"),
    ],
)
def test_wrong_requests_end_with_2_before_anything_is_loaded(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "thesis.txt").write_text("mine")
    assert run(app, ["quickstart", *arguments]) == 2
    shown = capfd.readouterr()
    assert message in shown.err and "loading" not in shown.err and shown.out == ""


@pytest.mark.slow
def test_from_end_to_end(cli: Cli, tmp_path: Path) -> None:
    done = cli("quickstart", "--out", "first", "--budget", "8s", "--count", "200", "--json", timeout=1800)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert [stage["name"] for stage in document["stages"]] == list(STAGES)
    by_name = {stage["name"]: stage["result"] for stage in document["stages"]}
    assert by_name["sample"]["count"] == 200 and by_name["evaluate"]["n"] == 200
    assert by_name["export"]["max_difference"] <= 1
    assert by_name["augment-classifier"]["leak"]["status"] == "clean"
    report = (tmp_path / "first" / "report.html").read_text(encoding="utf-8")
    for stage in document["stages"]:
        assert stage["command"] in report
    for page in ("why/index.html", "evaluation/report.html", "augmentation/report.html"):
        assert page in report and (tmp_path / "first" / page).is_file()
    for number in range(1, 7):
        assert f"[{number}/6]" in done.stderr
    assert "Traceback" not in done.stderr and "Warning" not in done.stderr
    again = cli("quickstart", "--out", "first", "--budget", "8s", "--count", "200", "--resume", "--quiet")
    assert (again.returncode, again.stdout) == (0, "first/report.html\n")
    assert cli("quickstart", "--out", "first").returncode == 2
