"""Which maps of images deserve belief: what a class loses when the pixels that a map ranks highest are drawn anew.

    SYNTHGEN_DATA_DIR=... python tests/benchmarks/explain_images.py bundled:mnist bundled:fashion-mnist

Explains the first `--count` samples of each model with every method, draws the top 20 % and 35 % of the pixels anew
`--draws` times with the model itself (told no class, all other pixels known; the checks of `synthgen explain` do the
same), and asks two classifiers of real images what is left of the class: the judge that some of the maps were made
from, and a second one that no map has seen. Beside the maps: the brightest pixels, those at the strongest edges, and
the pixels of the evidence's masks moved elsewhere, `--random` times. Attention only where a network attends.

Writes `--out`/explain.json, and a part for every model into `--out`/explain.md.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import images_page as page
import numpy as np

if TYPE_CHECKING:
    from synthgen.explain.images.context import Context
    from synthgen.explain.images.judge import Judge

Maker = Callable[[], "list[tuple[str, np.ndarray]]"]
"""Makes maps: names and float64 (N, H, W)."""

SHARES = (0.2, 0.35)
SURE = 2.0
NAMES = {
    "evidence": "evidence",
    "information": "information",
    "gradcam-up": "Grad-CAM of the evidence, way up",
    "gradcam-middle": "Grad-CAM of the evidence, middle",
    "gradcam-down": "Grad-CAM of the evidence, way down",
    "judge": "Grad-CAM of the judge",
    "judge-integrated": "integrated gradients of the judge",
    "shap-judge": "SHAP of the judge, 4 x 4 squares",
    "shap-evidence": "SHAP of the evidence, 4 x 4 squares",
    "attention": "self-attention",
    "attention-to-tokens": "cross-attention",
    "brightness": "*brightness*",
    "edges": "*edges*",
    "random": "*random*",
}


@dataclass
class Losses:
    """Of N images: what the class loses, float64 (judges, N, shares) for each map; seconds that making it took."""

    of: dict[str, np.ndarray] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)


def context_of(name: str, count: int, seed: int) -> Context:
    """The first samples of a model, as `synthgen explain` takes them."""
    import synthgen
    from synthgen.explain.images.context import Context
    from synthgen.explain.trajectory import sample_names

    model = synthgen.load(name)
    size = model.recipe().block_size
    starts = range(0, count, size)
    parts = [model.trajectory(range(start, min(count, start + size)), seed=seed) for start in starts]
    x0 = np.clip(np.concatenate([part.x[-1] for part in parts]), -1.0, 1.0)
    labels = np.concatenate([part.labels for part in parts])
    names = tuple(name for part in parts for name in sample_names(part, model.class_names))
    return Context(model, x0, labels, np.arange(count), names, model.recipe(), seed)


def second_judge(context: Context, seed: int, steps: int) -> Judge:
    """Another classifier, trained on the real images with other random numbers."""
    from synthgen.downstream.classifier import ClassifierRecipe, classify, train_classifier
    from synthgen.explain.images.judge import build_judge

    train, held = context.real.train, context.real.holdout
    assert train is not None and train.labels is not None and held is not None
    recipe = ClassifierRecipe(steps=steps, batch_size=128)
    network = train_classifier(train.images, train.labels, len(train.class_names), recipe=recipe, seed=1000 + seed)
    right = np.mean(classify(network, held.images).logits.argmax(axis=1) == held.align(train.class_names).labels)
    judge = build_judge(network, train.class_names, context.classes, (float(right), len(held)), None, "test images")
    assert judge is not None
    return judge


def makers_of(context: Context) -> list[Maker]:
    """What makes each map or several at once."""
    from synthgen.explain.images import sharing
    from synthgen.explain.images.applying import CAM_BLOCKS
    from synthgen.explain.images.attention import attention, layers_of
    from synthgen.explain.images.cam import evidence_cam, judge_cam
    from synthgen.explain.images.evidence import evidence
    from synthgen.explain.images.integrated import integrated

    labels, judge = context.labels, context.judge
    assert labels is not None and judge is not None
    names = (context.called(labels), context.called(context.rivals))
    asked = (context.probe, context.x0, labels)

    def of_evidence() -> list[tuple[str, np.ndarray]]:
        both = evidence(*asked, context.rivals, context.classes, keys=context.keys)
        return [(one.method, one.maps) for one in both]

    def cam(block: str) -> Maker:
        def made() -> list[tuple[str, np.ndarray]]:
            one, _ = evidence_cam(*asked, context.rivals, names, keys=context.keys, block=block)
            return [(one.method, one.maps)]

        return made

    makers: list[Maker] = [of_evidence, *map(cam, CAM_BLOCKS)]
    makers.append(lambda: [("judge", judge_cam(judge, context.x0, labels, names[0]).maps)])
    makers.append(lambda: [("judge-integrated", integrated(context, judge).maps)])
    makers.append(lambda: [(one.method, one.maps) for one, _ in sharing.superpixels(context, 0)])
    if layers_of(context.model.denoiser.network):
        makers.append(lambda: [(one.method, one.maps) for one in attention(*asked, names[0], keys=context.keys)[0]])
    return makers


def measured(context: Context, judges: list[Judge], draws: int, random: int) -> Losses:
    """Every map and every plain one, held to the judges."""
    found = Losses()
    deleter, labels = context.deleter, context.labels
    assert labels is not None
    count = len(labels)

    def chances(images: np.ndarray, rows: np.ndarray) -> np.ndarray:
        return np.stack([np.exp(judge.log_p(images))[np.arange(len(rows)), labels[rows]] for judge in judges])

    before = chances(context.x0, np.arange(count))

    def lost(masks: np.ndarray, draws: int) -> np.ndarray:
        """float64 (judges, N, kinds): mean over draws."""
        kinds = masks.shape[1]
        rows = np.repeat(np.arange(count), kinds * draws)
        hidden = np.repeat(masks.reshape(count * kinds, *masks.shape[2:]), draws, axis=0)
        after = context.probe.regenerated(
            context.x0[rows], context.keys[rows], hidden, np.tile(np.arange(draws), count * kinds)
        )
        gone = (before[:, rows] - chances(after, rows)).reshape(len(judges), count, kinds, draws)
        return np.asarray(gone.mean(axis=3))

    def hold(name: str, values: np.ndarray) -> np.ndarray:
        masks = deleter.masks(values)
        found.of[name] = lost(masks, draws)
        print(f"{name}: {found.of[name][0].mean(axis=0).round(3)}", file=sys.stderr, flush=True)
        return masks

    evidence_masks = None
    for make in makers_of(context):
        began = time.process_time()
        made = make()
        found.seconds |= {name: (time.process_time() - began) / len(made) for name, _ in made}
        for name, values in made:
            masks = hold(name, values)
            evidence_masks = masks if name == "evidence" else evidence_masks
    for name, values in deleter.plain.items():
        hold(name, values)
    assert evidence_masks is not None
    moved = lost(deleter.moved(evidence_masks, random), 1)
    found.of["random"] = moved.reshape(len(judges), count, random, len(SHARES)).mean(axis=2)
    return found


def rows_of(found: Losses) -> list[dict[str, Any]]:
    """Means and standard errors over images: of the losses, and of the differences from brightness and random."""
    rows = []
    for name in NAMES:
        if name not in found.of:
            continue
        losses = found.of[name]
        row: dict[str, Any] = {"map": name, "seconds": found.seconds.get(name)}
        for judge, key in enumerate(("judge", "second judge")):
            row[key] = [_mean(losses[judge, :, share]) for share in range(len(SHARES))]
        for other in ("random", "brightness", "edges"):
            row[f"beyond {other}"] = _mean((losses[1] - found.of[other][1]).mean(axis=1))
        rows.append(row)
    return rows


def _mean(values: np.ndarray) -> list[float]:
    return [round(float(values.mean()), 5), round(float(values.std(ddof=1) / np.sqrt(len(values))), 5)]


def written(facts: dict[str, Any]) -> list[str]:
    """The part of the page of one model."""
    rows = facts["rows"]
    best = {
        (key, share): max(row[key][share][0] for row in rows) for key in ("judge", "second judge") for share in (0, 1)
    }
    lines = []
    for row in rows:
        cells = []
        for key in ("judge", "second judge"):
            for share in (0, 1):
                mean, error = row[key][share]
                text = f"{mean:.3f} ± {error:.3f}"
                cells.append(f"**{text}**" if mean == best[key, share] else text)
        for other in ("random", "brightness", "edges"):
            mean, error = row[f"beyond {other}"]
            cells.append("" if row["map"] == other else f"{mean:+.3f} ± {error:.3f}")
        lines.append([NAMES[row["map"]], *cells, "" if row["seconds"] is None else f"{row['seconds']:.0f}"])
    heads = ["map", "judge, 20 %", "35 %", "second judge, 20 %", "35 %", "beyond random", "beyond brightness"]
    heads += ["beyond edges", "CPU-s"]
    return [
        f"## {facts['title']}",
        "",
        page.header(facts),
        "",
        *page.table(heads, lines),
        "",
        f"n = {facts['count']} samples of all classes; {facts['draws']} drawings of each choice, {facts['random']} "
        "random choices of each image. ± is the standard error over images. *beyond*: paired differences by the second "
        f"judge, mean of both shares. The judges read {100 * facts['judges'][0]:.1f} % and "
        f"{100 * facts['judges'][1]:.1f} % of the test images right. CPU-s: of making the maps of all these images.",
        "",
        conclusion(rows),
    ]


def conclusion(rows: list[dict[str, Any]]) -> str:
    """Which maps are surely better than random, brightness and edges, in words."""

    def surely(row: dict[str, Any], other: str) -> bool:
        mean, error = row[f"beyond {other}"]
        return bool(mean > SURE * error)

    plain = ("random", "brightness", "edges")
    maps = [row for row in rows if row["map"] not in plain]
    all_three = [NAMES[row["map"]] for row in maps if all(surely(row, other) for other in plain)]
    only_random = [NAMES[row["map"]] for row in maps if surely(row, "random") and NAMES[row["map"]] not in all_three]
    none = [NAMES[row["map"]] for row in maps if not surely(row, "random")]
    told = [
        ("Surely better than random, brightness and edges (two standard errors)", all_three),
        ("better than random, but not than both plain maps", only_random),
        ("no better than random", none),
    ]
    return "; ".join(f"{words}: {', '.join(names) or 'none'}" for words, names in told) + "."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", metavar="RUN", help="run folders, checkpoints or bundled models")
    parser.add_argument("--titles", nargs="*", default=[], help="headings, one for each model")
    parser.add_argument("--count", type=int, default=128)
    parser.add_argument("--draws", type=int, default=2)
    parser.add_argument("--random", type=int, default=5)
    parser.add_argument("--judge-steps", type=int, default=300, help="of training the second judge, batches of 128")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--machine", default="an unnamed machine")
    parser.add_argument("--out", type=Path, default=Path("docs/results"))
    asked = parser.parse_args()
    import torch

    torch.set_num_threads(asked.threads)
    asked.out.mkdir(parents=True, exist_ok=True)
    results = asked.out / "explain.json"
    kept = json.loads(results.read_text(encoding="utf-8")) if results.is_file() else {}
    command = "python tests/benchmarks/explain_images.py " + shlex.join(sys.argv[1:])
    for place, name in enumerate(asked.models):
        title = asked.titles[place] if place < len(asked.titles) else name
        context = context_of(name, asked.count, asked.seed)
        assert context.judge is not None
        judges = [context.judge, second_judge(context, asked.seed, asked.judge_steps)]
        found = measured(context, judges, asked.draws, asked.random)
        facts = page.machine(asked.machine, asked.threads) | {
            "title": title,
            "checkpoint_sha256": context.model.sha256,
            "command": command,
            "seed": asked.seed,
            "count": asked.count,
            "draws": asked.draws,
            "random": asked.random,
            "judges": [judge.accuracy for judge in judges],
            "rows": rows_of(found),
        }
        kept[title] = facts
        results.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
        page.put_part(asked.out / "explain.md", title, written(facts))


if __name__ == "__main__":
    main()
