"""`synthgen runs`: facts of run folders as a shell sees them."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from synthgen.history import changed_settings, differences, find_runs, read_run

Cli = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def two(tiny_run: Path, table_run: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "runs"
    shutil.copytree(tiny_run, folder / "pictures")
    shutil.copytree(table_run, folder / "rows")
    (folder / "notes").mkdir()
    (folder / "broken" / "checkpoints").mkdir(parents=True)
    (folder / "broken" / "checkpoints" / "step-00000001.safetensors").write_bytes(b"\x00" * 40)
    return folder


def test_list_names_every_run_of_any_modality(two: Path, cli: Cli) -> None:
    done = cli("runs", "list", two, "--json")
    found = {one["name"]: one for one in json.loads(done.stdout)["runs"]}
    assert set(found) == {"pictures", "rows"}
    assert (found["pictures"]["modality"], found["rows"]["modality"]) == ("images", "tables")
    assert "synthgen runs show" in cli("runs", "list", two).stderr
    assert cli("runs", "list", two, "--quiet").stdout.splitlines() == [one["path"] for one in found.values()]


def test_facts_equal_those_of_the_model(tiny_run: Path) -> None:
    import synthgen

    record, model = read_run(tiny_run), synthgen.load(tiny_run)
    assert record.parameters == sum(weight.numel() for weight in model.denoiser.network.state_dict().values())
    assert record.training["steps"] == model.header["training"]["steps"]
    steps, losses = record.curve()
    assert steps[-1] == record.training["steps"]
    assert len(steps) == len(losses)


def test_show_and_its_page(tiny_run: Path, tmp_path: Path, cli: Cli) -> None:
    page = tmp_path / "run.html"
    done = cli("runs", "show", tiny_run, "--out", page)
    assert "parameters" in done.stdout
    assert "data.source" in done.stdout
    assert page.read_text().lower().startswith("<!doctype html>")
    again = cli("runs", "show", tiny_run, "--out", page)
    assert "--force" in again.stderr


def test_compare_shows_what_differs_and_nothing_else(two: Path, cli: Cli) -> None:
    shutil.copytree(two / "pictures", two / "copy")
    done = cli("runs", "compare", two / "pictures", two / "rows", "--json")
    settings = json.loads(done.stdout)["settings"]
    assert settings["modality"] == ["images", "tables"]
    assert all(values[0] != values[1] for values in settings.values())
    same = cli("runs", "compare", two / "pictures", two / "copy")
    assert "their settings are the same" in same.stdout
    assert "name two or more" in cli("runs", "compare", two / "rows").stderr


def test_only_settings_that_were_changed(table_run: Path) -> None:
    changed = changed_settings(read_run(table_run))
    assert "training.steps" in changed
    assert "sampling.temperature" not in changed
    assert differences([read_run(table_run)] * 2) == {}


def test_what_is_not_there_or_no_run(two: Path, tmp_path: Path, cli: Cli) -> None:
    assert "there is no folder" in cli("runs", "list", tmp_path / "nowhere").stderr
    assert "no runs in" in cli("runs", "list", two / "notes").stdout
    assert "is no model of synthgen" in cli("runs", "show", two / "broken").stderr
    assert [record.name for record in find_runs(two / "rows")] == ["rows"]
