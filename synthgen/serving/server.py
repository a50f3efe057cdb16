"""Uvicorn with one model in it: starts, answers, and on SIGTERM finishes what it took."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

from synthgen.errors import UsageError
from synthgen.serving.app import create_app
from synthgen.serving.settings import ServeSettings


class _Server(uvicorn.Server):
    """Stops on SIGTERM or SIGINT as it should, and then returns: that was asked for, it is no failure."""

    def __init__(self, config: uvicorn.Config, started: Callable[[], None]) -> None:
        super().__init__(config)
        self._started_hook = started

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._started_hook()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def serve(model: Any, settings: ServeSettings, started: Callable[[], None]) -> None:
    """Answer until SIGTERM or Ctrl-C, then finish what was accepted. started: called once requests are taken.

    Raises UsageError for settings that are not safe, and for an address that cannot be had.
    """
    settings.check()
    config = uvicorn.Config(
        create_app(model, settings),
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="on",
        timeout_keep_alive=5,
    )
    server = _Server(config, started)
    try:
        server.run()
    except SystemExit as error:  # uvicorn's way to say that it could not bind
        raise UsageError(
            f"port {settings.port} of {settings.host} cannot be had: it is in use, or not this machine's",
            "name another one with --port",
        ) from error
