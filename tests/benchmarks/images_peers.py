"""synthgen beside denoising-diffusion-pytorch: the same images, wall-clock budget and threads, judged by the same code.

    pip install --target peers denoising-diffusion-pytorch
    SYNTHGEN_DATA_DIR=... python tests/benchmarks/images_peers.py --peers peers --budget 30m --count 10000

Both learn the training images that the preset learns (those that it holds out are left out for the peer, too), with
`--threads` threads each: side by side, so that both meet the same disturbances, or with `--in-turn` one after the
other. Then each draws `--count` images alone: synthgen as `synthgen sample` does, the peer with its DDIM, with each of
the steps that `--peer-steps` says. The peer knows no classes: its samples are labelled by the classifier that also
judges (trained on real images, so that its labels are nearly right), and class agreement says nothing of them;
synthgen's samples are judged with their own labels, and labelled in the same way. The
settings of the peer are the defaults of images_peers_train.py. FID and accuracies as in images_quality.py.

What is finished is kept in `--work` and used again. Writes `--out`/images_peers.json and the part `peers` of
`--out`/images.md.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import sys
from pathlib import Path
from typing import Any

from images_page import header, machine, number, put_part, table
from images_quality import HEADS, Started, cells, finish, judged, labelled, loaded, sampled, start

PEER = Path(__file__).with_name("images_peers_train.py")
NAME = "denoising-diffusion-pytorch"
WORDS = """\
## denoising-diffusion-pytorch with the same budget

`images_peers.py` gives both the same training images, wall-clock time and number of threads, and judges both by the
same code. The peer is the package's own `Trainer`, U-Net (width 32, then 2 and 4 times as wide: about as many
parameters as synthgen's) and DDIM, without mirrored digits, under bf16 autocast, with images from memory instead of
PNG files, a batch of 64 and a learning rate of 1e-3 (the default of 1e-4 is made for longer trainings). These
settings are reasonable ones and were not searched for. It learns no labels: for train-on-synthetic its samples are
labelled by the judge, a classifier of 60,000 real images, whose labels are nearly as good as true ones and which
thereby teaches what it knows to whoever learns from them. For like with like, synthgen's samples are judged twice: with
the classes that were asked for, and labelled by the judge, too. The package's class-conditional module has no trainer
and, in version 2.3.4, ends in an error without guidance (`cond_scale=1`), so that every step would cost two network
calls. CPU-seconds are those of the whole process of synthgen, loading included, and those of the peer's training alone.
"""


def learned(preset: str, work: Path) -> tuple[Path, int]:
    """The images that `synthgen train PRESET` learns, as npz, and how many."""
    import numpy as np

    from synthgen.config.loading import load_config
    from synthgen.data import load_images

    config = load_config(preset, (), {})
    data, _ = load_images(config.data.source, split="train").hold_out(config.data.validation)
    path = work / f"{preset}-train.npz"
    np.savez(path, images=data.images)
    return path, len(data)


def trained(arguments: argparse.Namespace, images: Path) -> dict[str, Any]:
    """Both trainings, side by side or in turn; what they took."""
    from synthgen.config.schema import parse_duration

    run, peer, work = arguments.work / "ours", arguments.work / "peer", arguments.work
    kept = work / "trained.json"
    asked = [arguments.data, arguments.budget, arguments.threads, arguments.seed, arguments.in_turn]
    if kept.is_file() and json.loads(kept.read_text())["asked"] == asked:
        return dict(json.loads(kept.read_text()))
    words = ["-m", "synthgen", "train", arguments.data, "--budget", arguments.budget, "--out", str(run), "--json"]
    words += ["--set", f"training.seed={arguments.seed}", "--force"]
    theirs = [str(PEER), str(images), "--budget", str(parse_duration(arguments.budget)), "--out", str(peer)]
    theirs += ["--threads", str(arguments.threads), "--seed", str(arguments.seed), "--count", str(arguments.count)]
    theirs += ["--wait", str(work / "go"), "--sampling-steps", *map(str, arguments.peer_steps)]
    (work / "go").unlink(missing_ok=True)
    path = os.pathsep.join([str(arguments.peers), *filter(None, [os.environ.get("PYTHONPATH")])])

    def begin_peer() -> Started:
        return start(theirs, work / "peer.log", PYTHONPATH=path)

    mine = start(words, work / "ours.log")
    other = None if arguments.in_turn else begin_peer()
    try:
        text, took = finish(mine)
        (work / "go").touch()  # the peer draws its samples when synthgen no longer trains
        other = other or begin_peer()
        _, peer_took = finish(other)
    finally:
        for process, _ in filter(None, (mine, other)):
            process.kill()
    report = json.loads((peer / "report.json").read_text())
    document = {key: value for key, value in json.loads(text).items() if key not in ("run", "checkpoint")}  # paths
    found = {"ours": {**document, **took}, "peer": {**report, **peer_took}, "asked": asked}
    kept.write_text(json.dumps(found, indent=1))
    return found


def race(arguments: argparse.Namespace) -> dict[str, Any]:
    """Train, sample and judge both."""
    import numpy as np

    data, work, count, seed = arguments.data, arguments.work, arguments.count, arguments.seed
    images, number_learned = learned(data, work)
    costs = trained(arguments, images)
    common: dict[str, Any] = {"seeds": arguments.seeds, "steps": arguments.classifier_steps}
    rows = []
    for flags in arguments.flags:
        folder, took = sampled(str(work / "ours"), flags, count, seed, work)
        facts = {"sampler": f"`{flags}`" if flags else "as it comes", "train": learning(costs["ours"]), "sample": took}
        facts["parameters"] = costs["ours"]["parameters"]
        made = loaded(folder, "samples")
        for title, own in (("synthgen", True), ("synthgen, labelled by the judge", False)):
            subject = made if own else labelled(made.images, data, "samples")
            rows.append({"title": title, **facts, "own_labels": own, **judged(subject, data, seed, work, **common)})
    peer = costs["peer"]
    for steps in arguments.peer_steps:
        made = labelled(np.load(work / "peer" / f"samples-{steps}.npz")["images"], data, NAME)
        facts = {"title": NAME, "sampler": f"DDIM, {steps} steps", "train": peer["train"]}
        facts |= {"sample": peer["sample"][str(steps)], "parameters": peer["parameters"], "own_labels": False}
        rows.append({**facts, **judged(made, data, seed, work, **common)})
    settings = {"synthgen": costs["ours"], NAME: costs["peer"]}
    return {"images": number_learned, "budget": arguments.budget, "results": rows, "costs": settings}


def learning(costs: dict[str, Any]) -> dict[str, Any]:
    """What synthgen's training took, card included, by its own document and its process."""
    return {
        "seconds": costs["seconds"],
        "cpu_seconds": costs["process_cpu_seconds"],
        "images_per_second": costs["images_seen"] / costs["seconds"],
        "steps": costs["steps"],
    }


