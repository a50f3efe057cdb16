"""What happens in the two processes of `images_speed.py`: one samples with synthgen, the other with diffusers."""

from __future__ import annotations

import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

PRESETS = {"patches": "mnist", "pixels": "images"}
SETTINGS = {
    "data.validation": 0.0,
    "diffusion.schedule": "linear",
    "diffusion.prediction": "epsilon",
    "training.batch_size": 64,
}
"""What the stock pipelines can read: they know no classes and no EDM."""


@dataclass(frozen=True)
class Job:
    """One measurement. folder: of the run, or of its export. form: fp32, bf16; "" is what the model chooses.

    `compiled`: of synthgen, what the model chooses and `--compile always`; of a pipeline bf16 autocast, channels_last
    and torch.compile.
    """

    folder: str
    sampler: str
    steps: int
    count: int
    form: str = ""
    batch: int = 32
    write: bool = False
    device: str = "cpu"


@contextmanager
def clocked(found: dict[str, float], device: str) -> Iterator[None]:
    """Seconds and CPU-seconds of this process into `found`."""
    import torch

    wait: Callable[[], None] = torch.cuda.synchronize if device.startswith("cuda") else lambda: None
    wait()
    wall, cpu = time.perf_counter(), time.process_time()
    yield
    wait()
    found |= {"seconds": time.perf_counter() - wall, "cpu_seconds": time.process_time() - cpu}


def clock(device: str) -> str:
    """Which time says how long arithmetic took, whatever else the machine does."""
    return "seconds" if device.startswith("cuda") else "cpu_seconds"


def begin(threads: int) -> None:
    import torch

    torch.set_num_threads(threads)


def peak_mb(device: str) -> float:
    """The most memory that this process has had; on a GPU the most that tensors took there."""
    import torch

    if device.startswith("cuda"):
        return torch.cuda.max_memory_allocated() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


@lru_cache
def our_model(folder: str, form: str, device: str) -> Any:
    import torch

    from synthgen.generation.model import load_image_model

    model = load_image_model(folder, device=device)
    if form == "fp32":
        model.denoiser.precision = torch.float32
    return model


def made(name: str, folder: str, steps: int, seed: int, device: str) -> dict[str, Any]:
    """Train a little on random blobs without labels, and export. What the export's check found."""
    import numpy as np
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from synthgen import api

    place = Path(folder)
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 256, (512, 7, 7, 1), dtype=np.uint8)
    np.savez(place / "blobs.npz", images=coarse.repeat(4, axis=1).repeat(4, axis=2))
    settings = {**SETTINGS, "data.source": str(place / "blobs.npz"), "training.seed": seed}
    run = place / name
    model = api.train(config=PRESETS[name], out=run, steps=steps, settings=settings, device=device)
    export = api.export(model, place / f"{name}-export", sampler="dpm++2m", steps=10)
    network = model.denoiser.network
    one = torch.zeros(1, model.codec.channels, model.codec.height, model.codec.width, device=device)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(one, torch.zeros(1, device=device), None)
    return {
        "parameters": sum(weight.numel() for weight in network.parameters()),
        "mflop_per_call": counter.get_total_flops() / 1e6,
        "max_difference": export.max_difference,
        "differing_pixels": export.differing_pixels,
        "checked_pixels": export.checked_pixels,
    }


def ours(job: Job) -> dict[str, float]:
    """Sample with synthgen as `Model.sample` does; with `write` into a folder as IDX files, which MNIST comes in."""
    import numpy as np

    from synthgen.generation.folder import plan_samples, sample_to_folder

    model, found = our_model(job.folder, job.form, job.device), {}
    recipe = replace(model.recipe(sampler=job.sampler, steps=job.steps), compiled=job.form == "compiled")
    if job.write:
        plan = plan_samples(model, job.count, recipe=recipe, format="idx")
        with tempfile.TemporaryDirectory() as out, clocked(found, job.device):
            sample_to_folder(model, Path(out) / "set", plan)
    else:
        with clocked(found, job.device):
            model.engine(recipe).pixels(np.arange(job.count), None, 0)
    return found | {"peak_mb": peak_mb(job.device)}


