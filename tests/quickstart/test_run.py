"""Order, resuming and failing, with stages that do nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from synthgen.errors import StoppedError, SynthgenError, UsageError
from synthgen.outputs import MARKER
from synthgen.quickstart import stages
from synthgen.quickstart.plan import STAGES, Plan
from synthgen.quickstart.run import quickstart
from synthgen.reporting import NullReporter

Results = dict[str, dict[str, Any]]


class Said(NullReporter):
    def __init__(self) -> None:
        self.news: list[str] = []
        self.warnings: list[str] = []

    def info(self, message: str) -> None:
        self.news.append(message)

    def warn(self, message: str) -> None:
        self.warnings.append(message)


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch, results: Results) -> list[str]:
    """The names of the stages that were run, in order; each returns its made-up numbers."""
    ran: list[str] = []

    def stage(name: str) -> Any:
        def work(_: stages.Work) -> dict[str, Any]:
            ran.append(name)
            return results[name]

        return work

    monkeypatch.setattr(stages, "WORK", stages.WORK)
    for name in STAGES:
        monkeypatch.setitem(stages.WORK, name, stage(name))
    return ran


def failing(name: str, error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    def work(_: stages.Work) -> dict[str, Any]:
        raise error

    monkeypatch.setitem(stages.WORK, name, work)


def test_stages_run_in_order_are_announced_and_end_in_a_report(plan: Plan, done: list[str], results: Results) -> None:
    (plan.out / MARKER).touch()
    said = Said()
    result = quickstart(plan, resume=True, reporter=said)
    assert done == list(STAGES) == [record.name for record in result.stages]
    assert result.report == plan.out / "report.html" and "sampled sentence" in result.report.read_text()
    assert said.news[0].startswith("[1/6] train:") and "trained sentence" in said.news[1]
    assert [record.result for record in result.stages] == [results[name] for name in STAGES]
    assert {"device", "CPU cores", "torch"} <= set(result.machine)


def test_resuming_does_only_what_is_missing(
    plan: Plan, done: list[str], monkeypatch: pytest.MonkeyPatch, results: Results
) -> None:
    again = stages.WORK["evaluate"]
    failing("evaluate", SynthgenError("no weights", "get some"), monkeypatch)
    with pytest.raises(SynthgenError, match=r"stage 3 of 6 \(evaluate\): no weights") as caught:
        quickstart(plan, resume=True)
    assert caught.value.hint == "get some" and done == ["train", "sample"]
    assert not (plan.out / "report.html").exists()
    monkeypatch.setitem(stages.WORK, "evaluate", again)
    quickstart(plan, resume=True)
    assert done == list(STAGES)
    result = quickstart(plan, resume=True)  # everything is there: only the report is written again
    assert done == list(STAGES) and [record.result for record in result.stages] == [results[name] for name in STAGES]


def test_a_bug_names_its_stage_too(plan: Plan, done: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    failing("export", ZeroDivisionError("oops"), monkeypatch)
    said = Said()
    with pytest.raises(ZeroDivisionError):
        quickstart(plan, resume=True, reporter=said)
    assert said.warnings == ["stage 6 of 6 (export) failed; the stages before it are kept"]


def test_a_stop_keeps_its_kind_and_can_be_resumed(plan: Plan, done: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    failing("train", StoppedError("stopped at step 3"), monkeypatch)
    with pytest.raises(StoppedError, match=r"stage 1 of 6 \(train\): stopped at step 3"):
        quickstart(plan, resume=True)


def test_other_settings_are_not_resumed(plan: Plan, done: list[str]) -> None:
    quickstart(plan, resume=True)
    other = Plan(plan.out, plan.budget, plan.count + 1)
    with pytest.raises(UsageError, match="count 60 then, 61 now"):
        quickstart(other, resume=True)


def test_an_existing_folder_is_kept_unless_forced(plan: Plan, done: list[str], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="exists already"):
        quickstart(plan)
    with pytest.raises(UsageError, match="was not made by synthgen"):
        quickstart(plan, force=True)
    assert done == [] and (plan.folder("why") / "summary.json").exists()
    assert json.loads((plan.folder("why") / "summary.json").read_text())["samples"]
