"""The output contract, in processes of their own: streams, exit codes, colours, pipes, imports."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import typer

import synthgen
from synthgen.cli import app
from synthgen.console.boundary import run

Cli = Callable[..., "subprocess.CompletedProcess[str]"]

HEAVY = ("torch", "diffusers", "numpy", "PIL", "yaml", "pandas", "rich", "textual_image", "packaging")
CURSOR = re.compile(r"\x1b\[[0-9;?]*[A-HJKSTfhlsu]")
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def commands() -> Iterator[tuple[tuple[str, ...], typer.core.TyperCommand]]:
    """Every command that can be run, with its words: ("config", "show"), ..."""

    def walk(command: typer.core.TyperCommand, words: tuple[str, ...]) -> Iterator[tuple]:
        members = getattr(command, "commands", None)
        if members is None:
            yield words, command
            members = getattr(command, "verbs", None)  # `sample` has two beside its argument
        for name, member in (members or {}).items():
            yield from walk(member, (*words, name))

    return walk(typer.main.get_command(app), ())


COMMANDS = dict(commands())


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], [], ["config", "--help"], ["trian"]])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    """Measured beside it, and printed: CPU time depends on who else is computing."""
    script = (
        "import resource, sys; from synthgen.cli import main\n"
        f"sys.argv = ['synthgen', *{arguments!r}]\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)\n"
        "usage = resource.getrusage(resource.RUSAGE_SELF)\n"
        "print(f'{1000 * (usage.ru_utime + usage.ru_stime):.0f} ms', file=sys.stderr)"
    )
    process = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    loaded, cpu = process.stderr.splitlines()[-2:]
    print(f"synthgen {' '.join(arguments)}: {cpu} of CPU time")
    assert loaded == "[]"


def test_version(cli: Cli) -> None:
    done = cli("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"synthgen {synthgen.__version__}\n", "")


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_has_the_output_flags_and_explains_itself(words: tuple[str, ...]) -> None:
    command = COMMANDS[words]
    options = {option for parameter in command.params for option in parameter.opts}
    assert {"--json", "--quiet", "--color"} <= options
    assert command.help
    silent = [parameter.name for parameter in command.params if not getattr(parameter, "help", "")]
    assert silent == [], "every parameter says what it does"


@pytest.mark.parametrize("words", [(), ("config",), *COMMANDS], ids=" ".join)
def test_help_fits_80_columns(
    words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert run(app, [*words, "--help"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert out.startswith("Usage: synthgen")
    assert max(map(len, out.splitlines())) <= 80
    assert "[[" not in out


def test_help_lists_every_command(cli: Cli) -> None:
    text = cli("--help").stdout
    for words in COMMANDS:
        assert re.search(rf"^  {words[0]}  ", text, re.MULTILINE), words


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["config", "list"], 0),
        (["config", "show", "mnist"], 0),
        (["config", "show", "nothing"], 2),
        (["config", "show", "--set", "model.depth=3"], 2),
        (["config"], 2),
        (["nonsense"], 2),
        (["config", "list", "--jsn"], 2),
        (["config", "list", "--color", "red"], 2),
        ([], 2),
    ],
)
def test_exit_codes_and_streams(arguments: list[str], code: int, cli: Cli) -> None:
    done = cli(*arguments)
    assert done.returncode == code
    assert bool(done.stdout) == (code == 0)
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["conifg"], "no such command 'conifg' (did you mean 'config'?)"),
        (["config", "shw"], "no such command 'shw' (did you mean 'show'?)"),
        (["config", "list", "--quit"], "no such option '--quit' (did you mean '--quiet'?)"),
        (["config", "show", "minst"], "no such preset: 'minst' (did you mean 'mnist'?)"),
        (["config", "show", "--set", "model.chanels=[8]"], "(did you mean 'model.channels'?)"),
        (["config", "show", "--set", "sampling.sampler=hune"], "(did you mean 'heun'?)"),
    ],
)
def test_did_you_mean(arguments: list[str], text: str, cli: Cli) -> None:
    done = cli(*arguments)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert text in done.stderr
    assert "\nhint: " in done.stderr


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["train"], "nothing to train on"),
        (["train", "minst"], "'minst' is neither a preset"),
        (["train", "mnist-mini", "--budget", "soon"], "--budget: 'soon' is not a duration"),
        (["train", "mnist-mini", "--set", "training.stps=3"], "(did you mean 'training.steps'?)"),
        (["sample"], "missing argument 'RUN'"),
        (["sample", "nothing"], "no run or checkpoint 'nothing'"),
        (["sample", "nothing", "--count", "0"], "--count must be 1 or more, not 0"),
        (["sample", "nothing", "--seed", str(2**63)], "--seed must be less than 2^63"),
        (["evaluate", "--real", "x"], "missing option '--fake'"),
        (["explain", "nothing"], "no run or checkpoint 'nothing'"),
        (["export", "nothing"], "no run or checkpoint 'nothing'"),
        (["data", "inspect", "nothing"], "no data set, folder or file 'nothing'"),
        (["quickstart", "--budget", "x"], "'x' is not a duration"),
    ],
    ids=str,
)
def test_every_verb_refuses_before_it_begins(
    arguments: list[str],
    text: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(app, arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    errors = [line for line in err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert text in errors[0]
    assert list(tmp_path.iterdir()) == []


def test_three_mistakes_in_a_file_are_shown_all_three(cli: Cli, tmp_path: Path) -> None:
    text = "model:\n  chanels: [8]\ntraining:\n  budget: soon\nsampling: {steps: 0}\n"
    (tmp_path / "bad.yaml").write_text(text)
    done = cli("config", "show", "bad.yaml")
    assert done.returncode == 2
    assert done.stdout == ""
    places = [line.split(": ")[1] for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert places == ["bad.yaml:2:3", "bad.yaml:4:11", "bad.yaml:5:19"]
    assert " 2 |   chanels: [8]\n   |   ^^^^^^^\n" in done.stderr


@pytest.mark.parametrize("words", [("config", "list"), ("config", "show"), ("config", "schema")])
def test_json_is_one_document_on_stdout(words: tuple[str, ...], cli: Cli) -> None:
    done = cli(*words, "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["schema_version"] == 1
    keys = {key for key in document if words != ("config", "schema")}
    assert all(re.fullmatch(r"[a-z][a-z0-9_]*", key) for key in keys)


def test_json_of_an_error(cli: Cli) -> None:
    done = cli("config", "list", "--json", "--nope")
    assert done.returncode == 2
    error = json.loads(done.stdout)["error"]
    assert error["exit_code"] == 2
    assert error["message"] == "no such option '--nope'"
    assert done.stderr.startswith("error: no such option '--nope'")


def test_quiet(cli: Cli) -> None:
    done = cli("config", "list", "--quiet")
    assert "mnist" in done.stdout.splitlines()
    assert done.stderr == ""


def test_the_shown_settings_are_a_configuration(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(cli("config", "show", "mnist", "--set", "training.seed=5").stdout)
    shown = json.loads(cli("config", "show", "mine.yaml", "--json").stdout)["config"]
    assert shown["training"]["seed"] == 5
    assert shown["data"]["source"] == "mnist"


@pytest.mark.parametrize(
    ("env", "flags", "painted"),
    [
        ({}, [], False),
        ({"FORCE_COLOR": "1"}, [], True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, [], False),
        ({"GITHUB_ACTIONS": "true"}, [], False),
        ({}, ["--color", "always"], True),
        ({"FORCE_COLOR": "1"}, ["--color=never"], False),
    ],
)
def test_colour_in_a_pipe(env: dict[str, str], flags: list[str], painted: bool, cli: Cli) -> None:
    done = cli("config", "show", "nothing", *flags, env=env)
    assert bool(COLOUR.search(done.stderr)) == painted
    assert not CURSOR.search(done.stdout + done.stderr)


SCRIPT = """
import sys, typer
from synthgen.commands.options import Color, ColorOption, QuietOption
from synthgen.console import command_console
from synthgen.console.boundary import run
app = typer.Typer()
@app.command()
def go(quiet: QuietOption = False, color: ColorOption = Color.auto) -> None:
    with command_console(quiet=quiet, color=color) as console:
        with console.reporter.progress("training", 20, "steps") as line:
            for step in range(21):
                line.update(step, loss="0.5")
        console.result({"loss": 0.5})
