"""The container files: linted, and in step with the commands, the extras and the files that they name."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from synthgen.cli import app

CHECKOUT = Path(__file__).resolve().parents[1]
HADOLINT = shutil.which("hadolint", path=str(Path(sys.executable).parent)) or shutil.which("hadolint")

pytestmark = pytest.mark.skipif(not (CHECKOUT / "Dockerfile").is_file(), reason="needs the checkout")


def instructions() -> list[tuple[str, str]]:
    """(word, the rest) of each instruction of the Dockerfile, with its continued lines joined."""
    text = (CHECKOUT / "Dockerfile").read_text(encoding="utf-8")
    plain = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    lines = [line for line in plain.replace("\\\n", " ").splitlines() if line.strip()]
    return [(line.split(maxsplit=1)[0], " ".join(line.split()[1:])) for line in lines]


def extras() -> set[str]:
    text = (CHECKOUT / "pyproject.toml").read_text(encoding="utf-8")
    section = text.partition("[project.optional-dependencies]")[2].partition("\n[")[0]
    return set(re.findall(r"^(\w+) = \[", section, re.MULTILINE))


def services() -> dict[str, Any]:
    return dict(yaml.safe_load((CHECKOUT / "compose.yaml").read_text(encoding="utf-8"))["services"])


def check_command(words: list[str]) -> None:
    """Raise AssertionError unless the command line has the command and each of its flags."""
    help_text = CliRunner().invoke(app, [words[0], "--help"], env={"COLUMNS": "200", "NO_COLOR": "1"}).output
    flags = [word for word in words if word.startswith("--")]
    assert "Usage" in help_text
    assert [flag for flag in flags if not re.search(rf"{flag}\b", help_text)] == []


@pytest.mark.skipif(HADOLINT is None, reason="needs hadolint")
def test_hadolint_finds_nothing() -> None:
    done = subprocess.run([str(HADOLINT), str(CHECKOUT / "Dockerfile")], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_image_is_small_runs_as_nobody_and_says_how_it_is() -> None:
    found = instructions()
    stages = [index for index, (word, _) in enumerate(found) if word == "FROM"]
    assert len(stages) == 2
    last = found[stages[1] :]
    assert not [rest for word, rest in last if word == "RUN" and "pip" in rest]
    users = [index for index, (word, _) in enumerate(last) if word == "USER"]
    assert last[users[-1]][1] not in ("0", "root")
    assert users[-1] < next(index for index, (word, _) in enumerate(last) if word == "ENTRYPOINT")
    assert "/health" in dict(last)["HEALTHCHECK"]


def test_what_it_starts_is_a_command_with_a_key() -> None:
    found = dict(instructions())
    assert json.loads(found["ENTRYPOINT"]) == ["synthgen"]
    words = json.loads(found["CMD"])
    check_command(words)
    assert "--make-api-key" in words


def test_what_is_copied_and_installed_is_there() -> None:
    ignored = (CHECKOUT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    kept = [line[1:] for line in ignored if line.startswith("!")]
    assert [name for name in kept if not (CHECKOUT / name).exists()] == []
    pyproject = (CHECKOUT / "pyproject.toml").read_text(encoding="utf-8")
    wheel = pyproject.partition("[tool.hatch.build.targets.wheel]")[2].partition("[tool.ruff]")[0]
    needed = {name.split("/")[0] for name in re.findall(r'"([^"]+)"(?: =|\])', wheel)}
    assert {*needed, "pyproject.toml", "README.md", "LICENSE"} <= set(kept)
    arguments = dict(rest.split("=", 1) for word, rest in instructions() if word == "ARG")
    named = [arguments["EXTRAS"], *(one["build"]["args"]["EXTRAS"] for one in services().values() if _args(one))]
    assert {extra for names in named for extra in names.split(",")} <= extras()


def _args(service: dict[str, Any]) -> bool:
    return isinstance(service.get("build"), dict) and "args" in service["build"]


def test_compose_starts_what_exists_for_this_machine_alone() -> None:
    found = services()
    assert {"serve", "dashboard", "mlflow"} <= set(found)
    for service in found.values():
        assert [port for port in service.get("ports", []) if not port.startswith("127.0.0.1:")] == []
    check_command(found["dashboard"]["command"])
    check_command(found["train"]["entrypoint"][1:])


def test_its_health_check_can_fail() -> None:
    words = json.loads(dict(instructions())["HEALTHCHECK"].partition("CMD ")[2])
    assert words[:2] == ["python", "-c"]
    script = words[2].replace(":8000", ":9")  # the port `discard`: nobody answers
    assert subprocess.run([sys.executable, "-c", script], capture_output=True).returncode != 0
