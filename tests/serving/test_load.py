"""The service under load: a bounded queue, deadlines, clients that leave; nobody is lost or gets another's samples."""

from __future__ import annotations

import asyncio
import base64
import json
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

import synthgen
from synthgen.rendering import png_bytes
from synthgen.serving.app import create_app
from synthgen.serving.makers import ImageMaker
from synthgen.serving.settings import ServeSettings


@pytest.fixture(scope="module")
def pictures(tiny_run: Path) -> Any:
    return synthgen.load(tiny_run)


class Slow(ImageMaker):
    """A maker that waits until it is let go, and notices when it is given up."""

    def __init__(self, model: Any) -> None:
        super().__init__(model)
        self.go, self.begun, self.given_up = threading.Event(), threading.Event(), threading.Event()

    def make(self, wish: Any, should_stop: Any) -> Any:
        self.begun.set()
        while not self.go.wait(0.01):
            if should_stop():
                self.given_up.set()
                break
        return super().make(wish, should_stop)


async def visit(app: Any, body: dict[str, Any], leaves: asyncio.Event) -> None:
    """A POST whose client goes away once `leaves` is set, as a server tells it: http.disconnect."""
    text = json.dumps(body).encode()
    messages = [{"type": "http.request", "body": text, "more_body": False}]

    async def receive() -> Any:
        if messages:
            return messages.pop()
        await leaves.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        return None

    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(text)).encode())]
    scope = {"type": "http", "method": "POST", "path": "/generate", "raw_path": b"/generate", "query_string": b""}
    more = {"headers": headers, "http_version": "1.1", "root_path": "", "scheme": "http"}
    await app({**scope, **more}, receive, send)


@pytest.fixture
def slow(pictures: Any, monkeypatch: pytest.MonkeyPatch) -> Slow:
    maker = Slow(pictures)
    monkeypatch.setattr("synthgen.serving.app.maker_of", lambda model: maker)
    return maker


Client = httpx.AsyncClient


def with_client(app: Any, talk: Callable[[Client], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test", timeout=60) as client:
            return await asyncio.wait_for(talk(client), 120)

    return asyncio.run(run())


async def until(answered: Callable[[], Awaitable[bool]]) -> None:
    while not await answered():
        await asyncio.sleep(0.01)


def test_200_requests_at_a_queue_of_32(pictures: Any, slow: Slow) -> None:
    """One is computed and 32 wait; the other 167 hear so before the first is done, and nobody is lost or mixed up."""

    async def crowd(client: Client) -> list[httpx.Response]:
        asked = [asyncio.create_task(client.post("/generate", json={"seed": seed})) for seed in range(200)]
        while sum(task.done() for task in asked) < 167:
            await asyncio.sleep(0.01)
        assert {task.result().status_code for task in asked if task.done()} == {503}
        slow.go.set()
        return await asyncio.gather(*asked)

    answers = with_client(create_app(pictures, ServeSettings(queue=32)), crowd)
    statuses = [answer.status_code for answer in answers]
    assert (statuses.count(200), statuses.count(503)) == (33, 167)
    assert all(answer.headers["retry-after"] == "1" for answer in answers if answer.status_code == 503)
    for seed, answer in enumerate(answers):
        if answer.status_code == 200:
            expected = png_bytes(pictures.sample(1, seed=seed)[0])
            assert base64.b64decode(answer.json()["images"][0]) == expected


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_leaves_the_queue_frees_its_place_at_once(pictures: Any, slow: Slow, stream: bool) -> None:
    app = create_app(pictures, ServeSettings(queue=1))

    async def talk(client: Client) -> None:
        async def waiting(number: int) -> bool:
            return bool((await client.get("/ready")).json()["waiting"] == number)

        first = asyncio.create_task(client.post("/generate", json={}))
        await until(lambda: waiting(1))
        leaves = asyncio.Event()
        second = asyncio.create_task(visit(app, {"stream": stream}, leaves))
        await until(lambda: waiting(2))
        assert (await client.post("/generate", json={})).status_code == 503
        leaves.set()
        await second
        assert await waiting(1)  # while the first is still computed
        third = asyncio.create_task(client.post("/generate", json={"seed": 3}))
        await until(lambda: waiting(2))
        slow.go.set()
        assert [(await one).status_code for one in (first, third)] == [200, 200]

    with_client(app, talk)


def test_what_waits_too_long_frees_its_place(pictures: Any, slow: Slow) -> None:
    app = create_app(pictures, ServeSettings(queue=1, timeout_seconds=0.3))

    async def talk(client: Client) -> list[httpx.Response]:
        bodies = [{}, {"stream": True}]
        asked = [asyncio.create_task(client.post("/generate", json=body)) for body in bodies]
        return list(await asyncio.gather(*asked))

    first, second = with_client(app, talk)
    assert first.status_code == 504
    assert json.loads(second.text) == {"error": "not done in time"}


def test_what_takes_too_long_is_504_and_stops(pictures: Any, slow: Slow) -> None:
    app = create_app(pictures, ServeSettings(timeout_seconds=0.2))
    assert with_client(app, lambda client: client.post("/generate", json={})).status_code == 504
    assert slow.given_up.wait(20)


def test_a_client_that_goes_stops_its_work(pictures: Any, slow: Slow) -> None:
    app = create_app(pictures, ServeSettings(queue=1))

    async def leave() -> None:
        leaves = asyncio.Event()
        gone = asyncio.create_task(visit(app, {}, leaves))
        while not slow.begun.is_set():
            await asyncio.sleep(0.01)
        leaves.set()
        await gone

    asyncio.run(leave())
    assert slow.given_up.wait(20)
