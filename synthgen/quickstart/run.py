"""Runs the stages one after the other, keeps a record of each, and writes the report at the end."""

from __future__ import annotations

import json
import os
import platform
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from synthgen import __version__
from synthgen.devices import pick_device
from synthgen.errors import SynthgenError, UsageError
from synthgen.outputs import atomic_write, prepare_output
from synthgen.quickstart.page import report_page
from synthgen.quickstart.plan import STAGES, TITLES, Plan
from synthgen.quickstart.stages import WORK, Work
from synthgen.reporting import NullReporter, Reporter
from synthgen.stopping import ShouldStop, never_stop

SETTINGS, REPORT = "quickstart.json", "report.html"


@dataclass(frozen=True)
class StageRecord:
    """How a stage went. seconds: wall clock, loading included; result: the stage's numbers."""

    name: str
    title: str
    command: str
    seconds: float
    result: dict[str, Any]


@dataclass(frozen=True)
class QuickstartResult:
    """What a finished quickstart left. seconds: the stages' wall clock together."""

    report: Path
    seconds: float
    stages: tuple[StageRecord, ...]
    machine: dict[str, str]


def quickstart(
    plan: Plan,
    *,
    force: bool = False,
    resume: bool = False,
    reporter: Reporter | None = None,
    should_stop: ShouldStop = never_stop,
) -> QuickstartResult:
    """Do all stages of `plan` in `plan.out` and write `report.html` there.

    resume: keep the stages that were finished and go on with the next; force: start anew.
    Raises: UsageError for an existing folder or other settings than those resumed; SynthgenError naming the
    stage that failed; StoppedError.
    """
    plan.check()
    pick_device(plan.device)
    reporter = reporter or NullReporter()
    prepare_output(plan.out, force=force, resume=resume)
    _settle(plan)
    work = Work(plan, reporter, should_stop)
    records = []
    for number, name in enumerate(STAGES, start=1):
        record = _read(plan, name)
        if record is not None:
            reporter.info(f"[{number}/{len(STAGES)}] {name}: done before, in {record.seconds:.0f} s")
        else:
            reporter.info(f"[{number}/{len(STAGES)}] {name}: {TITLES[name]}")
            record = _do(work, number, name)
            reporter.info(f"    {record.result['sentence']} ({record.seconds:.0f} s)")
        records.append(record)
    machine = describe_machine(plan.device)
    result = QuickstartResult(plan.out / REPORT, sum(r.seconds for r in records), tuple(records), machine)
    text = report_page(plan, {r.name: r.result for r in records}, {r.name: r.seconds for r in records}, machine)
    atomic_write(result.report, text.encode())
    return result


def describe_machine(device: str) -> dict[str, str]:
    """What the timings were measured on."""
    place = pick_device(device)
    name = torch.cuda.get_device_name(place) if place.type == "cuda" else platform.processor() or platform.machine()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return {
        "device": f"{place} ({name})",
        "CPU cores": f"{cores} usable, {torch.get_num_threads()} threads",
        "system": platform.platform(terse=True),
        "Python": platform.python_version(),
        "torch": torch.__version__,
        "synthgen": __version__,
    }


def _settle(plan: Plan) -> None:
    """Write the settings, or compare them with those that began the folder."""
    path = plan.out / SETTINGS
    if not path.is_file():
        atomic_write(path, (json.dumps(plan.settings(), indent=2) + "\n").encode())
        return
    before = json.loads(path.read_text(encoding="utf-8"))
    now = plan.settings()
    changes = [f"{key} {before.get(key)} then, {now[key]} now" for key in now if before.get(key) != now[key]]
    if changes:
        raise UsageError(
            f"{plan.out} was begun with other settings ({'; '.join(changes)})",
            "resume with the same settings, or start anew with --force",
        )


def _do(work: Work, number: int, name: str) -> StageRecord:
    """One stage; a failure says which one it was, and what to do."""
    started = time.monotonic()
    try:
        result = WORK[name](work)
    except SynthgenError as error:
        error.message = f"stage {number} of {len(STAGES)} ({name}): {error.message}"
        error.args = (error.message,)
        raise
    except BaseException:
        work.reporter.warn(f"stage {number} of {len(STAGES)} ({name}) failed; the stages before it are kept")
        raise
    seconds = round(time.monotonic() - started, 1)
    record = {"name": name, "title": TITLES[name], "command": work.plan.command(name), "seconds": seconds}
    text = json.dumps({**record, "result": result}, indent=2) + "\n"
    atomic_write(_record_path(work.plan, name), text.encode())
    return StageRecord(**json.loads(text))  # as a resumed run would read it


def _read(plan: Plan, name: str) -> StageRecord | None:
    """The record of a finished stage, or None."""
    path = _record_path(plan, name)
    if not path.is_file():
        return None
    return StageRecord(**json.loads(path.read_text(encoding="utf-8")))


def _record_path(plan: Plan, name: str) -> Path:
    return plan.out / "stages" / f"{name}.json"


__all__ = ["QuickstartResult", "StageRecord", "describe_machine", "quickstart"]
