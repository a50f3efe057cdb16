"""What this machine has and what is missing: the facts behind `synthgen doctor`."""

from __future__ import annotations

import os
import platform
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import torch
from packaging.requirements import Requirement

from synthgen import __version__
from synthgen.data.locations import cache_root, data_roots
from synthgen.data.registry import KNOWN_SETS
from synthgen.devices import computes_bf16, cpu_flags, pick_device, pick_precision
from synthgen.errors import SynthgenError

LOW_DISK = 2 * 1024**3
LOW_MEMORY = 2 * 1024**3


@dataclass(frozen=True)
class Finding:
    """One fact. broken: a command will fail because of it; advice: what to do, empty when all is well."""

    group: str
    name: str
    value: str
    advice: str = ""
    broken: bool = False


def diagnose() -> list[Finding]:
    """Everything worth knowing, in the order to read it. Takes about a second; downloads nothing."""
    findings = [*_packages(), *_machine(), *_devices(), *_arithmetic(), *_disk(), *_data()]
    if not any(finding.broken for finding in findings):
        findings += _weights()  # asks torch-fidelity and the data folders
    return findings


def _packages() -> Iterator[Finding]:
    yield Finding("software", "synthgen", __version__)
    yield Finding("software", "python", platform.python_version())
    for text in metadata.requires("synthgen") or ():
        requirement = Requirement(text)
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        yield _package(requirement)


def _package(requirement: Requirement) -> Finding:
    fix = f"pip install '{requirement.name}{requirement.specifier}'"
    try:
        version = metadata.version(requirement.name)
    except metadata.PackageNotFoundError:
        return Finding("software", requirement.name, "missing", fix, broken=True)
    if not requirement.specifier.contains(version, prereleases=True):
        advice = f"needs {requirement.specifier}: {fix}"
        return Finding("software", requirement.name, version, advice, broken=True)
    return Finding("software", requirement.name, version)


def _machine() -> Iterator[Finding]:
    yield Finding("machine", "system", f"{platform.system()} {platform.release()}, {platform.machine()}")
    cores, threads = usable_cores(), torch.get_num_threads()
    advice = f"more threads than cores: set OMP_NUM_THREADS={cores}" if threads > cores else ""
    yield Finding("machine", "processor", f"{_processor()}, {cores} usable cores")
    yield Finding("machine", "threads", f"{threads} of torch", advice)
    memory = _memory()
    if memory is not None:
        total, free = memory
        advice = "close other programs, or use smaller batches" if free < LOW_MEMORY else ""
        yield Finding("machine", "memory", f"{_size(free)} free of {_size(total)}", advice)


def usable_cores() -> int:
    """The cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            name = next((line.partition(":")[2].strip() for line in file if line.startswith("model name")), "")
    except OSError:  # not Linux
        name = platform.processor()
    return name or platform.machine()


def _memory() -> tuple[int, int] | None:
    """Bytes of memory: total and free for us; None where the system does not say."""
    try:
        with open("/proc/meminfo", encoding="utf-8") as file:
            rows = dict(line.split(":", 1) for line in file)
    except OSError:  # not Linux
        return None
    total, free = (int(rows[name].split()[0]) * 1024 for name in ("MemTotal", "MemAvailable"))
    return total, free


def _devices() -> Iterator[Finding]:
    chosen = pick_device()
    yield Finding("device", "auto chooses", str(chosen))
    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        yield Finding("device", f"cuda:{index}", f"{properties.name}, {_size(properties.total_memory)}")
    if torch.cuda.device_count() == 0:
        built = f"torch is built for CUDA {torch.version.cuda}" if torch.version.cuda else "torch is built without CUDA"
        yield Finding("device", "cuda", f"none ({built})")
    if torch.backends.mps.is_available():
        yield Finding("device", "mps", "available")


def _arithmetic() -> Iterator[Finding]:
    device = pick_device()
    if device.type == "cpu":
        units = [flag for flag in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if flag in cpu_flags()]
        yield Finding("arithmetic", "vector units", ", ".join(units) or "unknown")
    fp32, bf16 = (matmul_gflops(device, dtype) for dtype in (torch.float32, torch.bfloat16))
    yield Finding("arithmetic", "matmul fp32", f"{fp32:,.0f} GFLOP/s")
    yield Finding("arithmetic", "matmul bf16", f"{bf16:,.0f} GFLOP/s, {bf16 / fp32:.1f} times fp32")
    precision = "bf16" if pick_precision("auto", device) is torch.bfloat16 else "fp32"
    advice = ""
    if computes_bf16(device) and bf16 < fp32:
        advice = "bf16 is slower than fp32 here: --set training.precision=fp32"
    yield Finding("arithmetic", "auto precision", precision, advice)


def matmul_gflops(device: torch.device, dtype: torch.dtype, size: int = 768, seconds: float = 0.15) -> float:
    """Billions of operations per second in square matrix products on `device`, the best of a short while."""
    left = torch.randn(size, size, device=device).to(dtype)
    best, stop = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < stop:
        start = time.perf_counter()
        product = left @ left
        product[0, 0].item()  # waits for the device
        best = min(best, time.perf_counter() - start)
    return 2 * size**3 / best / 1e9


def _disk() -> Iterator[Finding]:
    for name, folder in (("here", Path.cwd()), ("cache", cache_root())):
        there = next(place for place in (folder, *folder.parents) if place.exists())
        free = shutil.disk_usage(there).free
        advice = "free some space: a run and 60,000 samples need about 1 GB" if free < LOW_DISK else ""
        writable = os.access(there, os.W_OK)
        if not writable:
            advice = f"not writable: {'choose another folder' if name == 'here' else 'set SYNTHGEN_CACHE_DIR'}"
        yield Finding("disk", name, f"{_size(free)} free, {folder}", advice, broken=not writable and name == "cache")


def _data() -> Iterator[Finding]:
    for known in KNOWN_SETS.values():
        try:
            place = known.find()
        except SynthgenError as error:  # SYNTHGEN_DATA_DIR names no folder
            yield Finding("data", "folders", error.message, error.hint or "", broken=True)
            return
        if known.embedded:
            yield Finding("data", known.name, "in the package")
        elif place is not None:
            yield Finding("data", known.name, str(place))
        else:
            value = "downloaded on first use" if known.mirrors else "to be fetched by hand"
            yield Finding("data", known.name, value)


def _weights() -> Iterator[Finding]:
    from synthgen.evaluation.domain import BUNDLED
    from synthgen.evaluation.domain import WEIGHTS as PACKAGED
    from synthgen.evaluation.inception import WEIGHTS as INCEPTION

    (file,) = INCEPTION.files
    hub = Path(torch.hub.get_dir()) / "checkpoints"  # where torch-fidelity itself puts it
    places = [hub, *(root / folder for root in data_roots() for folder in INCEPTION.folders)]
    found = next((place / file.name for place in places if (place / file.name).is_file()), None)
    offline = "offline: --inception-weights FILE, or --features domain"
    value = str(found) if found else "downloaded when it is first asked for"
    yield Finding("weights", "Inception", value, "" if found else offline)
    bundled = sorted({name for name, stem in BUNDLED.items() if (PACKAGED / f"{stem}.safetensors").is_file()})
    yield Finding("weights", "domain features", f"in the package: {', '.join(bundled)}" if bundled else "none")
    cached = len(list((cache_root() / "extractors").glob("*.safetensors")))
    yield Finding("weights", "trained extractors", f"{cached} in the cache")


def _size(count: int) -> str:
    return f"{count / 1024**3:,.1f} GiB"
