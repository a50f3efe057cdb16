"""The completions: in step with the commands, and right where a shell is there to ask."""

from __future__ import annotations

import re
import runpy
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).resolve().parents[1] / "completions"


@pytest.fixture(scope="module")
def generated() -> dict[str, str]:
    module: dict[str, Any] = runpy.run_path(str(FOLDER / "generate.py"))
    scripts: dict[str, str] = module["scripts"]()
    return scripts


@pytest.mark.parametrize("name", ["synthgen.bash", "_synthgen", "synthgen.fish"])
def test_the_files_are_in_step_with_the_commands(name: str, generated: dict[str, str]) -> None:
    written = (FOLDER / name).read_text(encoding="utf-8")
    assert written == generated[name], "run: python completions/generate.py"


@pytest.mark.parametrize(
    ("shell", "name"), [("bash", "synthgen.bash"), ("zsh", "_synthgen"), ("fish", "synthgen.fish")]
)
def test_the_syntax_is_the_shells_own(shell: str, name: str, generated: dict[str, str], tmp_path: Path) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"needs {shell}")
    (tmp_path / name).write_text(generated[name], encoding="utf-8")
    done = subprocess.run([shell, "-n", str(tmp_path / name)], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


CASES = [
    ("tra", {"train"}),
    ("config s", {"show", "schema"}),
    ("config show mnist-m", {"mnist-mini"}),
    ("config show --set model.ch", {"model.channels="}),
    ("train --budg", {"--budget"}),
    ("train --color a", {"auto", "always"}),
    ("train --data fashion", {"fashion-mnist"}),
    ("train --track m", {"mlflow"}),
    ("sample --sampler dpm++3", {"dpm++3m"}),
    ("sample --format pa", {"parquet"}),
    ("evaluate --fail-if rec", {"recall<"}),
    ("config list x", set()),
    ("sample my", {"my run"}),
    ("runs show wa", {"waves"}),
    ("evaluate --fake wa", {"waves"}),
    ("sample waves --class ", {"down", "up"}),
    ("explain runs/waves --rival u", {"up"}),
    ("sample 'my run' --class t", {"top"}),
    ("sample 'my run' --count 3 --class ", {"top", "bottom"}),
    ("sample people --class ", set()),
    ("sample nothing --class ", set()),
]
"""What is typed after `synthgen`, and what is offered for its last word."""


@pytest.fixture(scope="module")
def place(
    tiny_run: Path,
    series_run: Path,
    table_run: Path,
    generated: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """A folder with runs in it, and with the scripts."""
    folder = tmp_path_factory.mktemp("place")
    (folder / "runs").mkdir()
    (folder / "runs" / "no run").mkdir()
    (folder / "folder with spaces").mkdir()
    for name, run in (("my run", tiny_run), ("waves", series_run), ("people", table_run)):
        (folder / "runs" / name).symlink_to(run)
    (folder / "scripts").mkdir()
    for name, text in generated.items():
        (folder / "scripts" / name).write_text(text, encoding="utf-8")
    return folder


def asked(command: list[str], place: Path) -> list[set[str]]:
    """What a shell's script printed for each case, which it ends with a line `==`."""
    done = subprocess.run(command, capture_output=True, text=True, cwd=place, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    *answers, rest = done.stdout.replace("\r", "").split("==\n")
    assert (len(answers), rest) == (len(CASES), ""), done.stdout + done.stderr
    return [set(filter(None, answer.splitlines())) for answer in answers]


@pytest.fixture(scope="module")
def bash(place: Path) -> list[set[str]]:
    lines = ["source scripts/synthgen.bash"]
    for line, _ in CASES:
        words = [*re.findall(r"'[^']*'|\S+", line), *[""] * line.endswith(" ")]  # with their quotes, as bash has them
        array = shlex.join(["synthgen", *words])
        lines.append(f"COMP_WORDS=({array}); COMP_CWORD={len(words)}; COMPREPLY=(); _synthgen")
        lines.append("printf '%s\\n' \"${COMPREPLY[@]}\" ==")
    return asked(["bash", "-c", "\n".join(lines)], place)


@pytest.fixture(scope="module")
def fish(place: Path) -> list[set[str]]:
    lines = ["source scripts/synthgen.fish"]
    for line, _ in CASES:
        lines += [f"complete -C {shlex.quote('synthgen ' + line)} | string replace -r '\\t.*' ''", "echo =="]
    return asked(["fish", "--no-config", "-c", "\n".join(lines)], place)


ZSH = """
zmodload zsh/zpty
zpty shell zsh -f -i
ask () {
    local text found=
    zpty -w -n shell "$1"
    until [[ $found == *$'\\n=='* ]]; do zpty -r shell text || return 1; found+=$text; done
    for text in ${(f)found}; do [[ $text == '<<'*'>>'* ]] && print -r -- ${${text#*<<}%%>>*}; done
    print '=='
}
zpty -w shell 'PROMPT=; unsetopt beep prompt_sp; LISTMAX=1000; fpath=(scripts $fpath)'
zpty -w shell 'autoload -Uz compinit; compinit -u -D'
zpty -w shell 'compadd () {
    if [[ ${@[1,(i)(-|--)]} == *-(O|A|D)\\ * ]]; then builtin compadd "$@"; return; fi
    local -a hits; builtin compadd -A hits "$@"; print -l -- "" "<<"${^hits}">>"; builtin compadd "$@"; }'
zpty -w shell 'complete () { zle complete-word; print -l -- "" "="="="; BUFFER=; }; zle -N complete'
zpty -w shell 'bindkey "^I" complete'
"""
"""A zsh in a terminal of its own, in which TAB completes, prints what matched and a line `==`, and clears the line."""


@pytest.fixture(scope="module")
def zsh(place: Path) -> list[set[str]]:
    keys = [f"ask {shlex.quote('synthgen ' + line)}$'\\t'" for line, _ in CASES]
    return asked(["zsh", "-f", "-c", ZSH + "\n".join(keys)], place)


@pytest.mark.parametrize("case", range(len(CASES)), ids=[line for line, _ in CASES])
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_what_is_offered(shell: str, case: int, request: pytest.FixtureRequest) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"needs {shell}")
    offered = {name.replace("\\", "") for name in request.getfixturevalue(shell)[case]}
    assert offered == CASES[case][1]
    written = {path.name for path in request.getfixturevalue("place").iterdir()}
    assert written == {"runs", "scripts", "folder with spaces"}  # recall< was no redirection


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_offers_paths(place: Path) -> None:
    script = "source scripts/synthgen.bash; COMP_WORDS=(synthgen train --out fold); COMP_CWORD=3; _synthgen"
    done = subprocess.run(["bash", "-c", script + "; echo $COMPREPLY"], capture_output=True, text=True, cwd=place)
    assert done.stdout == "folder with spaces\n"
