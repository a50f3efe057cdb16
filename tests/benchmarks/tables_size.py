"""Large tables: seconds and peak memory of inspecting, training (a few steps) and sampling.

    OMP_NUM_THREADS=1 python tests/benchmarks/tables_size.py FOLDER

Makes a table of 1,000,000 rows x 20 columns and one of 2,000 x 1,000 (numbers, integers, categories, booleans, dates,
missing cells; seed 0) in FOLDER and runs the commands on them. Prints one JSON document a command.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd

TABLES = {"long": (1_000_000, 20, 100_000), "wide": (2_000, 1_000, 100)}
"""Rows, columns, rows to sample."""


def made(rows: int, columns: int) -> pd.DataFrame:
    """Columns of five kinds in turn; every seventh has missing cells."""
    generator = np.random.default_rng(0)
    kinds = (
        lambda: np.round(generator.normal(size=rows), 3),
        lambda: generator.integers(0, 100_000, rows),
        lambda: generator.choice(list("abcdefgh"), rows),
        lambda: generator.choice(["yes", "no"], rows),
        lambda: (np.datetime64("1950-01-01") + generator.integers(0, 30_000, rows)).astype(str),
    )
    frame = pd.DataFrame({f"c{number}": kinds[number % 5]() for number in range(columns)})
    for place in range(0, columns, 7):
        frame.iloc[generator.integers(0, rows, rows // 10), place] = None
    return frame


def took(*words: str) -> dict[str, object]:
    """What a `synthgen` command costs; ends the benchmark when it fails."""
    began = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "synthgen", *words, "--quiet"], stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    if os.waitstatus_to_exitcode(status):
        sys.exit(f"synthgen {' '.join(words)} failed")
    cpu, memory = used.ru_utime + used.ru_stime, used.ru_maxrss // 1024
    seconds = time.perf_counter() - began
    return {"command": words[0], "seconds": round(seconds, 1), "cpu_seconds": round(cpu, 1), "peak_mb": memory}


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, (rows, columns, count) in TABLES.items():
        path, run = folder / f"{name}.csv", str(folder / f"run-{name}")
        if not path.exists():
            made(rows, columns).to_csv(path, index=False)
        out = str(folder / f"{name}-synthetic.csv")
        for words in (
            ("data", "inspect", str(path)),
            ("train", str(path), "--steps", "20", "--out", run, "--force"),
            ("sample", run, "--count", str(count), "--out", out, "--force"),
        ):
            print(json.dumps({"table": f"{rows:,} x {columns:,}", **took(*words)}), flush=True)


if __name__ == "__main__":
    main()
