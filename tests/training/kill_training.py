"""Kill training at random, fill its disk at random, and see that nothing finished is lost.

    python tests/training/kill_training.py --kills 200 --full 50 --seed 0

Runs of a tiny network save every few steps and are killed (SIGKILL) at random times, in the middle of steps and of
saves, or find their disk full. After each blow every checkpoint in the run folder must be whole and the newest one no
older than before; a run that goes on to its end must hold the weights and optimizer state of one that was never
disturbed, to the bit. The disk is a small tmpfs where one can be mounted (Linux, root), else the trial is left out.

Children are forked from a process that has imported torch but never computed with it: a kill then costs a fraction of a
second, not an import.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

import diffusers.models.unets.unet_2d  # noqa: F401 - imported here, so that children need not
import numpy as np
import torch

from synthgen.checkpoints import load_checkpoint
from synthgen.config.loading import load_config
from synthgen.config.schema import Config
from synthgen.data.dataset import ImageData
from synthgen.errors import SynthgenError
from synthgen.runs import list_checkpoints
from synthgen.training.run import train

FINISHED, FAILED, BROKEN = 0, 1, 2
DISK_BYTES = 8 * 2**20


def tiny_config(steps: int = 120) -> Config:
    """A network of 10,000 weights that saves every 20 ms."""
    settings = ["model.channels=[8]", "model.norm_groups=4", "training.batch_size=16", "training.precision=fp32"]
    settings += ["training.checkpoint_every=0.02s", "sampling.steps=1", "sampling.block_size=20"]
    return load_config(None, settings, {"training.steps": steps, "data.source": "two-halves"})


def tiny_data() -> ImageData:
    """256 images of 8 x 8 pixels: noise, brighter above or below."""
    generator = np.random.default_rng(0)
    labels = np.arange(256) % 2
    images = generator.integers(0, 80, (256, 8, 8, 1), dtype=np.uint8)
    images[labels == 0, :4] += 150
    images[labels == 1, 4:] += 150
    return ImageData(images, labels.astype(np.int64), ("top", "bottom"), "two-halves")


def fork_training(config: Config, data: ImageData, out: Path) -> int:
    """Go on with the run at `out` in a child process; returns its number."""
    child = os.fork()
    if child:
        return child
    code = BROKEN
    try:
        torch.set_num_threads(1)
        train(config, out, resume=True, data=data, device="cpu")
        code = FINISHED
    except (SynthgenError, OSError):
        code = FAILED
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def wait(child: int) -> int:
    """The child's exit code, negative for the signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def content_hash(run: Path) -> str:
    """sha256 over the tensors of the newest model and the newest state."""
    digest = hashlib.sha256()
    for kind in ("model", "state"):
        _, tensors = load_checkpoint(list_checkpoints(run, kind)[0], kind=kind)
        for name in sorted(tensors):
            digest.update(name.encode() + np.ascontiguousarray(tensors[name].numpy()).tobytes())
    return digest.hexdigest()


def newest_step(run: Path) -> int:
    """The newest step that a run can go on from; every checkpoint in the folder must be whole."""
    steps = []
    for kind in ("model", "state"):
        for path in list_checkpoints(run, kind):
            header, _ = load_checkpoint(path, kind=kind)  # raises when damaged
            if kind == "state":
                steps.append(int(header["step"]))
    return max(steps, default=0)


