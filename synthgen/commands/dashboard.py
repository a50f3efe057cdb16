"""`synthgen dashboard`: a run in the browser."""

from __future__ import annotations

from typing import Annotated

import typer

from synthgen.commands.options import Color, ColorOption, DeviceOption, JsonOption, QuietOption, RunArgument
from synthgen.console import command_console
from synthgen.errors import UsageError


def dashboard(
    run: RunArgument,
    host: Annotated[str, typer.Option("--host", metavar="ADDRESS", help="Where to listen.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=1, max=65535, metavar="N", help="The port.")] = 8501,
    open_to_network: Annotated[
        bool,
        typer.Option("--open-to-network", help="Allow an address that others can reach: the page asks no password."),
    ] = False,
    device: DeviceOption = "auto",
    json: JsonOption = False,
    quiet: QuietOption = False,
    color: ColorOption = Color.auto,
) -> None:
    """Show a run in the browser until Ctrl-C: generate, watch the denoising, explain, compare, complete.

    A run that is still training is followed live. Nothing is fetched from the internet and nothing sent there.
    """
    with command_console(json=json, quiet=quiet, color=color) as console:
        from importlib.util import find_spec

        from synthgen.dashboard.names import log_of
        from synthgen.dashboard.server import serve
        from synthgen.runs import resolve_run
        from synthgen.serving.settings import is_local

        if find_spec("streamlit") is None:
            raise UsageError("the dashboard needs the package streamlit", 'pip install "synthgen[dashboard]"')
        if not is_local(host) and not open_to_network:
            raise UsageError(
                f"{host} can be reached from other machines, and the page asks nobody for a password",
                "put a proxy with a login in front of it, or say --open-to-network",
            )
        if log_of(str(run)) is None:
            resolve_run(run)
        shown = f"[{host}]" if ":" in host else host
        address = f"http://{shown}:{port}"
        serve(str(run), host, port, device, lambda: console.note(f"{run} is shown on {address}; Ctrl-C ends it"))
        console.result({"shown": str(run), "address": address}, lambda: console.line("stopped"), quiet=address)
