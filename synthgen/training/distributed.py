"""Several processes that train one model together, on Lightning Fabric.

Fabric starts the process group, knows the launchers' environments and wraps the module (DDP, or FSDP2 through its
`ModelParallelStrategy`). Batches, random numbers, checkpoints and all decisions stay ours.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import nn

from synthgen.errors import UsageError
from synthgen.training.launching import Launch
from synthgen.training.world import Tensors, World

TIMEOUT = timedelta(minutes=15)
"""The longest that a process waits for the others: longer than any checkpoint and preview of the main process."""


def check_device(launch: Launch, name: str) -> str:
    """The accelerator, `cpu` or `cuda`, that `--device` means for several processes. Raises UsageError."""
    kind = ("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name
    if kind not in ("cpu", "cuda"):
        raise UsageError(f"--device {name} is one device: {launch.size} processes need auto, cpu or cuda")
    if kind == "cuda" and torch.cuda.device_count() < launch.devices:
        raise UsageError(
            f"--devices {launch.devices} on CUDA, but {torch.cuda.device_count()} device(s) are there",
            "run `synthgen doctor` to see them; --device cpu trains on the processor",
        )
    return kind


class FabricWorld(World):
    """This process among those that Fabric brought together."""

    def __init__(self, launch: Launch, device: str) -> None:
        from lightning_fabric import Fabric

        logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
        kind = check_device(launch, device)
        self.fabric = Fabric(
            accelerator=kind,
            devices=launch.devices,
            num_nodes=launch.nodes,
            strategy=_strategy(launch),
            plugins=[_environment(launch)],
            precision="32-true",  # the denoiser chooses its own
        )
        self.fabric.launch()
        if kind == "cpu" and "OMP_NUM_THREADS" not in os.environ:
            torch.set_num_threads(max(1, (os.cpu_count() or 1) // launch.devices))
        super().__init__(self.fabric.device)
        self.rank, self.size = self.fabric.global_rank, self.fabric.world_size
        self.strategy = launch.strategy
        self.sharded = launch.strategy == "fsdp"
        # Decisions travel beside the gradients and on the CPU, so that no step waits for a GPU.
        self._control: Any = dist.new_group(backend="gloo", timeout=TIMEOUT)

    def wrap(self, module: nn.Module) -> nn.Module:
        return self.fabric.setup_module(module)  # type: ignore[no-any-return]

    def unsynchronised(self, module: nn.Module, enabled: bool) -> AbstractContextManager[Any]:
        return self.fabric.no_backward_sync(module, enabled)  # type: ignore[no-any-return]

    def agree(self, values: Sequence[float]) -> list[float]:
        tensor = torch.tensor(list(values), dtype=torch.float64)
        dist.all_reduce(tensor, group=self._control)
        return tensor.tolist()

    def sum(self, tensor: torch.Tensor) -> torch.Tensor:
        dist.all_reduce(tensor)
        return tensor

    def smallest(self, value: int) -> int:
        tensor = torch.tensor(value)
        dist.all_reduce(tensor, op=dist.ReduceOp.MIN, group=self._control)
        return int(tensor)

    def spread(self, header: dict[str, Any] | None, tensors: Tensors) -> tuple[dict[str, Any] | None, Tensors]:
        shapes = [(name, tuple(tensor.shape), str(tensor.dtype)) for name, tensor in tensors.items()]
        header, shapes = self._tell((header, shapes))
        received: Tensors = {}
        for name, shape, dtype in shapes:
            empty = torch.empty(shape, dtype=getattr(torch, dtype.removeprefix("torch.")))
            tensor = tensors[name].cpu().contiguous() if self.main else empty
            dist.broadcast(tensor, 0, group=self._control)
            received[name] = tensor
        return header, received

    def _tell(self, document: Any) -> Any:
        """A JSON document from the main process to all: torch's own way to send objects is pickle."""
        text = torch.tensor(list(json.dumps(document).encode()), dtype=torch.uint8)
        length = torch.tensor(len(text))
        dist.broadcast(length, 0, group=self._control)
        if not self.main:
            text = torch.empty(int(length), dtype=torch.uint8)
        dist.broadcast(text, 0, group=self._control)
        return json.loads(bytes(text.tolist()))

    def barrier(self) -> None:
        dist.barrier(group=self._control)

    def close(self) -> None:
        """Leave the group; not after an error, when others may be gone."""
        dist.destroy_process_group()


def _environment(launch: Launch) -> Any:
    from lightning_fabric.plugins.environments import LightningEnvironment, SLURMEnvironment, TorchElasticEnvironment

    if launch.launcher == "torchrun":
        return TorchElasticEnvironment()
    if launch.launcher == "self":
        return LightningEnvironment()  # LOCAL_RANK is set: it starts nothing itself
    try:
        return SLURMEnvironment(auto_requeue=False)
    except RuntimeError as error:  # --ntasks without --ntasks-per-node
        raise UsageError(f"SLURM: {error}") from error


def _strategy(launch: Launch) -> Any:
    from lightning_fabric.strategies import DDPStrategy, ModelParallelStrategy

    if launch.strategy == "ddp":
        return DDPStrategy(timeout=TIMEOUT, gradient_as_bucket_view=True)
    return ModelParallelStrategy(_shard, data_parallel_size=launch.size, tensor_parallel_size=1, timeout=TIMEOUT)


def _shard(module: nn.Module, mesh: Any) -> nn.Module:
    """FSDP2 (`fully_shard`): each block of the network is gathered while it computes, the rest once a step."""
    from torch.distributed.fsdp import fully_shard

    data = mesh["data_parallel"]
    for block in _outer_blocks(module):
        fully_shard(block, mesh=data)
    fully_shard(module, mesh=data)
    return module


def _outer_blocks(module: nn.Module) -> Iterator[nn.Module]:
    """The entries of the outermost module lists: what every network here is a stack of."""
    for child in module.children():
        if isinstance(child, nn.ModuleList):
            yield from (block for block in child if block is not None and next(block.parameters(), None) is not None)
        else:
            yield from _outer_blocks(child)
