"""Training on several processes: the same result as on one, the same decisions, and nobody left behind."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from packaging.requirements import Requirement
from packaging.version import Version

from synthgen.checkpoints import load_checkpoint, read_header
from synthgen.config.loading import dump_config, load_config
from synthgen.errors import StoppedError, UsageError
from synthgen.runs import list_checkpoints
from synthgen.training import launching
from synthgen.training.launching import is_main, plan_launch
from synthgen.training.run import train
from tests.conftest import CHECKOUT, TINY, Cli

STEPS = 10
OVERRIDES = ["data.augment.shift=1", "training.max_bad_steps=3"]
TOLERANCE = 1e-5
"""Largest relative difference (2-norm over all weights) after STEPS steps between one process and two."""

TORCHRUN = {"TORCHELASTIC_RUN_ID": "x", "WORLD_SIZE": "4", "LOCAL_WORLD_SIZE": "2", "RANK": "3", "LOCAL_RANK": "1"}
SRUN = {
    "SLURM_STEP_NUM_TASKS": "4",
    "SLURM_STEP_NUM_NODES": "2",
    "SLURM_PROCID": "2",
    "SLURM_LOCALID": "0",
    "SLURM_NTASKS": "4",
}


def test_one_process_is_no_launch() -> None:
    assert plan_launch(None, None, None, {}) is None
    assert plan_launch(1, 1, None, {}) is None
    sbatch_without_srun = {"SLURM_NTASKS": "4", "SLURM_JOB_ID": "7", "SLURM_PROCID": "0"}
    assert plan_launch(None, None, None, sbatch_without_srun) is None
    assert is_main({})


def test_who_this_process_is() -> None:
    own = plan_launch(2, None, None, {})
    assert own is not None and (own.launcher, own.size, own.rank, own.strategy) == ("self", 2, 0, "ddp")
    child = {"SYNTHGEN_LAUNCHED_BY": "12", "LOCAL_RANK": "1"}
    second = plan_launch(2, None, "fsdp", child)
    assert second is not None and (second.rank, second.main, second.strategy) == (1, False, "fsdp")
    assert not is_main(child)
    there = plan_launch(None, None, None, TORCHRUN)
    assert there is not None and not is_main(TORCHRUN)
    assert (there.launcher, there.devices, there.nodes, there.rank, there.local_rank) == ("torchrun", 2, 2, 3, 1)
    slurm = plan_launch(2, 2, None, SRUN)
    assert slurm is not None and not is_main(SRUN)
    assert (slurm.launcher, slurm.devices, slurm.nodes, slurm.rank, slurm.local_rank) == ("slurm", 2, 2, 2, 0)


@pytest.mark.parametrize(
    ("arguments", "environment", "message"),
    [
        ((2, 2, None), {}, "--nodes 2 needs a launcher"),
        ((3, None, None), TORCHRUN, "--devices is 3, but torchrun started 2"),
        ((None, 3, None), SRUN, "--nodes is 3, but slurm started 2"),
        ((None, None, "fsdp"), {}, "--strategy fsdp needs more than one process"),
        ((1, None, "ddp"), {}, "--strategy ddp needs more than one process"),
        ((None, None, None), {**SRUN, "SLURM_STEP_NUM_TASKS": "3"}, "3 processes on 2 nodes"),
        ((None, None, None), {**TORCHRUN, "WORLD_SIZE": "many"}, "WORLD_SIZE=many, which is no number"),
    ],
)
def test_contradictions_are_refused(
    arguments: tuple[int | None, int | None, str | None], environment: dict[str, str], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        plan_launch(*arguments, environment)


def test_a_missing_package_names_its_pip_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launching.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match="lightning-fabric") as caught:
        plan_launch(2, None, None, {})
    assert caught.value.hint == "pip install 'synthgen[distributed]'"


def test_wrong_requests_get_one_clear_error(cli: Cli, corners_npz: Path, tmp_path: Path) -> None:
    few = cli("train", corners_npz, "--devices", 2, "--set", "training.batch_size=1", "--device", "cpu")
    assert few.returncode == 2 and "too few images for 2 processes" in few.stderr and few.stderr.count("error:") == 1
    device = cli("train", corners_npz, "--devices", 2, "--device", "cuda:1")
    assert device.returncode == 2 and "cuda:1 is one device" in device.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_lock_and_the_floor_leave_out_the_malicious_versions() -> None:
    lock = (CHECKOUT / "requirements" / "distributed.txt").read_text()
    pins = dict(re.findall(r"^([a-z0-9-]+)==(\S+)", lock, re.MULTILINE))
    assert Version(pins["lightning-fabric"]) >= Version("2.6.6")
    assert not {"lightning", "pytorch-lightning"} & pins.keys() and "torch" not in pins
    for block in re.split(r"^(?=[a-z0-9-]+==)", lock, flags=re.MULTILINE)[1:]:
        assert "--hash=sha256:" in block, block.splitlines()[0]
    assert "://" not in lock and "index-url" not in lock
    project = (CHECKOUT / "pyproject.toml").read_text()
    (text,) = re.findall(r'^distributed = \["([^"]+)"\]', project, re.MULTILINE)
    extra = Requirement(text)
    for bad in ("2.6.2", "2.6.3", "2.6.5"):
        assert bad not in extra.specifier
    assert pins["lightning-fabric"] in extra.specifier


def tensors(run: Path, kind: str = "state") -> dict[str, torch.Tensor]:
    return load_checkpoint(list_checkpoints(run, kind)[0], kind=kind)[1]


def distance(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor], part: str) -> float:
    """Relative 2-norm of the difference over all tensors whose names begin with `part`."""
    assert left.keys() == right.keys()
    names = [name for name in left if name.startswith(part)]
    difference = sum(float((left[name] - right[name]).double().square().sum()) for name in names)
    return float((difference / sum(float(right[name].double().square().sum()) for name in names)) ** 0.5)


class StopAt:
    def __init__(self, at: int) -> None:
        self.at = at

    def __call__(self) -> bool:
        self.at -= 1
        return self.at <= 0


@pytest.mark.slow
@pytest.mark.usefixtures("one_thread")
def test_two_processes_train_what_one_trains(corners_npz: Path, tmp_path: Path) -> None:
    """One start of two gloo processes by torchrun makes all the runs; see two_processes.py."""
    pytest.importorskip("lightning_fabric")
    settings = load_config(None, [*TINY, *OVERRIDES], {"data.source": str(corners_npz), "training.steps": STEPS})
    train(settings, tmp_path / "one", device="cpu")
    with pytest.raises(StoppedError):
        train(settings, tmp_path / "one-cut", device="cpu", should_stop=StopAt(4))
    (tmp_path / "config.yaml").write_text(dump_config(settings))
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    script = Path(__file__).parent / "two_processes.py"
    done = subprocess.run(
        [sys.executable, *torchrun, str(script), str(tmp_path / "config.yaml"), str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    one = tensors(tmp_path / "one")
    for name in ("ddp", "fsdp", "small", "one-cut"):
        for part in ("raw.", "ema.", "optimizer."):
            assert distance(tensors(tmp_path / name), one, part) < TOLERANCE, (name, part)
        training = read_header(list_checkpoints(tmp_path / name)[0])["training"]
        assert (training["steps"], training["processes"], training["finished"]) == (STEPS, 2, True)
    for strategy in ("ddp", "fsdp"):
        for kind in ("model", "state"):
            whole, cut = tensors(tmp_path / strategy, kind), tensors(tmp_path / f"{strategy}-cut", kind)
            assert whole.keys() == cut.keys()
            assert all(torch.equal(whole[name], cut[name]) for name in whole), (strategy, kind)
    assert read_header(list_checkpoints(tmp_path / "small")[0])["training"]["micro_batch"] == 5
    assert done.stderr.count("gave up: the") == 2 and "3 steps in a row" in done.stderr
    assert list_checkpoints(tmp_path / "blown") == []


def members(session: int) -> list[int]:
    """The living processes of a session."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except (OSError, IndexError):
            continue
        if folder.name.isdigit() and fields[0] != "Z" and int(fields[3]) == session:
            found.append(int(folder.name))
    return sorted(found)


