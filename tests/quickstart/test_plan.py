"""The commands that the report shows are commands that exist."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest
import typer

from synthgen.cli import app
from synthgen.errors import UsageError
from synthgen.quickstart.plan import FOLDERS, NEXT, STAGES, TITLES, Plan

PLAN = Plan(Path("first try"), "45s", 300, 7)


def parsed(line: str) -> dict[str, Any]:
    """The parameters that the command line gives to its command, by the program's own parser; nothing is run."""
    words = shlex.split(line)
    assert words[0] == "synthgen"
    root: Any = typer.main.get_command(app)
    context = root.make_context("synthgen", words[1:], resilient_parsing=False)
    name, command, rest = root.resolve_command(context, words[1:])
    return {"command": name, **command.make_context(name, rest, parent=context).params}


def test_every_stage_has_its_words() -> None:
    assert set(TITLES) == set(FOLDERS) == set(STAGES)


@pytest.mark.parametrize("stage", STAGES)
def test_commands_parse_and_hand_results_on(stage: str) -> None:
    given = parsed(PLAN.command(stage))
    assert given["command"] == stage
    assert str(given["out"]) == str(PLAN.folder(FOLDERS[stage]))
    if "run" in given:
        assert given["run"] == "first try/run"
    for key in ("fake", "synthetic"):
        assert given.get(key, "first try/synthetic") in ("first try/synthetic", ["first try/synthetic"])
    assert given.get("seed", 7) == 7


def test_settings_reach_the_commands() -> None:
    assert parsed(PLAN.command("train"))["budget"] == "45s"
    assert parsed(PLAN.command("sample"))["count"] == 300


@pytest.mark.parametrize("line", NEXT)
def test_what_comes_next_parses_too(line: str) -> None:
    assert parsed(line)["command"] == "train"


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        (Plan(Path("x"), budget="90"), "90"),
        (Plan(Path("x"), budget="0s"), "no time"),
        (Plan(Path("x"), count=1), "--count"),
    ],
)
def test_settings_that_cannot_work_are_refused(plan: Plan, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        plan.check()
