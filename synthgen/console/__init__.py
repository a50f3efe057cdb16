"""The terminal: streams, colour, progress, tables, pictures, JSON. No other room writes to stdout or stderr.

stdout is the result, stderr is everything else. rich and textual-image are imported when something is drawn.
"""

from __future__ import annotations

import contextlib
import json as json_module
import math
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Any, TextIO

from synthgen.console.color import Color, is_terminal, paint, visible, wants_color
from synthgen.console.progress import ProgressDisplay
from synthgen.errors import StoppedError, SynthgenError
from synthgen.reporting import Progress

if TYPE_CHECKING:
    import numpy as np
    from rich.console import Console as RichConsole

__all__ = ["SCHEMA_VERSION", "Color", "Console", "ConsoleReporter", "command_console", "current_console"]

SCHEMA_VERSION = 1
"""Of every JSON document on stdout. Fields may be added; a field changed or removed raises the number."""


class Console:
    """One command's way to speak. Create it with `command_console`."""

    def __init__(self, *, json: bool = False, quiet: bool = False, color: Color = Color.auto) -> None:
        self.json, self.quiet, self.color = json, quiet, color
        self.reported = False
        self.reporter = ConsoleReporter(self)

    @property
    def human(self) -> bool:
        """True when neither --json nor --quiet was given."""
        return not (self.json or self.quiet)

    def rich(self, stream: TextIO) -> RichConsole:
        """A rich console on `stream` that obeys the flags; as wide as it likes where nobody looks."""
        from rich.console import Console as RichConsole

        terminal = is_terminal(stream)
        colored = wants_color(stream, self.color)
        return RichConsole(
            file=stream,
            force_terminal=terminal or colored,
            force_interactive=terminal,
            no_color=not colored,
            color_system="auto" if colored else None,
            width=None if terminal else 4096,
            highlight=False,
            markup=False,
            emoji=False,
        )

    def result(
        self, document: dict[str, Any], human: Callable[[], None] | None = None, quiet: object | None = None
    ) -> None:
        """Print the result of the command on stdout, once.

        document: snake_case, what --json prints (`schema_version` is added, NaN and infinity become null).
        human: draws the result with `line` and `table`; without it, each entry is one line.
        quiet: the path or number that --quiet prints.
        """
        self.reported = True
        if self.json:
            document = {"schema_version": SCHEMA_VERSION, **document}
            print(json_module.dumps(_plain(document), indent=2, ensure_ascii=False, allow_nan=False))
        elif self.quiet:
            if quiet is not None:
                print(quiet)
        elif human is not None:
            human()
        else:
            for key, value in document.items():
                self.line(f"{key.replace('_', ' ')}: {value}")

    def line(self, text: str = "", style: str | None = None) -> None:
        """One line of the result on stdout, for people only. style: bold, dim, red, green, yellow or cyan."""
        if self.human:
            text = visible(text)
            print(paint(text, style, wants_color(sys.stdout, self.color)) if style else text)

    def table(
        self,
        title: str | None,
        columns: Sequence[str],
        rows: Sequence[Sequence[object]],
        *,
        right: Sequence[int] = (),
    ) -> None:
        """A table of the result on stdout, for people only. right: the columns set flush right (numbers)."""
        if not self.human:
            return
        from rich import box
        from rich.table import Table

        table = Table(
            title=title,
            box=box.SIMPLE_HEAD,
            title_justify="left",
            title_style="bold",
            pad_edge=False,
            show_edge=False,
            padding=(0, 1, 0, 0),
        )
        for index, name in enumerate(columns):
            table.add_column(name, justify="right" if index in right else "left", overflow="fold", no_wrap=index == 0)
        for row in rows:
            table.add_row(*("" if cell is None else visible(str(cell)) for cell in row))
        out = self.rich(sys.stdout)
        with out.capture() as capture:
            out.print(table)
        print("\n".join(text.rstrip() for text in capture.get().splitlines() if text.strip()))

    def note(self, text: str) -> None:
        """One sentence on stderr; silent with --quiet."""
        if not self.quiet:
            self._stderr(visible(text))

    def warn(self, text: str) -> None:
        """A warning on stderr, also with --quiet."""
        self._stderr(f"{paint('warning:', 'yellow', wants_color(sys.stderr, self.color))} {visible(text)}")

    def next(self, command: str) -> None:
        """Name the next useful command, on stderr."""
        if self.human:
            colored = wants_color(sys.stderr, self.color)
            self._stderr(f"{paint('next:', 'green', colored)} {visible(command)}")

    def loading(self, *modules: str) -> AbstractContextManager[None]:
        """Say which slow imports come now; silent when they are loaded. Usable with or without `with`."""
        slow = [name for name in modules if name not in sys.modules]
        if slow and not self.quiet:
            text = f"loading {' and '.join(slow)} ..."
            self._stderr(paint(text, "dim", wants_color(sys.stderr, self.color)))
        return contextlib.nullcontext()

    def preview(self, image: np.ndarray, caption: str, path: Path | None = None) -> None:
        """Show a picture, uint8 (H, W, C): drawn where a person looks, else the path of the saved file."""
        if self.quiet:
            return
        where = f"{caption}: {path}" if path else caption
        if is_terminal(sys.stderr) and wants_color(sys.stderr, self.color):
            from synthgen.console.pictures import can_draw, draw

            if can_draw():
                self._stderr(where)
                draw(image, self.reporter.display_console or self.rich(sys.stderr))
                return
        if path:
            self._stderr(where)

    def picture_support(self) -> str:
        """How `preview` would show a picture here, in words."""
        if not (is_terminal(sys.stderr) and wants_color(sys.stderr, self.color)):
            return "as the path of the saved file"
        from synthgen.console.pictures import support

        return support()

    def failure(self, error: SynthgenError) -> None:
        """Print `error:` and `hint:` on stderr, and with --json one document with "error" on stdout.

        An error that holds `problems` (a configuration's) shows each with its place and that line.
        """
        colored = wants_color(sys.stderr, self.color)
        stopped = isinstance(error, StoppedError)
        label = paint("stopped:", "yellow", colored) if stopped else paint("error:", "red", colored)
        problems = getattr(error, "problems", ())
        for problem in problems:
            self._stderr(f"{label} {_wrapped(visible(str(problem)))}")
            if problem.place.excerpt:
                self._stderr(paint(visible(problem.place.excerpt), "dim", colored))
        if not problems:
            said = error.message.removeprefix("stopped ") if stopped else error.message  # the label says it already
            self._stderr(f"{label} {_wrapped(visible(said))}")
        if error.hint:
            self._stderr(f"{paint('hint:', 'cyan', colored)} {visible(error.hint)}")
        if self.json and not self.reported:
            details = {"message": error.message, "hint": error.hint, "exit_code": int(error.exit_code)}
            listed = {"problems": [problem.to_dict() for problem in problems]} if problems else {}
            self.result({"error": {**details, **listed}})

    def _stderr(self, text: str) -> None:
        if self.reporter.display_console is not None:  # above the live progress, not through it
            from rich.text import Text

            self.reporter.display_console.print(Text.from_ansi(text), soft_wrap=True)
        else:
            print(text, file=sys.stderr, flush=True)


