"""`synthgen train --distill` and what `sample` makes of its result, as a shell sees them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import Cli


def test_distil_then_sample(cli: Cli, tiny_run: Path, tmp_path: Path) -> None:
    planned = cli("train", "--distill", tiny_run, "--steps", 5, "--dry-run", "--json")
    assert planned.returncode == 0, planned.stderr
    document = json.loads(planned.stdout)
    assert document["run"] == "runs/tiny-distilled" and document["plan"]["teacher"].startswith("tiny (sha256 ")
    assert document["config"]["distill"]["teacher"] == "tiny" and document["config"]["training"]["precision"] == "fp32"
    assert list(tmp_path.iterdir()) == []
    trained = cli("train", "--distill", tiny_run, "--steps", 5, "--set", "sampling.card=never", "--quiet")
    assert (trained.returncode, trained.stdout) == (0, "runs/tiny-distilled\n"), trained.stderr
    shown = cli("config", "show", "runs/tiny-distilled")
    assert "sampler: consistency" in shown.stdout and "noise_levels: [80.0, 0.8]" in shown.stdout
    sampled = cli("sample", "tiny-distilled", "--count", 4, "--noise-levels", "80,2,0.5", "--quiet")
    assert (sampled.returncode, sampled.stdout) == (0, "synthetic\n"), sampled.stderr
    recipe = json.loads((tmp_path / "synthetic" / "manifest.json").read_text())["plan"]["recipe"]
    assert (recipe["sampler"], recipe["steps"], recipe["noise_levels"]) == ("consistency", 3, [80.0, 2.0, 0.5])
    verified = cli("sample", "verify", "synthetic")
    assert verified.returncode == 0, verified.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "mnist", "--distill", "RUN"], "mnist and --distill both say what to train"),
        (["sample", "RUN", "--noise-levels", "0.8,80"], "do not fall from step to step"),
        (["sample", "RUN", "--noise-levels", "80;0.8"], "a list of numbers, such as 80,0.8"),
    ],
)
def test_what_cannot_be_is_refused(
    cli: Cli, tiny_run: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    done = cli(*[tiny_run if word == "RUN" else word for word in arguments])
    assert done.returncode == 2 and message in " ".join(done.stderr.split()), done.stderr
    assert list(tmp_path.iterdir()) == []
