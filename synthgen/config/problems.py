"""What is wrong in a configuration, and where: one problem each, all of them in one error."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from synthgen.errors import UsageError


@dataclass(frozen=True)
class Place:
    """Where a value came from.

    name: a file, or what stood on the command line (`--set model.channels=3`).
    line, column: counted from 1, or 0 on the command line; length: characters to underline; text: that line.
    """

    name: str
    line: int = 0
    column: int = 0
    length: int = 1
    text: str = ""

    def __str__(self) -> str:
        return f"{self.name}:{self.line}:{self.column}" if self.line else self.name

    @property
    def is_flag(self) -> bool:
        """True for a flag of its own, which names its key already."""
        return self.name.startswith("--") and not self.name.startswith("--set ")

    @property
    def excerpt(self) -> str:
        """The line of the file with the place underlined; empty on the command line."""
        if not self.line:
            return ""
        margin = len(str(self.line))
        text = self.text.rstrip().replace("\t", " ")
        marks = "^" * max(1, min(self.length, len(text) - self.column + 1))
        return f" {self.line} | {text}\n {'':{margin}} | {'':{self.column - 1}}{marks}"


@dataclass(frozen=True)
class Problem:
    """One mistake: where it is, and what it is."""

    place: Place
    message: str

    def __str__(self) -> str:
        return f"{self.place}: {self.message}"

    def to_dict(self) -> dict[str, object]:
        """For --json."""
        line, column = (self.place.line, self.place.column) if self.place.line else (None, None)
        return {"place": self.place.name, "line": line, "column": column, "message": self.message}


class ConfigError(UsageError):
    """Everything that is wrong in a configuration. `problems` holds each mistake with its place."""

    def __init__(self, problems: Sequence[Problem], hint: str | None = None) -> None:
        super().__init__("\n".join(str(problem) for problem in problems), hint)
        self.problems = tuple(problems)
