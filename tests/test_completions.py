"""The completions: in step with the commands, and right where a shell is there to ask."""

from __future__ import annotations

import runpy
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
    ("sample --sampler dpm++3", {"dpm++3m"}),
    ("train --out fold", {"folder with spaces"}),
    ("config list x", set()),
]


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
@pytest.mark.parametrize(("line", "expected"), CASES)
def test_bash(line: str, expected: set[str], generated: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "folder with spaces").mkdir()
    words = ["synthgen", *line.split(" ")]
    array = " ".join(f"'{word}'" for word in words)
    script = (
        f"{generated['synthgen.bash']}\nCOMP_WORDS=({array}); COMP_CWORD={len(words) - 1}\n"
        "_synthgen; printf '%s\\n' \"${COMPREPLY[@]}\""
    )
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, cwd=tmp_path, check=True)
    assert set(filter(None, done.stdout.splitlines())) == expected


@pytest.mark.skipif(shutil.which("fish") is None, reason="needs fish")
@pytest.mark.parametrize(("line", "expected"), [case for case in CASES if "spaces" not in str(case)])
def test_fish(line: str, expected: set[str], generated: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "synthgen.fish").write_text(generated["synthgen.fish"], encoding="utf-8")
    script = f"source synthgen.fish; complete -C 'synthgen {line}'"
    done = subprocess.run(["fish", "-c", script], capture_output=True, text=True, cwd=tmp_path, check=True)
    assert {found.partition("\t")[0] for found in done.stdout.splitlines()} == expected
