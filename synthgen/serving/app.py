"""The service as a FastAPI application around one loaded model."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from synthgen import __version__
from synthgen.errors import StoppedError, SynthgenError
from synthgen.serving.edge import Edge
from synthgen.serving.logs import log
from synthgen.serving.makers import maker_of
from synthgen.serving.metrics import Metrics
from synthgen.serving.settings import ServeSettings
from synthgen.serving.wishes import WISHES, Wish
from synthgen.serving.worker import FullError, Job, Worker

PATHS = ("/health", "/ready", "/model", "/generate", "/metrics", "/openapi.json", "/docs")
_LOOK_SECONDS = 0.1
"""Time between two looks whether the client is still there."""
_AHEAD = 4
"""Pieces of a stream that may wait for a slow client."""


class RefusedError(Exception):
    """An answer other than 200."""

    def __init__(self, status: int, detail: str, retry_after: int | None = None) -> None:
        super().__init__(detail)
        self.status, self.detail, self.retry_after = status, detail, retry_after


def create_app(model: Any, settings: ServeSettings) -> Edge:
    """The ASGI application that serves `model` (see `synthgen.load`) within `settings`."""
    maker, worker = maker_of(model), Worker(settings.queue)
    metrics = Metrics(lambda: worker.held, PATHS)
    wish_of = WISHES[str(model.header["modality"])]

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        await asyncio.to_thread(worker.close)  # what was accepted is answered

    app = FastAPI(
        title="synthgen",
        version=__version__,
        description=f"Samples of {model.path.parent.parent.name or model.path.name}, a model of "
        f"{model.header['modality']}.",
        lifespan=lifespan,
        redoc_url=None,
    )

    @app.exception_handler(RefusedError)
    async def refused(request: Request, error: RefusedError) -> JSONResponse:
        headers = {} if error.retry_after is None else {"Retry-After": str(error.retry_after)}
        return JSONResponse({"detail": error.detail}, error.status, headers)

    @app.get("/health", summary="The process is alive; the model is not touched.")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/ready", summary="Requests are taken.", responses={503: {"description": "The model thread has ended."}})
    async def ready() -> dict[str, object]:
        if not worker.alive:
            raise RefusedError(503, "the model thread has ended", 1)
        return {"status": "ready", "waiting": worker.held, "queue": worker.size}

    @app.get("/model", summary="What is served: classes or columns, training, data, settings.")
    async def card() -> dict[str, Any]:
        return describe(model)

    @app.get("/metrics", summary="Counters for Prometheus.", response_class=Response)
    async def numbers() -> Response:
        return Response(metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    async def generate(request: Request, wish: Wish) -> Response:
        if wish.count > settings.max_count:
            raise RefusedError(422, f"one request may ask for {settings.max_count:,} samples, not {wish.count:,}")
        try:
            maker.check(wish)
        except SynthgenError as error:
            raise RefusedError(422, error.message + (f" ({error.hint})" if error.hint else "")) from error
        if wish.stream:
            return await _stream(maker, worker, wish, settings, metrics)
        job = _submit(worker, lambda job: maker.make(wish, job), settings)
        answer = await _wait(request, job, settings)
        metrics.made(wish.count)
        return Response(answer.body, media_type=answer.media_type)

    generate.__annotations__["wish"] = wish_of  # the fields that this model's modality has
    app.post(
        "/generate",
        summary="Samples; sample k depends on the model, the settings, the seed and k alone.",
        response_class=Response,
        responses={
            200: {"description": "The samples, in the format that was asked for."},
            401: {"description": "The key is missing or wrong."},
            413: {"description": "The body is too large."},
            422: {"description": "A field is wrong, or the model cannot do it."},
            503: {"description": "Too many requests wait; Retry-After says when to come back."},
            504: {"description": "It took too long and was given up."},
        },
    )(generate)
    return Edge(app, settings, metrics)


def _submit(worker: Worker, task: Any, settings: ServeSettings) -> Job:
    try:
        return worker.submit(task, settings.timeout_seconds)
    except FullError:
        raise RefusedError(503, f"{worker.held} requests wait already: come back later", 1) from None


async def _wait(request: Request, job: Job, settings: ServeSettings) -> Any:
    """The job's result. Cancels it when its time is over or the client has gone."""
    future = asyncio.wrap_future(job.future)
    while not future.done():
        await asyncio.wait([future], timeout=min(_LOOK_SECONDS, max(job.left, 0.001)))
        if not future.done() and job.left <= 0:
            job.cancel()
            future.add_done_callback(lambda done: done.exception())  # it was given up: nobody reads it
            raise RefusedError(504, f"not done within {settings.timeout_seconds:g} s: ask for fewer samples or steps")
        if not future.done() and await request.is_disconnected():
            job.cancel()
            future.add_done_callback(lambda done: done.exception())
            raise RefusedError(499, "the client has gone")
    try:
        return future.result()
    except StoppedError:
        raise RefusedError(
            504, f"not done within {settings.timeout_seconds:g} s: ask for fewer samples or steps"
        ) from None
    except SynthgenError as error:
        log("failure", message=error.message)
        raise RefusedError(422, error.message) from error


async def _stream(maker: Any, worker: Worker, wish: Wish, settings: ServeSettings, metrics: Metrics) -> Response:
    """Lines as they are made; at most a few pieces ahead of the client, and none once it has gone."""
    loop = asyncio.get_running_loop()
    pieces: asyncio.Queue[bytes | None] = asyncio.Queue()
    room = asyncio.Semaphore(_AHEAD)

    def task(job: Job) -> None:
        for piece in maker.stream(wish, job):
            while True:  # a slow client holds the model thread only until the job's time is over
                if job():
                    raise StoppedError("given up")
                taken = asyncio.run_coroutine_threadsafe(asyncio.wait_for(room.acquire(), _LOOK_SECONDS), loop)
                try:
                    taken.result()
                    break
                except (asyncio.TimeoutError, TimeoutError):
                    continue
            loop.call_soon_threadsafe(pieces.put_nowait, piece)

    job = _submit(worker, task, settings)
    # The end is told by the job and not by its task: one whose time is over before its turn never begins.
    job.future.add_done_callback(lambda _: loop.call_soon_threadsafe(pieces.put_nowait, None))

    async def lines() -> AsyncIterator[bytes]:
        try:
            while (piece := await pieces.get()) is not None:
                room.release()
                metrics.made(piece.count(b"\n"))
                yield piece
            error = await asyncio.to_thread(job.future.exception)
            if error is not None:  # the status went out long ago: the last line says it
                detail = "not done in time" if isinstance(error, StoppedError) else "it failed"
                yield (f'{{"error": "{detail}"}}\n').encode()
        finally:
            job.cancel()

    return StreamingResponse(lines(), media_type="application/x-ndjson")


def describe(model: Any) -> dict[str, Any]:
    """The card of a model: facts of its header, and what can be asked for."""
    header = model.header
    schema = header.get("schema") or {}
    schema = schema.get("table", schema)  # that of series holds a table's
    return {
        "modality": header["modality"],
        "sha256": header.get("sha256"),
        "class_names": header.get("class_names") or list(getattr(model, "class_names", ())) or None,
        "columns": [{"name": one["name"], "kind": one["kind"]} for one in schema.get("columns", [])] or None,
        "sampler_card": header.get("sampler_card"),
        "data": header.get("data"),
        "training": header.get("training"),
        "sampling": header.get("config", {}).get("sampling"),
        "versions": header.get("versions"),
    }
