"""denoising-diffusion-pytorch on images in an npz file, for a time that is given: the peer's side of images_peers.py.

    pip install --target peers denoising-diffusion-pytorch
    PYTHONPATH=peers python tests/benchmarks/images_peers_train.py train.npz --budget 60 --out peer

Nothing of `synthgen` is imported here, and the product does not depend on the package (MIT). It is its own `Trainer`
that trains, unconditionally, because it knows no labels; changed is where the images come from (memory, instead of PNG
files that are read again and again) and when it ends: with the step that reaches the budget, in seconds from the first
one on. Writes `--out`/samples-STEPS.npz for every entry of `--sampling-steps` (DDIM; of the averaged weights) and
`--out`/report.json.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import tempfile
import time
from collections.abc import Iterator
from contextlib import nullcontext
from importlib.metadata import version
from pathlib import Path
from typing import Any

os.environ.setdefault("TQDM_DISABLE", "1")

import numpy as np
import torch
from denoising_diffusion_pytorch import GaussianDiffusion, Trainer, Unet
from PIL import Image


def trainer(images: np.ndarray, arguments: argparse.Namespace, folder: Path) -> Trainer:
    """The package's trainer. It wants a folder of pictures: it gets a hundred, and reads none."""
    side, channels = images.shape[1], images.shape[3]
    for index, image in enumerate(images[:100]):
        Image.fromarray(image.squeeze()).save(folder / f"{index}.png")
    network = Unet(dim=arguments.width, dim_mults=tuple(arguments.mults), channels=channels)
    diffusion = GaussianDiffusion(
        network, image_size=side, timesteps=1000, sampling_timesteps=arguments.sampling_steps[0]
    )
    return Trainer(
        diffusion,
        str(folder),
        train_batch_size=arguments.batch,
        train_lr=arguments.learning_rate,
        train_num_steps=10**9,
        gradient_accumulate_every=1,
        ema_decay=arguments.ema,
        augment_horizontal_flip=False,
        save_and_sample_every=10**9,
        calculate_fid=False,
        amp=arguments.bf16,
        mixed_precision_type="bf16",
        results_folder=str(folder / "results"),
    )


def batches(images: np.ndarray, subject: Trainer, arguments: argparse.Namespace) -> Iterator[torch.Tensor]:
    """Batches in [0, 1] in an order drawn anew each pass; tells the trainer when its last step has come."""
    random, began, step = np.random.default_rng(arguments.seed), time.perf_counter(), 0
    while True:
        order = random.permutation(len(images))
        for start in range(0, len(images) - arguments.batch + 1, arguments.batch):
            chosen = images[np.sort(order[start : start + arguments.batch])]
            spent = time.perf_counter() - began
            if step and spent + spent / step >= arguments.budget:
                subject.train_num_steps = subject.step + 1
            yield torch.from_numpy(chosen).permute(0, 3, 1, 2).float() / 255
            step += 1


def drawn(diffusion: GaussianDiffusion, steps: int, arguments: argparse.Namespace) -> tuple[np.ndarray, dict[str, Any]]:
    """Samples uint8 (N, H, W, C) by the package's DDIM with `steps` steps, and what they took."""
    diffusion.sampling_timesteps, diffusion.is_ddim_sampling = steps, True
    low = torch.autocast("cpu", torch.bfloat16) if arguments.bf16 else nullcontext()
    torch.manual_seed(arguments.seed)
    parts, wall, cpu = [], time.perf_counter(), time.process_time()
    with low:
        for start in range(0, arguments.count, arguments.sampling_batch):
            size = min(arguments.sampling_batch, arguments.count - start)
            parts.append(diffusion.sample(batch_size=size).float().mul(255).round().byte().permute(0, 2, 3, 1).numpy())
    took = {"seconds": time.perf_counter() - wall, "cpu_seconds": time.process_time() - cpu}
    return np.concatenate(parts), {**took, "images_per_second": arguments.count / took["seconds"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="npz with `images`, uint8 (N, H, W, C)")
    parser.add_argument("--budget", type=float, required=True, help="seconds of training")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--mults", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--ema", type=float, default=0.995)
    parser.add_argument("--fp32", dest="bf16", action="store_false", help="[default: bf16 autocast]")
    parser.add_argument("--sampling-steps", type=int, nargs="+", default=[50])
    parser.add_argument("--wait", type=Path, help="draw when this file is there")
    parser.add_argument("--sampling-batch", type=int, default=64)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(arguments.seed)
    arguments.out.mkdir(parents=True, exist_ok=True)
    images = np.load(arguments.data)["images"]
    with tempfile.TemporaryDirectory() as folder:
        subject = trainer(images, arguments, Path(folder))
        subject.dl = batches(images, subject, arguments)
        wall, cpu = time.perf_counter(), time.process_time()
        subject.train()
        seconds = time.perf_counter() - wall
        report: dict[str, Any] = {
            "settings": {key: value for key, value in vars(arguments).items() if not isinstance(value, Path)},
            "parameters": sum(weight.numel() for weight in subject.ema.ema_model.model.parameters()),
            "train": {
                "seconds": seconds,
                "cpu_seconds": time.process_time() - cpu,
                "steps": subject.step,
                "images_per_second": subject.step * arguments.batch / seconds,
            },
            "sample": {},
            "versions": {name: version(name) for name in ("denoising-diffusion-pytorch", "torch")},
        }
        while arguments.wait is not None and not arguments.wait.exists():
            time.sleep(1)
        for steps in arguments.sampling_steps:
            made, report["sample"][str(steps)] = drawn(subject.ema.ema_model.eval(), steps, arguments)
            np.savez(arguments.out / f"samples-{steps}.npz", images=made)
    report["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    (arguments.out / "report.json").write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
