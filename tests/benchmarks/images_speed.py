"""Images a second: synthgen beside diffusers' pipelines with the same weights, sampler and steps, in one run.

    OMP_WAIT_POLICY=passive python tests/benchmarks/images_speed.py --threads 2 --machine "..."

For two networks, `patches` (that of the preset `mnist`: 28 x 28 pixels seen as 14 x 14 patches) and `pixels` (that of
the preset `images`, on 28 x 28 grey pixels), a small unconditional model is trained for some steps and exported; the
export draws the same images as the model, or fails. Then two processes take turns, so that noise of the machine meets
both: one samples with synthgen, one with diffusers' own DDIMPipeline and DDPMPipeline and the exported weights. Of the
patched network the pipeline draws the patches and does not put them together.

- The pipeline gets the fastest of some batch sizes, found first, and all threads; once in float32, as it comes, once
  under bf16 autocast (`--forms`: and once compiled as well). It writes nothing and makes no PIL images.
- DDPM's 1,000 steps are measured on `--ddpm-steps` of them and multiplied: a step costs what any other does.
- The overhead is what whole blocks cost above bare calls of the network as the engine calls it, in turns; on a CPU in
  CPU-seconds, which other processes disturb least.
- The peak is the fastest of some matrix products, measured between the turns with as many threads, in TFLOP a second;
  on a CPU a CPU-second of one thread, and the share is that of the images a CPU-second.

Writes `--out`/images_speed.json and the part `speed` of `--out`/images.md.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import shlex
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from images_page import header, machine, number, put_part, spread, table

PRESETS = {"patches": "mnist", "pixels": "images"}
TITLES = {"patches": "14 x 14 patches, channels 64, 128", "pixels": "28 x 28 pixels, channels 32, 64, 128"}
SETTINGS = {
    "data.validation": 0.0,
    "diffusion.schedule": "linear",
    "diffusion.prediction": "epsilon",
    "training.batch_size": 64,
}
"""What the stock pipelines can read: they know no classes and no EDM."""

SAMPLERS = {"dpm++2m": 10, "ddim": 20, "ddpm": 1000}
"""Name -> steps."""
WORDS = """\
## Images a second, beside diffusers' pipelines

`images_speed.py` trains small networks for a moment, exports them, and lets synthgen and diffusers draw with the same
weights: the export's own check finds that both draw the same images. *pipeline* is the library's `DDIMPipeline` for
ddim, and `DDPMPipeline` with `DPMSolverMultistepScheduler` or `DDPMScheduler` for the others: float32 as it comes,
the fastest of the batch sizes tried, all threads, no PIL images, no progress bar. *in bf16* is the same under
`torch.autocast`, which nobody gets without asking for it. Both sides take turns in two processes. A figure is the
median of the rounds, in brackets stand the smallest and the largest; a ratio is that of one round. *times, CPU* is
the ratio of images a CPU-second, which other work on the machine disturbs less. *both fp32*: synthgen in float32,
too; what is left is the form of the network and the loop. *written, too*: into IDX files, with manifest and card.
*compiled*: with `--compile always`, when it is done. DDPM's 1,000 steps are measured on some of them and multiplied,
on both sides.

