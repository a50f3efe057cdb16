"""What the two benchmarks of images share: where they ran, medians with their spread, and their parts of one page."""

from __future__ import annotations

import math
import platform
import statistics
import time
from collections.abc import Sequence
from importlib.metadata import distributions, version
from pathlib import Path
from typing import Any

PACKAGES = ("synthgen", "torch", "diffusers", "denoising-diffusion-pytorch", "numpy")


def machine(words: str, threads: int) -> dict[str, Any]:
    """Machine in words, threads, date and versions of what is installed."""
    there = {one.metadata["Name"].lower().replace("_", "-") for one in distributions()}
    versions = {"python": platform.python_version()} | {name: version(name) for name in PACKAGES if name in there}
    date = time.strftime("%Y-%m-%d", time.gmtime())
    return {"machine": words, "threads": threads, "date": date, "versions": versions}


def header(facts: dict[str, Any]) -> str:
    """One sentence of where, when, with what and by which command."""
    words = ", ".join(f"{key} {value}" for key, value in facts["versions"].items())
    return (
        f"Measured {facts['date']} on {facts['machine']}, {facts['threads']} thread(s), seed {facts['seed']}, with "
        f"`{facts['command']}`. {words}."
    )


def spread(values: Sequence[float], digits: int = 3) -> str:
    """The median, and the smallest and the largest of several in brackets."""
    middle = number(statistics.median(values), digits)
    return middle if len(values) < 2 else f"{middle} ({number(min(values), digits)} to {number(max(values), digits)})"


def number(value: float, digits: int = 3) -> str:
    """Some significant digits, thousands with a comma, never an exponent: 0.0123, 1,234."""
    if not value:
        return "0"
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    text = f"{value:,.{decimals}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], words: int = 1) -> list[str]:
    """Lines of a Markdown table whose first `words` columns are words and the others figures."""
    rule = "|" + "---|" * words + "---:|" * (len(heads) - words)
    return [f"| {' | '.join(row)} |" for row in (heads,)] + [rule] + [f"| {' | '.join(row)} |" for row in rows]


def put_part(path: Path, name: str, lines: Sequence[str]) -> None:
    """Write `lines` between the marks of part `name` of a page; a page or part that is not there yet is begun.

    What people wrote around the marks stays.
    """
    begin, end = f"<!-- {name}: written by the benchmark -->", f"<!-- end of {name} -->"
    part = "\n".join([begin, "", *lines, "", end])
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    if begin in text and end in text:
        before, _, rest = text.partition(begin)
        text = before + part + rest.partition(end)[2]
    else:
        text = (text.rstrip("\n") + "\n\n" if text else "") + part + "\n"
    path.write_text(text, encoding="utf-8")
