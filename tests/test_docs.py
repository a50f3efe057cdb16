"""The documents: every command in them is one that the command line understands, and every link leads somewhere."""

from __future__ import annotations

import itertools
import re
import runpy
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from synthgen.cli import app
from synthgen.config.modalities import wants_series
from synthgen.config.presets import preset_names
from synthgen.errors import SynthgenError
from synthgen.training.choosing import choose_settings

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
_ENDS = {"&&", "||", "|", ";", ">", "2>", ">>", "&"}


SHELLS = ("sh", "bash", "shell", "console")


def shell_lines(page: Path, languages: tuple[str, ...] = SHELLS) -> Iterator[tuple[int, str]]:
    """(line, command) of each line in a shell block; lines that go on are one, prompts are left out."""
    language, held, first = "", "", 0
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        fence = re.match(r"\s*```(\w*)", line)
        if fence:
            language, held = ("" if language else fence[1] or "text"), ""
            continue
        if language not in languages:
            continue
        if language == "console":
            if not (line.startswith("$ ") or held):
                continue
            line = line.removeprefix("$ ")
        first = first if held else number
        held += line.strip()
        if held.endswith("\\"):
            held = held[:-1]
            continue
        yield first, held
        held = ""


def synthgen_commands(page: Path, languages: tuple[str, ...] = SHELLS) -> Iterator[tuple[int, list[str]]]:
    """(line, words after `synthgen`) of each call."""
    for number, line in shell_lines(page, languages):
        if "synthgen " not in line:
            continue
        words: list[str] = []
        calls = [words]
        for word in shlex.split(line, comments=True):
            if word in _ENDS:
                words = []
                calls.append(words)
            else:
                words.append(word)
        for call in calls:
            if "synthgen" in call:
                yield number, call[call.index("synthgen") + 1 :]


CALLS = [
    pytest.param(words, id=f"{page.relative_to(ROOT)}:{line}")
    for page in PAGES
    for line, words in synthgen_commands(page)
]


def descend(words: list[str]) -> tuple[Any, list[str]]:
    command: Any = typer.main.get_command(app)
    while words and words[0] in (members := getattr(command, "commands", {}) or getattr(command, "verbs", {})):
        command, words = members[words[0]], words[1:]
    return command, words


@pytest.mark.parametrize("words", CALLS)
def test_a_command_in_the_documents_is_understood(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYNTHGEN_API_KEY", "")
    command, rest = descend(words)
    if getattr(command, "commands", None):
        assert rest in ([], ["--help"], ["--version"]), f"there is no command {rest[0]}"
        return
    if "--help" in rest:
        return
    command.make_context("synthgen", rest)  # raises what the shell would show


@pytest.mark.parametrize("words", [param for param in CALLS if param.values[0][:1] == ["train"]])
def test_a_training_in_the_documents_is_one_that_could_start(words: list[str], tmp_path: Path) -> None:
    """Presets and settings: unknown ones, or values that do not fit, are errors here as on the command line."""
    settings = [value for flag, value in itertools.pairwise(words) if flag == "--set"]
    what = words[1] if len(words) > 1 and words[1] in preset_names() else None
    if what is None:
        what = "series" if wants_series(settings) else None
        what = what or ("table" if any(word.endswith((".csv", ".parquet")) for word in words) else "images")
    try:
        choose_settings(what, overrides=settings)
    except SynthgenError as error:
        pytest.fail(f"{error.message} ({error.hint})")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_and_pictures_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.S)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if not re.match(r"\w+:", target) and not target.startswith("#"):
            assert (page.parent / target.partition("#")[0]).exists(), f"{page.name}: {target}"


def test_results_name_no_folder_of_the_machine_that_measured() -> None:
    own = re.compile(r"(?<![\w.:/-])/(?:work|home|root|tmp|Users|mnt|data)/[\w./-]+")
    pages = [*(ROOT / "docs" / "results").glob("*.json"), *(ROOT / "docs" / "results").glob("*.md")]
    assert {page.name: found for page in pages if (found := own.findall(page.read_text()))} == {}


def test_the_reference_has_every_command_and_option() -> None:
    completions: dict[str, Any] = runpy.run_path(str(ROOT / "completions" / "generate.py"))
    parts = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8").split("\n## ")[1:]
    sections = {part.partition("\n")[0]: part for part in parts}
    nodes = list(completions["nodes"](completions["tree"]()))
    assert sections.keys() == {" ".join(node.words) for node in nodes}, "run: python docs/generate.py"
    for node in nodes:
        for option in node.options:
            for name in option.names:
                assert name in sections[" ".join(node.words)], f"{name} is new: run python docs/generate.py"
