"""What samples are drawn with: the denoiser, its network in the form that is fastest on the device, compiled or not.

Compiled code rounds elsewhere than the calls that it replaces, so whether it is used is part of the recipe.
"""

from __future__ import annotations

import copy
import logging
import os
import shutil
import sys
import sysconfig
import threading
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from synthgen.data.locations import cache_root
from synthgen.diffusion.denoiser import Denoiser
from synthgen.errors import SynthgenError, UsageError
from synthgen.models.inference import inference_form

if TYPE_CHECKING:
    from synthgen.generation.engine import Engine

MODES = ("auto", "always", "never")
_CACHE = "TORCHINDUCTOR_CACHE_DIR"
_GAIN = {"cpu": 1.25, "cuda": 1.5}
"""Network calls per second once compiled, as a multiple. That of a CPU was measured (AMD EPYC VM, one thread, bf16,
2.5 M parameters: 758 against 601 images a second); that of CUDA is assumed, not measured."""
_SECONDS_PER_LAYER = 1.0
"""Of compiling, for each convolution and matrix, with an empty cache: 58 s of a busy CPU for 31 of them, half of that
on an idle one."""


@dataclass(frozen=True)
class Estimate:
    """seconds: of making a set with the network as it is. won: of these by compiling it. cost: what compiling takes."""

    seconds: float
    won: float
    cost: float

    @property
    def pays(self) -> bool:
        return self.won > self.cost

    @property
    def text(self) -> str:
        return (
            f"sampling takes about {self.seconds:,.0f} s; compiling the network would take about {self.cost:,.0f} s "
            f"and save about {self.won:,.0f} s"
        )


@dataclass(frozen=True)
class Choice:
    """reason: what was chosen and why, in a line. notable: worth a line even where nobody asked."""

    compiled: bool
    reason: str
    estimate: Estimate | None = None
    notable: bool = False


def for_sampling(denoiser: Denoiser, device: torch.device, *, compiled: bool = False) -> Denoiser:
    """A denoiser that gives the same answers up to rounding, faster; the given one stays as it is.

    It holds weights of its own: training may go on. The denoiser itself where its network is not known and is not to
    be compiled. Raises UsageError when it is to be compiled and cannot be.
    """
    form = inference_form(denoiser.network, denoiser.precision, device)
    precision = denoiser.precision if form is None else torch.float32  # the form casts by itself
    network: nn.Module = denoiser.network if form is None else form
    if not compiled and form is None:
        return denoiser
    twin = copy.copy(denoiser)
    twin._modules = {**denoiser._modules, "network": _Compiled(network, device) if compiled else network}
    twin.precision = precision
    return twin.eval()


def compile_in_place(network: nn.Module, device: torch.device) -> None:
    """Have the network compiled when it is next called; its weights keep their names, copies of it are not compiled.

    Raises UsageError when this machine cannot.
    """
    problem = why_not(device)
    if problem is not None:
        raise UsageError(f"the network is to be compiled: {problem}", "set training.compile to never")
    _keep_compiled()
    network.compile()


class _Compiled(nn.Module):
    """A network that is compiled when it is first called, by one thread while the others wait."""

    def __init__(self, network: nn.Module, device: torch.device) -> None:
        super().__init__()
        problem = why_not(device)
        if problem is not None:
            raise UsageError(f"these samples are to be drawn with a compiled network: {problem}", _HINT)
        _keep_compiled()
        self._call: Any = torch.compile(network, dynamic=False, options=_options(device))
        self._lock, self._ready = threading.Lock(), False

    def forward(self, x: torch.Tensor, time: torch.Tensor, labels: torch.Tensor | None) -> torch.Tensor:
        if not self._ready:
            with self._lock:
                output = self._first(x, time, labels)
                self._ready = True
                return output
        found: torch.Tensor = self._call(x, time, labels)
        return found

    def _first(self, *given: torch.Tensor | None) -> torch.Tensor:
        try:
            output: torch.Tensor = self._call(*given)
        except (torch.OutOfMemoryError, MemoryError):
            raise
        except Exception as error:  # of the compiler, of many kinds
            first = str(error).strip().splitlines()[0:1]
            raise SynthgenError(f"the network could not be compiled: {' '.join(first)}", _HINT) from error
        return output


