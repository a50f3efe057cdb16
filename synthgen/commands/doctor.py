"""`synthgen doctor`: what this machine has, and what to do about what is missing."""

from __future__ import annotations

import sys
from textwrap import fill
from typing import TYPE_CHECKING

from synthgen.commands.options import Color, ColorOption, JsonOption, QuietOption
from synthgen.console import Console, command_console
from synthgen.errors import SynthgenError

if TYPE_CHECKING:
    from synthgen.diagnosis import Finding


def doctor(json: JsonOption = False, quiet: QuietOption = False, color: ColorOption = Color.auto) -> None:
    """Check versions, devices, speed, disk, data sets and caches, and say what to do about problems.

    Downloads nothing. Exit code 1 only if something is broken; --quiet prints the number of problems.
    """
    with command_console(json=json, quiet=quiet, color=color) as console:
        console.loading("torch")
        from synthgen.diagnosis import Finding, diagnose

        findings = diagnose()
        terminal = " and ".join(name for name in ("stdout", "stderr") if getattr(sys, name).isatty())
        findings.append(Finding("terminal", "a person reads", terminal or "neither stdout nor stderr"))
        findings.append(Finding("terminal", "pictures", console.picture_support()))
        broken = [finding for finding in findings if finding.broken]
        console.result(_document(findings), lambda: _show(console, findings), quiet=len(broken))
        if broken:
            names = ", ".join(finding.name for finding in broken)
            raise SynthgenError(f"broken: {names}", hint="the lines marked above say what to do")


def _document(findings: list[Finding]) -> dict[str, object]:
    groups: dict[str, dict[str, str]] = {}
    for finding in findings:
        groups.setdefault(finding.group, {})[finding.name.replace(" ", "_")] = finding.value
    advised = [finding for finding in findings if finding.advice]
    problems = [
        {"name": finding.name, "value": finding.value, "advice": finding.advice, "broken": finding.broken}
        for finding in advised
    ]
    return {"ok": not any(finding.broken for finding in findings), **groups, "problems": problems}


def _show(console: Console, findings: list[Finding]) -> None:
    versions = [finding for finding in findings if finding.group == "software" and not finding.advice]
    shown = [finding for finding in findings if finding not in versions]
    console.line("software", style="bold")
    pairs = ", ".join(f"{finding.name}\0{finding.value}" for finding in versions)  # a pair stays on its line
    wrapped = fill(pairs, 78, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False)
    console.line(wrapped.replace("\0", " "))
    width = max(len(finding.name) for finding in shown)
    group = "software"
    for finding in shown:
        if finding.group != group:
            group = finding.group
            console.line(f"\n{group}", style="bold")
        console.line(f"  {finding.name:{width}}  {finding.value}", style="red" if finding.broken else None)
        if finding.advice:
            console.line(f"  {'':{width}}  -> {finding.advice}", style="yellow")
