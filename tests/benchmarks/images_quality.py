"""How good the samples of runs are: FID beside its floors, class by class, and what they are worth to a classifier.

    SYNTHGEN_DATA_DIR=... python tests/benchmarks/images_quality.py --run mnist=runs/mnist --run fashion-mnist=RUN \\
        --flags "" --flags "--sampler ddpm --steps 1000" --count 10000

Every run is sampled with every `--flags` by `synthgen sample` in a process of its own, writing included. Then, by the
protocol of `synthgen evaluate` at the same n everywhere:

- FID against half of the training images (floor: the other half), against the training images (floor: the test images)
  and against the test images (floor: training images), in domain features; the floor is what a perfect generator, real
  images, would score.
- class agreement, and FID of each class by itself.
- train on synthetic, test on real: the classifier of `synthgen augment-classifier` is trained on all samples and, for
  the ceiling, on all real training images, with equal steps and seeds, and reads the test images.

What is finished is kept in `--work` and used again. Writes `--out`/images_quality.json and the part `quality` of
`--out`/images.md, or another `--part`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import shlex
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from images_page import header, machine, number, put_part, table

if TYPE_CHECKING:
    from synthgen.data.dataset import ImageData

WORDS = """\
`images_quality.py` draws samples with `synthgen sample` and holds them against real images at the same n, in the
domain features of `synthgen evaluate`: against half of the training images (floor: the other half), all of them
(floor: the test images), and the test images (floor: training images). The floor is what real images score.
*agreement*: how often a classifier of real images reads the class that was asked for. *accuracy*: of classifiers that
were trained on nothing but the samples, on the real test images; *of real*: of the same classifiers, trained on all
real training images with as many steps.
"""
OF_CLASSES = {"FID": "fid", "floor": "floor"}
FIGURES = ("fid", "agreement", "classes")
REFERENCES = ("half", "train", "test")


def run(words: list[str], log: Path | None = None, **environment: str) -> tuple[str, dict[str, float]]:
    """(stdout, what it took) of a process; ends the benchmark when it fails."""
    return finish(start(words, log, **environment))


Started = tuple["subprocess.Popen[str]", float]


def start(words: list[str], log: Path | None = None, **environment: str) -> Started:
    """Begin a process of Python. log: where its stderr goes."""
    print("+", shlex.join(words), file=sys.stderr, flush=True)
    errors = None if log is None else log.open("w")
    process = subprocess.Popen(
        [sys.executable, *words], stdout=subprocess.PIPE, stderr=errors, text=True, env={**os.environ, **environment}
    )
    return process, time.perf_counter()


def finish(started: Started) -> tuple[str, dict[str, float]]:
    process, began = started
    assert process.stdout is not None
    output = process.stdout.read()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"that ended with {process.returncode}")
    took = {"process_seconds": time.perf_counter() - began, "process_cpu_seconds": used.ru_utime + used.ru_stime}
    return output, {**took, "peak_mb": used.ru_maxrss / 1024}


def sampled(run_: str, flags: str, count: int, seed: int, work: Path) -> tuple[Path, dict[str, Any]]:
    """`synthgen sample` with `flags`, as npz: the folder, and what it took."""
    from synthgen.generation.model import load_image_model

    sha256 = load_image_model(run_).sha256
    key = hashlib.sha256(json.dumps([sha256, flags, count, seed]).encode()).hexdigest()[:16]
    out, kept = work / f"samples-{key}", work / f"samples-{key}.json"
    if not kept.is_file():
        words = ["-m", "synthgen", "sample", run_, "--count", str(count), "--seed", str(seed), "--format", "npz"]
        text, took = run([*words, *shlex.split(flags), "--out", str(out), "--json", "--force"])
        document = json.loads(text)
        seconds = {name: document[name] for name in ("seconds", "images_per_second")}
        kept.write_text(json.dumps({**seconds, **took, "model": sha256, "flags": flags, "count": count}))
    return out, dict(json.loads(kept.read_text()))


def judged(fake: ImageData, real: str, seed: int, work: Path, *, seeds: int = 3, steps: int = 600) -> dict[str, Any]:
    """Figures of `fake` (labelled) beside their floors; see the module. seeds, steps: of the classifier."""
    from synthgen.downstream.classifier import ClassifierRecipe
    from synthgen.downstream.images import choose_real, run_augmentation
    from synthgen.downstream.result import Design
    from synthgen.downstream.store import Store
    from synthgen.evaluation.images import evaluate_images
    from synthgen.evaluation.sources import load_like

    train, test = (load_like(real, fake.shape, split=split) for split in ("train", "test"))
    common: dict[str, Any] = {"metrics": FIGURES, "seed": seed}
    found = {
        "half": evaluate_images(train, fake, **common),
        "train": evaluate_images(train, fake, held_out=test, **common),
        "test": evaluate_images(test, fake, held_out=train, **common),
    }
    recipe = ClassifierRecipe(steps=steps)
    design = Design(recipe, tuple(range(seed, seed + seeds)), kinds=("real", "synthetic"))
    worth = run_augmentation(choose_real(train, test, None), fake, design=design, store=Store(work / "trainings"))
    return {
        "n": found["half"].n,
        "fid": {name: figure_of(one.metrics["fid"]) for name, one in found.items()},
        "agreement": figure_of(found["train"].metrics["agreement"]),
        "classes": [
            {"name": one.name, "fid": one.fid, "floor": one.fid_floor, "agreement": one.agreement, "n": one.n}
            for one in found["train"].classes
        ],
        "worth": {
            name: {"mean": one.mean, "deviation": one.deviation, "accuracies": one.accuracies, "images": one.images}
            for name, one in worth.variants.items()
        },
    }


def figure_of(metric: Any) -> dict[str, Any]:
    return {"value": metric.value, "floor": metric.floor, "interval": metric.interval}


def labelled(images: Any, real: str, name: str) -> ImageData:
    """Images of an unconditional model with the labels that the judge, a classifier of the real images, reads."""
    from synthgen.data.dataset import ImageData
    from synthgen.evaluation.choosing import choose_extractor
    from synthgen.evaluation.sources import load_like

    shape = tuple(int(side) for side in images.shape[1:])
    extractor = choose_extractor("domain", load_like(real, shape))  # type: ignore[arg-type]
    logits = extractor.extract(images).logits
    assert logits is not None
    return ImageData(images, logits.argmax(axis=1).astype("int64"), extractor.class_names, name)


def loaded(folder: Path, name: str) -> ImageData:
    """The samples in a folder of `synthgen sample`."""
    from synthgen.data import load_images

    return replace(load_images(str(folder)), name=name)


HEADS = ("FID half", "floor", "FID train", "floor", "FID test", "floor", "agreement, %", "accuracy, %", "of real, %")


def cells(one: dict[str, Any], *, read: bool = True) -> list[str]:
    """The figures under `HEADS`. read: whether the labels are the generator's own: else agreement says nothing."""
    figures = [one["fid"][name] for name in REFERENCES]
    fid = [cell for figure in figures for cell in (with_interval(figure), number(figure["floor"]))]
    agreement = f"{100 * one['agreement']['value']:.2f}" if read else "–"
    return [*fid, agreement, *(percent(one["worth"][name]) for name in ("synthetic", "real"))]


