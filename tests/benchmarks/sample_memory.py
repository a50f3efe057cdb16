"""Memory and time of planning a set, and of making one shard of it, whatever its count.

    python tests/benchmarks/sample_memory.py RUN

Prints one JSON document: for sets of 1,000 samples in 1 shard, 1,000,000 in 1,000 and 1,000,000,000 in 1,000,000, the
seconds and the peak of Python's memory (tracemalloc) while planning, and the seconds and the growth of the process's
peak memory (RSS) while making the middle shard, which always has about 1,000 samples.
"""

from __future__ import annotations

import json
import platform
import resource
import sys
import tempfile
import time
import tracemalloc

import torch

from synthgen.generation.making import sample_to_shards
from synthgen.generation.model import Model, load
from synthgen.generation.plan import Labels, SamplePlan, plan_samples
from synthgen.generation.sharding import Part

SETS = ((1_000, 1), (1_000_000, 1_000), (1_000_000_000, 1_000_000))


def planned(model: Model, count: int, shards: int) -> tuple[SamplePlan, dict[str, float]]:
    began = time.perf_counter()
    plan_samples(model, count, format="parquet", shards=shards)
    seconds = time.perf_counter() - began
    tracemalloc.start()
    plan = plan_samples(model, count, format="parquet", shards=shards)
    Labels(plan, model.class_names).counts(0, count)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return plan, {"plan_ms": round(1000 * seconds, 1), "plan_peak_kb": round(peak / 1024)}


def made(model: Model, plan: SamplePlan) -> dict[str, float]:
    before, began = peak_mb(), time.perf_counter()
    with tempfile.TemporaryDirectory() as out:
        shards = plan.shards or 1
        result = sample_to_shards(model, out, plan, Part(shards // 2, shards, "benchmark"))
    seconds = time.perf_counter() - began
    return {
        "shard_samples": result.count,
        "shard_seconds": round(seconds, 1),
        "peak_before_mb": round(before),
        "shard_growth_mb": round(peak_mb() - before, 1),
    }


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    model = load(sys.argv[1], device="cpu")
    rows = []
    plan_samples(model, 1, format="parquet", shards=1)
    for count, shards in SETS:
        plan, planning = planned(model, count, shards)
        rows.append({"count": count, "shards": shards, **planning, **made(model, plan)})
    machine = {"processor": platform.machine(), "threads": torch.get_num_threads(), "torch": torch.__version__}
    print(json.dumps({"machine": machine, "sets": rows}, indent=1))


if __name__ == "__main__":
    main()
