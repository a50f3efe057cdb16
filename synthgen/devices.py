"""Which device to compute on, and in which precision."""

from __future__ import annotations

import ctypes
import os
import platform
import sys
from typing import Any

import numpy as np
import torch

from synthgen.errors import UsageError

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Parameters of mallopt(3)."""


def pick_device(name: str = "auto") -> torch.device:
    """`auto` takes CUDA, then Apple's MPS, then the CPU. Raises UsageError for a device that is not there."""
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UsageError(f"unknown device '{name}'", "use auto, cpu, cuda, cuda:1 or mps") from error
    missing = (device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count()) or (
        device.type == "mps" and not torch.backends.mps.is_available()
    )
    if missing:
        raise UsageError(f"device '{name}' is not there", "run `synthgen doctor` to see what is")
    return device


def keep_freed_memory() -> None:
    """Have glibc keep freed memory for the next tensor; elsewhere nothing is done.

    By default it hands large pieces back to the kernel at once, and every tensor of a megabyte is mapped and zeroed
    anew: a tenth to a fifth of the time of a network in float32.
    """
    libc: Any = ctypes.CDLL(None) if sys.platform == "linux" else None
    if hasattr(libc, "mallopt"):
        libc.mallopt(_MMAP_THRESHOLD, 32 * 2**20)  # the most that old versions accept
        libc.mallopt(_TRIM_THRESHOLD, 256 * 2**20)


def sent(values: np.ndarray, device: torch.device) -> torch.Tensor:
    """An array on the device. A GPU fetches it by itself, from memory that does not move: nobody waits for it."""
    held = torch.from_numpy(values)
    return held.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else held.to(device)


def wide(tensor: torch.Tensor) -> torch.Tensor:
    """In float64; on the CPU where the device has none (Apple's GPUs)."""
    return (tensor.cpu() if tensor.device.type == "mps" else tensor).double()


def computes_bf16(device: torch.device) -> bool:
    """Whether the device has bf16 arithmetic of its own (not merely an emulation, which is slower than fp32)."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu" and platform.machine() in ("x86_64", "AMD64"):
        return cpu_flags() & {"avx512_bf16", "amx_bf16"} != set()
    return False


def cpu_flags() -> set[str]:
    """The processor's feature flags as Linux names them; empty elsewhere."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            for line in file:
                if line.startswith("flags"):
                    return set(line.split(":", 1)[1].split())
    except OSError:  # not Linux: no flags known, fp32 is always right
        return set()
    return set()


def pick_precision(name: str, device: torch.device) -> torch.dtype:
    """The dtype of the network's arithmetic for `auto`, `fp32` or `bf16`."""
    if name == "bf16" or (name == "auto" and computes_bf16(device)):
        return torch.bfloat16
    return torch.float32


def set_threads(count: int | None = None) -> int:
    """Set and return the number of CPU threads: `count`, else SYNTHGEN_THREADS, else what torch chose."""
    wanted = count or int(os.environ.get("SYNTHGEN_THREADS", "0") or 0)
    if wanted > 0:
        torch.set_num_threads(wanted)
    return torch.get_num_threads()
