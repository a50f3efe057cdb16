"""Series by one command: train with the default settings, sample as many windows as are real, evaluate; both protocols.

    SYNTHGEN_DATA_DIR=... OMP_NUM_THREADS=1 python tests/benchmarks/series.py --sets stocks etth1 sines

A set is a known one or a CSV or Parquet file of anybody's: `--sets recordings/energy.csv`. For each set and protocol
`synthgen train`, `synthgen sample` and `synthgen evaluate` run as processes of their own, whose CPU-seconds count.
leaky: the field's, in which everything is trained on and tested with, so that figures stand beside published ones;
honest: the last fifth of the time is held out. What is finished is kept in `--work` and used again. Writes `--out`
(everything) and a Markdown page beside it: mean and deviation over the evaluation's seeds, floors, targets, and what
Diffusion-TS and ST-Diff report.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import shlex
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

PROTOCOLS = ("leaky", "honest")
PACKAGES = ("torch", "numpy", "pandas", "scikit-learn")
SCORES = ("context_fid", "correlational", "discriminative", "predictive")

TARGETS = {
    "stocks": (0.02, 0.012, 0.015, 0.037),
    "etth1": (0.03, 0.035, 0.008, 0.119),
    "sines": (0.006, 0.015, 0.006, 0.094),
}
"""What the project has set itself, leaky protocol, in the order of `SCORES`."""

UNITS = {"sines": ("predictive", 0.5)}
"""A score that the papers give in other units than `synthgen evaluate`, which scales every channel to 0 to 1 first:
they leave Sines between 0.5 and 1 (Diffusion-TS: Utils/Data_utils/sine_dataset.py), and errors are half as large."""

PUBLISHED = {
    "Diffusion-TS": {
        "stocks": (0.147, 0.004, 0.067, 0.036),
        "etth1": (0.116, 0.049, 0.061, 0.119),
        "sines": (0.006, 0.015, 0.006, 0.093),
        "energy": (0.089, 0.856, 0.122, 0.250),
        "fmri": (0.105, 1.411, 0.167, 0.099),
    },
    "ST-Diff": {
        "stocks": (0.040, 0.003, 0.015, 0.033),
        "etth1": (0.050, 0.047, 0.005, 0.119),
        "sines": (0.004, 0.015, 0.004, 0.186),
        "energy": (0.025, 0.592, 0.009, 0.211),
        "fmri": (0.099, 1.661, 0.021, 0.077),
    },
}
"""As their papers report them (length 24), in the order of `SCORES`; machines, encoders and seeds were others."""


def run(*words: object) -> tuple[str, dict[str, float]]:
    """(stdout, what it took) of a command in a process of its own; ends the benchmark when it fails."""
    print("+", *words, file=sys.stderr, flush=True)
    began = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "synthgen", *map(str, words)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    output = process.stdout.read()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"that ended with {process.returncode}")
    took = {"seconds": time.perf_counter() - began, "cpu_seconds": used.ru_utime + used.ru_stime}
    return output, {**{name: round(value, 1) for name, value in took.items()}, "peak_mb": round(used.ru_maxrss / 1024)}


def title_of(name: str) -> str:
    """A set's name: of a file its stem."""
    return Path(name).stem if Path(name).exists() else name


def without_folder(text: str) -> str:
    """Files named from the folder of the data on, which is another one on each machine."""
    folder = os.environ.get("SYNTHGEN_DATA_DIR", "").rstrip("/")
    return text.replace(f"{folder}/", "") if folder else text


