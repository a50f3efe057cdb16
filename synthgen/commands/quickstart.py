"""`synthgen quickstart`: all six verbs at small scale, and a report."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from synthgen.commands.options import (
    Color,
    ColorOption,
    DeviceOption,
    DryRunOption,
    ForceOption,
    JsonOption,
    QuietOption,
    ResumeOption,
    SeedOption,
)
from synthgen.commands.resuming import resume_command, stoppable
from synthgen.console import Console, command_console
from synthgen.outputs import check_output

if TYPE_CHECKING:
    from synthgen.quickstart.plan import Plan
    from synthgen.quickstart.run import QuickstartResult


def quickstart(
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="The folder to make.")] = Path("quickstart"),
    budget: Annotated[
        str,
        typer.Option("--budget", metavar="TIME", help="Time for training: 90s, 5m. The rest takes minutes."),
    ] = "2m",
    count: Annotated[int, typer.Option("--count", "-n", metavar="N", help="How many synthetic images.")] = 2000,
    seed: SeedOption = 0,
    device: DeviceOption = "auto",
    resume: ResumeOption = False,
    force: ForceOption = False,
    dry_run: DryRunOption = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
    color: ColorOption = Color.auto,
) -> None:
    """Try everything on digits that come with the package: train, sample, evaluate, augment, explain, export.

    Ends with one page, report.html, that shows what came out and the commands to do it yourself.
    """
    with command_console(json=json, quiet=quiet, color=color) as console:
        from synthgen.quickstart.plan import Plan

        plan = Plan(out, budget, count, seed, device)
        plan.check()
        check_output(out, force=force, resume=resume)
        if dry_run:
            _show_plan(console, plan)
            return
        console.loading("torch")
        from synthgen.quickstart.run import quickstart as quickstart_core

        with stoppable(resume_command()) as stop:
            result = quickstart_core(plan, force=force, resume=resume, reporter=console.reporter, should_stop=stop)
        _show_result(console, plan, result)


def _show_plan(console: Console, plan: Plan) -> None:
    from synthgen.quickstart.plan import STAGES

    commands = {stage: plan.command(stage) for stage in STAGES}
    document = {"out": str(plan.out), **plan.settings(), "commands": commands}
    console.result(document, lambda: console.line("\n".join(commands.values())), quiet=plan.out)


def _show_result(console: Console, plan: Plan, result: QuickstartResult) -> None:
    from synthgen.quickstart.plan import NEXT

    document = {
        "out": str(plan.out),
        "report": str(result.report),
        "seconds": round(result.seconds, 1),
        "stages": [asdict(stage) for stage in result.stages],
        "machine": result.machine,
    }

    def human() -> None:
        rows = [(stage.name, f"{stage.seconds:.0f} s", stage.result["sentence"]) for stage in result.stages]
        console.table(None, ("stage", "time", "what came out"), rows, right=(1,))
        console.line(f"report: {result.report}", "bold")

    console.result(document, human, quiet=result.report)
    for command in NEXT:
        console.next(command)
