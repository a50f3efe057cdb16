"""`synthgen serve` as a process: SIGTERM under load loses nobody; what cannot work is refused at once."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

Cli = Callable[..., "subprocess.CompletedProcess[str]"]


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def test_sigterm_under_load_answers_what_was_accepted(tiny_run: Path) -> None:
    port = free_port()
    command = [sys.executable, "-m", "synthgen", "serve", str(tiny_run), "--port", str(port)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        for line in process.stderr:
            if "serving" in line:
                break
        place = f"http://127.0.0.1:{port}/generate"

        def ask(seed: int) -> httpx.Response:
            return httpx.post(place, json={"count": 32, "seed": seed}, timeout=120)

        with ThreadPoolExecutor(8) as clients:
            first = ask(0)
            asked = [clients.submit(ask, seed) for seed in range(8)]
            ready = f"http://127.0.0.1:{port}/ready"
            deadline = time.monotonic() + 60
            accepted = 0
            while accepted < len(
                asked
            ):  # each is answered, computed or in the queue: the service has taken all of them
                assert time.monotonic() < deadline
                accepted = sum(one.done() for one in asked)  # first: one that ends in between is counted once at most
                accepted += httpx.get(ready).json()["waiting"]
            process.send_signal(signal.SIGTERM)
            answers = [one.result(120) for one in asked]
        out, _ = process.communicate(timeout=60)
        assert process.returncode == 0
        assert "every accepted request was answered" in out
        assert {answer.status_code for answer in answers} == {200}
        again = [answer for answer in answers if answer.json()["seed"] == 0]
        assert all(answer.json() == first.json() for answer in again)
    finally:
        process.kill()


def test_a_key_is_made_where_none_is_given(tiny_run: Path) -> None:
    """As the container does: any address, and a key that stands in the log."""
    port = free_port()
    command = [sys.executable, "-m", "synthgen", "serve", str(tiny_run), "--host", "0.0.0.0", "--make-api-key"]
    variables = {name: value for name, value in os.environ.items() if name != "SYNTHGEN_API_KEY"}
    process = subprocess.Popen(
        [*command, "--port", str(port), "--quiet"],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=variables,
    )
    try:
        assert process.stderr is not None
        key = next(found[0] for line in process.stderr if (found := re.findall(r"\b[0-9a-f]{64}\b", line)))
        place = f"http://127.0.0.1:{port}"
        assert httpx.get(f"{place}/health").status_code == 200
        assert httpx.get(f"{place}/model").status_code == 401
        assert httpx.get(f"{place}/model", headers={"X-API-Key": key}).status_code == 200
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
        assert process.returncode == 0
    finally:
        process.kill()


def test_a_taken_port_and_open_doors(tiny_run: Path, cli: Cli) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = cli("serve", tiny_run, "--port", taken.getsockname()[1])
    assert done.returncode == 2
    assert "cannot be had" in done.stderr
    done = cli("serve", tiny_run, "--host", "0.0.0.0")
    assert done.returncode == 2
    assert "other machines" in done.stderr
    assert "torch" not in done.stderr
