"""docs/scale.md: the shell loop is run as it stands, and what the page names is there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from synthgen.generation.model import load
from synthgen.generation.sharding import part_from_environment

PAGE = Path(__file__).resolve().parents[2] / "docs" / "scale.md"


def block(heading: str, language: str) -> str:
    """The first fenced block of a language under a heading."""
    section = PAGE.read_text(encoding="utf-8").split(f"\n## {heading}\n")[1].split("\n## ")[0]
    found = re.search(rf"```{language}\n(.*?)```", section, re.DOTALL)
    assert found, f"no {language} under {heading}"
    return found[1]


@pytest.mark.slow
def test_the_shell_loop_makes_the_set(tiny_run: Path, tmp_path: Path) -> None:
    script = tmp_path / "bin" / "synthgen"
    script.parent.mkdir()
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m synthgen "$@"\n')
    script.chmod(0o755)
    path = f"{script.parent}{os.pathsep}{os.environ['PATH']}"
    root = str(Path(__file__).resolve().parents[2])
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block("A shell loop", "bash")],
        cwd=tmp_path,
        env={**os.environ, "PATH": path, "RUN": str(tiny_run), "PYTHONPATH": root},
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr
    assert "synthetic is whole: 96 samples in 3 shards" in done.stdout
    with np.load(tmp_path / "one" / "samples.npz") as merged:
        np.testing.assert_array_equal(merged["images"], load(tiny_run, device="cpu").sample(96))


def test_the_other_recipes_are_well_formed() -> None:
    job = yaml.safe_load(block("Kubernetes", "yaml"))
    command = job["spec"]["template"]["spec"]["containers"][0]["command"]
    assert command[command.index("--shards") + 1] == str(job["spec"]["completions"])
    assert part_from_environment({"JOB_COMPLETION_INDEX": "3"}, cut=True)
    assert "$SKYPILOT_NODE_RANK/$SKYPILOT_NUM_NODES" in yaml.safe_load(block("SkyPilot", "yaml"))["run"]
    compile(block("Ray", "python"), "ray", "exec")
    done = subprocess.run(["bash", "-n"], input=block("SLURM", "bash"), text=True, capture_output=True)
    assert (done.returncode, done.stderr) == (0, "")
