"""Ours beside CTGAN, TVAE, SMOTE and resampling on public tables, with one evaluator.

    python tests/benchmarks/tables.py --sets adult california abalone insurance beijing --seeds 0 1 2 --work bench/
    python tests/benchmarks/tables.py --peers peers-out --work bench/ --out docs/results

For each table and seed: `synthgen train` as it comes (only `data.target` and the seed are named), `synthgen sample`
with as many rows as were learned, `synthgen evaluate` against the training rows and the test rows. What is there
already in --work is left alone, so that the command goes on where it stopped. --peers: the folder in which
`tests/benchmarks/tables_peers.py` left CSVs of CTGAN and TVAE, which the same `synthgen evaluate` then judges.

Tables are found below SYNTHGEN_DATA_DIR. adult has its official test rows; california and abalone those of the TabDDPM
paper (column `split`; the validation rows are used for nothing); insurance and beijing are cut 80/20 and 90/10 by
seed 0. CPU-seconds are those of the processes started, peak memory is the largest of them so far.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

TARGETS = {
    "adult": "income",
    "california": "MedHouseVal",
    "abalone": "rings",
    "insurance": "charges",
    "beijing": "pm2.5",
}
HELD_OUT = {"insurance": 0.2, "beijing": 0.1}
"""Share of test rows where the table has none of its own."""

COLUMNS = (
    ("shape", "shape %", 100, 2),
    ("trend", "trend %", 100, 2),
    ("trend_fixed", "trend, fixed bins %", 100, 2),
    ("detection_auc", "detection AUC", 1, 3),
    ("tstr_auc", "AUC", 1, 4),
    ("tstr_r2", "R2", 1, 4),
    ("tstr_log_rmse", "log-RMSE", 1, 3),
    ("alpha_precision", "alpha-precision %", 100, 1),
    ("beta_recall", "beta-recall %", 100, 1),
    ("dcr_share", "nearer to train %", 100, 1),
)
"""(measure, heading, factor, decimals)."""


@dataclass(frozen=True)
class Sides:
    """Training and test rows of one table, as files."""

    train: Path
    test: Path
    target: str


def data_folder() -> Path:
    return Path(os.environ["SYNTHGEN_DATA_DIR"]) / "tables"


def sides(name: str, work: Path) -> Sides:
    """The two files of a table, written to `work` where they have to be cut first."""
    if name == "adult":
        return Sides(data_folder() / "adult_train.csv", data_folder() / "adult_test.csv", TARGETS[name])
    train, test = work / f"{name}-train.csv", work / f"{name}-test.csv"
    if not test.exists():
        head, *lines = (data_folder() / f"{name}.csv").read_text(encoding="utf-8").splitlines(keepends=True)
        if name in HELD_OUT:
            order = np.random.default_rng(0).permutation(len(lines))
            cut = round(HELD_OUT[name] * len(lines))
            parts = {"test": np.sort(order[:cut]), "train": np.sort(order[cut:])}
        else:
            place = head.strip().split(",").index("split")
            marks = [line.strip().split(",")[place] for line in lines]
            parts = {mark: np.flatnonzero(np.array(marks) == mark) for mark in ("train", "test")}
        train.write_text(head + "".join(lines[row] for row in parts["train"]), encoding="utf-8")
        test.write_text(head + "".join(lines[row] for row in parts["test"]), encoding="utf-8")
    return Sides(train, test, TARGETS[name])


def run(*words: str | Path) -> dict[str, Any]:
    """A `synthgen` command with --json: its document, with the CPU-seconds, seconds and peak memory it took."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    command = [sys.executable, "-m", "synthgen", *map(str, words), "--json"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stderr}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    took = {"cpu_seconds": round(cpu, 1), "seconds": round(time.monotonic() - began, 1)}
    return {**json.loads(done.stdout), "took": {**took, "peak_mb": after.ru_maxrss // 1024}}


def kept(path: Path, make: Any) -> dict[str, Any]:
    """The JSON document at `path`, made when it is not there."""
    if not path.exists():
        path.write_text(json.dumps(make()), encoding="utf-8")
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def judged(one: Sides, fake: str | Path, work: Path, stem: str) -> dict[str, Any]:
    """The evaluation of one synthetic table."""
    words = ("evaluate", "--real", one.train, "--fake", fake, "--test", one.test, "--target", one.target)
    return kept(work / f"{stem}.evaluation.json", lambda: run(*words))


def ours(name: str, one: Sides, seed: int, work: Path, settings: list[str]) -> dict[str, Any]:
    """Train, sample, evaluate; what each took."""
    stem = f"{name}-{'-'.join(['ours', *settings])}-{seed}".replace("/", "_")
    out, rows = work / stem, work / f"{stem}.csv"
    changes = [f"data.target={one.target}", f"training.seed={seed}", *settings]
    flags = [word for text in changes for word in ("--set", text)]
    trained = kept(work / f"{stem}.train.json", lambda: run("train", one.train, "--out", out, "--force", *flags))
    with one.train.open(encoding="utf-8") as lines:
        count = sum(1 for _ in lines) - 1
    words = ("sample", out, "--count", str(count), "--seed", str(seed), "--out", rows, "--force")
    sampled = kept(work / f"{stem}.sample.json", lambda: run(*words))
    return {
        "set": name,
        "method": " ".join(["synthgen", *settings]),
        "seed": seed,
        "rows": count,
        "training": trained["took"],
        "sampling": sampled["took"],
        "steps": trained["steps"],
        "parameters": trained["parameters"],
        **figures(judged(one, rows, work, stem)),
    }


def peers(name: str, one: Sides, folder: Path, work: Path) -> list[dict[str, Any]]:
    """CTGAN and TVAE, as far as they were trained on this table."""
    found = []
    for path in sorted(folder.glob(f"{name}-*.csv")):
        about = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        document = judged(one, path, work, path.stem)
        method, seed = path.stem.removeprefix(f"{name}-").rsplit("-", 1)
        found.append({"set": name, "method": method.upper(), "seed": int(seed), "about": about, **figures(document)})
    return found


def figures(document: dict[str, Any]) -> dict[str, Any]:
    """The figures of an evaluation and their floors."""
    metrics = document["metrics"]
    return {
        "figures": {name: one["value"] for name, one in metrics.items()},
        "floors": {name: one["floors"] for name, one in metrics.items()},
        "evaluation": document["took"],
    }


def table_of(name: str, results: list[dict[str, Any]]) -> list[str]:
    """Markdown of one table: methods over seeds, then the floors."""
    columns = [column for column in COLUMNS if any(column[0] in one["figures"] for one in results)]
    lines = [f"## {name}", "", "| | " + " | ".join(column[1] for column in columns) + " | training |"]
    lines.append("|" + " --- |" * (len(columns) + 2))
    for method in dict.fromkeys(one["method"] for one in results):
        group = [one for one in results if one["method"] == method]
        cells = [_cell([one["figures"].get(column[0]) for one in group], *column[2:]) for column in columns]
        took = [_training_seconds(one) for one in group]
        seeds = f"{len(group)} seed{'s' if len(group) > 1 else ''}"
        lines.append(f"| {method} ({seeds}) | {' | '.join(cells)} | {np.mean(took):,.0f} CPU-s |")
    for floor in FLOORS:
        values = [[_floor(results[0], column[0], floor)] for column in columns]
        cells = [_cell(value, *column[2:]) for value, column in zip(values, columns, strict=True)]
        if any(cells):
            lines.append(f"| *{FLOORS[floor]}* | {' | '.join(cells)} | |")
    return [*lines, ""]


FLOORS = {
    "bootstrap": "training rows drawn anew",
    "real": "the training rows",
    "holdout": "real rows held out",
    "smote": "SMOTE",
}


def _training_seconds(result: dict[str, Any]) -> float:
    """CPU-seconds, of ours with starting and reading."""
    return float(result["training"]["cpu_seconds"] if "training" in result else result["about"]["train_cpu_seconds"])


def _floor(result: dict[str, Any], measure: str, floor: str) -> float | None:
    found = result["floors"].get(measure, {}).get(floor)
    return None if found is None else float(found["value"])


def _cell(values: list[float | None], factor: float, decimals: int) -> str:
    known = [factor * value for value in values if value is not None]
    if not known:
        return ""
    mean = f"{np.mean(known):.{decimals}f}"
    return mean if len(known) == 1 else f"{mean} ± {np.std(known, ddof=1):.{decimals}f}"


def report(results: list[dict[str, Any]], command: str) -> str:
    """The page: how it was measured, then a table per data set."""
    packages = ", ".join(f"{name} {version(name)}" for name in ("torch", "scikit-learn", "pandas", "numpy"))
    lines = [
        "# Results on tables",
        "",
        f"Measured on {datetime.now(timezone.utc):%Y-%m-%d} on {machine()}, Python {platform.python_version()}, "
        f"{packages}, by",
        "",
        "```",
        command,
        "```",
        "",
        "with one thread, while the machine also did other work. ± is the standard deviation over seeds of training "
        "and sampling. *Training rows drawn anew* is a bootstrap: the figure of a generator that only repeats. SMOTE "
        "interpolates real rows. AUC, R2 and log-RMSE are those of boosting tuned and trained on the synthetic rows "
        "and tested on the test rows; in the line of the training rows, of boosting trained on these. The settings are "
        "the defaults of `synthgen train FILE.csv`, the same for all tables; none was chosen by the test rows.",
        "",
    ]
    for name in dict.fromkeys(one["set"] for one in results):
        lines += table_of(name, [one for one in results if one["set"] == name])
    return "\n".join(lines)


def machine() -> str:
    """The processor and its cores."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
        model = next(line.split(":")[1].strip() for line in text.splitlines() if line.startswith("model name"))
    except (OSError, StopIteration):
        model = platform.processor() or platform.machine()
    return f"{model} with {os.cpu_count()} cores, no GPU"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--sets", nargs="+", default=list(TARGETS), choices=TARGETS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="another setting, e.g. a process"
    )
    parser.add_argument("--peers", type=Path)
    parser.add_argument("--work", type=Path, default=Path("bench"))
    parser.add_argument("--out", type=Path, help="write tables.json and tables.md here")
    chosen = parser.parse_args()
    chosen.work.mkdir(parents=True, exist_ok=True)
    results = []
    for name in chosen.sets:
        one = sides(name, chosen.work)
        results += [ours(name, one, seed, chosen.work, chosen.set) for seed in chosen.seeds]
        results += peers(name, one, chosen.peers, chosen.work) if chosen.peers else []
    if chosen.out is None:
        for name in chosen.sets:
            print("\n".join(table_of(name, [one for one in results if one["set"] == name])))
        return
    sets = " ".join(chosen.sets)
    command = f"python tests/benchmarks/tables.py --sets {sets} --seeds {' '.join(map(str, chosen.seeds))}"
    command += (" --peers peers-out" if chosen.peers else "") + f" --out {chosen.out}"
    (chosen.out / "tables.md").write_text(report(results, command), encoding="utf-8")
    (chosen.out / "tables.json").write_text(json.dumps(results, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
