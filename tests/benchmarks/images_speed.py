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
import shlex
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from images_page import machine, put_part
from images_speed_page import FORMS, part_of_page
from images_speed_sides import PRESETS, Job, begin, made, matmul_peak, ours, overhead, theirs

SAMPLERS = {"dpm++2m": 10, "ddim": 20, "ddpm": 1000}
"""Name -> steps."""
BATCHES = (16, 32, 64, 128, 256)


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
