"""SIGUSR1, by which SLURM announces that a job will end, is heard in training, sampling and evaluation alike."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from synthgen.checkpoints import load_checkpoint
from synthgen.runs import list_checkpoints
from tests.conftest import TINY, interrupted

pytestmark = [
    pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="no SIGUSR1 here"),
    pytest.mark.slow,
]


def test_training_saves_and_says_how_to_go_on(corners_npz: Path, tmp_path: Path) -> None:
    words = [word for setting in TINY for word in ("--set", setting)]
    arguments = ["train", str(corners_npz), "--steps", "100000", *words, "--out", "run"]
    code, out, err = interrupted(arguments, tmp_path, "training: 0/100,000", signal.SIGUSR1)
    assert (code, out) == (143, ""), err
    assert "--resume" in err and "stopped: at step" in err and "Traceback" not in err
    header, _ = load_checkpoint(list_checkpoints(tmp_path / "run", "state")[0], kind="state")
    assert header["step"] >= 1


def test_evaluation_stops_while_it_samples(tiny_run: Path, corners_npz: Path, tmp_path: Path) -> None:
    arguments = ["evaluate", "--real", str(corners_npz), "--fake", str(tiny_run), "--count", "100000", "--out", "e"]
    code, out, err = interrupted(arguments, tmp_path, "sampling: 0/100,000", signal.SIGUSR1)
    assert (code, out) == (143, ""), err
    assert "stopped: after" in err and "Traceback" not in err
    assert not (tmp_path / "e" / "evaluation.json").exists()
