"""What the bytes of samples depend on beside the plan: the device's arithmetic, pinned, and versions; both recorded."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version

import torch

from synthgen import __version__

_CUBLAS = "CUBLAS_WORKSPACE_CONFIG"
_ENCODERS = {"png": ("pillow",), "parquet": ("pillow", "pyarrow"), "webdataset": ("pillow",)}


def versions(format_: str) -> dict[str, str]:
    """Versions of everything that has a hand in the bytes of a set in that format."""
    return {"synthgen": __version__, **_of("torch", "diffusers", "numpy"), **encoder_versions(format_)}


def table_versions(format_: str) -> dict[str, str]:
    """The same for rows of a table."""
    names = ("torch", "numpy", "pandas", *(("pyarrow",) if format_ == "parquet" else ()))
    return {"synthgen": __version__, **_of(*names)}


def encoder_versions(format_: str) -> dict[str, str]:
    """The part of `versions` that turns pixels into files."""
    return _of(*_ENCODERS.get(format_, ()))


def _of(*names: str) -> dict[str, str]:
    return {name: str(version(name)) for name in names}


def numerics(device: torch.device) -> dict[str, str | int | bool]:
    """The arithmetic that samples are made with on `device`, as `pinned` sets it.

    Two machines with equal entries are expected to give equal bytes; `processor` is the instruction set that torch
    picked on a CPU (`ATEN_CPU_CAPABILITY` pins it), and the model of a GPU.
    """
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        return {
            "processor": properties.name,
            "capability": f"{properties.major}.{properties.minor}",
            "cuda": str(torch.version.cuda),
            "cudnn": int(torch.backends.cudnn.version() or 0),  # type: ignore[no-untyped-call]
            "deterministic": True,
            "tf32": False,
            _CUBLAS.lower(): os.environ.get(_CUBLAS, ":4096:8"),
        }
    if device.type == "cpu":
        return {
            "processor": f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}",
            "mkldnn": bool(torch.backends.mkldnn.is_available()),  # type: ignore[no-untyped-call]
            "threads_per_block": 1,
        }
    return {"processor": f"{platform.machine()} {device.type}"}


@contextmanager
def pinned(device: torch.device) -> Iterator[None]:
    """Arithmetic that gives the same bits each time: on CUDA no search for fast kernels, no TF32, no atomics.

    New tensors stay as they are found, where torch would fill each with NaN: a kernel more for every layer.

    The settings of the process are put back afterwards. `CUBLAS_WORKSPACE_CONFIG` is set, if it is not yet, and stays:
    cuBLAS reads it once, when a process first multiplies matrices.
    """
    if device.type != "cuda":
        yield
        return
    os.environ.setdefault(_CUBLAS, ":4096:8")
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    before = (cudnn.deterministic, cudnn.benchmark, cudnn.allow_tf32, matmul.allow_tf32)
    strict, warns = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    cudnn.deterministic, cudnn.benchmark, cudnn.allow_tf32, matmul.allow_tf32 = True, False, False, False
    filled = torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    try:
        yield
    finally:
        cudnn.deterministic, cudnn.benchmark, cudnn.allow_tf32, matmul.allow_tf32 = before
        torch.use_deterministic_algorithms(strict, warn_only=warns)
        torch.utils.deterministic.fill_uninitialized_memory = filled  # type: ignore[attr-defined]
