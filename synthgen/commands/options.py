"""Options that several commands share, so that they are spelled and explained once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from synthgen.console.color import Color

__all__ = [
    "Color",
    "ColorOption",
    "DeviceOption",
    "DryRunOption",
    "ForceOption",
    "JsonOption",
    "OutOption",
    "QuietOption",
    "ResumeOption",
    "RunArgument",
    "SeedOption",
    "SetOption",
]

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Print only the path or the number.")]
ColorOption = Annotated[Color, typer.Option("--color", help="When to use colour.")]

RunArgument = Annotated[
    str, typer.Argument(metavar="RUN", help="A run folder, a .safetensors file, or a bundled model's name.")
]
SeedOption = Annotated[int, typer.Option("--seed", min=0, max=2**63 - 1, help="The same seed, the same result.")]
OutOption = Annotated[Path, typer.Option("--out", "-o", metavar="PATH", help="Where to write.")]
ForceOption = Annotated[bool, typer.Option("--force", help="Replace what is there.")]
ResumeOption = Annotated[bool, typer.Option("--resume", help="Go on where an interrupted run stopped.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Check everything and print the plan only.")]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change one setting, e.g. training.batch_size=64. Repeatable."),
]
DeviceOption = Annotated[str, typer.Option("--device", metavar="NAME", help="auto, cpu, cuda, cuda:1 or mps.")]
