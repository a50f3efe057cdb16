"""Started by torchrun for test_distributed.py: every run that two processes have to make, in one start.

Arguments: a configuration, and the folder for the runs. A script and not a module: `tests` may be somebody else's.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import torch

from synthgen.config.loading import load_config
from synthgen.errors import StoppedError
from synthgen.training.distributed import FabricWorld
from synthgen.training.guards import NotFiniteError
from synthgen.training.launching import die_with_parent, plan_launch
from synthgen.training.run import train


class StopOn:
    """Process `rank` alone is asked to stop, at its n-th poll."""

    def __init__(self, world: FabricWorld, rank: int, at: int) -> None:
        self.mine, self.at, self.polls = world.rank == rank, at, 0

    def __call__(self) -> bool:
        self.polls += 1
        return self.mine and self.polls >= self.at


def main(config: Path, out: Path) -> None:
    torch.set_num_threads(1)
    launch = plan_launch(None, None, None)
    assert launch is not None and launch.launcher == "torchrun" and launch.size == 2
    die_with_parent()
    for strategy in ("ddp", "fsdp"):
        world = FabricWorld(replace(launch, strategy=strategy), "cpu")
        settings = load_config(config)
        train(settings, out / strategy, world=world)
        try:
            train(settings, out / f"{strategy}-cut", world=world, should_stop=StopOn(world, 1, 4))
            raise AssertionError("not stopped")
        except StoppedError as error:
            assert "stopped at step 4" in error.message
        train(settings, out / f"{strategy}-cut", world=world, resume=True)
    train(settings, out / "one-cut", world=world, resume=True)  # begun by one process, ended by two
    world = FabricWorld(launch, "cpu")
    train(load_config(config, ["training.micro_batch=5"]), out / "small", world=world)
    try:
        train(load_config(config, ["training.learning_rate=1e30"]), out / "blown", world=world)
        raise AssertionError("not given up")
    except NotFiniteError as error:
        print(f"process {world.rank} gave up: {error.message}", file=sys.stderr, flush=True)
    world.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
