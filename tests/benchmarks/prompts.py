"""Do samples show what the prompt says? Coloured shapes with captions, one combination of which is never shown.

    python tests/benchmarks/prompts.py --out /tmp/prompts [--steps 500] [--count 64] [--seed 0]

Makes the folder, trains on its captions, draws samples of every caption and of the one that was left out, and reads
colour and shape of each by rule: the nearest of the four colours, and whether the corners of the shape's box are
filled, which those of a circle are not. The rule is held to the drawn images first. Writes prompts.json.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

COLOURS = {"red": (220, 30, 30), "green": (30, 180, 40), "blue": (40, 60, 220), "yellow": (230, 210, 40)}
SHAPES = ("square", "circle")
NEVER = ("blue", "circle")
SIDE, BACKGROUND = 16, 235
SETTINGS = {
    "model.conditioning": "cross-attention",
    "model.channels": [32],
    "model.patch_size": 2,
    "model.attention_head_dim": 16,
    "model.norm_groups": 8,
    "training.batch_size": 64,
    "training.learning_rate": 0.005,
    "training.checkpoint_every": "1h",
    "sampling.card": "never",
}


def drawn(colour: str, shape: str, random: np.random.Generator) -> np.ndarray:
    """A shape anywhere on a light ground, uint8 (16, 16, 3)."""
    y, x = random.uniform(5.5, SIDE - 6.5, 2)
    radius = random.uniform(3.2, 4.6)
    rows, columns = np.mgrid[:SIDE, :SIDE]
    if shape == "square":
        inside = (abs(rows - y) < radius) & (abs(columns - x) < radius)
    else:
        inside = (rows - y) ** 2 + (columns - x) ** 2 < radius**2
    image = BACKGROUND + random.integers(-8, 8, (SIDE, SIDE, 3))
    image[inside] = np.array(COLOURS[colour]) + random.integers(-15, 16, 3)
    return image.clip(0, 255).astype(np.uint8)


def seen(image: np.ndarray) -> tuple[str, str]:
    """The colour and the shape in an image."""
    away = np.abs(image.astype(int) - BACKGROUND).max(axis=2) > 60
    if away.sum() < 9:
        return "none", "none"
    mean = np.median(image[away].astype(float), axis=0)
    colour = min(COLOURS, key=lambda name: float(np.abs(mean - COLOURS[name]).sum()))
    rows, columns = (np.flatnonzero(away.sum(axis=axis) >= 3) for axis in (1, 0))  # less single pixels that stick out
    if len(rows) < 4 or len(columns) < 4:
        return colour, "none"
    corners = away[np.ix_(rows[[0, -1]], columns[[0, -1]])]
    return colour, "square" if corners.sum() > 2 else "circle"


def make_folder(folder: Path, count: int, seed: int) -> None:
    """Images with metadata.jsonl, all combinations in turn but the one that is never shown."""
    from PIL import Image

    random = np.random.default_rng(seed)
    pairs = [(colour, shape) for colour in COLOURS for shape in SHAPES if (colour, shape) != NEVER]
    folder.mkdir(parents=True)
    lines, right = [], 0
    for number in range(count):
        pair = pairs[number % len(pairs)]
        image = drawn(*pair, random)
        right += seen(image) == pair
        Image.fromarray(image).save(folder / f"{number:04d}.png")
        lines.append(json.dumps({"file_name": f"{number:04d}.png", "text": f"A {pair[0]} {pair[1]}."}))
    (folder / "metadata.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"the rule reads {right} of the {count} drawn images as they were drawn")


def measured(model: Any, scale: float, count: int) -> dict[str, dict[str, float]]:
    """By prompt, the share of samples of the right colour, and of the right shape."""
    found = {}
    for colour in COLOURS:
        for shape in SHAPES:
            images = model.sample(count, prompts=f"a {colour} {shape}", guidance_scale=scale, seed=1)
            read = [seen(image) for image in images]
            found[f"a {colour} {shape}"] = {
                "colour": float(np.mean([one == colour for one, _ in read])),
                "shape": float(np.mean([one == shape for _, one in read])),
            }
    return found


def main() -> None:
    import synthgen

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--images", type=int, default=700)
    parser.add_argument("--count", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    folder = given.out / "shapes"
    if not folder.exists():
        make_folder(folder, given.images, given.seed)
    settings = SETTINGS | {"training.seed": given.seed}
    began, burned = time.monotonic(), time.process_time()
    model = synthgen.train(
        data=folder, out=given.out / "run", steps=given.steps, settings=settings, device="cpu", force=True
    )
    report: dict[str, Any] = {
        "steps": given.steps,
        "seed": given.seed,
        "seconds": round(time.monotonic() - began, 1),
        "cpu_seconds": round(time.process_time() - burned, 1),
        "never_shown": "a {} {}".format(*NEVER),
        "samples_per_prompt": given.count,
        "guidance": {},
    }
    for scale in (1.0, 3.0):
        found = measured(model, scale, given.count)
        shown = [one for name, one in found.items() if name != report["never_shown"]]
        mean = {part: round(float(np.mean([one[part] for one in shown])), 3) for part in ("colour", "shape")}
        report["guidance"][str(scale)] = {"mean of the shown": mean, **found}
        print(f"guidance {scale}: shown captions {mean}, never shown {found[report['never_shown']]}", flush=True)
    (given.out / "prompts.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