The overhead is that of whole blocks (noise, solver, pixels) above as many bare calls of the network, in CPU-seconds.
MFLOP are those of the network as it was trained; the form that samples are drawn with needs fewer. The peak is that
of matrix products, in TFLOP a second (on a CPU, of one thread's CPU time).
"""
FORMS = {"fp32": "pipeline", "bf16": "in bf16", "compiled": "bf16, compiled"}
BATCHES = (16, 32, 64, 128, 256)


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


# What happens in the processes of the two sides.


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


# What happens in the process that asks them.


@dataclass
class Sides:
    """The two processes. common: how another one is begun."""

    ours: ProcessPoolExecutor
    theirs: ProcessPoolExecutor
    common: dict[str, Any]

    def time(self, side: str, job: Job) -> dict[str, float]:
        pool, work = (self.theirs, theirs) if side.startswith("theirs") else (self.ours, ours)
        found: dict[str, float] = pool.submit(work, job).result()
        return found


def best_batch(sides: Sides, job: Job, batches: tuple[int, ...]) -> tuple[int, dict[str, float]]:
    """The batch size with which the pipeline draws most images a second, and the images a second of each."""
    rates = {}
    for batch in batches:
        tried = replace(job, batch=batch, count=max(batch, 64), steps=2)
        sides.time("theirs", tried)
        rates[batch] = tried.count / sides.time("theirs", tried)["seconds"] * 2 / job.steps
    best = max(rates, key=lambda batch: rates[batch])
    return best, {str(batch): round(rate, 2) for batch, rate in rates.items()}


def raced(sides: Sides, jobs: dict[str, Job], rounds: int, scale: float = 1.0) -> dict[str, Any]:
    """Every job once a round, in turn. Images a second by job and round; `scale`: steps asked for over steps made."""
    for name, job in jobs.items():  # nobody's first call counts
        sides.time(name, replace(job, count=min(job.count, 2 * job.batch)))
    rates: dict[str, list[float]] = {name: [] for name in jobs}
    cpu: dict[str, list[float]] = {name: [] for name in jobs}
    memory: dict[str, float] = {}
    for turn in range(rounds):
        names = list(jobs)[:: 1 if turn % 2 == 0 else -1]
        for name in names:
            found = sides.time(name, jobs[name])
            rates[name].append(jobs[name].count / found["seconds"] / scale)
            cpu[name].append(jobs[name].count / found["cpu_seconds"] / scale)
            memory[name] = found["peak_mb"]
    return {
        "counts": {name: job.count for name, job in jobs.items()},
        "batches": {name: job.batch for name, job in jobs.items() if name.startswith("theirs")},
        "images_per_second": rates,
        "images_per_cpu_second": cpu,
        "peak_mb": memory,
        "measured_steps": next(iter(jobs.values())).steps,
    }


def ratios(rates: dict[str, list[float]], over: str, under: str) -> list[float]:
    """Round by round, images a second of `over` per one of `under`."""
    return [first / second for first, second in zip(rates[over], rates[under], strict=True)]


def network(name: str, sides: Sides, arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Everything about one network."""
    device, count, rounds = arguments.device, arguments.count, arguments.rounds
    making = (name, str(folder), arguments.train_steps, arguments.seed, device)
    with ProcessPoolExecutor(1, **sides.common) as maker:  # memory of training is not that of sampling
        facts: dict[str, Any] = maker.submit(made, *making).result()
    run, export = str(folder / name), str(folder / f"{name}-export")
    tried = {
        form: best_batch(sides, Job(export, "dpm++2m", 10, count, form, device=device), arguments.batches)
        for form in arguments.forms
    }
    facts |= {"batches_tried": {form: rates for form, (_, rates) in tried.items()}, "samplers": {}}
    for sampler in arguments.samplers:
        steps, long = SAMPLERS[sampler], sampler == "ddpm"
        made_steps = min(steps, arguments.ddpm_steps) if long else steps
        their = {
            f"theirs-{form}": Job(export, sampler, made_steps, count, form, batch=batch, device=device)
            for form, (batch, _) in tried.items()
        }
        if long:  # one batch is long enough
            their = {key: replace(job, count=min(count, job.batch)) for key, job in their.items()}
        mine = Job(run, sampler, made_steps, count * arguments.more, device=device)
        jobs = {"ours": mine, "ours-fp32": replace(mine, count=count, form="fp32"), **their}
        if arguments.compile:
            jobs["ours-compiled"] = replace(mine, form="compiled")
        if not long:
            jobs["written"] = replace(mine, write=True)
        say(f"{name}: {sampler}, {made_steps} steps")
        facts["samplers"][sampler] = {"steps": steps, **raced(sides, jobs, rounds, steps / made_steps)}
    say(f"{name}: overhead and peak")
    job = Job(run, "dpm++2m", 10, count, device=device)
    shares = [sides.ours.submit(overhead, job).result() for _ in range(rounds)]
    facts["overhead_percent"] = [100 * (one["whole"] / one["bare"] - 1) for one in shares]
    facts["matmul_tflops"] = [sides.ours.submit(matmul_peak, device).result() for _ in range(rounds)]
    return facts


def say(text: str) -> None:
    print(f"+ {text}", file=sys.stderr, flush=True)


def part_of_page(facts: dict[str, Any]) -> list[str]:
    """The part `speed` of the page."""
    lines, rows, forms = [WORDS, header(facts), ""], [], facts["forms"]
    for name, one in facts["networks"].items():
        for sampler, found in one["samplers"].items():
            rates = found["images_per_second"]
            rows.append(
                [
                    TITLES[name],
                    f"{sampler}, {found['steps']:,}",
                    spread(rates["ours"]),
                    *(spread(rates[name]) if name in rates else "" for name in ("written", "ours-compiled")),
                    *(cell for form in forms for cell in against(found, f"theirs-{form}")),
                    spread(ratios(rates, "ours-fp32", "theirs-fp32")),
                ]
            )
    heads = ["network", "sampler, steps", "synthgen", "written, too", "compiled"]
    heads += [word for form in forms for word in (FORMS[form], "times", "times, CPU")] + ["times, both fp32"]
    return [*lines, *table(heads, rows, words=2), "", *rest_of_page(facts)]


def against(found: dict[str, Any], peer: str) -> tuple[str, str, str]:
    """Images a second of the peer, and how many times as many synthgen draws: in a second, and in a CPU-second."""
    rates = found["images_per_second"], found["images_per_cpu_second"]
    return (spread(rates[0][peer]), *(spread(ratios(one, "ours", peer)) for one in rates))  # type: ignore[return-value]


def rest_of_page(facts: dict[str, Any]) -> list[str]:
    """Network by network: overhead, share of the peak, memory; and the few-step sampler beside DDPM's loop."""
    rows, plain = [], f"theirs-{facts['forms'][0]}"
    for name, one in facts["networks"].items():
        fast, long = one["samplers"]["dpm++2m"], one["samplers"].get("ddpm")
        calls = fast["steps"] * one["mflop_per_call"] / 1e6  # TFLOP an image
        per = f"images_per_{clock(facts['device']).removesuffix('s')}"
        computed = statistics.median(fast[per]["ours"])
        peaks = {form: max(turn[form] for turn in one["matmul_tflops"]) for form in ("fp32", "bf16")}
        loop = "" if long is None else number(computed / statistics.median(long[per][plain]))
        rows.append(
            [
                TITLES[name],
                f"{one['parameters']:,}",
                number(one["mflop_per_call"]),
                spread(one["overhead_percent"]),
                f"{number(100 * computed * calls / peaks['bf16'], 2)} of {number(peaks['bf16'])}",
                f"{number(100 * computed * calls / peaks['fp32'], 2)} of {number(peaks['fp32'])}",
                number(fast["peak_mb"]["ours"]),
                number(fast["peak_mb"][plain]),
                loop,
            ]
        )
    heads = ["network", "parameters", "MFLOP a call", "overhead, %", "% of the peak in bf16", "% of the peak in fp32"]
    heads += ["MB, synthgen", "MB, pipeline", "dpm++2m 10 over DDPM 1,000"]
    return table(heads, rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="of both sides")
    parser.add_argument("--networks", nargs="+", choices=list(PRESETS), default=list(PRESETS))
    parser.add_argument("--samplers", nargs="+", choices=list(SAMPLERS), default=list(SAMPLERS))
    parser.add_argument("--count", type=int, default=256, help="images that a pipeline draws in one turn")
    parser.add_argument("--more", type=int, default=4, help="times as many images of synthgen's, which is faster")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batches", type=int, nargs="+", default=list(BATCHES), help="tried for the pipeline")
    parser.add_argument("--forms", nargs="+", choices=list(FORMS), default=["fp32", "bf16"], help="of the pipeline")
    parser.add_argument("--compile", action="store_true", help="also time synthgen with a compiled network")
    parser.add_argument("--ddpm-steps", type=int, default=20, help="of the 1,000 that are measured")
    parser.add_argument("--train-steps", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, default=Path("docs/results"))
    parser.add_argument("--machine", default=platform.processor() or platform.machine(), help="in words")
    arguments = parser.parse_args()
    if "dpm++2m" not in arguments.samplers:
        parser.error("dpm++2m is what overhead and share of the peak are measured with: name it among --samplers")
    os.environ["OMP_NUM_THREADS"] = str(arguments.threads)  # the two processes are born with it
    arguments.out.mkdir(parents=True, exist_ok=True)
    facts = machine(arguments.machine, arguments.threads)
    facts |= {
        "seed": arguments.seed,
        "command": shlex.join(["python", *sys.argv]),
        "forms": arguments.forms,
        "device": arguments.device,
        "networks": {},
    }
    common: dict[str, Any] = {
        "mp_context": get_context("spawn"),
        "initializer": begin,
        "initargs": (arguments.threads,),
    }
    with tempfile.TemporaryDirectory() as folder:
        for name in arguments.networks:  # new processes for each: their peaks of memory are of one network
            with ProcessPoolExecutor(1, **common) as mine, ProcessPoolExecutor(1, **common) as their:
                facts["networks"][name] = network(name, Sides(mine, their, common), arguments, Path(folder))
            (arguments.out / "images_speed.json").write_text(json.dumps(facts, indent=1) + "\n")
    put_part(arguments.out / "images.md", "speed", part_of_page(facts))
    print("\n".join(part_of_page(facts)))


if __name__ == "__main__":
    main()
