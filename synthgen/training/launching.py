"""Which processes train together: what the flags and the launcher say, and the processes that we start ourselves.

Imports nothing heavy: it runs before torch is loaded, in every process. Three launchers are known: synthgen itself
(`--devices 2`, one machine), torchrun, and srun. torchrun and srun start every process; alone, process 0 starts the
others with its own command line.
"""

from __future__ import annotations

import importlib.util
import os
import signal
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from synthgen.errors import SynthgenError, UsageError
from synthgen.reporting import Reporter

if TYPE_CHECKING:
    import subprocess

EXTRA = "pip install 'synthgen[distributed]'"
_PARENT = "SYNTHGEN_LAUNCHED_BY"
"""Set in the processes that we start: the id of the one that did."""

_PR_SET_PDEATHSIG = 1
_PATIENCE = 10.0
"""Seconds that the others get to end by themselves once one has."""


@dataclass(frozen=True)
class Launch:
    """How the processes of a run come to be.

    launcher: self, torchrun or slurm. devices: processes per node; rank: this process's number of devices * nodes.
    """

    launcher: str
    devices: int
    nodes: int
    rank: int
    local_rank: int
    strategy: str

    @property
    def size(self) -> int:
        return self.devices * self.nodes

    @property
    def main(self) -> bool:
        return self.rank == 0

    @property
    def started_by_another(self) -> bool:
        """Whether this process is one of those that a launcher, or process 0, started."""
        return self.launcher != "self" or not self.main


def plan_launch(
    devices: int | None, nodes: int | None, strategy: str | None, environment: Mapping[str, str] | None = None
) -> Launch | None:
    """The launch that the flags ask for and the launcher around us made; None for one process.

    Raises: UsageError where flags and launcher contradict each other, or lightning-fabric is missing.
    """
    environment = os.environ if environment is None else environment
    found = _launcher(environment)
    if found is None:
        if (nodes or 1) > 1:
            raise UsageError(
                f"--nodes {nodes} needs a launcher that starts synthgen on every node",
                f"torchrun --nnodes {nodes} --nproc-per-node {devices or 1} ... -m synthgen train ..., or srun",
            )
        rank = _number(environment, "LOCAL_RANK", 0) if _child(environment) else 0
        found = Launch("self", devices or 1, 1, rank, rank, "")
    for flag, asked, there in (("--devices", devices, found.devices), ("--nodes", nodes, found.nodes)):
        if asked is not None and asked != there:
            raise UsageError(
                f"{flag} is {asked}, but {found.launcher} started {there}", f"leave {flag} out, or match it"
            )
    if found.size == 1:
        if strategy is not None:
            raise UsageError(f"--strategy {strategy} needs more than one process", "add --devices 2, or leave it out")
        return None
    if importlib.util.find_spec("lightning_fabric") is None:
        raise UsageError("training on several processes needs the Python package 'lightning-fabric'", EXTRA)
    return replace(found, strategy=strategy or "ddp")


def _number(environment: Mapping[str, str], name: str, default: int) -> int:
    try:
        return int(environment.get(name, default))
    except ValueError as error:
        raise UsageError(f"the environment says {name}={environment[name]}, which is no number") from error


