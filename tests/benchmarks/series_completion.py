"""Completion of series: gaps filled, ends forecast, sequences continued, beside simple methods, on held-out time.

    SYNTHGEN_DATA_DIR=... OMP_NUM_THREADS=1 python tests/benchmarks/series_completion.py

Trains the presets `air-quality` and `etth1` into the folder `--work`, unless they are there, and measures on the test
part of each, the last fifth of its time, which no model saw:

- missing: the missing rate of each channel and its persistence, P(missing | missing one step before), of samples.
- imputation: observed cells are removed, single ones or spans; the median of `--draws` completions beside linear
  interpolation and the mean of the hour of the day (of the training part), and how often the 80 % interval holds.
- forecast: `--known` of 24 steps are known, the others are drawn; beside the last value ("naive").
- seams: windows of continuations of `--length` steps that lie across a seam, told by the discriminator from windows
  that were drawn whole, and both from real ones. Across: a seam in the middle, which is where the model drew a window
  of its own; astride: a quarter later, between two of these, so that the model never saw their steps together. These
  windows come from few recordings, each with levels of its own, which tell them from windows that are all drawn anew:
  "first" are as many windows across the first seam of a continuation, each of another one, and "stretches" are windows
  of as long parts of the real recording, side by side as well, against real ones from everywhere.

Writes `--out`/series_completion.json and .md.
"""

from __future__ import annotations

import argparse
import json
import platform
import shlex
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from synthgen.data.series.schema import SeriesData
    from synthgen.generation.series.model import SeriesModel

LEVEL = 0.8
WINDOW = 24
SPAN = 6
"""Steps of a removed block."""
PACKAGES = ("torch", "numpy", "pandas", "scikit-learn")


def trained(preset: str, work: Path, settings: list[str]) -> SeriesModel:
    """The model of a preset, trained in `work` unless it is there."""
    from synthgen.generation.series.model import load_series_model
    from synthgen.runs import list_checkpoints

    run = work / preset
    flags = [word for text in settings for word in ("--set", text)]
    if not (run / "done").exists():
        resume = ["--resume"] if list_checkpoints(run) else []
        words = ["-m", "synthgen", "train", preset, "--out", run, *flags, *resume]
        subprocess.run([sys.executable, *map(str, words)], check=True)
        (run / "done").touch()
    return load_series_model(run, device="cpu")


def part(model: SeriesModel, preset: str, split: str) -> SeriesData:
    """A part of the data as the model's configuration cuts it."""
    from synthgen.data.series.reading import read_series

    return read_series(preset, model.config.data, schema=model.schema, split=split)


def values_of(data: SeriesData) -> np.ndarray:
    """float64 (T, C), NaN where missing."""
    from synthgen.data.series.windows import channel_values

    return channel_values(data)


def completions(model: SeriesModel, data: SeriesData, values: np.ndarray, draws: int, seed: int) -> np.ndarray:
    """float64 (draws, T, C): `values` (T, C) of the recording `data` with their NaN drawn."""
    frame = data.frame.copy()
    for place, name in enumerate(model.schema.channels):
        frame[name] = values[:, place]
    if model.schema.time is None and len(data) > 1:
        frame.insert(0, "sequence", np.repeat(np.arange(len(data)), data.lengths).astype(str))
    found = model.complete(frame, draws=draws, seed=seed)
    table = np.stack([found[name].to_numpy(np.float64, na_value=np.nan) for name in model.schema.channels], axis=1)
    order = found["draw"].to_numpy(np.int64)
    return np.stack([table[order == draw] for draw in range(draws)])


def missing(model: SeriesModel, preset: str, count: int, seed: int) -> dict[str, Any]:
    """Missing rate and persistence of each channel, real and synthetic; floor: halves of the real training part."""
    real = values_of(part(model, preset, "train"))
    windows = np.lib.stride_tricks.sliding_window_view(real, WINDOW, axis=0)[::WINDOW].transpose(0, 2, 1)
    fake = model.sample(count, seed=seed)
    half = len(windows) // 2
    found = {}
    for place, name in enumerate(model.schema.channels):
        sides = {"real": windows, "synthetic": fake, "first_half": windows[:half], "second_half": windows[half:]}
        found[name] = {side: law(np.isnan(one[..., place])) for side, one in sides.items()}
    return found


