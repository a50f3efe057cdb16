"""CTGAN and TVAE at their full default settings (300 epochs) on a CSV, in an environment of their own.

    python -m venv peers && peers/bin/pip install ctgan
    peers/bin/python tests/benchmarks/tables_peers.py adult_train.csv --out peers-out --name adult --seeds 0

Writes `NAME-METHOD-SEED.csv` (as many rows as were learned) and beside it `NAME-METHOD-SEED.json` with the seconds, the
CPU-seconds, the peak memory and the versions; what is there already is left alone. `tests/benchmarks/tables.py` reads
both. Nothing of `synthgen` is imported here: ctgan and rdt are under the Business Source License, and the product does
not depend on them. One thread, on the CPU. Columns of text are categories, columns of numbers are numbers (the
package's own rule for a DataFrame would need them named); rows with a missing number are left out, because the package
refuses them, and counted in the JSON. A column `split` is honoured (rows `train`) and not learned.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

METHODS = ("ctgan", "tvae")


def read(path: Path) -> tuple[Any, list[str], int]:
    """(rows to learn, names of the categorical columns, rows left out for a missing number)."""
    import pandas as pd

    frame = pd.read_csv(path, keep_default_na=False, na_values=["", "NA"])
    if "split" in frame:
        frame = frame[frame["split"] == "train"].drop(columns="split").reset_index(drop=True)
    categories = [name for name in frame if not pd.api.types.is_numeric_dtype(frame[name])]
    frame[categories] = frame[categories].fillna("")
    whole = frame.dropna().reset_index(drop=True)
    return whole, categories, len(frame) - len(whole)


def trained(method: str, frame: Any, categories: list[str], seed: int) -> tuple[Any, dict[str, float]]:
    """(as many synthetic rows, what it took)."""
    import numpy as np
    import torch
    from ctgan import CTGAN, TVAE

    torch.set_num_threads(1)
    torch.manual_seed(seed)
    np.random.seed(seed)
    model = {"ctgan": CTGAN, "tvae": TVAE}[method](enable_gpu=False, verbose=False)
    model.set_random_state(seed)
    wall, cpu = time.perf_counter(), time.process_time()
    model.fit(frame, categories)
    figures = {"train_seconds": time.perf_counter() - wall, "train_cpu_seconds": time.process_time() - cpu}
    wall, cpu = time.perf_counter(), time.process_time()
    rows = model.sample(len(frame))
    figures |= {"sample_seconds": time.perf_counter() - wall, "sample_cpu_seconds": time.process_time() - cpu}
    figures["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return rows, {name: round(value, 1) for name, value in figures.items()}


def run(method: str, arguments: argparse.Namespace, seed: int) -> None:
    path = arguments.out / f"{arguments.name or arguments.data.stem}-{method}-{seed}.csv"
    if path.with_suffix(".json").is_file():
        print(f"{path.with_suffix('.json')} is there already", file=sys.stderr)
        return
    frame, categories, left_out = read(arguments.data)
    rows, figures = trained(method, frame, categories, seed)
    rows[list(frame.columns)].to_csv(path, index=False)
    packages = {name: version(name) for name in ("ctgan", "rdt", "torch", "pandas", "numpy", "scikit-learn")}
    report = {
        "method": method,
        "seed": seed,
        "epochs": 300,
        "rows": len(frame),
        "rows_left_out": left_out,
        **figures,
        "versions": {"python": platform.python_version(), **packages},
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
    }
    path.with_suffix(".json").write_text(json.dumps(report, indent=1) + "\n")
    print(json.dumps(report))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="the CSV to learn")
    parser.add_argument("--out", type=Path, default=Path("peers-out"))
    parser.add_argument("--name", default="", help="of the data set, in the files' names [default: the CSV's]")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    for seed in arguments.seeds:
        for method in arguments.methods:
            if os.fork() == 0:  # a process for each, so that peak memory is its own
                run(method, arguments, seed)
                os._exit(0)
            if os.waitstatus_to_exitcode(os.wait()[1]) != 0:
                sys.exit(f"{method} with seed {seed} failed")


if __name__ == "__main__":
    main()
