"""Train the extractors that the package carries, and write down how: `python -m synthgen.evaluation.bundling`.

Needs the full MNIST and Fashion-MNIST (or name one of them). Everything is fixed before training: 1,200 steps, seed 0,
the last weights.
"""

from __future__ import annotations

import os
import platform
import sys
import time
from pathlib import Path
from typing import Any

from synthgen import devices
from synthgen.checkpoints import read_header
from synthgen.data import load_images
from synthgen.downstream.classifier import ClassifierRecipe
from synthgen.evaluation.domain import BUNDLED, WEIGHTS, train_extractor

RECIPE = ClassifierRecipe(steps=1200, batch_size=256)

_README = """# Domain feature extractors

Small classifiers (`synthgen.models.classifier`, 205,000 parameters), trained on all training images of a data set by
`python -m synthgen.evaluation.bundling`. The accuracy is that on the test images, measured once, after training.
Seconds are wall clock, here on a machine that was busy with other work.

| data | training images | steps x batch | seed | test images | test accuracy | seconds | device, threads | machine |
| --- | --- | --- | --- | --- | --- | --- | --- | --- |
{rows}

The extractors saw the training images. What that does to the floor, FID at n = 10,000 against half of the training
images, 95 % interval in brackets: the other half 0.008 (0 to 0.044), the test images 0.032 (0 to 0.073) on MNIST;
0.020 (0 to 0.062) and 0.018 (0 to 0.057) on Fashion-MNIST. `synthgen evaluate --holdout test` makes the floor of
unseen images.

MNIST: Y. LeCun, C. Cortes, C. J. C. Burges, CC BY-SA 3.0. Fashion-MNIST: Zalando SE, MIT.
"""


def bundle(name: str) -> dict[str, Any]:
    """Train and write the extractor of a data set; returns its card."""
    threads = devices.set_threads()
    started = time.monotonic()
    data, test = load_images(name), load_images(name, split="test")
    how = {"device": str(devices.pick_device()), "threads": threads, "machine": machine()}
    path = WEIGHTS / f"{name}.safetensors"
    return train_extractor(
        data, path, test=test, recipe=RECIPE, extra=lambda: {**how, "seconds": round(time.monotonic() - started)}
    )


def machine() -> str:
    """The processor's name and number of cores."""
    name = platform.processor() or platform.machine()
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:  # not Linux
        text = ""
    models = [line.split(":", 1)[1].strip() for line in text.splitlines() if line.startswith("model name")]
    return f"{models[0] if models else name}, {os.cpu_count()} cores"


def write_log() -> None:
    """The table of all bundled extractors, from their own cards."""
    rows = []
    for name in sorted(set(BUNDLED.values())):
        path = WEIGHTS / f"{name}.safetensors"
        if not path.is_file():
            continue
        card = read_header(path)["card"]
        recipe = card["recipe"]
        cells = [
            name,
            f"{card['data']['count']:,}",
            f"{recipe['steps']:,} x {recipe['batch_size']}",
            card["seed"],
            f"{card['test_count']:,}",
            f"{100 * card['test_accuracy']:.2f} %",
            card["seconds"],
            f"{card['device']}, {card['threads']}",
            card["machine"],
        ]
        rows.append(f"| {' | '.join(map(str, cells))} |")
    (WEIGHTS / "README.md").write_text(_README.format(rows="\n".join(rows)), encoding="utf-8")


if __name__ == "__main__":
    for chosen in sys.argv[1:] or sorted(set(BUNDLED.values())):
        bundle(chosen)
        write_log()