def law(gone: np.ndarray) -> dict[str, float | None]:
    """gone: bool (N, L). Rate, and how likely a missing value is after a missing one."""
    before, after = gone[:, :-1], gone[:, 1:]
    return {"rate": float(gone.mean()), "persistence": float(after[before].mean()) if before.any() else None}


def removed(values: np.ndarray, how: str, random: np.random.Generator) -> np.ndarray:
    """bool (T, C), observed cells that are taken away: a tenth of them alone, or in spans of `SPAN` steps."""
    if how == "cells":
        gone = random.random(values.shape) < 0.1
    else:
        gone = np.zeros(values.shape, bool)
        starts = random.random(values.shape) < 0.1 / SPAN
        for shift in range(SPAN):
            gone[shift:] |= starts[: len(starts) - shift]
    found: np.ndarray = gone & ~np.isnan(values)
    return found


def interpolated(values: np.ndarray) -> np.ndarray:
    """Missing values on the line between the observed ones around them."""
    steps, found = np.arange(len(values)), values.copy()
    for place in range(values.shape[1]):
        seen = ~np.isnan(values[:, place])
        if seen.any():
            found[:, place] = np.interp(steps, steps[seen], values[seen, place])
    return found


def imputation(model: SeriesModel, preset: str, draws: int, most: int, seed: int) -> dict[str, Any]:
    """Errors in deviations of each channel in the training part, a mean over all channels; one recording.

    most: steps of the test part that are used, its first ones.
    """
    train, data = values_of(part(model, preset, "train")), part(model, preset, "test")
    data = replace(data, frame=data.frame.iloc[:most], offsets=np.minimum(data.offsets, most))
    truth = values_of(data)
    scale, hours = np.nanstd(train, axis=0), np.arange(len(train) + len(truth)) % 24
    by_hour = np.stack([np.nanmean(train[hours[: len(train)] == hour], axis=0) for hour in range(24)])
    found = {}
    for how in ("cells", "blocks"):
        gone = removed(truth, how, np.random.default_rng(seed))
        held = np.where(gone, np.nan, truth)
        drawn = completions(model, data, held, draws, seed)
        low, middle, high = np.quantile(drawn, [(1 - LEVEL) / 2, 0.5, (1 + LEVEL) / 2], axis=0, method="weibull")
        guesses = {"synthgen": middle, "linear": interpolated(held), "hour": by_hour[hours[len(train) :]]}
        inside = (low <= truth) & (truth <= high)
        per = {}
        for place, name in enumerate(model.schema.channels):
            cells = gone[:, place] & ~np.isnan(guesses["hour"][:, place])
            if cells.sum() >= 20:
                errors = {
                    key: float(np.abs(one - truth)[cells, place].mean() / scale[place]) for key, one in guesses.items()
                }
                per[name] = {"cells": int(cells.sum()), **errors, "coverage": float(inside[cells, place].mean())}
        found[how] = {
            "channels": per,
            "mae": {key: float(np.mean([one[key] for one in per.values()])) for key in guesses},
            "coverage": float(
                np.average([p["coverage"] for p in per.values()], weights=[p["cells"] for p in per.values()])
            ),
        }
    return found


