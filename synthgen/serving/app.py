"""The service as a FastAPI application around one loaded model."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response, StreamingResponse

from synthgen import __version__
from synthgen.diffusion.samplers import SAMPLERS
from synthgen.errors import StoppedError, SynthgenError
from synthgen.serving.answers import NDJSON, SAMPLES, Card, Health, Ready, problems
from synthgen.serving.edge import Edge
from synthgen.serving.logs import log
from synthgen.serving.makers import maker_of
from synthgen.serving.metrics import Metrics
from synthgen.serving.settings import ServeSettings
from synthgen.serving.wishes import Wish, wish_of
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
    modality = str(model.header["modality"])

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        await asyncio.to_thread(worker.close)  # what was accepted is answered

    app = FastAPI(
        title="synthgen",
        version=__version__,
        description=f"Samples of {model.path.parent.parent.name or model.path.name}, a model of {modality}.",
        lifespan=lifespan,
        redoc_url=None,
    )

    @app.exception_handler(RefusedError)
    async def refused(request: Request, error: RefusedError) -> Response:
        return _problem(error.status, error.detail, error.retry_after)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        return _problem(422, [{name: one[name] for name in ("loc", "msg", "type")} for one in error.errors()])

    @app.get("/health", summary="The process is alive; the model is not touched.")
    async def health() -> Health:
        return Health()

    @app.get("/ready", summary="Requests are taken.", responses=problems(503))
    async def ready() -> Ready:
        if not worker.alive:
            raise RefusedError(503, "the model thread has ended", 1)
        return Ready(waiting=worker.held, queue=worker.size)

    @app.get("/model", summary="What is served: classes or columns, training, data, settings.", responses=problems(401))
    async def card() -> Card:
        return Card(**describe(model))

    @app.get(
        "/metrics",
        summary="Counters for Prometheus.",
        response_class=Response,
        responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}, **problems(401)},
    )
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

    generate.__annotations__["wish"] = wish_of(
        modality,
        _class_names(model),
        _samplers(model),
        settings.max_count,
        carded=bool(model.header.get("sampler_card")),
        captioned=getattr(model, "vocabulary", None) is not None,
    )
    app.post(
        "/generate",
        summary="Samples; sample k depends on the model, the settings, the seed and k alone.",
        response_class=Response,
        responses={
            200: {"description": "The samples, in the format that was asked for.", "content": SAMPLES[modality]},
            **problems(400, 401, 413, 422, 503, 504),
        },
    )(generate)
    return Edge(app, settings, metrics)


def _problem(status: int, detail: object, retry_after: int | None = None) -> Response:
    """A refusal. What was sent stands in it in ASCII only: half a surrogate pair has no other form in UTF-8."""
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    return Response(json.dumps({"detail": detail}), status, headers, "application/json")


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
        error: BaseException | None = None
        while True:
            try:
                piece = await asyncio.wait_for(pieces.get(), max(job.left, 0.001))
            except (asyncio.TimeoutError, TimeoutError):  # also while it waits for its turn
                error = StoppedError("given up")
                break
            if piece is None:
                error = await asyncio.to_thread(job.future.exception)
                break
            room.release()
            metrics.made(piece.count(b"\n"))
            yield piece
        if error is not None:  # the status went out long ago: the last line says it
            detail = "not done in time" if isinstance(error, StoppedError) else "it failed"
            yield (f'{{"error": "{detail}"}}\n').encode()

    return _Lines(lines(), job)


class _Lines(StreamingResponse):
    """The lines of a job. When they end, or the client goes, even before the first one, the job ends too."""

    def __init__(self, lines: AsyncIterator[bytes], job: Job) -> None:
        super().__init__(lines, media_type=NDJSON)
        self.job = job

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self.job.cancel()


def _class_names(model: Any) -> tuple[str, ...]:
    return tuple(getattr(model, "class_names", ()))


def _samplers(model: Any) -> tuple[str, ...]:
    """The samplers that the model understands: that of distilled ones is for those alone."""
    own = model.header.get("config", {}).get("sampling", {}).get("sampler")
    return tuple(name for name in SAMPLERS if name != "consistency" or name == own)


def describe(model: Any) -> dict[str, Any]:
    """The card of a model: facts of its header, and what can be asked for."""
    header = model.header
    schema = header.get("schema") or {}
    schema = schema.get("table", schema)  # that of series holds a table's
    return {
        "modality": header["modality"],
        "sha256": header.get("sha256"),
        "class_names": list(_class_names(model)) or None,
        "columns": [{"name": one["name"], "kind": one["kind"]} for one in schema.get("columns", [])] or None,
        "sampler_card": header.get("sampler_card"),
        "data": header.get("data"),
        "training": header.get("training"),
        "sampling": header.get("config", {}).get("sampling"),
        "versions": header.get("versions"),
    }
