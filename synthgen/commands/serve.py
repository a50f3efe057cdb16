"""`synthgen serve`: a model behind HTTP."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Annotated

import typer

from synthgen.commands.options import Color, ColorOption, DeviceOption, JsonOption, QuietOption, RunArgument
from synthgen.console import command_console
from synthgen.errors import UsageError

KEY_VARIABLE = "SYNTHGEN_API_KEY"


def serve(
    run: RunArgument,
    host: Annotated[str, typer.Option("--host", metavar="ADDRESS", help="Where to listen.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=1, max=65535, metavar="N", help="The port.")] = 8000,
    api_key_file: Annotated[
        Path | None,
        typer.Option("--api-key-file", metavar="FILE", help=f"The key that clients must send [or {KEY_VARIABLE}]."),
    ] = None,
    make_api_key: Annotated[
        bool, typer.Option("--make-api-key", help="Where no key is given, make one and print it on stderr.")
    ] = False,
    queue: Annotated[int, typer.Option("--queue", min=1, metavar="N", help="Requests that may wait.")] = 32,
    max_count: Annotated[
        int, typer.Option("--max-count", min=1, metavar="N", help="Samples that one request may ask for.")
    ] = 10_000,
    timeout: Annotated[
        float, typer.Option("--timeout", min=0.1, metavar="SECONDS", help="Time from a request to its answer.")
    ] = 60.0,
    device: DeviceOption = "auto",
    json: JsonOption = False,
    quiet: QuietOption = False,
    color: ColorOption = Color.auto,
) -> None:
    """Serve a model over HTTP until SIGTERM or Ctrl-C; what was accepted by then is answered.

    POST /generate, GET /model, /health, /ready, /metrics; /docs shows what can be asked for. The same seed gives the
    same bytes as `synthgen sample`. Any address but this machine's own needs a key.
    """
    with command_console(json=json, quiet=quiet, color=color) as console:
        try:
            import fastapi  # noqa: F401
            import prometheus_client  # noqa: F401
            import uvicorn  # noqa: F401
        except ModuleNotFoundError as error:
            raise UsageError(f"serving needs the package {error.name}", 'pip install "synthgen[serve]"') from error
        from synthgen.serving.settings import ServeSettings

        given = _key(api_key_file)
        key = secrets.token_hex(32) if make_api_key and given is None else given
        settings = ServeSettings(host, port, key, queue, max_count, timeout)
        settings.check()
        console.loading("torch")
        from synthgen.generation.model import load
        from synthgen.serving.server import serve as run_server

        model = load(run, device=device, reporter=console.reporter)
        shown = f"[{host}]" if ":" in host else host

        def started() -> None:
            console.note(f"serving {run} on http://{shown}:{port} (/docs explains)")
            if key != given:  # also with --quiet: nobody else knows it
                console.warn(
                    f"clients must send the key {key}, made for this run alone; set {KEY_VARIABLE} for a lasting one"
                )

        run_server(model, settings, started)
        console.result({"served": str(run)}, lambda: console.line("stopped; every accepted request was answered"))


def _key(file: Path | None) -> str | None:
    if file is None:
        return os.environ.get(KEY_VARIABLE) or None
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"the key file {file} cannot be read ({error})") from error
