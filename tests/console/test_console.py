"""The three ways to print a result, and what goes to which stream."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from synthgen.config.loading import load_config
from synthgen.console import SCHEMA_VERSION, Color, Console, command_console, current_console
from synthgen.errors import StoppedError, SynthgenError, UsageError

Capture = pytest.CaptureFixture[str]


def test_json_is_one_document_with_its_version(capsys: Capture) -> None:
    console = Console(json=True)
    console.line("for people")
    console.table("t", ["a"], [["b"]])
    console.next("synthgen sample")
    document = {
        "fid": np.float32(1.5),
        "scores": np.array([1, 2]),
        "nothing": float("nan"),
        "far": float("-inf"),
        "path": Path("runs") / "x",
        "name": "größe",
        "nested": [{"n": np.int64(3)}, (True, None)],
    }
    console.result(document, lambda: console.line("never"), quiet="never")
    out, err = capsys.readouterr()
    assert json.loads(out) == {
        "schema_version": SCHEMA_VERSION,
        "fid": 1.5,
        "scores": [1, 2],
        "nothing": None,
        "far": None,
        "path": str(Path("runs/x")),
        "name": "größe",
        "nested": [{"n": 3}, [True, None]],
    }
    assert err == ""


def test_quiet_prints_the_one_thing(capsys: Capture) -> None:
    console = Console(quiet=True)
    console.note("news")
    console.loading("a_module_that_nobody_has")
    console.warn("careful")
    console.next("synthgen sample")
    console.result({"path": "runs/x"}, lambda: console.line("never"), quiet="runs/x")
    assert capsys.readouterr() == ("runs/x\n", "warning: careful\n")


def test_people_get_lines_and_tables_on_stdout_and_news_on_stderr(capsys: Capture) -> None:
    console = Console()

    def human() -> None:
        console.line("done", style="green")
        console.table("Result", ["metric", "value"], [["FID", 3.25], ["a longer name", None]], right=[1])

    console.note("news")
    console.result({"fid": 3.25}, human)
    console.next("synthgen sample runs/x")
    out, err = capsys.readouterr()
    assert out.splitlines()[:3] == ["done", "Result", "metric         value"]
    assert out.splitlines()[4:] == ["FID             3.25", "a longer name"]
    assert err == "news\nnext: synthgen sample runs/x\n"


def test_a_result_without_a_drawing_is_listed(capsys: Capture) -> None:
    Console().result({"best_loss": 0.5})
    assert capsys.readouterr().out == "best loss: 0.5\n"


def test_a_wide_table_is_not_cut_in_a_pipe(capsys: Capture) -> None:
    Console().table(None, ["path"], [["x" * 300]])
    assert "x" * 300 in capsys.readouterr().out


def test_brackets_are_not_markup(capsys: Capture) -> None:
    console = Console()
    console.table("[bold]t", ["[red]c"], [["[/] cell"]])
    console.note("[dim]n")
    out, err = capsys.readouterr()
    assert "[bold]t" in out
    assert "[red]c" in out
    assert "[/] cell" in out
    assert err == "[dim]n\n"


def test_loading_is_said_only_of_what_is_not_loaded(capsys: Capture) -> None:
    console = Console()
    with console.loading("json"):
        pass
    console.loading("a_module_that_nobody_has", "json")
    assert capsys.readouterr() == ("", "loading a_module_that_nobody_has ...\n")


@pytest.mark.parametrize(("color", "painted"), [(Color.always, True), (Color.never, False), (Color.auto, False)])
def test_colour_by_flag(color: Color, painted: bool, capsys: Capture) -> None:
    console = Console(color=color)
    console.line("x", style="bold")
    console.warn("y")
    out, err = capsys.readouterr()
    assert ("\x1b[" in out, "\x1b[" in err) == (painted, painted)


def test_a_picture_in_a_pipe_is_its_path(capsys: Capture, tmp_path: Path) -> None:
    image = np.zeros((4, 4, 1), np.uint8)
    Console(color=Color.always).reporter.preview(image, "samples", tmp_path / "grid.png")
    assert capsys.readouterr() == ("", f"samples: {tmp_path / 'grid.png'}\n")
    assert "textual_image" not in sys.modules  # it would query the terminal


def test_a_failure_speaks_on_stderr(capsys: Capture) -> None:
    Console().failure(SynthgenError("no model", hint="train one"))
    assert capsys.readouterr() == ("", "error: no model\nhint: train one\n")


def test_being_stopped_is_no_error(capsys: Capture) -> None:
    Console().failure(StoppedError("saved step 20", hint="synthgen train --resume"))
    assert capsys.readouterr().err == "stopped: saved step 20\nhint: synthgen train --resume\n"
    Console().failure(StoppedError("stopped while measuring"))
    assert capsys.readouterr().err == "stopped: while measuring\n"


def test_a_failure_in_json_is_a_document_too(capsys: Capture) -> None:
    Console(json=True).failure(UsageError("no such run", hint="synthgen runs"))
    out, err = capsys.readouterr()
    details = {"message": "no such run", "hint": "synthgen runs", "exit_code": 2}
    assert json.loads(out) == {"schema_version": SCHEMA_VERSION, "error": details}
    assert err.startswith("error: no such run")


def test_a_gate_that_fails_after_the_result_adds_no_second_document(capsys: Capture) -> None:
    console = Console(json=True)
    console.result({"fid": 9.0})
    console.failure(SynthgenError("FID 9.0 is over 5.0"))
    assert json.loads(capsys.readouterr().out)["fid"] == 9.0


def test_every_problem_of_a_configuration_is_shown(capsys: Capture) -> None:
    console = Console(json=True)
    with pytest.raises(UsageError) as caught:
        load_config(None, ["model.chanels=3", "training.seed=-1"])
    console.failure(caught.value)
    out, err = capsys.readouterr()
    assert err.count("error: --set ") == 2
    assert [problem["place"] for problem in json.loads(out)["error"]["problems"]] == [
        "--set model.chanels=3",
        "--set training.seed=-1",
    ]


def test_the_running_console_is_known() -> None:
    with command_console(json=True, quiet=False) as console:
        assert current_console() is console


def test_on_a_terminal_an_error_breaks_between_words(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("synthgen.console.is_terminal", lambda stream: True)
    monkeypatch.setenv("COLUMNS", "30")
    message, hint = (
        "eleven words that do not fit into one line of this terminal",
        "synthgen train --resume --out runs/x",
    )
    Console(color=Color.never).failure(SynthgenError(message, hint=hint))
    lines = capsys.readouterr().err.splitlines()
    assert all(len(line) <= 30 for line in lines[:-1])
    assert " ".join(lines[:-1]) == f"error: {message}"
    assert lines[-1] == f"hint: {hint}"  # whole, to be copied


def test_names_cannot_command_the_terminal(capsys: Capture) -> None:
    """A class name in somebody's checkpoint may hold escape sequences: they are shown, not sent."""
    hostile = "cat\x1b]0;owned\x07\x9b31m"
    console = Console(color=Color.always)
    console.line(hostile, "bold")
    console.table("t", ["a"], [[hostile]])
    console.note(hostile)
    console.warn(hostile)
    console.next(hostile)
    console.failure(SynthgenError(hostile, hostile))
    out, err = capsys.readouterr()
    for stream, times in ((out, 2), (err, 5)):
        assert stream.count("cat\\x1b]0;owned\\x07\\x9b31m") == times
        assert not {"\x07", "\x9b", "\x1b]"} & {stream[i : i + n] for i in range(len(stream)) for n in (1, 2)}
