"""The tutorial as a newcomer would follow it: its commands, copied from the page, in its order, in an empty folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.test_docs import ROOT, synthgen_commands

PAGE = ROOT / "docs" / "tutorial.md"
ENDLESS = {"serve", "dashboard"}
"""What does not come back by itself is tried in tests/serving and tests/dashboard."""


@pytest.mark.slow
def test_the_tutorial_can_be_followed(tmp_path: Path) -> None:
    environment = {**os.environ, "SYNTHGEN_CACHE_DIR": str(tmp_path / "cache"), "NO_COLOR": "1"}
    environment.setdefault("OMP_NUM_THREADS", "1")
    done = []
    for line, words in synthgen_commands(PAGE):
        if words[0] in ENDLESS:
            continue
        command = [sys.executable, "-m", "synthgen", *words]
        result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=900)
        assert result.returncode == 0, f"tutorial.md:{line}: {result.stderr[-2000:]}"
        done.append(words[0])
    assert done == ["doctor", "sample", "sample", "train", "runs", "evaluate", "explain", "export", "sample"]
    assert (tmp_path / "evaluation" / "report.html").is_file()
    assert (tmp_path / "why" / "index.html").is_file()
