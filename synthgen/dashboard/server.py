"""Streamlit as a process of its own, which shows the page until it is told to stop."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from synthgen.dashboard.names import DEVICE_VARIABLE, RUN_VARIABLE
from synthgen.errors import SynthgenError

STARTED_SECONDS = 60.0


def command_line(host: str, port: int) -> list[str]:
    """The command that starts Streamlit: no browser, no statistics sent anywhere, no watching of source files."""
    options = {
        "server.address": host,
        "server.port": port,
        "server.headless": "true",
        "server.fileWatcherType": "none",
        "server.maxUploadSize": 50,
        "browser.gatherUsageStats": "false",
        "client.toolbarMode": "minimal",
        "client.showErrorDetails": "none",
        "theme.primaryColor": "#2a6fb0",
    }
    script = Path(__file__).with_name("app.py")
    return [sys.executable, "-m", "streamlit", "run", str(script)] + [
        f"--{key}={value}" for key, value in options.items()
    ]


def serve(run: str, host: str, port: int, device: str, started: Callable[[], None]) -> None:
    """Show the page of `run` until SIGTERM or Ctrl-C. started: called once it answers. Raises SynthgenError."""
    environment = {**os.environ, RUN_VARIABLE: run, DEVICE_VARIABLE: device}
    process = subprocess.Popen(command_line(host, port), env=environment, stdout=subprocess.DEVNULL)
    before = signal.signal(signal.SIGTERM, lambda number, frame: process.terminate())
    try:
        if _answers(process, host, port):
            started()
        code = process.wait()
    except KeyboardInterrupt:
        process.terminate()
        code = process.wait()
    finally:
        signal.signal(signal.SIGTERM, before)
    if code not in (0, -signal.SIGTERM, -signal.SIGINT):
        raise SynthgenError(
            f"the dashboard ended with code {code}", f"is port {port} taken? choose another with --port"
        )


def _answers(process: subprocess.Popen[bytes], host: str, port: int) -> bool:
    """Waits until the page answers; False when the process ended first. Raises SynthgenError after a minute."""
    shown = f"[{host}]" if ":" in host else host
    for _ in range(int(STARTED_SECONDS * 10)):
        try:
            with urlopen(f"http://{shown}:{port}/_stcore/health", timeout=1.0):
                return process.poll() is None
        except (URLError, OSError):
            pass
        try:
            process.wait(0.1)
        except subprocess.TimeoutExpired:
            continue
        return False
    process.terminate()
    raise SynthgenError("the dashboard did not start within a minute")
