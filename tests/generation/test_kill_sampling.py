"""Four random kills of sampling; `python tests/generation/kill_sampling.py --kills 100` does more of the same."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_killed_and_resumed_sampling_gives_the_same_sha256() -> None:
    script = Path(__file__).with_name("kill_sampling.py")
    done = subprocess.run(
        [sys.executable, str(script), "--kills", "4", "--seed", "7"], capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["kills"] >= 4 and found["sets"] >= 1