sys.exit(run(app, sys.argv[1:]))
"""


def test_progress_in_a_pipe_has_no_cursor_codes(tmp_path: Path) -> None:
    for env in ({}, {"FORCE_COLOR": "1"}):
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT], capture_output=True, text=True, env={**os.environ, **env}, check=True
        )
        assert done.stdout == "loss: 0.5\n"
        assert COLOUR.sub("", done.stderr).splitlines()[0] == "training: 0/20 steps"
        assert not CURSOR.search(done.stderr)


def in_a_terminal(*arguments: str, env: dict[str, str]) -> tuple[str, str]:
    """Run SCRIPT with stderr on a terminal: (stdout, what the terminal received)."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, *arguments], stdout=subprocess.PIPE, stderr=slave, env={**os.environ, **env}
    )
    os.close(slave)
    received = b""
    while True:
        try:
            piece = os.read(master, 65536)
        except OSError:  # how Linux says that the other end is closed
            break
        if not piece:
            break
        received += piece
    os.close(master)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    return out.decode(), received.decode()


def test_progress_on_a_terminal_is_live_and_leaves_stdout_alone() -> None:
    out, err = in_a_terminal(env={"TERM": "xterm-256color"})
    assert out == "loss: 0.5\n"
    assert CURSOR.search(err)
    assert COLOUR.search(err)


@pytest.mark.parametrize(
    ("arguments", "env", "live", "painted"),
    [
        ([], {"TERM": "dumb"}, False, False),
        ([], {"TERM": "xterm", "NO_COLOR": "1"}, True, False),
        (["--color", "never"], {"TERM": "xterm"}, True, False),
        (["--quiet"], {"TERM": "xterm"}, False, False),
    ],
)
def test_terminals_that_want_less(arguments: list[str], env: dict[str, str], live: bool, painted: bool) -> None:
    _, err = in_a_terminal(*arguments, env=env)
    assert bool(CURSOR.search(err)) == live
    assert bool(re.search(r"\x1b\[[0-9;]*3[0-7]", err)) == painted


def test_a_pipe_closed_early_is_quiet() -> None:
    command = f"{sys.executable} -m synthgen config schema | head -n 1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert done.stdout == "{\n"
    assert done.stderr == ""
    assert done.returncode in (0, 1)  # 0 when all of it fitted into the pipe before head left


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_said_plainly() -> None:
    with open("/dev/full", "w") as full:
        process = subprocess.run(
            [sys.executable, "-m", "synthgen", "config", "schema"], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert process.returncode == 1
    assert process.stderr.startswith("error: the disk is full")
    assert "Traceback" not in process.stderr


def test_a_terminal_without_utf8_is_no_failure(cli: Cli) -> None:
    done = cli("config", "show", "größe", env={"PYTHONIOENCODING": "ascii"})
    assert done.returncode == 2
    assert "no such preset" in done.stderr
