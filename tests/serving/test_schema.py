"""schemathesis against the running service: nothing it sends makes a 500, and every answer is as the schema says."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn

import synthgen
from synthgen.serving.app import create_app
from synthgen.serving.settings import ServeSettings

COMMAND = shutil.which("schemathesis", path=str(Path(sys.executable).parent)) or shutil.which("schemathesis")

# 503 and 504 are answers of this service, and 413 that to a body that is wrong and too long as well.
# What a field's text means only the model knows: 422 is right for it.
SETTINGS = """\
[checks]
not_a_server_error.expected-statuses = ["2xx", "4xx", "503", "504"]
negative_data_rejection.expected-statuses = ["400", "401", "405", "406", "413", "415", "422", "5xx"]
positive_data_acceptance.enabled = false
"""


@contextmanager
def running(model: Any, settings: ServeSettings) -> Iterator[str]:
    """The service on a free port of this machine, in a thread of this process."""
    config = uvicorn.Config(create_app(model, settings), host="127.0.0.1", port=0, log_config=None, access_log=False)
    server = uvicorn.Server(config)
    started = threading.Event()

    async def serve() -> None:
        serving = asyncio.create_task(server.serve())
        while not server.started and not serving.done():
            await asyncio.sleep(0.01)
        started.set()
        await serving

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        assert started.wait(60)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(60)


@pytest.mark.slow
@pytest.mark.skipif(COMMAND is None, reason="needs schemathesis")
@pytest.mark.parametrize("modality", ["images", "tables", "series"])
def test_schemathesis(modality: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    run = request.getfixturevalue({"images": "tiny_run", "tables": "table_run", "series": "series_run"}[modality])
    (tmp_path / "schemathesis.toml").write_text(SETTINGS)
    with running(synthgen.load(run), ServeSettings(max_count=20, timeout_seconds=10)) as url:
        done = subprocess.run(
            [str(COMMAND), "run", f"{url}/openapi.json", "--max-time", "8", "--seed", "1", "--no-color"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=300,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "generated" in done.stdout