def measured(name: str, protocol: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Train, sample and evaluate one set in one protocol, or what is kept of that."""
    title = title_of(name)
    stem = arguments.work / f"{title}-{protocol}-{arguments.seed}"
    kept = Path(f"{stem}.json")
    asked = {"window": arguments.window, "set": arguments.set, "seeds": arguments.seeds, "metrics": arguments.metrics}
    if kept.is_file():
        before = dict(json.loads(kept.read_text()))
        if before.setdefault("asked", asked) == asked:  # else figures of other settings would stand under this command
            return before
    folder, made = stem, Path(f"{stem}.npz")
    window = ["--set", f"data.window={arguments.window}"] if Path(name).exists() or arguments.window != 24 else []
    settings = [*window, "--set", f"data.protocol={protocol}", *arguments.set]
    _, trained = run("train", name, *settings, "--set", f"training.seed={arguments.seed}", "--out", folder, "--force")
    count = windows_in(folder)
    _, sampled = run("sample", folder, "--count", count, "--seed", arguments.seed, "--out", made, "--force")
    chosen = ["--metrics", arguments.metrics] if arguments.metrics else []
    words = ["evaluate", "--real", name, "--fake", made, *window, "--protocol", protocol, "--seeds", arguments.seeds]
    text, judged = run(*words, *chosen, "--json", "--out", f"{stem}-report", "--force")
    document = {key: value for key, value in json.loads(text).items() if key != "details"}
    costs = {"train": trained, "sample": sampled, "evaluate": judged}
    result = {"set": title, "protocol": protocol, "windows": count, "costs": costs, "evaluation": document}
    result["asked"] = asked
    kept.write_text(json.dumps(result, indent=1))
    return result


def windows_in(folder: Path) -> int:
    """How many windows the run in `folder` learned."""
    from synthgen.runs import peek, resolve_run

    return int(peek(resolve_run(folder))[0]["data"]["windows"])


def page(results: list[dict[str, Any]], header: str) -> str:
    """The Markdown page."""
    lines = ["# Series: what a run of minutes reaches", "", header, ""]
    for title in dict.fromkeys(one["set"] for one in results):
        lines += [f"## {title}", ""]
        for one in (one for one in results if one["set"] == title):
            lines += table(one)
    return "\n".join(lines)


def table(one: dict[str, Any]) -> list[str]:
    """One set in one protocol."""
    document, costs, title = one["evaluation"], one["costs"], one["set"]
    leaky = one["protocol"] == "leaky"
    beside = [name for name in PUBLISHED if leaky and title.lower() in PUBLISHED[name]]
    goals = TARGETS.get(title) if leaky else None
    heads = ["", "synthgen", "two real parts", "drawn anew", "later part", *(["target"] if goals else []), *beside]
    lines = [
        f"Protocol {one['protocol']}: {one['windows']:,} windows of {document['window']} steps and "
        f"{len(document['channels'])} channels.",
        "",
        f"| {' | '.join(heads)} |",
        f"|---|{'---:|' * (len(heads) - 1)}",
    ]
    for name, metric in document["metrics"].items():
        place = SCORES.index(name) if name in SCORES else None
        extra = [] if goals is None else ["" if place is None else f"{goals[place]:g}"]
        extra += ["" if place is None else f"{PUBLISHED[who][title.lower()][place]:g}" for who in beside]
        other, factor = UNITS.get(title, ("", 1.0)) if leaky else ("", 1.0)
        if name == other:
            lines.append(f"| {' | '.join([*cells(metric), *('' for _ in extra)])} |")
            metric = in_units(metric, factor)
        lines.append(f"| {' | '.join([*cells(metric), *extra])} |")
    took = ", ".join(f"{part} {costs[part]['cpu_seconds']:.0f}" for part in ("train", "sample", "evaluate"))
    peak = max(part["peak_mb"] for part in costs.values())
    return [*lines, "", f"CPU-seconds: {took}; peak memory {peak:,} MB.", ""]


def in_units(metric: dict[str, Any], factor: float) -> dict[str, Any]:
    """The metric in the papers' units."""
    spread = None if metric["spread"] is None else factor * metric["spread"]
    floors = {name: {**floor, "value": factor * floor["value"]} for name, floor in metric["floors"].items()}
    title = f"{metric['title']}, values between 0.5 and 1"
    return {**metric, "title": title, "value": factor * metric["value"], "spread": spread, "floors": floors}


def cells(metric: dict[str, Any]) -> list[str]:
    """Title, value with its deviation, and floors."""
    share = 100.0 if metric["share"] else 1.0

    def text(value: float) -> str:
        return f"{share * value:.3g}"

    def floor(*names: str) -> str:
        found = next((metric["floors"][name] for name in names if name in metric["floors"]), None)
        return "" if found is None else text(found["value"])

    value = text(metric["value"]) + ("" if metric["spread"] is None else f" ± {text(metric['spread'])}")
    title = metric["title"] + (", %" if metric["share"] else "")
    return [title, value, floor("halves", "real"), floor("redrawn", "chance"), floor("later")]


def machine(text: str) -> dict[str, Any]:
    versions = {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}}
    versions["synthgen"] = version("synthgen")
    threads = os.environ.get("OMP_NUM_THREADS", "all")
    date = time.strftime("%Y-%m-%d", time.gmtime())
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return {"machine": text, "threads": threads, "date": date, "versions": versions, "driver_peak_mb": memory}


