"""Killed at any moment of a save, and at random moments of a run: nothing that was finished is lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from synthgen.checkpoints import load_checkpoint, save_checkpoint
from synthgen.runs import checkpoint_path, list_checkpoints, prune_checkpoints

posix = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
HARNESS = Path(__file__).with_name("kill_training.py")


def save_step(run: Path, step: int) -> None:
    """What a run does at a checkpoint: the state, the model, then only the newest two are kept."""
    tensors = {"weights": torch.full((5000,), float(step))}
    save_checkpoint(checkpoint_path(run, step, "state"), tensors, {"kind": "state", "step": step})
    save_checkpoint(checkpoint_path(run, step), tensors, {"kind": "model", "step": step})
    prune_checkpoints(run, 2)


class Trace:
    """Counts and names the calls that change the disk; ends the process at one of them, in the middle of a write."""

    def __init__(self, kill_at: int | None = None) -> None:
        self.calls: list[str] = []
        self.kill_at = kill_at

    def note(self, name: str, half: Callable[[], object] = lambda: None) -> None:
        if len(self.calls) == self.kill_at:
            half()
            os.kill(os.getpid(), signal.SIGKILL)
        self.calls.append(name)

    def install(self, patch: Callable[[Any, str, Any], None]) -> None:
        """Put the notes in place with `patch(owner, name, value)`."""
        import secrets

        def wrap(owner: Any, name: str, text: Callable[..., str]) -> None:
            real = getattr(owner, name)

            def noted(*given: Any, **named: Any) -> Any:
                self.note(text(*given, **named))
                return real(*given, **named)

            patch(owner, name, noted)

        wrap(secrets, "token_hex", lambda *given: "create")  # for the name of the temporary file
        wrap(
            os,
            "fsync",
            lambda descriptor: "flush " + ("folder" if os.path.isdir(f"/proc/self/fd/{descriptor}") else "file"),
        )
        wrap(os, "replace", lambda source, target: f"rename {Path(target).name.split('-')[0]}")
        wrap(Path, "unlink", lambda path, **named: "delete")
        real_open = os.fdopen

        def open_noted(*given: Any, **named: Any) -> Any:
            file = real_open(*given, **named)
            write = file.write

            def noted(data: bytes) -> int:
                self.note("write", lambda: (write(data[: len(data) // 2]), file.flush()))
                return int(write(data))

            return _Proxy(file, noted)

        patch(os, "fdopen", open_noted)


class _Proxy:
    """A file whose `write` is another one."""

    def __init__(self, file: Any, write: Callable[[bytes], int]) -> None:
        self._file, self.write = file, write

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> _Proxy:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Two finished checkpoints."""
    for step in (10, 20):
        save_step(tmp_path, step)
    return tmp_path


def test_what_is_renamed_was_flushed_before_and_its_folder_after(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trace = Trace()
    trace.install(monkeypatch.setattr)
    save_step(run, 30)
    one = ["create", "write", "flush file", "rename {}", "flush folder"]
    expected = [call.format(kind) for kind in ("state", "step") for call in one]
    assert trace.calls == [*expected, "delete", "delete"]


@posix
@pytest.mark.parametrize("kill_at", range(12))
def test_a_kill_at_any_call_of_a_save_loses_nothing(run: Path, kill_at: int) -> None:
    child = os.fork()
    if child == 0:
        Trace(kill_at).install(setattr)
        save_step(run, 30)
        os._exit(0)
    assert os.WIFSIGNALED(os.waitpid(child, 0)[1]), "the save has fewer calls than this"
    for kind in ("model", "state"):
        found = list_checkpoints(run, kind)
        headers = [load_checkpoint(path, kind=kind) for path in found]  # every named file is whole
        assert headers[0][0]["step"] in (20, 30)
        for header, tensors in headers:
            assert torch.equal(tensors["weights"], torch.full((5000,), float(header["step"])))
    newest_model, newest_state = (
        load_checkpoint(list_checkpoints(run, kind)[0], kind=kind)[0] for kind in ("model", "state")
    )
    assert newest_state["step"] >= newest_model["step"]  # there is always a state to go on from


@posix
@pytest.mark.slow
def test_random_kills_and_full_disks_end_in_the_same_weights() -> None:
    """Eight kills and three full disks; 200 and 50 are in docs/reliability.md, with the command."""
    words = [sys.executable, str(HARNESS), "--kills", "8", "--full", "3", "--seed", "1"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "8 kills" in done.stdout and done.stdout.count(" 0 faults") + done.stdout.count("not tried") == 2
