"""Ours beside CTGAN, TVAE and SMOTE: every generator on the same training rows, all judged by `synthgen evaluate`.

    SYNTHGEN_DATA_DIR=... OMP_NUM_THREADS=1 python tests/benchmarks/tables.py adult --seeds 0 1 2 --peers peers-out

For each data set and seed: `synthgen train` with the shipped preset, `synthgen sample` with as many rows as were
learned, SMOTE, and the rows that `tests/benchmarks/tables_peers.py` left in the folder `--peers` (files
NAME-METHOD-SEED.csv and .json; a peer without files is left out and said so). Then one `synthgen evaluate` over all of
them. What is finished is kept in `--work` and used again. Writes `--out`/tables.json (everything) and `--out`/tables.md
(mean and standard deviation over seeds). Test rows are looked at by the evaluation alone.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import shlex
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

METHODS = ("ours", "ctgan", "tvae", "smote")
TITLES = {"ours": "synthgen", "ctgan": "CTGAN, 300 epochs", "tvae": "TVAE, 300 epochs", "smote": "SMOTE"}
PACKAGES = ("torch", "numpy", "pandas", "scikit-learn", "scipy")


METRICS = "shape,trend,detection,utility,support,distances"


@dataclass(frozen=True)
class DataSet:
    """train: what `synthgen train` is given. test: held-out rows; None: the file's own column `split`."""

    train: str
    test: str | None
    target: str
    metrics: str = METRICS


def data_sets() -> dict[str, DataSet]:
    """By name; files lie in `tables/` below SYNTHGEN_DATA_DIR. Without test rows of its own a table gets some, see
    `parted`."""
    folder = Path(os.environ.get("SYNTHGEN_DATA_DIR", "../shared/data")) / "tables"
    return {
        "adult": DataSet("adult", str(folder / "adult_test.csv"), "income", f"{METRICS},missing"),
        "abalone": DataSet(str(folder / "abalone.csv"), None, "rings"),
        "california": DataSet(str(folder / "california.csv"), None, "MedHouseVal"),
        "insurance": DataSet(str(folder / "insurance.csv"), None, "charges"),
        "beijing": DataSet(str(folder / "beijing.csv"), None, "pm2.5", f"{METRICS},missing"),
    }


def parted(one: DataSet, work: Path) -> DataSet:
    """The data set; a file without test rows is copied to `work` with a column `split`, a fixed random fifth `test`."""
    import numpy as np
    import pandas as pd

    if one.test is not None:
        return one
    frame = pd.read_csv(one.train, dtype=str, keep_default_na=False)
    if "split" in frame:
        return one
    test = np.random.default_rng(0).permutation(len(frame)) < len(frame) // 5
    path = work / Path(one.train).name
    frame.assign(split=np.where(test, "test", "train")).to_csv(path, index=False)
    return DataSet(str(path), None, one.target, one.metrics)


