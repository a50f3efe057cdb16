"""Progress: the time left, the plain lines of a log, the live lines of a terminal."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from synthgen.console import progress
from synthgen.console.progress import Pace, PlainProgress, ProgressDisplay, duration, field_texts, speed


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (7.4, "0:07"), (59.6, "1:00"), (750, "12:30"), (11100, "3:05:00")]
)
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_time_left_of_steady_work() -> None:
    clock = Clock()
    pace = Pace(100, clock)
    assert pace.left is None
    for step in range(0, 21, 5):
        clock.now = 100 + 2 * step
        pace.update(step)
    assert pace.left == pytest.approx(160)  # 80 left at 2 seconds each
    assert pace.elapsed == pytest.approx(40)


def test_resumed_work_is_not_counted_as_fast() -> None:
    clock = Clock()
    pace = Pace(1000, clock)
    pace.update(900)
    clock.now += 10
    pace.update(910)
    assert pace.left == pytest.approx(90)


def test_old_speed_is_forgotten() -> None:
    clock = Clock()
    pace = Pace(10_000, clock)
    for step in range(1000):  # the first updates are slow, as while something compiles
        clock.now += 10 if step < 5 else 1
        pace.update(step)
    assert pace.left == pytest.approx(10_000 - 999)


def test_no_total_no_time_left() -> None:
    pace = Pace(None, Clock())
    pace.update(3)
    assert pace.left is None


def test_a_value_with_its_unit_needs_no_name() -> None:
    assert field_texts({"loss": "0.12", "speed": "450 images/s", "best_loss": "0.1"}) == [
        "loss 0.12",
        "450 images/s",
        "best loss 0.1",
    ]


def test_a_log_gets_a_line_at_the_start_every_ten_seconds_and_at_the_end() -> None:
    clock, lines = Clock(), list[str]()
    line = PlainProgress(lines.append, "training", Pace(40, clock), "steps", inner=False)
    for step in range(1, 41):
        clock.now += 0.9
        line.update(step, loss=f"{step}")
    line.finish()
    assert lines == [
        "training: 0/40 steps",
        "training: 12/40 steps, 0:25 left, loss 12",
        "training: 24/40 steps, 0:14 left, loss 24",
        "training: 36/40 steps, 0:04 left, loss 36",
        "training: 40/40 steps, took 0:36, loss 40",
    ]


def test_work_measured_in_time_is_written_as_time() -> None:
    clock, lines = Clock(), list[str]()
    line = PlainProgress(lines.append, "training", Pace(120, clock), "s", inner=False)
    for second in range(1, 121, 3):
        clock.now = 100 + second
        line.update(second)
    line.finish()
    assert lines[0] == "training: 0:00/2:00"
    assert lines[1] == "training: 0:10/2:00, 1:50 left"
    assert lines[-1] == "training: 1:58/2:00"


def test_short_work_inside_other_work_is_silent_in_a_log() -> None:
    lines: list[str] = []
    display = ProgressDisplay(None, lines.append)
    with display.open("training", 2, "steps") as outer:
        with display.open("preview", 8, "images") as inner:
            inner.update(8)
        outer.update(2)
    assert [line.partition(":")[0] for line in lines] == ["training", "training"]


def test_long_work_inside_other_work_speaks(monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []
    monkeypatch.setattr(progress, "PLAIN_SECONDS", 0.0)
    display = ProgressDisplay(None, lines.append)
    with display.open("training", 2, "steps"), display.open("preview", 8, "images") as inner:
        inner.update(8)
    assert lines[1].startswith("preview: 8/8 images")


def test_failed_work_does_not_claim_to_be_done() -> None:
    lines: list[str] = []
    display = ProgressDisplay(None, lines.append)
    with pytest.raises(ValueError), display.open("training", 9, "steps") as line:
        line.update(3)
        raise ValueError
    assert lines == ["training: 0/9 steps"]
    with display.open("again", 1, "steps"):
        pass
    assert lines[1:] == ["again: 0/1 steps", "again: 0/1 steps, took 0:00"]


def live(width: int) -> tuple[ProgressDisplay, io.StringIO]:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=width, color_system=None)
    return ProgressDisplay(console, print), stream


@pytest.mark.parametrize("width", [40, 80, 200])
def test_a_live_line_fits_the_terminal(width: int) -> None:
    display, stream = live(width)
    with display.open("training", 2000, "steps") as line:
        line.update(2000, loss="0.1234", speed="1,450 images/s")
    last = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", stream.getvalue()).strip().splitlines()[-1].strip("\r")
    assert len(last) <= width
    assert "2,000/2,000 steps" in last
    assert "training" in last or width < 80


def test_live_lines_stop_with_the_outermost() -> None:
    display, stream = live(80)
    with display.open("training", 2, "steps"):
        with display.open("preview", 8, "images"):
            assert display.running
        assert display.running
    assert not display.running
    assert stream.getvalue().endswith("\x1b[?25h")  # the cursor is back


@pytest.mark.parametrize(
    ("amount", "said"), [(1449.6, "1,450 rows/s"), (10.2, "10 rows/s"), (0.312, "0.31 rows/s"), (2.0, "2 rows/s")]
)
def test_few_a_second_are_not_none(amount: float, said: str) -> None:
    assert speed(amount, "rows") == said
