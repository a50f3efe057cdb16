"""What the service costs over the bare model, and what it does with more requests than it can take.

    python tests/benchmarks/serving.py RUN [--pairs N]

Starts `synthgen serve RUN` as a process of its own, loads the same model into this one, and prints one JSON document:

- count 64 and count 1: `model.sample` here and POST /generate there, turn by turn with the same seeds; medians of the
  wall clock, and of the processor time that each process spent (which other work on the machine changes little). The
  service writes PNGs and JSON, the bare model nothing; `npz` is the same answer as an array.
- 200 requests at once for a queue of 32: how many were served, how many were told 503 and how soon, and whether every
  image is that of its own seed.
- SIGTERM while 24 requests wait or are computed: how all of them were answered, and how the process ended.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import os
import platform
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import httpx
import torch

import synthgen
from synthgen.rendering import png_bytes

REQUESTS, QUEUE, WAITING = 200, 32, 24


def started(run: str) -> tuple[subprocess.Popen[str], str]:
    """The service, once it takes requests, and its address."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    command = [sys.executable, "-m", "synthgen", "serve", run, "--port", str(port), "--queue", str(QUEUE)]
    process = subprocess.Popen([*command, "--timeout", "600"], stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    for line in process.stderr:
        if "serving" in line:
            break
    threading.Thread(target=process.stderr.read, daemon=True).start()  # its log: a full pipe would hold it up
    return process, f"http://127.0.0.1:{port}"


def spent(pid: int) -> float:
    """Seconds of processor time of a process so far, children not among them (Linux)."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def timed(call: Callable[[], object], pid: int) -> tuple[float, float]:
    """Wall clock and processor time of `pid` during a call."""
    before, began = spent(pid), time.perf_counter()
    call()
    return time.perf_counter() - began, spent(pid) - before


def compared(model: Any, client: httpx.Client, pid: int, count: int, pairs: int, format: str) -> dict[str, float]:
    """Medians over pairs, after one that warms both up."""
    bare, served = [], []
    for seed in range(pairs + 1):
        body = {"count": count, "seed": seed, "format": format}
        bare.append(timed(lambda seed=seed: model.sample(count, seed=seed), os.getpid()))
        served.append(timed(lambda body=body: client.post("/generate", json=body).raise_for_status(), pid))
    (bare_wall, bare_cpu), (wall, cpu) = (
        [statistics.median(times) for times in zip(*rows[1:], strict=True)] for rows in (bare, served)
    )
    return {
        "model_ms": round(1000 * bare_wall, 1),
        "service_ms": round(1000 * wall, 1),
        "overhead": round(wall / bare_wall - 1, 4),
        "model_cpu_ms": round(1000 * bare_cpu, 1),
        "service_cpu_ms": round(1000 * cpu, 1),
        "cpu_overhead": round(cpu / bare_cpu - 1, 4),
        "service_p90_ms": round(1000 * sorted(row[0] for row in served[1:])[int(0.9 * pairs)], 1),
    }


async def crowd(
    url: str, requests: int, count: int = 1, told: Callable[[], None] | None = None
) -> list[tuple[httpx.Response, float]]:
    """Every request at once, each for `count` images, with seconds until its answer. told: once all but two wait."""
    limits = httpx.Limits(max_connections=requests + 1)
    async with httpx.AsyncClient(base_url=url, timeout=600, limits=limits) as client:

        async def one(seed: int) -> tuple[httpx.Response, float]:
            began = time.perf_counter()
            answer = await client.post("/generate", json={"seed": seed, "count": count})
            return answer, time.perf_counter() - began

        asked = asyncio.gather(*map(one, range(requests)))
        if told is not None:
            while (await client.get("/ready")).json()["waiting"] < requests - 2:
                await asyncio.sleep(0.01)
            told()
        return await asked


def flooded(model: Any, url: str) -> dict[str, Any]:
    answers = asyncio.run(crowd(url, REQUESTS))
    served = [(seed, answer) for seed, (answer, _) in enumerate(answers) if answer.status_code == 200]
    wrong = [
        seed
        for seed, answer in served
        if base64.b64decode(answer.json()["images"][0]) != png_bytes(model.sample(1, seed=seed)[0])
    ]
    refused = [seconds for answer, seconds in answers if answer.status_code == 503]
    return {
        "requests": REQUESTS,
        "queue": QUEUE,
        "statuses": dict(Counter(answer.status_code for answer, _ in answers)),
        "images_of_another_seed": len(wrong),
        "refused_median_ms": round(1000 * statistics.median(refused), 1) if refused else None,
        "last_answer_ms": round(1000 * max(seconds for _, seconds in answers), 1),
    }


def drained(process: subprocess.Popen[str], url: str) -> dict[str, Any]:
    """SIGTERM while requests wait."""
    answers = asyncio.run(crowd(url, WAITING, 64, lambda: process.send_signal(signal.SIGTERM)))
    process.wait(600)
    statuses = dict(Counter(answer.status_code for answer, _ in answers))
    return {"requests": WAITING, "statuses": statuses, "exit_code": process.returncode}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run")
    parser.add_argument("--pairs", type=int, default=20)
    given = parser.parse_args()
    model: Any = synthgen.load(given.run, device="cpu")
    process, url = started(given.run)
    try:
        with httpx.Client(base_url=url, timeout=600) as client:
            found = {
                "count_64": compared(model, client, process.pid, 64, given.pairs, "png"),
                "count_64_npz": compared(model, client, process.pid, 64, given.pairs, "npz"),
                "count_1": compared(model, client, process.pid, 1, given.pairs, "png"),
            }
        flood = flooded(model, url)
        sigterm = drained(process, url)
    finally:
        process.kill()
        process.wait()
    machine = {"processor": platform.processor() or platform.machine(), "threads": torch.get_num_threads()}
    facts = {"run": given.run, "torch": torch.__version__, "pairs": given.pairs, **machine}
    print(json.dumps({**facts, **found, "flood": flood, "sigterm": sigterm}, indent=2))


if __name__ == "__main__":
    main()
