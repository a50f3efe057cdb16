"""Progress of long work: a live line on a terminal, one plain line every ten seconds elsewhere."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from synthgen.reporting import Progress

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

PLAIN_SECONDS = 10.0
"""Time between two progress lines where nobody can see a live one."""


def duration(seconds: float) -> str:
    """Seconds for people: `0:07`, `12:30`, `3:05:00`."""
    minutes, rest = divmod(int(seconds + 0.5), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def speed(amount: float, unit: str) -> str:
    """`1,450 images/s`, or where they are few `0.3 sequences/s`."""
    return f"{amount:,.0f} {unit}/s" if amount >= 10 else f"{amount:.2g} {unit}/s"


class Pace:
    """Time left, from the speed of about the last minute.

    `left` is in seconds; None until two updates lie a second apart, or when the total is unknown.
    """

    def __init__(self, total: float | None, clock: Callable[[], float] = time.monotonic) -> None:
        self.total = total
        self.clock = clock
        self.started = clock()
        self.completed = 0.0
        self._seen: deque[tuple[float, float]] = deque(maxlen=256)

    def update(self, completed: float) -> None:
        now = self.clock()
        self.completed = completed
        if not self._seen or now - self._seen[-1][0] >= 0.25:
            self._seen.append((now, completed))

    @property
    def elapsed(self) -> float:
        return self.clock() - self.started

    @property
    def left(self) -> float | None:
        if self.total is None or not self._seen:
            return None
        then, before = self._seen[0]
        seconds, amount = self._seen[-1][0] - then, self._seen[-1][1] - before
        if seconds < 1 or amount <= 0:
            return None
        return max(0.0, (self.total - self.completed) * seconds / amount)


def amount_text(completed: float, total: float | None, unit: str) -> str:
    """`1,200/60,000 images`; time is written as time: `0:40/2:00`."""
    if unit == "s":
        return duration(completed) + (f"/{duration(total)}" if total is not None else "")
    done = f"{completed:,.0f}"
    return f"{done} {unit}" if total is None else f"{done}/{total:,.0f} {unit}"


def field_texts(fields: dict[str, str]) -> list[str]:
    """`loss 0.12`, and `450 images/s`: a value that has its unit needs no name."""
    return [value if " " in value else f"{name.replace('_', ' ')} {value}" for name, value in fields.items()]


class PlainProgress:
    """Lines for logs: one at the start, one about every ten seconds, one at the end."""

    def __init__(self, write: Callable[[str], None], label: str, pace: Pace, unit: str, *, inner: bool) -> None:
        self._write, self._label, self._pace, self._unit, self._inner = write, label, pace, unit, inner
        self._last = pace.started
        self._fields: dict[str, str] = {}
        self._spoke = False
        if not inner:
            write(f"{label}: {amount_text(0, pace.total, unit)}" if pace.total is not None else f"{label} ...")

    def update(self, completed: float, **fields: str) -> None:
        self._pace.update(completed)
        self._fields = fields
        now = self._pace.clock()
        if now - self._last >= PLAIN_SECONDS:
            self._last = now
            self._spoke = True
            left = self._pace.left
            self._say([f"{duration(left)} left"] if left is not None else [])

    def finish(self) -> None:
        """The closing line; a short piece of work inside another has none."""
        if self._spoke or not self._inner:
            self._say([] if self._unit == "s" else [f"took {duration(self._pace.elapsed)}"])

    def _say(self, extra: list[str]) -> None:
        amount = amount_text(self._pace.completed, self._pace.total, self._unit)
        self._write(f"{self._label}: {', '.join([amount, *extra, *field_texts(self._fields)])}")


class _LiveTask:
    """One line of the live display."""

    def __init__(self, display: RichProgress, task: TaskID, pace: Pace, unit: str) -> None:
        self._display, self.task, self._pace, self._unit = display, task, pace, unit
        self._fields: dict[str, str] = {}

    def update(self, completed: float, **fields: str) -> None:
        self._pace.update(completed)
        self._fields = fields
        left = self._pace.left
        ahead = [f"{duration(left)} left"] if left is not None else []
        self._show([*ahead, *field_texts(fields)])

    def finish(self) -> None:
        took = [] if self._unit == "s" else [duration(self._pace.elapsed)]
        self._show([*took, *field_texts(self._fields)])

    def _show(self, parts: list[str]) -> None:
        amount = amount_text(self._pace.completed, self._pace.total, self._unit)
        self._display.update(self.task, completed=self._pace.completed, tail=" · ".join([amount, *parts]))


class ProgressDisplay:
    """Opens progress lines on one stream; a line opened inside another stands below it and goes when done."""

    def __init__(self, console: Console | None, write: Callable[[str], None]) -> None:
        """`console`: a rich console on a terminal, or None for plain lines through `write`."""
        self._console, self._write = console, write
        self._display: RichProgress | None = None
        self._depth = 0

    @property
    def running(self) -> bool:
        """True while a live display is on the screen."""
        return self._display is not None

    @contextmanager
    def open(self, label: str, total: float | None, unit: str) -> Iterator[Progress]:
        """One progress line; closes with a summary unless the work failed."""
        line = self._live(label, total, unit) if self._console else self._plain(label, total, unit)
        self._depth += 1
        try:
            yield line
            line.finish()
        finally:
            self._depth -= 1
            self._close(line)

    def _plain(self, label: str, total: float | None, unit: str) -> PlainProgress:
        return PlainProgress(self._write, label, Pace(total), unit, inner=self._depth > 0)

    def _live(self, label: str, total: float | None, unit: str) -> _LiveTask:
        if self._display is None:
            self._display = _new_display(self._console)
            self._display.start()
        tail = amount_text(0, total, unit)
        task = self._display.add_task(label, total=total, tail=tail)
        return _LiveTask(self._display, task, Pace(total), unit)

    def _close(self, line: PlainProgress | _LiveTask) -> None:
        if self._display is None:
            return
        if self._depth == 0:
            self._display.stop()
            self._display = None
        elif isinstance(line, _LiveTask):
            self._display.remove_task(line.task)


def _new_display(console: Console | None) -> RichProgress:
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as RichProgress
    from rich.table import Column

    # stdout is the result and may be a file: only stderr belongs to the display.
    return RichProgress(
        TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True)),
        BarColumn(bar_width=None, style="dim", complete_style="cyan", finished_style="cyan"),
        TextColumn("{task.fields[tail]}", markup=False, table_column=Column(no_wrap=True)),
        console=console,
        expand=True,
        refresh_per_second=4,
        redirect_stdout=False,
    )