class Pair:
    """`synthgen train --devices 2` in a session of its own, up to its first step."""

    def __init__(self, arguments: list[str], folder: Path) -> None:
        self.log = (folder / "stderr").open("w+")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "synthgen", "train", *arguments, "--devices", "2"],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
            start_new_session=True,
        )

    def __enter__(self) -> Pair:
        return self

    def __exit__(self, *_: object) -> None:
        for pid in members(self.process.pid):  # none, unless the test failed
            os.kill(pid, signal.SIGKILL)
        self.log.close()

    def said(self) -> str:
        return Path(self.log.name).read_text()

    def second(self) -> int:
        """The process that the first one started, once both train."""
        self.wait_for(lambda: "training: " in self.said() or self.process.poll() is not None)
        assert self.process.poll() is None, self.said()
        (second,) = (pid for pid in members(self.process.pid) if pid != self.process.pid)
        return second

    def wait_for(self, true: Callable[[], bool], seconds: float = 300) -> None:
        stop = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < stop, self.said()
            time.sleep(0.05)

    def end(self, whom: int, how: signal.Signals) -> int:
        """Signal one process; the exit code once every process of the session is gone."""
        os.kill(whom, how)
        code = self.process.wait(300)
        self.wait_for(lambda: members(self.process.pid) == [])
        return code


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_whoever_is_stopped_or_killed_nobody_stays_and_the_checkpoint_is_whole(
    corners_npz: Path, tmp_path: Path
) -> None:
    pytest.importorskip("lightning_fabric")
    sets = [word for text in TINY for word in ("--set", text)]
    run = tmp_path / "run"
    arguments = [str(corners_npz), "--steps", "100000", "--device", "cpu", "--out", str(run), *sets]

    def check_whole() -> int:
        load_checkpoint(list_checkpoints(run)[0])
        return int(load_checkpoint(list_checkpoints(run, "state")[0], kind="state")[0]["step"])

    with Pair(arguments, tmp_path) as pair:
        assert pair.end(pair.second(), signal.SIGTERM) == 143, "a stop asked of process 1 stops both"
        assert pair.said().count("stopped:") == 1 and "--resume" in pair.said()
    step = check_whole()
    assert step >= 1
    with Pair([*arguments, "--resume"], tmp_path) as pair:
        assert pair.end(pair.second(), signal.SIGKILL) == 1
        assert f"resuming {run} at step {step:,}" in pair.said()
        assert "process 1 of 2 ended (killed by SIGKILL)" in pair.said() and "Traceback" not in pair.said()
    assert check_whole() == step
    with Pair([*arguments, "--resume"], tmp_path) as pair:
        pair.second()
        assert pair.end(pair.process.pid, signal.SIGKILL) == -signal.SIGKILL
    assert check_whole() == step


