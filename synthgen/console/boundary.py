"""The one place where exceptions become messages and exit codes."""

from __future__ import annotations

import errno
import os
import re
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

from synthgen.config.wording import reword
from synthgen.console import Console, current_console
from synthgen.console.color import Color
from synthgen.errors import ExitCode, StoppedError, SynthgenError, UsageError, nearest


def run(app: Callable[..., object], argv: Sequence[str]) -> int:
    """Run a Typer app on `argv` and return the exit code. Every exception ends here, as one clear message."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal without UTF-8 shows `?`, and nothing fails
    try:
        code = app(args=list(argv), prog_name="synthgen", standalone_mode=False)
        sys.stdout.flush()
        if code == ExitCode.SIGINT:
            raise KeyboardInterrupt
        return code if isinstance(code, int) else ExitCode.OK
    except BrokenPipeError:
        return _pipe_closed()
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else ExitCode.FAILED
    except (Exception, KeyboardInterrupt) as error:
        try:
            return _report(error, argv)
        except BrokenPipeError:
            return _pipe_closed()


def _pipe_closed() -> int:
    """The reader went away (`| head`): say nothing, and keep Python from saying it at exit."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - lives until the process ends
    return ExitCode.FAILED


def _report(error: BaseException, argv: Sequence[str]) -> int:
    console = current_console() or _console_of(argv)
    if os.environ.get("SYNTHGEN_DEBUG", "0") not in ("", "0") and not hasattr(error, "format_message"):
        traceback.print_exception(type(error), error, error.__traceback__, file=sys.stderr)
    if type(error).__name__ == "NoArgsIsHelpError":
        print(str(getattr(error, "message", "")), file=sys.stderr)
        return ExitCode.USAGE
    clear = explain(error)
    console.failure(clear)
    sys.stdout.flush()
    return clear.exit_code


def _console_of(argv: Sequence[str]) -> Console:
    """The output flags, read from a command line that could not be parsed."""
    words = list(argv)
    color = next((word.partition("=")[2] for word in words if word.startswith("--color=")), "auto")
    if "--color" in words[:-1]:
        color = words[words.index("--color") + 1]
    known = color in Color.__members__
    return Console(json="--json" in words, quiet="--quiet" in words, color=Color(color) if known else Color.auto)


def explain(error: BaseException) -> SynthgenError:
    """What a user should read about an exception, whatever raised it."""
    if isinstance(error, SynthgenError):
        return error
    if isinstance(error, KeyboardInterrupt) or type(error).__name__ == "Abort":
        return StoppedError("interrupted")
    if hasattr(error, "format_message"):  # typer's own: a wrong command line
        return _usage_error(error)
    return _environment_error(error) or _bug(error)


def _usage_error(error: BaseException) -> UsageError:
    text = " ".join(str(error.format_message()).split())  # type: ignore[attr-defined]
    if text.startswith("Invalid value for ") and ": " in text:
        place, _, reason = text.partition(": ")
        text = f"{place}: {reword(reason)}"
        choice = re.search(r"'([^']*)' is not one of (.+)$", text)
        if choice:
            text += nearest(choice[1], re.findall(r"'([^']+)'", choice[2]))
    option = getattr(error, "option_name", None)
    if option and text.startswith("No such option"):
        text = f"no such option '{option}'{nearest(option, list(getattr(error, 'possibilities', None) or ()))}"
    text = re.sub(r"\. Did you mean ('[^']*').*\?$", r" (did you mean \1?)", text).rstrip(".")
    context = getattr(error, "ctx", None)
    path = getattr(context, "command_path", None) or "synthgen"
    return UsageError(text[:1].lower() + text[1:], hint=f"{path} --help")


_DISK_FULL = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))
_ENVIRONMENT = (errno.EROFS, errno.EIO, errno.EMFILE, errno.ENAMETOOLONG, errno.EISDIR, errno.ENOTDIR)
_FULL_TEXT = re.compile(r"No space left on device|\d+ requested and \d+ written")
_MEMORY_TEXT = re.compile(r"can't allocate memory|not enough memory|CUDA out of memory")


def _environment_error(error: BaseException) -> SynthgenError | None:
    """Errors of the machine, not of the program; None when it is none of them."""
    place = f": '{error.filename}'" if isinstance(error, OSError) and error.filename else ""
    number = error.errno if isinstance(error, OSError) else None
    if number in _DISK_FULL or _FULL_TEXT.search(str(error)):  # safetensors and numpy give no errno
        return SynthgenError(f"the disk is full{place}", hint="free some space, or choose another --out")
    if isinstance(error, PermissionError):
        return SynthgenError(f"permission denied{place}", hint="check the owner and the mode, or choose another path")
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return _out_of_memory()
    if isinstance(error, RuntimeError) and _MEMORY_TEXT.search(str(error)):
        return _out_of_memory()
    if isinstance(error, OSError) and (isinstance(error, FileNotFoundError) or number in _ENVIRONMENT):
        return SynthgenError(f"{(error.strerror or str(error)).lower()}{place}")
    if isinstance(error, ModuleNotFoundError) and not str(error.name).startswith("synthgen"):
        return SynthgenError(f"the Python package '{error.name}' is missing", hint="pip install --upgrade synthgen")
    return None


def _out_of_memory() -> SynthgenError:
    return SynthgenError(
        "out of memory",
        hint="work in smaller pieces: train with --set training.batch_size=32, sample images with --block-size 8",
    )


def _bug(error: BaseException) -> SynthgenError:
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "synthgen" in Path(frame.filename).parts] or frames
    place = f" at {Path(ours[-1].filename).name}:{ours[-1].lineno}" if ours else ""
    first_line = (str(error).splitlines() or [""])[0]
    return SynthgenError(
        f"this is a bug in synthgen: {type(error).__name__}: {first_line}{place}",
        hint="set SYNTHGEN_DEBUG=1 for the traceback, and report it with the command you ran",
    )
