"""Bring the processes of a run together around its training, and take them apart again, whatever happens."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from synthgen.config.modalities import AnyConfig
from synthgen.errors import ExitCode, StoppedError, SynthgenError
from synthgen.reporting import Reporter
from synthgen.training.guards import NotFiniteError
from synthgen.training.launching import Crew, Launch, explain_disconnection, is_disconnection
from synthgen.training.run import check_share
from synthgen.training.world import World

_SHARED = (StoppedError, NotFiniteError)
"""What every process raises at the same time: the main one speaks for all."""


def check_together(launch: Launch, config: AnyConfig, device: str) -> str:
    """The accelerator of a launch, `cpu` or `cuda`. Raises UsageError for what cannot work, before anything starts."""
    from synthgen.training.distributed import check_device

    check_share(config, launch.size)
    return check_device(launch, device)


@contextmanager
def together(launch: Launch | None, config: AnyConfig, device: str, reporter: Reporter) -> Iterator[World | None]:
    """The world of a run: None for one process, else this process among the others, started here if need be."""
    if launch is None:
        yield None
        return
    check_together(launch, config, device)
    if not launch.started_by_another:
        with _crew(launch, reporter), _joined(launch, device) as world:
            yield world
    else:
        with _one_of_many(launch), _joined(launch, device) as world:
            yield world


@contextmanager
def _joined(launch: Launch, device: str) -> Iterator[World]:
    from synthgen.training.distributed import FabricWorld

    world = FabricWorld(launch, device)
    yield world
    world.close()


@contextmanager
def _crew(launch: Launch, reporter: Reporter) -> Iterator[None]:
    crew = Crew(launch, reporter)
    try:
        yield
        crew.close()
    except _SHARED:
        crew.close()
        raise
    except BaseException as error:
        clear = crew.explain(error) if isinstance(error, Exception) else error
        crew.close(patience=0)
        if clear is error:
            raise
        raise clear from error


@contextmanager
def _one_of_many(launch: Launch) -> Iterator[None]:
    """Leave quietly what the main process says, loudly what only this one knows."""
    try:
        yield
    except Exception as error:
        if launch.main:
            clear = explain_disconnection(error)
            if clear is error:
                raise
            raise clear from error
        if isinstance(error, StoppedError):
            raise SystemExit(int(ExitCode.SIGTERM)) from error
        if isinstance(error, NotFiniteError) or is_disconnection(error):
            raise SystemExit(int(ExitCode.FAILED)) from error
        if isinstance(error, SynthgenError):
            error.message = f"process {launch.rank} of {launch.size}: {error.message}"
        raise
