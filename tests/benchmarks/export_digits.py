"""Whether an exported sampler draws what the model draws: samples of both, read by one judge.

    python tests/benchmarks/export_digits.py bundled:mnist-fast --count 1000 [--steps N] [--real mnist-mini]

Exports RUN to ONNX and to torch.export in a temporary folder, runs the two whole samplers (onnxruntime, `torch.export`)
on the noise and labels of samples 0 ... N - 1, and draws the same samples eagerly, in float32 and as `synthgen sample`
does. Prints one JSON document: how often the judge (the classifier of `synthgen evaluate`) reads the label that was
asked for, with Wilson's 95 % interval; how often an export and float32 are read differently, and the difference of
their shares with its paired 95 % interval; grey levels between them.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch

from synthgen.evaluation.choosing import choose_extractor
from synthgen.evaluation.metrics import share
from synthgen.evaluation.sources import load_like
from synthgen.export.exporting import export_model
from synthgen.export.graphs import SamplerGraph
from synthgen.generation.model import Model, load_image_model
from synthgen.generation.noise import noise

BATCH = 50
"""Samples at once: not the model's own block, since a graph takes any."""

Call = Callable[[dict[str, np.ndarray]], np.ndarray]


def onnx_sampler(folder: Path) -> Call:
    """inputs by name -> images, by onnxruntime on the CPU."""
    session = onnxruntime.InferenceSession(str(folder / "sampler.onnx"), providers=["CPUExecutionProvider"])
    return lambda inputs: np.asarray(session.run(["images"], inputs)[0])


def torch_sampler(folder: Path) -> Call:
    """The same by the program that this process wrote a moment ago."""
    program = torch.export.load(folder / "sampler.pt2").module()

    def call(inputs: dict[str, np.ndarray]) -> np.ndarray:
        images, _ = program(**{name: torch.from_numpy(value) for name, value in inputs.items()})
        return np.asarray(images)

    return call


SAMPLERS: dict[str, Callable[[Path], Call]] = {"onnx": onnx_sampler, "torch-export": torch_sampler}


def drawn(model: Model, draws: int, call: Call, count: int, seed: int) -> np.ndarray:
    """Samples 0 ... count - 1 by an export. draws: fresh noises that its sampler takes."""
    shape = (model.codec.channels, model.codec.height, model.codec.width)
    parts = []
    for start in range(0, count, BATCH):
        keys = np.arange(start, min(count, start + BATCH))
        inputs = {"noise": noise(seed, keys, shape)}
        labels = model.labels_for(start, len(keys), None)
        if labels is not None:
            inputs["labels"] = labels
        if draws:
            inputs["fresh"] = np.stack([noise(seed, keys, shape, index + 1) for index in range(draws)], 1)
        parts.append(call(inputs))
    return np.concatenate(parts)


def timed(call: Callable[[], np.ndarray]) -> tuple[np.ndarray, float]:
    """What it gives, and its seconds."""
    began = time.perf_counter()
    found = call()
    return found, time.perf_counter() - began


def samples(
    model: Model, steps: int | None, count: int, seed: int, formats: tuple[str, ...]
) -> dict[str, tuple[np.ndarray, float]]:
    """Images and seconds: `eager`, `eager fp32`, and of each export."""
    recipe, exact = model.recipe(steps=steps), load_image_model(model.path, device="cpu")
    exact.denoiser.precision = torch.float32
    found = {
        "eager": timed(lambda: model.sample(count, seed=seed, steps=steps)),
        "eager fp32": timed(lambda: exact.sample(count, seed=seed, steps=steps)),
    }
    draws = SamplerGraph(model.denoiser, model.codec, recipe).draws
    with tempfile.TemporaryDirectory() as folder:
        for name in formats:
            print(f"exporting to {name}", file=sys.stderr)
            export_model(model, Path(folder) / name, format=name, recipe=recipe)
            call = SAMPLERS[name](Path(folder) / name)
            found[name] = timed(lambda call=call: drawn(model, draws, call, count, seed))
    return found


def compared(hits: np.ndarray, images: np.ndarray, other_hits: np.ndarray, others: np.ndarray) -> dict[str, Any]:
    """Two sets of the same samples: (N,) whether each was read as asked, and uint8 images."""
    apart = hits.astype(float) - other_hits
    margin = 1.96 * float(apart.std(ddof=1)) / math.sqrt(len(apart))
    levels = np.abs(images.astype(int) - others)
    return {
        "read_differently": int(np.count_nonzero(apart)),
        "difference": float(apart.mean()),
        "difference_interval": [float(apart.mean()) - margin, float(apart.mean()) + margin],
        "largest_grey_levels": int(levels.max()),
        "pixels_that_differ": float(np.mean(levels > 0)),
    }


def measured(
    run: str,
    *,
    count: int,
    seed: int = 0,
    steps: int | None = None,
    real: str = "mnist-mini",
    formats: tuple[str, ...] = tuple(SAMPLERS),
) -> dict[str, Any]:
    """The document that `main` prints."""
    model = load_image_model(run, device="cpu")
    recipe = model.recipe(steps=steps)
    labels = model.labels_for(0, count, None)
    found = samples(model, steps, count, seed, formats)
    images = {name: part for name, (part, _) in found.items()}
    judge = choose_extractor("domain", load_like(real, images["eager"].shape[1:]), device="cpu")
    hits = {}
    for name, part in images.items():
        logits = judge.extract(part).logits
        assert logits is not None, "this judge reads no classes"
        hits[name] = logits.argmax(axis=1) == labels
    rows: dict[str, Any] = {}
    for name, hit in hits.items():
        figure = share(hit)
        rows[name] = {"read_as_asked": figure.value, "interval": figure.interval, "seconds": found[name][1]}
        if name != "eager fp32":
            rows[name]["against_fp32"] = compared(hit, images[name], hits["eager fp32"], images["eager fp32"])
    return {
        "run": run,
        "sha256": model.sha256,
        "sampler": recipe.sampler,
        "steps": recipe.steps,
        "count": count,
        "seed": seed,
        "judge": judge.name,
        "rows": rows,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--real", default="mnist-mini", help="whose classifier judges")
    given = parser.parse_args()
    found = measured(given.run, count=given.count, seed=given.seed, steps=given.steps, real=given.real)
    versions = {"torch": torch.__version__, "onnxruntime": onnxruntime.__version__}
    machine = {"processor": platform.processor() or platform.machine(), "threads": torch.get_num_threads()}
    print(json.dumps({**found, **versions, **machine}, indent=2))


if __name__ == "__main__":
    main()