@dataclass
class Ordeal:
    """Runs that are disturbed until enough blows were dealt."""

    folder: Path
    config: Config
    data: ImageData
    random: random.Random
    blows: int = 0
    runs: int = 0
    leftovers: int = 0  # half-written files that attempts left behind and later ones removed
    faults: list[str] = field(default_factory=list)

    def undisturbed(self) -> tuple[str, float]:
        """What a run that nobody disturbs ends with, and how long it takes."""
        out, started = self.folder / "undisturbed", time.monotonic()
        code = wait(fork_training(self.config, self.data, out))
        if code != FINISHED:
            raise SystemExit(f"an undisturbed run ended with {code}")
        seconds = time.monotonic() - started
        digest = content_hash(out)
        shutil.rmtree(out)
        return digest, seconds

    def endure(self, blows: int, deal: type[Blow]) -> None:
        """Deal `blows` blows, over as many runs as it takes, and let the last run come to its end."""
        expected, seconds = self.undisturbed()
        while self.blows < blows:
            out = self.folder / f"run-{self.runs}"
            code = FAILED
            while code != FINISHED:
                before = newest_step(out) if out.exists() else 0
                child = fork_training(self.config, self.data, out)
                struck = self.blows < blows and deal.on(child, self.random.uniform(0, 0.7 * seconds), self)
                code = wait(child)
                deal.undo(self)
                # A blow counts when it cut an attempt short: an attempt may have come to its end in spite of it.
                self.blows += struck and code not in (FINISHED, BROKEN)
                self.leftovers += len(list(out.rglob(".*.tmp"))) if out.exists() else 0
                if code == BROKEN:
                    self.faults.append(f"run {self.runs}: an exception that is no SynthgenError")
                    return
                after = newest_step(out) if out.exists() else 0
                if after < before:
                    self.faults.append(f"run {self.runs}: step {before} was saved, {after} is left")
            if list(out.rglob(".*.tmp")):
                self.faults.append(f"run {self.runs}: half-written files are left in a finished run")
            if content_hash(out) != expected:
                self.faults.append(f"run {self.runs}: another result than that of an undisturbed run")
            shutil.rmtree(out)
            self.runs += 1


class Blow:
    """What is done to a running child after `delay` seconds; `on` returns whether it struck, or came too late."""

    @staticmethod
    def on(child: int, delay: float, ordeal: Ordeal) -> bool:
        raise NotImplementedError

    @staticmethod
    def undo(ordeal: Ordeal) -> None:
        """Make the next attempt possible."""


class Kill(Blow):
    """SIGKILL."""

    @staticmethod
    def on(child: int, delay: float, ordeal: Ordeal) -> bool:
        time.sleep(delay)
        if os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
            return False
        os.kill(child, signal.SIGKILL)
        return True


class FillDisk(Blow):
    """Take all the room on the disk but a random rest, smaller than a checkpoint or two."""

    @staticmethod
    def on(child: int, delay: float, ordeal: Ordeal) -> bool:
        time.sleep(delay)
        rest = ordeal.random.randrange(0, 400_000)
        with suppress(OSError), (ordeal.folder / "filler").open("wb", buffering=0) as file:  # the child may be quicker
            while (room := shutil.disk_usage(ordeal.folder).free - rest) > 0:
                file.write(bytes(min(room, 2**20)))
        return True

    @staticmethod
    def undo(ordeal: Ordeal) -> None:
        (ordeal.folder / "filler").unlink(missing_ok=True)


@contextmanager
def small_disk() -> Iterator[Path | None]:
    """A folder on a tmpfs of a few megabytes; None where none can be mounted."""
    with tempfile.TemporaryDirectory() as place:
        options = ["-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", place]
        try:
            mounted = subprocess.run(["mount", *options], capture_output=True, check=False).returncode == 0
        except OSError:
            mounted = False
        try:
            yield Path(place) if mounted else None
        finally:
            if mounted:
                subprocess.run(["umount", place], check=True)


def report(what: str, ordeal: Ordeal) -> list[str]:
    """Print one line; returns the faults."""
    print(
        f"{ordeal.blows} {what} cut attempts short over {ordeal.runs} runs, "
        f"{ordeal.leftovers} half-written files met: {len(ordeal.faults)} faults",
        flush=True,
    )
    return ordeal.faults


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--full", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    config, data = tiny_config(), tiny_data()
    faults: list[str] = []
    if given.kills:
        with tempfile.TemporaryDirectory() as place:
            kills = Ordeal(Path(place), config, data, random.Random(given.seed))
            kills.endure(given.kills, Kill)
            faults += report("kills", kills)
    if given.full:
        with small_disk() as disk:
            if disk is None:
                print("no tmpfs can be mounted here: the full disk was not tried")
            else:
                full = Ordeal(disk, config, data, random.Random(given.seed + 1))
                full.endure(given.full, FillDisk)
                faults += report("full disks", full)
    for fault in faults:
        print(fault, file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