def _launcher(environment: Mapping[str, str]) -> Launch | None:
    """What torchrun or srun says of this process."""

    def number(name: str, default: int = 1) -> int:
        return _number(environment, name, default)

    if "TORCHELASTIC_RUN_ID" in environment:
        size, devices = number("WORLD_SIZE"), number("LOCAL_WORLD_SIZE")
        return Launch("torchrun", devices, size // devices, number("RANK", 0), number("LOCAL_RANK", 0), "")
    # Only srun sets the step's variables: in an sbatch script itself, several tasks are promised and one runs.
    if not _child(environment) and number("SLURM_STEP_NUM_TASKS") > 1 and "SLURM_PROCID" in environment:
        size, nodes = number("SLURM_STEP_NUM_TASKS"), number("SLURM_STEP_NUM_NODES", number("SLURM_NNODES"))
        if size % nodes:
            raise UsageError(
                f"srun started {size} processes on {nodes} nodes", "use --ntasks-per-node: the same on each"
            )
        return Launch("slurm", size // nodes, nodes, number("SLURM_PROCID", 0), number("SLURM_LOCALID", 0), "")
    return None


def is_main(environment: Mapping[str, str] | None = None) -> bool:
    """Whether this process speaks and writes, known from the environment alone."""
    environment = os.environ if environment is None else environment
    if _child(environment):
        return False
    found = _launcher(environment)
    return found is None or found.main


def _child(environment: Mapping[str, str]) -> bool:
    return _PARENT in environment


def die_with_parent() -> None:
    """End this process at once when the one that started it ends, however that was.

    Linux: prctl(2), PR_SET_PDEATHSIG. Elsewhere a thread looks every second whether the parent is still the same.
    """
    import ctypes

    parent = os.getppid()
    expected = int(os.environ.get(_PARENT, parent))
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    else:
        threading.Thread(target=_watch_parent, args=(parent,), daemon=True, name="parent-watch").start()
    if os.getppid() != expected:  # it ended before we asked
        os._exit(1)


def _watch_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(1)


class Crew:
    """The processes 1 to devices - 1 that process 0 started on this machine, and the thread that watches them."""

    def __init__(self, launch: Launch, reporter: Reporter) -> None:
        self.reporter = reporter
        self._done = threading.Event()
        self._before = {
            name: os.environ.get(name) for name in ("MASTER_ADDR", "MASTER_PORT", "NODE_RANK", "LOCAL_RANK")
        }
        import subprocess

        port = os.environ.get("MASTER_PORT") or str(_free_port())
        os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=port, NODE_RANK="0", LOCAL_RANK="0")
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        for rank in range(1, launch.devices):
            environment = {**os.environ, "LOCAL_RANK": str(rank), _PARENT: str(os.getpid())}
            self._processes[rank] = subprocess.Popen(
                _own_command(), env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
            )
        threading.Thread(target=self._watch, daemon=True, name="crew-watch").start()

    def lost(self) -> str:
        """The first process that ended badly, in words; empty when none has."""
        for rank, process in self._processes.items():
            code = process.poll()
            if code:
                how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
                return f"process {rank} of {len(self._processes) + 1} ended ({how})"
        return ""

    def _watch(self) -> None:
        """When a process is lost and this one waits for it for ever (as NCCL does), end the run."""
        while not self._done.wait(0.5):
            if self.lost() and not self._done.wait(_PATIENCE):
                self.reporter.warn(f"{self.lost()}: ending the run; resume it with --resume")
                self._kill()
                os._exit(1)

    def explain(self, error: Exception) -> Exception:
        """What a failed exchange between processes means: which of them is gone."""
        stop = time.monotonic() + 5.0
        while not (lost := self.lost()) and time.monotonic() < stop and is_disconnection(error):
            time.sleep(0.05)
        return _lost_error(lost) if lost and is_disconnection(error) else error

    def close(self, patience: float = _PATIENCE) -> None:
        """Wait until the others have ended; end those that have not."""
        stop = time.monotonic() + patience
        while time.monotonic() < stop and any(process.poll() is None for process in self._processes.values()):
            time.sleep(0.02)
        self._kill()
        for process in self._processes.values():
            process.wait()
        self._done.set()
        for name, value in self._before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})

    def _kill(self) -> None:
        for process in self._processes.values():
            process.kill()


def is_disconnection(error: BaseException) -> bool:
    """Whether an exchange between processes failed because one of them is gone or silent."""
    texts = ("gloo", "nccl", "connection closed", "connection reset", "broken pipe", "timed out", "socket")
    if type(error).__name__ in ("DistBackendError", "DistNetworkError", "DistStoreError"):
        return True
    return isinstance(error, (RuntimeError, ConnectionError)) and any(text in str(error).lower() for text in texts)


def _lost_error(lost: str) -> SynthgenError:
    return SynthgenError(f"{lost}: the run cannot go on without it", "what was saved is whole: add --resume to go on")


def explain_disconnection(error: Exception) -> Exception:
    """The same where somebody else started the processes, who knows which of them is gone."""
    return _lost_error("the connection to another process of this run broke") if is_disconnection(error) else error


def _own_command() -> list[str]:
    """The command line of this process, for the others."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    if spec is not None:
        return [sys.executable, "-m", spec.name.removesuffix(".__main__"), *sys.argv[1:]]
    return [sys.executable, os.path.abspath(sys.argv[0]), *sys.argv[1:]]


def _free_port() -> int:
    import socket

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
