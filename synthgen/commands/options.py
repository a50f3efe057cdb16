"""Options that several commands share, so that they are spelled and explained once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from synthgen.console.color import Color
from synthgen.errors import UsageError

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


def _check_seed(value: int) -> int:
    """Generators are keyed by 63 bits; a bound of this size would only be noise in the help."""
    if value >= 2**63:
        raise UsageError("--seed must be less than 2^63")
    return value


JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Print only the path or the number.")]
ColorOption = Annotated[Color, typer.Option("--color", help="When to use colour.")]

RunArgument = Annotated[
    str, typer.Argument(metavar="RUN", help="A run folder, a .safetensors file, or a bundled model's name.")
]
SeedOption = Annotated[
    int,
    typer.Option("--seed", min=0, metavar="N", callback=_check_seed, help="The same seed, the same result."),
]
OutOption = Annotated[Path, typer.Option("--out", "-o", metavar="PATH", help="Where to write.")]
ForceOption = Annotated[bool, typer.Option("--force", help="Replace what is there.")]
ResumeOption = Annotated[bool, typer.Option("--resume", help="Go on where an interrupted run stopped.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Check everything and print the plan only.")]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change one setting, e.g. training.batch_size=64. Repeatable."),
]
DeviceOption = Annotated[
    str, typer.Option("--device", metavar="NAME", show_default=False, help="auto, cpu, cuda, cuda:1 or mps.")
]