def overhead(job: Job) -> dict[str, float]:
    """CPU-seconds of whole blocks and of bare network calls, as many and as large, one straight after the other."""
    import numpy as np
    import torch

    model = our_model(job.folder, job.form, job.device)
    whole: list[float] = []
    bare: list[float] = []
    recipe = model.recipe(sampler=job.sampler, steps=job.steps)
    engine, size = model.engine(recipe), recipe.block_size
    x = torch.randn(size, model.codec.channels, model.codec.height, model.codec.width, device=job.device)
    time_ = torch.full((), 500.0, device=job.device)

    def calls() -> None:
        for _ in engine.table.rows:
            engine.denoiser.raw(x, time_.expand(size), None)  # in the form that the engine made of it

    from synthgen.generation.parallel import one_thread

    with one_thread(torch.device(job.device)), torch.inference_mode():
        sides = [(whole, lambda: engine.pixels(np.arange(size), None, 0)), (bare, calls)]
        for turn in range(1 + 2 * max(4, job.count // size // 2)):  # block by block, and each in front as often
            for times, work in sides[:: 1 if turn % 2 else -1]:
                part: dict[str, float] = {}
                with clocked(part, job.device):
                    work()
                times.append(part[clock(job.device)])
    return {"whole": sum(whole[1:]), "bare": sum(bare[1:])}  # nobody's first call counts


def matmul_peak(device: str, size: int = 1024, tries: int = 50) -> dict[str, float]:
    """The most TFLOP a second of matrix products of `size`, in float32 and in bf16; on a CPU a CPU-second."""
    import torch

    rates = {}
    for name, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        left, right = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
        torch.mm(left, right)
        parts: list[dict[str, float]] = [{} for _ in range(tries)]
        for part in parts:
            with clocked(part, device):
                torch.mm(left, right)
        rates[name] = 2 * size**3 / min(part[clock(device)] for part in parts) / 1e12
    return rates


@lru_cache
def their_unet(folder: str, form: str, device: str) -> Any:
    import torch
    from diffusers import UNet2DModel
    from diffusers.utils import logging

    logging.disable_progress_bar()
    unet = UNet2DModel.from_pretrained(f"{folder}/unet", low_cpu_mem_usage=False).to(device).eval()
    return torch.compile(unet.to(memory_format=torch.channels_last)) if form == "compiled" else unet


def theirs(job: Job) -> dict[str, float]:
    """Sample with the library's own pipeline, in batches of `job.batch`."""
    import torch
    from diffusers import DDIMPipeline, DDIMScheduler, DDPMPipeline, DDPMScheduler, DPMSolverMultistepScheduler

    unet, found = their_unet(job.folder, job.form, job.device), {}
    beta = {"beta_start": 1e-4, "beta_end": 0.02, "beta_schedule": "linear", "timestep_spacing": "trailing"}
    if job.sampler == "ddim":
        pipe: Any = DDIMPipeline(unet, DDIMScheduler(**beta))
    elif job.sampler == "ddpm":
        pipe = DDPMPipeline(unet, DDPMScheduler(**beta))
    else:
        pipe = DDPMPipeline(unet, DPMSolverMultistepScheduler(**beta, algorithm_type="dpmsolver++", solver_order=2))
    pipe.set_progress_bar_config(disable=True)
    low = torch.autocast(job.device.split(":")[0], torch.bfloat16) if job.form != "fp32" else nullcontext()
    with low, clocked(found, job.device):
        for start in range(0, job.count, job.batch):
            size = min(job.batch, job.count - start)
            pipe(batch_size=size, num_inference_steps=job.steps, output_type="np")
    return found | {"peak_mb": peak_mb(job.device)}
