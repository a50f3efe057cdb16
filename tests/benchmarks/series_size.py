"""A long recording of many channels: seconds and peak memory of training on it, from an npz file and from CSV.

    OMP_NUM_THREADS=1 python tests/benchmarks/series_size.py FOLDER --steps 1000000 --channels 100

Makes, in FOLDER, walks that return to their mean, two decimals each, with gaps in every seventh channel (seed 0), and
runs `synthgen train` for `--train` steps and `synthgen data inspect` on both files. Prints one JSON document a command;
`array_mb` is what the cells take as float32.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

CHUNK = 10_000


def made(steps: int, channels: int) -> np.ndarray:
    """float32 (steps, channels), every seventh channel with gaps of some steps."""
    random = np.random.default_rng(0)
    values = np.empty((steps, channels), np.float32)
    state = np.zeros(channels, np.float32)
    shared = random.normal(size=(channels, channels)).astype(np.float32) / channels**0.5
    for start in range(0, steps, CHUNK):
        noise = random.normal(size=(min(CHUNK, steps - start), channels)).astype(np.float32) @ shared
        for row, one in enumerate(noise, start):
            state = np.float32(0.95) * state + one
            values[row] = state
    values = np.round(values, 2)
    for channel in range(0, channels, 7):
        for start in random.integers(0, steps, steps // 200):
            values[start : start + 5, channel] = np.nan
    return values


def write_csv(values: np.ndarray, path: Path) -> None:
    """Piece by piece, with hourly dates."""
    import pandas as pd

    names = [f"c{number}" for number in range(values.shape[1])]
    for start in range(0, len(values), CHUNK):
        frame = pd.DataFrame(values[start : start + CHUNK], columns=names)
        dates = np.datetime64("1900-01-01T00") + np.arange(start, start + len(frame)).astype("timedelta64[h]")
        frame.insert(0, "date", dates.astype("datetime64[s]"))
        frame.to_csv(path, index=False, header=start == 0, mode="w" if start == 0 else "a", float_format="%.2f")


def took(*words: str) -> dict[str, object]:
    """What a `synthgen` command costs; ends the benchmark when it fails."""
    began = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "synthgen", *words, "--quiet"], stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    if os.waitstatus_to_exitcode(status):
        sys.exit(f"synthgen {' '.join(words)} failed")
    cpu, memory = used.ru_utime + used.ru_stime, used.ru_maxrss // 1024
    return {"seconds": round(time.perf_counter() - began, 1), "cpu_seconds": round(cpu, 1), "peak_mb": memory}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--steps", type=int, default=1_000_000)
    parser.add_argument("--channels", type=int, default=100)
    parser.add_argument("--train", type=int, default=5, help="steps of training")
    parser.add_argument("--forms", nargs="+", default=["npz", "csv"], choices=["npz", "csv"])
    parser.add_argument("--inspect", action="store_true", help="measure `synthgen data inspect` as well")
    one = parser.parse_args()
    one.folder.mkdir(parents=True, exist_ok=True)
    for form in one.forms:
        path = one.folder / f"long-{one.steps}-{one.channels}.{form}"
        if not path.exists():
            values = made(one.steps, one.channels)
            if form == "npz":
                np.savez(path, X=values[None])
            else:
                write_csv(values, path)
            del values
        window, run = ("--set", "data.window=24"), str(one.folder / f"run-{form}")
        facts = {"form": form, "steps": one.steps, "channels": one.channels}
        facts |= {"file_mb": path.stat().st_size >> 20, "array_mb": one.steps * one.channels * 4 >> 20}
        commands = [("train", str(path), *window, "--steps", str(one.train), "--out", run, "--force")]
        if one.inspect:
            commands.append(("data", "inspect", str(path), *window))
        for words in commands:
            print(json.dumps({"command": words[0], **facts, **took(*words)}), flush=True)


if __name__ == "__main__":
    main()