class ConsoleReporter:
    """The `Reporter` that the core is handed: everything it says goes to stderr."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._display: ProgressDisplay | None = None
        self._rich: RichConsole | None = None

    @property
    def display_console(self) -> RichConsole | None:
        """The rich console that live progress is being drawn on just now, if it is."""
        return self._rich if self._display is not None and self._display.running else None

    def info(self, message: str) -> None:
        self._console.note(message)

    def warn(self, message: str) -> None:
        self._console.warn(message)

    def preview(self, image: np.ndarray, caption: str, path: Path | None) -> None:
        self._console.preview(image, caption, path)

    @contextmanager
    def progress(self, label: str, total: float | None, unit: str) -> Iterator[Progress]:
        if self._display is None:
            live = is_terminal(sys.stderr) and not self._console.quiet
            self._rich = self._console.rich(sys.stderr) if live else None
            self._display = ProgressDisplay(self._rich, self._console.note)
        with self._display.open(label, total, unit) as line:
            yield line


_current: Console | None = None


def current_console() -> Console | None:
    """The console of the running command, or None before one was made."""
    return _current


@contextmanager
def command_console(*, json: bool = False, quiet: bool = False, color: Color = Color.auto) -> Iterator[Console]:
    """The console of one command. Errors pass through to `main`, which prints them by the same flags."""
    global _current
    _current = Console(json=json, quiet=quiet, color=color)
    yield _current
    sys.stdout.flush()


def _wrapped(text: str) -> str:
    """An error's text, broken between words on a terminal. Hints stay whole: they are copied."""
    if not is_terminal(sys.stderr):
        return text
    width, label = shutil.get_terminal_size().columns, "error: "
    lines = [fill(label + line, width, break_long_words=False, break_on_hyphens=False) for line in text.splitlines()]
    return "\n".join(line.removeprefix(label) for line in lines)


def _plain(value: Any) -> Any:
    """JSON's own types: numbers of numpy become numbers, paths text, NaN and infinity null."""
    if isinstance(value, dict):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if hasattr(value, "tolist"):  # numpy arrays and scalars
        return _plain(value.tolist())
    return str(value)
