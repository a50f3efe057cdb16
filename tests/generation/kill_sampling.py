"""Kill sampling at random times, resume it, and compare the result's sha256 with that of an uninterrupted run.

    python tests/generation/kill_sampling.py --kills 100 --seed 0

Sets of samples of a tiny, really trained model are made by 1, 2 or 3 workers: processes that each make a part of the
shards, of different sizes and formats, or one process with as many threads. SIGKILL ends all of them, or one, at a
random time of the work or of the merge; they start again until the set is whole. Every set, merged, must be the npz
file that one undisturbed process wrote. Children are forked from a process that has imported torch but computed
nothing, so that a kill costs milliseconds and not an import. Needs fork (Linux, macOS).
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import importlib
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
import torch

from synthgen.config.loading import load_config
from synthgen.generation import folder
from synthgen.generation.folder import sample_to_folder
from synthgen.generation.making import sample_to_shards
from synthgen.generation.merge import merge_samples
from synthgen.generation.model import load
from synthgen.generation.plan import plan_samples
from synthgen.generation.sharding import Part
from synthgen.generation.verify import verify_samples
from synthgen.training.run import train

COUNT, SEED, BLOCK = 240, 5, 8
SHARDS = (1, 2, 3, 5, 7, 15, 30)
FORMATS = ("parquet", "webdataset", "npz", "png", "idx")
SETTINGS = [
    "model.channels=[8, 16]",
    "model.norm_groups=4",
    "training.batch_size=32",
    "training.precision=fp32",
    "training.checkpoint_every=1h",
    "sampling.steps=4",
    f"sampling.block_size={BLOCK}",
]
folder._CHUNK = 32  # of a set of 240 samples more than one chunk is finished before a kill

Task = Callable[[], None]


def start(task: Task) -> int:
    """Run `task` in a forked child; its process id. An exception is printed and ends the child with 1."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        task()
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def run(tasks: list[Task], delay: float | None, generator: random.Random) -> int:
    """Run tasks side by side; after `delay` seconds SIGKILL all that still run, or one. Returns how many it hit."""
    running = {start(task) for task in tasks}
    began, killed = time.monotonic(), set()
    while running:
        if delay is not None and not killed and time.monotonic() - began >= delay:
            victims = sorted(running) if generator.random() < 0.5 else [generator.choice(sorted(running))]
            for pid in victims:
                os.kill(pid, signal.SIGKILL)
            killed = set(victims)
        for pid in sorted(running):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if not ended:
                continue
            running.discard(pid)
            by_signal = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL and pid in killed
            if not by_signal and status != 0:
                raise SystemExit(f"a worker failed by itself with status {status}")
            if not by_signal:
                killed.discard(pid)  # it was done before the signal came
        time.sleep(0.001)
    return len(killed)


class Harness:
    """One run folder, one reference, any number of killed sets."""

    def __init__(self, root: Path, generator: random.Random) -> None:
        self.root, self.generator = root, generator
        self.run_folder = root / "run"
        self.tally: Counter[str] = Counter()
        run([self._warm_up], None, generator)
        for name in (root / "modules").read_text().split():
            with contextlib.suppress(ImportError):  # a few modules can only be imported by their owners
                importlib.import_module(name)
        began = time.monotonic()
        run([lambda: self._folder(root / "whole", "npz", 1)], None, generator)
        self.seconds = time.monotonic() - began
        self.expected = sha256(root / "whole" / "samples.npz")

    def _warm_up(self) -> None:
        """Train, sample and merge once; say what that imported, so that no later child has to."""
        before = set(sys.modules)
        self._train()
        self._part(self.root / "warm", "parquet", 2, Part(0, 1, "test"))
        merge_samples(self.root / "warm", self.root / "warm.npz", format="npz")
        found = [name for name in sys.modules if name not in before]
        files = [name for name in found if getattr(sys.modules[name], "__file__", None)]  # and none made on the fly
        (self.root / "modules").write_text("\n".join(files))

    def _train(self) -> None:
        torch.set_num_threads(1)
        images = np.random.default_rng(0).integers(0, 256, (64, 8, 8, 1), dtype=np.uint8)
        source = self.root / "noise.npz"
        np.savez(source, images=images, labels=np.arange(64) % 3, class_names=np.array(["a", "b", "c"]))
        config = load_config(None, SETTINGS, {"data.source": str(source), "training.steps": 10})
        train(config, self.run_folder, device="cpu")

    def _folder(self, out: Path, format_: str, threads: int) -> None:
        torch.set_num_threads(threads)
        model = load(self.run_folder, device="cpu")
        sample_to_folder(model, out, plan_samples(model, COUNT, seed=SEED, format=format_), resume=True)

    def _part(self, out: Path, format_: str, shards: int, part: Part) -> None:
        torch.set_num_threads(1)
        model = load(self.run_folder, device="cpu")
        plan = plan_samples(model, COUNT, seed=SEED, format=format_, shards=shards)
        sample_to_shards(model, str(out), plan, part)

    def until_done(self, tasks: list[Task], label: str) -> None:
        """Run the tasks, killing them up to four times, until they end undisturbed."""
        for _ in range(self.generator.randint(1, 4)):
            hit = run(tasks, self.generator.uniform(0, 1.2 * self.seconds), self.generator)
            if not hit:
                break
            self.tally["kills"] += 1
            self.tally[label] += 1
        run(tasks, None, self.generator)

    def one_set(self, index: int) -> None:
        """Make a set in some way, with kills; merge it, with kills; compare."""
        workers, out = self.generator.choice((1, 2, 3)), self.root / f"set-{index}"
        merged = self.root / f"merged-{index}"
        if self.generator.random() < 0.25:
            self.until_done([lambda: self._folder(out, "npz", workers)], f"threads {workers}")
            merged = out
        else:
            shards, format_ = self.generator.choice(SHARDS), self.generator.choice(FORMATS)
            parts = [Part(i, workers, "test") for i in range(workers)]
            tasks = [lambda part=part: self._part(out, format_, shards, part) for part in parts]
            self.until_done(tasks, f"workers {workers}")
            report = verify_samples(out)
            if not (report.whole and report.finished) or list(out.glob(".partial-*")):
                raise SystemExit(f"{format_}, {shards} shards, {workers} workers: {report}")
            again = lambda: merge_samples(out, merged, format="npz", resume=True)  # noqa: E731
            self.until_done([lambda: again() and None], "merge")
        if sha256(merged / "samples.npz") != self.expected:
            raise SystemExit(f"set {index} differs: {workers} workers, {out}")
        self.tally["sets"] += 1
        for path in (out, merged):
            shutil.rmtree(path, ignore_errors=True)


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="kill-sampling-") as root:
        harness = Harness(Path(root), random.Random(arguments.seed))
        while harness.tally["kills"] < arguments.kills:
            harness.one_set(harness.tally["sets"])
            print(f"{harness.tally['kills']} kills, {harness.tally['sets']} sets the same", file=sys.stderr, flush=True)
        document = {"sha256": harness.expected, **dict(sorted(harness.tally.items()))}
        print(json.dumps({**document, "seed": arguments.seed, "seconds": round(time.monotonic() - began, 1)}))


if __name__ == "__main__":
    main()