def _keep_compiled() -> None:
    """Have torch keep what it compiles in our cache, unless the user named a folder: its own is cleared at a reboot."""
    from torch._inductor.runtime.cache_dir_utils import default_cache_dir

    # It tells everybody with CUDA's files and no GPU that there is none.
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
    if os.environ.get(_CACHE) in (None, default_cache_dir()):  # torch writes its default into the variable
        os.environ[_CACHE] = str(cache_root() / "compiled")


_HINT = "give --compile never; the samples are the same up to rounding"


def _options(device: torch.device) -> dict[str, Any]:
    """Settings of torch's compiler that give the same code each time: none that a race between kernels decides."""
    from torch._inductor import config

    wanted = {"triton.cudagraphs": device.type == "cuda", "deterministic": device.type == "cuda"}
    return {name: value for name, value in wanted.items() if value and hasattr(config, name.partition(".")[0])}


def choose(mode: str, engine: Engine, count: int, *, begun: bool | None = None, shared: bool = False) -> Choice:
    """Whether to compile the network of a set of `count` samples, and why; computes little and compiles nothing.

    mode: one of `MODES`. engine: of the same recipe, not compiled. begun: what the plan of a set says that is to be
    gone on with. shared: other processes make parts of the same set, which must choose alike without asking. Raises
    UsageError for `always` where it cannot be.
    """
    problem = why_not(engine.device)
    if mode == "always":
        if problem is not None:
            raise UsageError(f"--compile always: {problem}", _HINT)
        return Choice(True, "compiled, as --compile always says")
    if mode == "never":
        return Choice(False, "not compiled")
    if begun is not None:
        return Choice(begun, f"{'compiled' if begun else 'not compiled'}, as the set was begun")
    if shared:
        return Choice(False, "not compiled: every process of a set must choose the same (--compile always for all)")
    guess = estimate(engine, count)
    if guess.pays and problem is not None:
        return Choice(False, f"not compiled: {problem}; {guess.text}", guess, notable=True)
    return Choice(guess.pays, f"{'compiled' if guess.pays else 'not compiled'}: {guess.text}", guess, guess.pays)


def why_not(device: torch.device) -> str | None:
    """Why networks cannot be compiled for `device` on this machine, as a sentence; None when they can."""
    if device.type not in ("cpu", "cuda"):
        return f"torch compiles for CPUs and CUDA, not for {device.type}"
    compiler = os.environ.get("CXX", "clang++" if sys.platform == "darwin" else "g++")
    if os.name != "nt" and shutil.which(compiler) is None:
        return f"there is no C++ compiler ({compiler}) on this machine"
    if not (Path(sysconfig.get_path("include")) / "Python.h").is_file():
        return "Python's C headers (Python.h) are not installed"
    if device.type == "cuda" and find_spec("triton") is None:
        return "triton is not installed"
    return None


def estimate(engine: Engine, count: int) -> Estimate:
    """What compiling would win over `count` samples; times a few network calls of an engine that is not compiled."""
    blocks = -(-count // engine.recipe.block_size)
    threads = torch.get_num_threads() if engine.device.type == "cpu" else 1
    seconds = engine.seconds_per_call() * engine.network_calls * blocks / min(threads, blocks)
    layers = sum(isinstance(part, (nn.Conv2d, nn.Linear)) for part in engine.denoiser.modules())
    gain = _GAIN.get(engine.device.type, 1.0)
    return Estimate(seconds, seconds * (1 - 1 / gain), _SECONDS_PER_LAYER * layers)