def shown(results: list[dict[str, Any]]) -> None:
    """The four scores of every set on stdout, with targets."""
    for one in results:
        goals = TARGETS.get(one["set"]) if one["protocol"] == "leaky" else None
        for place, name in enumerate(SCORES):
            metric = one["evaluation"]["metrics"].get(name)
            if metric is None:
                continue
            if UNITS.get(one["set"], ("",))[0] == name:
                metric = in_units(metric, UNITS[one["set"]][1])
            goal = (
                ""
                if goals is None
                else f"  target {goals[place]:g}: {'met' if metric['value'] <= goals[place] else 'missed'}"
            )
            spread = "" if metric["spread"] is None else f" ± {metric['spread']:.2g}"
            print(f"{one['set']} {one['protocol']}: {metric['title']} {metric['value']:.3g}{spread}{goal}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="+", required=True, metavar="SET", help="stocks, etth1, sines, a CSV file, ...")
    parser.add_argument("--protocol", nargs="+", choices=PROTOCOLS, default=["leaky"])
    parser.add_argument("--seeds", type=int, default=5, help="of the evaluation")
    parser.add_argument("--seed", type=int, default=0, help="of training and sampling")
    parser.add_argument("--window", type=int, default=24, help="steps")
    parser.add_argument("--work", type=Path, default=Path("benchmark-series"))
    parser.add_argument("--out", type=Path, default=Path("docs/results/series.json"))
    parser.add_argument("--metrics", help="of `synthgen evaluate` [default: all]")
    parser.add_argument("--machine", default=platform.processor() or platform.machine(), help="in words")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="of `synthgen train`")
    arguments = parser.parse_args()
    arguments.set = [word for one in arguments.set for word in ("--set", one)]
    arguments.work.mkdir(parents=True, exist_ok=True)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    facts = machine(arguments.machine)
    facts["command"] = shlex.join(["python", *sys.argv])
    results: list[dict[str, Any]] = []
    for name in arguments.sets:
        for protocol in arguments.protocol:
            results.append(measured(name, protocol, arguments))
            arguments.out.write_text(without_folder(json.dumps({**facts, "results": results}, indent=1)) + "\n")
    words = ", ".join(f"{key} {value}" for key, value in facts["versions"].items())
    header = (
        f"Measured {facts['date']} on {facts['machine']}, {facts['threads']} thread(s), with `{facts['command']}`. "
        f"{words}. ± is the deviation over {arguments.seeds} seeds of the evaluation; one run, seed {arguments.seed}. "
        "Two real parts: blocks of time that share no step, or what real windows give to a model. Drawn anew: real "
        "windows with replacement, or what chance gives a perfect generator. Later part: held out, in the honest "
        "protocol. Published figures are their papers', with other encoders and on other machines."
    )
    arguments.out.with_suffix(".md").write_text(page(results, header))
    shown(results)
    print(arguments.out.with_suffix(".md"))


if __name__ == "__main__":
    main()