@pytest.mark.slow
def test_processes_that_srun_starts_find_each_other(corners_npz: Path, tmp_path: Path) -> None:
    """The environment of `srun --ntasks-per-node 2`, without SLURM around it."""
    pytest.importorskip("lightning_fabric")
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = str(listener.getsockname()[1])
    job = {
        "SLURM_JOB_ID": "4711",
        "SLURM_JOB_NAME": "train",
        "SLURM_NTASKS": "2",
        "SLURM_NTASKS_PER_NODE": "2",
        "SLURM_NNODES": "1",
        "SLURM_STEP_NUM_TASKS": "2",
        "SLURM_STEP_NUM_NODES": "1",
        "SLURM_NODELIST": "localhost",
        "SLURM_NODEID": "0",
        "MASTER_PORT": port,
    }
    sets = [word for text in TINY for word in ("--set", text)]
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "synthgen", "train", str(corners_npz), "--steps", "3", "--device", "cpu", *sets],
            cwd=tmp_path,
            env={**os.environ, **job, "SLURM_PROCID": rank, "SLURM_LOCALID": rank},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in ("0", "1")
    ]
    (out, err), silence = (process.communicate(timeout=300) for process in started)
    assert [process.returncode for process in started] == [0, 0], err + silence[1]
    assert "trained runs/corners" in out and silence == ("", "")
    training = read_header(list_checkpoints(tmp_path / "runs" / "corners")[0])["training"]
    assert (training["steps"], training["processes"], training["strategy"]) == (3, 2, "ddp")