def percent(part: dict[str, Any]) -> str:
    """A mean share in percent, with its deviation between seeds."""
    return f"{100 * part['mean']:.2f}" + ("" if part["deviation"] is None else f" ± {100 * part['deviation']:.2f}")


def with_interval(figure: dict[str, Any]) -> str:
    if figure["interval"] is None:
        return number(figure["value"])
    low, high = figure["interval"]
    return f"{number(figure['value'])} ± {number((high - low) / 2, 2)}"


def part_of_page(facts: dict[str, Any], title: str = "Quality of runs") -> list[str]:
    """A part of the page under a title."""
    rows = []
    for one in facts["results"]:
        took = one["sample"]
        costs = f"{took['count']:,}", number(took["images_per_second"]), number(took["process_seconds"])
        rows.append([one["title"], shown_flags(one), *costs, *cells(one)])
    heads = ["run", "flags", "samples", "img/s", "s, from start to end", *HEADS]
    lines = [f"## {title}", "", WORDS, header(facts), "", *table(heads, rows, words=2)]
    for one in facts["results"]:
        lines += ["", f"{one['title']}, {shown_flags(one)}, class by class against the training images:", ""]
        heads = ["", *(part["name"] for part in one["classes"])]
        shown = [[title, *(blank(part[key]) for part in one["classes"])] for title, key in OF_CLASSES.items()]
        shown.append(["agreement, %", *(blank(part["agreement"], 100) for part in one["classes"])])
        lines += table(heads, shown)
    return lines


def shown_flags(one: dict[str, Any]) -> str:
    return f"`{one['flags']}`" if one["flags"] else "as it comes"


def blank(value: float | None, times: float = 1.0) -> str:
    return "" if value is None else number(times * value)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--run", action="append", required=True, metavar="DATA=RUN", help="mnist=runs/mnist; repeatable"
    )
    parser.add_argument("--flags", action="append", metavar="WORDS", help="of `synthgen sample`; repeatable")
    parser.add_argument("--count", type=int, default=10_000, help="samples, and images a side of FID at most")
    parser.add_argument("--seeds", type=int, default=3, help="of the classifier")
    parser.add_argument("--classifier-steps", type=int, default=600)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--work", type=Path, default=Path("benchmark-images"))
    parser.add_argument("--out", type=Path, default=Path("docs/results"))
    parser.add_argument("--part", default="quality", help="of the page, and the name of the JSON file")
    parser.add_argument("--title", default="Quality of runs", help="above that part")
    parser.add_argument("--machine", default=platform.processor() or platform.machine(), help="in words")
    arguments = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(arguments.threads)
    for folder in (arguments.work, arguments.out):
        folder.mkdir(parents=True, exist_ok=True)
    facts = machine(arguments.machine, arguments.threads)
    facts |= {"seed": arguments.seed, "command": shlex.join(["python", *sys.argv]), "results": []}
    for wish in arguments.run:
        real, _, place = wish.partition("=")
        for flags in arguments.flags or [""]:
            folder, took = sampled(place, flags, arguments.count, arguments.seed, arguments.work)
            found = judged(
                loaded(folder, "samples"),
                real,
                arguments.seed,
                arguments.work,
                seeds=arguments.seeds,
                steps=arguments.classifier_steps,
            )
            facts["results"].append(
                {"title": Path(place.removeprefix("bundled:")).name, "flags": flags, "sample": took, **found}
            )
            (arguments.out / f"images_{arguments.part}.json").write_text(json.dumps(facts, indent=1) + "\n")
    lines = part_of_page(facts, arguments.title)
    put_part(arguments.out / "images.md", arguments.part, lines)
    print("\n".join(lines))


if __name__ == "__main__":
    main()
