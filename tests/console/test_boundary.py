"""Whatever is raised becomes one clear message and the right exit code."""

from __future__ import annotations

import errno
import os
import sys

import pytest
import typer
from safetensors import SafetensorError

from synthgen.commands.options import ColorOption, JsonOption
from synthgen.console import Color, boundary, command_console
from synthgen.console.boundary import explain, run
from synthgen.errors import ExitCode, GateError, StoppedError, SynthgenError, UsageError

Capture = pytest.CaptureFixture[str]


class OutOfMemoryError(RuntimeError):
    """As torch calls its own."""


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "a.bin"), "the disk is full: 'a.bin'"),
        (OSError("6400 requested and 2100 written"), "the disk is full"),  # numpy.ndarray.tofile
        (SafetensorError("I/O error: No space left on device (os error 28)"), "the disk is full"),
        (PermissionError(errno.EACCES, "Permission denied", "/root/x"), "permission denied: '/root/x'"),
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "x"), "no such file or directory: 'x'"),
        (OSError(errno.EROFS, "Read-only file system", "/x"), "read-only file system: '/x'"),
        (OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB"), "out of memory"),
        (MemoryError(), "out of memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), "out of memory"),
        (ModuleNotFoundError("No module named 'shap'", name="shap"), "the Python package 'shap' is missing"),
        (KeyboardInterrupt(), "interrupted"),
        (typer.Abort(), "interrupted"),
    ],
)
def test_errors_of_the_machine_are_named(error: BaseException, message: str) -> None:
    clear = explain(error)
    assert clear.message == message
    assert "bug" not in clear.message


def test_our_own_errors_pass_unchanged() -> None:
    error = SynthgenError("x", hint="y")
    assert explain(error) is error


@pytest.mark.parametrize("error", [ValueError("boom\nmore"), KeyError("x"), RuntimeError("shape mismatch")])
def test_anything_else_is_a_bug_of_ours_in_one_line(error: Exception) -> None:
    clear = explain(error)
    assert clear.message.startswith(f"this is a bug in synthgen: {type(error).__name__}: ")
    assert "\n" not in clear.message
    assert "SYNTHGEN_DEBUG=1" in (clear.hint or "")
    assert clear.exit_code == ExitCode.FAILED


def app_that(action: object) -> typer.Typer:
    """An app like ours, with one command that raises or calls `action`."""
    app = typer.Typer(rich_markup_mode=None, add_completion=False, no_args_is_help=True)

    @app.command("go")
    def go(count: int = typer.Option(1, min=1), json: JsonOption = False, color: ColorOption = Color.auto) -> None:
        with command_console(json=json, color=color):
            if isinstance(action, BaseException):
                raise action
            if callable(action):
                action()

    @app.command("stop")
    def stop() -> None:
        pass

    return app


@pytest.fixture(autouse=True)
def no_console_left_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("synthgen.console._current", None)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (None, 0),
        (SynthgenError("x"), 1),
        (UsageError("x"), 2),
        (GateError("x"), 3),
        (StoppedError("x"), 130),
        (StoppedError("x", exit_code=ExitCode.SIGTERM), 143),
        (KeyboardInterrupt(), 130),
        (SystemExit(143), 143),
        (typer.Exit(3), 3),
        (ZeroDivisionError(), 1),
    ],
)
def test_exit_codes(error: BaseException | None, code: int, capsys: Capture) -> None:
    assert run(app_that(error), ["go"]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (["goo"], "no such command 'goo' (did you mean 'go'?)", "synthgen --help"),
        (["go", "--cuont", "3"], "no such option '--cuont' (did you mean '--count'?)", "synthgen go --help"),
        (["go", "--count", "0"], "invalid value for '--count': must be at least 1", "synthgen go --help"),
        (["go", "--count", "x"], "invalid value for '--count': must be a whole number", "synthgen go --help"),
        (["go", "--color", "alway"], "(did you mean 'always'?)", "synthgen go --help"),
        (["go", "extra"], "extra", "synthgen go --help"),
    ],
)
def test_a_wrong_command_line(arguments: list[str], message: str, hint: str, capsys: Capture) -> None:
    assert run(app_that(None), arguments) == 2
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert out == ""
    assert lines[0].startswith("error: ")
    assert message in lines[0]
    assert lines[1:] == [f"hint: {hint}"]


def test_no_arguments_shows_the_help_on_stderr(capsys: Capture) -> None:
    assert run(app_that(None), []) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("Usage: synthgen")


def test_debug_shows_the_traceback(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYNTHGEN_DEBUG", "1")
    assert run(app_that(ValueError("boom")), ["go"]) == 1
    err = capsys.readouterr().err
    assert "Traceback (most recent call last)" in err
    assert "error: this is a bug in synthgen: ValueError: boom" in err


def test_the_place_of_a_bug_is_named(capsys: Capture) -> None:
    def action() -> None:
        boundary.nearest(3, ["x"])  # type: ignore[arg-type]

    assert run(app_that(action), ["go"]) == 1
    assert " at errors.py:" in capsys.readouterr().err


def test_a_reader_that_goes_away_is_no_error(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    descriptor = os.dup(1)
    try:
        assert run(app_that(BrokenPipeError(errno.EPIPE, "Broken pipe")), ["go"]) == 1
    finally:
        os.dup2(descriptor, 1)
        os.close(descriptor)
    assert capsys.readouterr().err == ""
    assert sys.stdout is not None