def part_of_page(facts: dict[str, Any]) -> list[str]:
    """The part `peers` of the page."""
    how = "one after the other" if facts["in_turn"] else "side by side"
    lines = [
        WORDS,
        header(facts),
        f"Both trained for {facts['budget']} on the same {facts['images']:,} images of {facts['data']}, {how}.",
        "",
    ]
    heads = ["", "sampler", "parameters", "steps trained", "CPU-seconds", "img/s training", "img/s sampling"]
    rows = [
        [
            one["title"],
            one["sampler"],
            f"{one['parameters']:,}",
            f"{one['train']['steps']:,}",
            number(one["train"]["cpu_seconds"]),
            number(one["train"]["images_per_second"]),
            number(one["sample"]["images_per_second"]),
        ]
        for one in facts["results"]
        if one["own_labels"] or one["title"] == NAME  # the same images with other labels cost the same
    ]
    lines += [*table(heads, rows, words=2), "", f"n = {facts['results'][0]['n']:,} images a side:", ""]
    judged_rows = [[one["title"], one["sampler"], *cells(one, read=one["own_labels"])] for one in facts["results"]]
    return [*lines, *table(["", "sampler", *HEADS], judged_rows, words=2)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="mnist", choices=("mnist", "fashion-mnist"), help="preset and data set")
    parser.add_argument("--peers", type=Path, required=True, help=f"the folder with {NAME}")
    parser.add_argument("--budget", default="30m", help="of each training: 90s, 30m")
    parser.add_argument("--count", type=int, default=10_000, help="samples of each, and images a side of FID at most")
    parser.add_argument("--peer-steps", type=int, nargs="+", default=[50], help="of the peer's DDIM")
    parser.add_argument("--flags", action="append", metavar="WORDS", help="of `synthgen sample`; repeatable")
    parser.add_argument("--in-turn", action="store_true", help="train one after the other [side by side]")
    parser.add_argument("--threads", type=int, default=1, help="of each")
    parser.add_argument("--seeds", type=int, default=3, help="of the classifier")
    parser.add_argument("--classifier-steps", type=int, default=600)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=Path, default=Path("benchmark-images-peers"))
    parser.add_argument("--out", type=Path, default=Path("docs/results"))
    parser.add_argument("--machine", default=platform.processor() or platform.machine(), help="in words")
    arguments = parser.parse_args()
    arguments.flags = arguments.flags or [""]
    os.environ["OMP_NUM_THREADS"] = str(arguments.threads)
    for folder in (arguments.work, arguments.out):
        folder.mkdir(parents=True, exist_ok=True)
    facts = machine(arguments.machine, arguments.threads)
    facts |= {"seed": arguments.seed, "command": shlex.join(["python", *sys.argv]), "data": arguments.data}
    facts |= {"in_turn": arguments.in_turn, **race(arguments)}
    facts["versions"][NAME] = facts["costs"][NAME]["versions"][NAME]
    (arguments.out / "images_peers.json").write_text(json.dumps(facts, indent=1) + "\n")
    put_part(arguments.out / "images.md", "peers", part_of_page(facts))
    print("\n".join(part_of_page(facts)))


if __name__ == "__main__":
    main()