def crps(draws: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Continuous ranked probability score of M draws (M, ...), unbiased in M (Ferro 2014)."""
    count = len(draws)
    ordered = np.sort(draws, axis=0)
    weights = (2 * np.arange(1, count + 1) - count - 1).reshape(-1, *[1] * truth.ndim)
    spread = (weights * ordered).sum(0) / (count * (count - 1))
    return np.asarray(np.abs(draws - truth).mean(0) - spread)


def forecast(model: SeriesModel, preset: str, known: int, count: int, draws: int, seed: int) -> dict[str, Any]:
    """`count` windows evenly spread over the test part; errors in deviations of each channel of the training part."""
    import pandas as pd

    scale, data = np.nanstd(values_of(part(model, preset, "train")), axis=0), part(model, preset, "test")
    values = values_of(data)
    starts = np.linspace(0, len(values) - WINDOW, count).astype(int)
    rows = starts[:, None] + np.arange(WINDOW)
    truth = values[rows]
    frame = data.frame.iloc[rows.ravel()].reset_index(drop=True)
    hidden = np.tile(np.arange(WINDOW) >= known, count)
    for name in model.schema.channels:
        frame[name] = frame[name].mask(hidden)
    frame.insert(0, "sequence", pd.Series(np.repeat(np.arange(count), WINDOW).astype(str), dtype=object))
    made = model.complete(frame, draws=draws, seed=seed)
    table = np.stack([made[name].to_numpy(np.float64, na_value=np.nan) for name in model.schema.channels], axis=1)
    names = made["sequence"].astype(str).to_numpy()
    drawn = np.empty((draws, count, WINDOW, truth.shape[2]))
    for draw in range(draws):
        mine = made["draw"].to_numpy(np.int64) == draw
        order = np.argsort(names[mine].astype(int), kind="stable")
        drawn[draw] = table[mine][order].reshape(count, WINDOW, -1)
    ahead = slice(known, None)
    drawn, truth, last = drawn[:, :, ahead] / scale, truth[:, ahead] / scale, truth[:, known - 1 : known] / scale
    low, middle, high = np.quantile(drawn, [(1 - LEVEL) / 2, 0.5, (1 + LEVEL) / 2], axis=0, method="weibull")
    ours, naive = float(np.abs(middle - truth).mean()), float(np.abs(last - truth).mean())
    score = float(crps(drawn, truth).mean())
    inside = (low <= truth) & (truth <= high)
    return {
        "known": known, "windows": count, "mae": {"synthgen": ours, "naive": naive}, "skill": 1 - ours / naive,
        "crps": {"synthgen": score, "naive": naive}, "crps_skill": 1 - score / naive, "coverage": float(inside.mean()),
        "coverage_by_channel": dict(zip(model.schema.channels, inside.mean((0, 1)).tolist(), strict=True)),
        "coverage_by_step": inside.mean((0, 2)).tolist(),
    }  # fmt: skip


def seams(model: SeriesModel, preset: str, sequences: int, length: int, seeds: int, seed: int) -> dict[str, Any]:
    """Discriminative scores, |accuracy - 1/2|, mean over seeds."""
    from synthgen.evaluation.series.judges import discriminative, expected_score, test_count

    long = model.sample(sequences, seed=seed, length=length)
    hop = WINDOW - WINDOW // 2
    places = np.arange(WINDOW, length - hop + 1, 2 * hop) - WINDOW // 2  # a seam in the middle, windows side by side
    across = np.concatenate([long[:, place : place + WINDOW] for place in places])
    later = [place + WINDOW // 4 for place in places if place + WINDOW // 4 + WINDOW <= length]
    astride = np.concatenate([long[:, place : place + WINDOW] for place in later])
    whole = model.sample(len(across), seed=seed + 1)
    first = model.sample(len(across), seed=seed + 2, length=WINDOW + hop)[:, hop:]
    values = values_of(part(model, preset, "train"))
    real = np.lib.stride_tricks.sliding_window_view(values, WINDOW, axis=0).transpose(0, 2, 1)
    parts = np.arange(min(sequences, len(values) // length)) * length
    stretches = np.concatenate([real[parts + place] for place in places])
    random = np.random.default_rng(seed)
    everywhere = real[random.choice(len(real), len(stretches), replace=False)]
    real = real[random.choice(len(real), len(across), replace=False)]
    least, most = np.nanmin(values, axis=0), np.nanmax(values, axis=0)

    def score(first: np.ndarray, second: np.ndarray) -> dict[str, float]:
        one, other = ((side - least) / np.maximum(most - least, 1e-12) for side in (first, second))
        scores = discriminative(one, other, seeds=range(seeds))
        return {"mean": float(scores.mean()), "deviation": float(scores.std(ddof=1)) if seeds > 1 else 0.0}

    steps = (np.abs(np.diff(long, axis=1)) / np.nanstd(values, axis=0)).mean((0, 2))
    seam = np.isin(np.arange(1, length), np.arange(WINDOW, length, hop))
    halves = np.random.default_rng(seed).permutation(len(whole))
    return {
        "windows": len(across), "sequences": sequences, "length": length,
        "across_vs_whole": score(across, whole), "across_vs_real": score(across, real),
        "across_vs_astride": score(across, astride), "first_vs_whole": score(first, whole),
        "stretches_vs_real": score(stretches, everywhere),
        "astride_vs_whole": score(astride, whole), "astride_vs_real": score(astride, real),
        "whole_vs_real": score(whole, real), "whole_vs_whole": score(whole[halves[::2]], whole[halves[1::2]]),
        "floor": expected_score(test_count(len(across), len(across))),
        "step": {"seam": float(steps[seam].mean()), "elsewhere": float(steps[~seam].mean())},
    }  # fmt: skip


def tables(results: dict[str, Any]) -> str:
    """The results as markdown."""
    lines: list[str] = []
    if "missing" in results:
        halves = ("first_half", "second_half")
        rows = [
            [
                name,
                *(
                    cell
                    for key in ("rate", "persistence")
                    for cell in (
                        shown(sides["real"][key], 100),
                        ", ".join(shown(sides[half][key], 100) for half in halves),
                        shown(sides["synthetic"][key], 100),
                    )
                ),
            ]
            for name, sides in results["missing"].items()
        ]
        lines += ["## air_quality: what is missing", ""]
        heads = ["missing %", "its halves", "synthetic", "missing after missing %", "its halves", "synthetic"]
        lines += table(["channel", *heads], rows)
    for how, words in (("cells", "single cells"), ("blocks", f"spans of {SPAN} hours")):
        if "imputation" in results:
            one = results["imputation"][how]
            rows = [
                [name, str(per["cells"]), *(shown(per[key]) for key in ("synthgen", "linear", "hour")),
                 shown(per["coverage"], 100)]
                for name, per in one["channels"].items()
            ]  # fmt: skip
            rows.append(["**mean**", "", *(shown(value) for value in one["mae"].values()), shown(one["coverage"], 100)])
            lines += [f"## air_quality: imputation of {words}", ""]
            lines += table(["channel", "cells", "synthgen", "linear", "hour", "coverage %"], rows)
    if "forecast" in results:
        one = results["forecast"]
        rows = [
            ["mean absolute error", shown(one["mae"]["synthgen"]), shown(one["mae"]["naive"]), shown(one["skill"])],
            ["CRPS", shown(one["crps"]["synthgen"]), shown(one["crps"]["naive"]), shown(one["crps_skill"])],
        ]
        lines += [f"## ETTh1: forecast of {WINDOW - one['known']} steps from {one['known']}", ""]
        lines += table(["", "synthgen", "naive (last value)", "skill"], rows)
        lines += [f"80 % intervals hold {shown(one['coverage'], 100)} % of {one['windows']} windows' values.", ""]
    if "seams" in results:
        one = results["seams"]
        rows = [
            [words, f"{one[key]['mean']:.4f} ± {one[key]['deviation']:.4f}"]
            for key, words in (
                ("across_vs_whole", "across a seam against drawn whole"),
                ("across_vs_real", "across a seam against real"),
                ("stretches_vs_real", "real stretches of that length against real"),
                ("across_vs_astride", "across a seam against astride, of the same recordings"),
                ("first_vs_whole", "across the first seam, each of another recording, against drawn whole"),
                ("astride_vs_whole", "astride of two drawn windows against drawn whole"),
                ("astride_vs_real", "astride of two drawn windows against real"),
                ("whole_vs_real", "drawn whole against real"),
                ("whole_vs_whole", "drawn whole, halves"),
            )
            if key in one  # results that are kept may be older
        ]
        rows.append(["expected of equal sides", f"{one['floor']:.4f}"])
        lines += [f"## ETTh1: seams of {one['sequences']} continuations of {one['length']:,} steps", ""]
        lines += table([f"{one['windows']:,} windows a side", "discriminative score"], rows)
        if "step" in one:
            seam, elsewhere = (shown(one["step"][key]) for key in ("seam", "elsewhere"))
            lines += [
                f"From one step to the next, values move by {seam} deviations across a seam, {elsewhere} elsewhere.",
                "",
            ]
    return "\n".join(lines)


def table(columns: list[str], rows: list[list[str]]) -> list[str]:
    head = ["| " + " | ".join(columns) + " |", "|---|" + "---:|" * (len(columns) - 1)]
    return [*head, *("| " + " | ".join(row) + " |" for row in rows), ""]


def shown(value: float | None, factor: float = 1.0) -> str:
    return "–" if value is None else f"{factor * value:.3g}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("benchmark-series-completion"))
    parser.add_argument("--out", type=Path, default=Path("docs/results"))
    parser.add_argument("--only", nargs="+", default=["missing", "imputation", "forecast", "seams"], metavar="PART")
    parser.add_argument("--draws", type=int, default=16)
    parser.add_argument("--most", type=int, default=10**9, help="steps to impute in [all of the test part]")
    parser.add_argument("--known", type=int, default=16)
    parser.add_argument("--count", type=int, default=128, help="windows to forecast")
    parser.add_argument("--sequences", type=int, default=32, help="continuations")
    parser.add_argument("--length", type=int, default=1000)
    parser.add_argument("--seeds", type=int, default=5, help="of the discriminator")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--machine", default=platform.processor() or platform.machine(), help="in words")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="of `synthgen train`")
    one = parser.parse_args()
    one.work.mkdir(parents=True, exist_ok=True)
    one.out.mkdir(parents=True, exist_ok=True)
    air, ett = "air-quality", "etth1"
    parts: dict[str, tuple[str, Callable[[SeriesModel], dict[str, Any]]]] = {
        "missing": (air, lambda model: missing(model, air, 2000, one.seed)),
        "imputation": (air, lambda model: imputation(model, air, one.draws, one.most, one.seed)),
        "forecast": (ett, lambda model: forecast(model, ett, one.known, one.count, one.draws, one.seed)),
        "seams": (ett, lambda model: seams(model, ett, one.sequences, one.length, one.seeds, one.seed)),
    }
    path = one.out / "series_completion.json"
    facts: dict[str, Any] = {
        "command": shlex.join(["python", *sys.argv]), "machine": one.machine, "seed": one.seed,
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d"),
        "versions": {name: version(name) for name in (*PACKAGES, "synthgen")},
    }  # fmt: skip
    kept = json.loads(path.read_text())["results"] if path.exists() else {}
    results = {name: found for name, found in kept.items() if name not in one.only}
    for name in one.only:
        preset, measure = parts[name]
        results[name] = measure(trained(preset, one.work, one.set))
        print(name, "done", file=sys.stderr, flush=True)
        path.write_text(json.dumps({**facts, "results": results}, indent=1) + "\n")
    header = (
        "# Completion of series: gaps, forecasts, continuations\n\n"
        f"Measured {facts['date']} on {facts['machine']} with `{facts['command']}`, seed {one.seed}. "
        f"{', '.join(f'{key} {value}' for key, value in facts['versions'].items())}. Models: the presets `{air}` and "
        f"`{ett}`, trained on the first four fifths of the time; all errors are those of the last fifth, in standard "
        "deviations of the channel in the training part. synthgen: the median of "
        f"{one.draws} draws; intervals from the draws' 10 % and 90 % quantiles (definition 6 of Hyndman and Fan).\n\n"
    )
    (one.out / "series_completion.md").write_text(header + tables(results))
    print(one.out / "series_completion.md")


if __name__ == "__main__":
    main()