def run(*words: object) -> tuple[str, dict[str, float]]:
    """(stdout, what it took) of a command in a process of its own; ends the benchmark when it fails."""
    print("+", *words, file=sys.stderr, flush=True)
    began = time.perf_counter()
    process = subprocess.Popen([sys.executable, *map(str, words)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    output = process.stdout.read()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"that ended with {process.returncode}")
    took = {"seconds": time.perf_counter() - began, "cpu_seconds": used.ru_utime + used.ru_stime}
    return output, {**{name: round(value, 1) for name, value in took.items()}, "peak_mb": round(used.ru_maxrss / 1024)}


def ours(one: DataSet, name: str, seed: int, work: Path, extra: list[str]) -> dict[str, Any]:
    """Train, sample, and say what it took."""
    folder, rows = work / f"{name}-ours-{seed}", work / f"{name}-ours-{seed}.csv"
    done = rows.with_suffix(".json")
    if done.is_file():
        return dict(json.loads(done.read_text()))
    known = Path("configs", f"{name}.yaml").is_file()
    goal = [] if known else ["--set", f"data.target={one.target}"]
    flags = ["--set", f"training.seed={seed}", *goal, *extra, "--out", folder, "--force"]
    _, trained = run("-m", "synthgen", "train", one.train, *flags)
    count = learned(folder)
    sampling = ("sample", folder, "--count", count, "--seed", seed, "--out", rows, "--force")
    _, sampled = run("-m", "synthgen", *sampling)
    report = {"train": trained, "sample": sampled, "rows": count}
    done.write_text(json.dumps(report, indent=1))
    return report


def learned(folder: Path) -> int:
    """How many rows the run in `folder` was given."""
    from synthgen.checkpoints import load_checkpoint
    from synthgen.runs import resolve_run

    return int(load_checkpoint(resolve_run(folder))[0]["data"]["count"])


def smote(one: DataSet, name: str, seed: int, work: Path, count: int) -> dict[str, Any]:
    """SMOTE's rows (by this file in a process of its own), and what they took."""
    rows = work / f"{name}-smote-{seed}.csv"
    if not rows.with_suffix(".json").is_file():
        _, took = run(__file__, "--smote", one.train, one.target, str(seed), str(count), str(rows))
        rows.with_suffix(".json").write_text(json.dumps({"train": took, "rows": count}))
    return dict(json.loads(rows.with_suffix(".json").read_text()))


def write_smote(source: str, target: str, seed: str, count: str, out: str) -> None:
    from synthgen.data.tables.reading import read_table
    from synthgen.data.tables.writing import format_rows
    from synthgen.downstream.tables.smote import smote_rows

    data = read_table(source, split="train")
    made = smote_rows(data, int(count), int(seed), by=target)
    Path(out).write_text(format_rows(made.frame, made.schema, header=True), encoding="utf-8")


def measured(one: DataSet, name: str, seed: int, arguments: argparse.Namespace) -> dict[str, Any]:
    """Every method's figures and costs with one seed."""
    work: Path = arguments.work
    costs = {"ours": ours(one, name, seed, work, arguments.set)}
    files = {"ours": work / f"{name}-ours-{seed}.csv"}
    for peer in ("ctgan", "tvae"):
        path = arguments.peers / f"{name}-{peer}-{seed}.csv"
        if path.with_suffix(".json").is_file():
            files[peer], costs[peer] = path, json.loads(path.with_suffix(".json").read_text())
        else:
            print(f"no {path}: {peer} is left out", file=sys.stderr)
    costs["smote"] = smote(one, name, seed, work, costs["ours"]["rows"])
    files["smote"] = work / f"{name}-smote-{seed}.csv"
    fakes = [word for path in files.values() for word in ("--fake", path)]
    test = [] if one.test is None else ["--test", one.test]
    words = ["-m", "synthgen", "evaluate", "--real", one.train, *test, *fakes, "--target", one.target]
    chosen = arguments.metrics or one.metrics
    kept = work / f"{name}-{'-'.join(files)}-{seed}.evaluation.json"
    if not kept.is_file():
        text, took = run(*words, "--metrics", chosen, "--seed", seed, "--json")
        kept.write_text(json.dumps({"took": took, "metrics": chosen, "document": json.loads(text)}))
    judged = json.loads(kept.read_text())
    if judged["metrics"] != chosen:
        sys.exit(f"{kept} was made with other metrics: remove it")
    document, took = judged["document"], judged["took"]
    found = document.get("evaluations", [document])
    metrics = {method: part["metrics"] for method, part in zip(files, found, strict=True)}
    return {"seed": seed, "costs": costs, "metrics": metrics, "evaluation": took}


def summarised(results: dict[str, list[dict[str, Any]]], header: str) -> str:
    """The Markdown page."""
    lines = ["# Rows of tables: synthgen beside CTGAN, TVAE and SMOTE", "", header, ""]
    for name, seeds in results.items():
        methods = [method for method in METHODS if any(method in one["metrics"] for one in seeds)]
        lines += [f"## {name}", "", f"Seeds: {', '.join(str(one['seed']) for one in seeds)}.", ""]
        lines += ["| | " + " | ".join(TITLES[method] for method in methods) + " | floor | better |"]
        lines += ["|---|" + "---:|" * (len(methods) + 1) + "---|"]
        figures = dict.fromkeys(key for one in seeds for part in one["metrics"].values() for key in part)
        for figure in figures:
            parts = {
                m: [one["metrics"][m][figure] for one in seeds if figure in one["metrics"].get(m, {})] for m in methods
            }
            first = next(part[0] for part in parts.values() if part)
            share = 100.0 if first["share"] else 1.0
            cells = [spread([share * part["value"] for part in parts[method]]) for method in methods]
            floor = "" if first["floor"] is None else f"{share * first['floor']:.3g}"
            better = first["better"] if first["ideal"] is None else f"{share * first['ideal']:g}"
            lines.append(
                f"| {first['title']}{', %' if first['share'] else ''} | {' | '.join(cells)} | {floor} | {better} |"
            )
        for title, key in (("training, CPU-seconds", "train"), ("sampling, CPU-seconds", "sample")):
            cells = [spread([cost(one["costs"][m], key) for one in seeds if m in one["costs"]]) for m in methods]
            lines.append(f"| {title} | {' | '.join(cells)} | | |")
        memory = [spread([peak(one["costs"][m]) for one in seeds if m in one["costs"]]) for m in methods]
        lines += [f"| peak memory, MB | {' | '.join(memory)} | | |", ""]
    return "\n".join(lines)


def cost(costs: dict[str, Any], part: str) -> float:
    """CPU-seconds of a part; NaN where there is none."""
    if part in costs:
        return float(costs[part]["cpu_seconds"])
    return float(costs.get(f"{part}_cpu_seconds", "nan"))


def peak(costs: dict[str, Any]) -> float:
    return float(costs["peak_mb"] if "peak_mb" in costs else max(costs[p]["peak_mb"] for p in costs if p != "rows"))


def spread(values: list[float]) -> str:
    """Mean ± standard deviation; one value by itself."""
    if not values or any(value != value for value in values):
        return "–"
    mean = statistics.fmean(values)
    return f"{mean:.4g} ± {statistics.stdev(values):.2g}" if len(values) > 1 else f"{mean:.4g}"


def machine(text: str) -> dict[str, Any]:
    versions = {name: version(name) for name in PACKAGES} | {"synthgen": version("synthgen")}
    python = {"python": platform.python_version(), **versions}
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    date = time.strftime("%Y-%m-%d", time.gmtime())
    threads = os.environ.get("OMP_NUM_THREADS", "all")
    return {"machine": text, "threads": threads, "date": date, "versions": python, "driver_peak_mb": memory // 1024}


def main() -> None:
    if sys.argv[1:2] == ["--smote"]:
        write_smote(*sys.argv[2:])
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="+", choices=sorted(data_sets()), metavar="NAME", help="adult, abalone, ...")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--peers", type=Path, default=Path("peers-out"))
    parser.add_argument("--work", type=Path, default=Path("benchmark-tables"))
    parser.add_argument("--out", type=Path, default=Path("docs/results"))
    parser.add_argument("--metrics", help="of `synthgen evaluate` [default: six or seven of them]")
    parser.add_argument("--machine", default=platform.processor() or platform.machine(), help="in words")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="of `synthgen train`")
    arguments = parser.parse_args()
    arguments.set = [word for one in arguments.set for word in ("--set", one)]
    arguments.work.mkdir(parents=True, exist_ok=True)
    arguments.out.mkdir(parents=True, exist_ok=True)
    facts = machine(arguments.machine)
    facts["command"] = shlex.join(["python", *sys.argv])
    results: dict[str, list[dict[str, Any]]] = {}
    for name in arguments.names:
        for seed in arguments.seeds:
            results.setdefault(name, []).append(
                measured(parted(data_sets()[name], arguments.work), name, seed, arguments)
            )
            (arguments.out / "tables.json").write_text(json.dumps({**facts, "results": results}, indent=1) + "\n")
    words = ", ".join(f"{key} {value}" for key, value in facts["versions"].items())
    header = (
        f"Measured {facts['date']} on {facts['machine']}, {facts['threads']} thread(s), with `{facts['command']}`. "
        f"{words}. ± is the standard deviation over seeds. The floor is the first that `synthgen evaluate` names: the "
        "training rows drawn anew; of detection, alpha-precision, beta-recall, DCR and NNDR real rows that were held "
        "out; of worth models trained on the real rows; of the two shares of nearness SMOTE, whose best is 50 %."
    )
    (arguments.out / "tables.md").write_text(summarised(results, header))
    print(arguments.out / "tables.md")


if __name__ == "__main__":
    main()
