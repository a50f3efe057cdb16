"""The service in this process: what it answers, what it refuses, and that its bytes are those of `synthgen sample`."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest

import synthgen
from synthgen.errors import UsageError
from synthgen.rendering import png_bytes
from synthgen.serving.app import create_app
from synthgen.serving.makers import ImageMaker, json_columns
from synthgen.serving.settings import ServeSettings, is_local

Ask = Callable[..., httpx.Response]
Cli = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def pictures(tiny_run: Path) -> Any:
    return synthgen.load(tiny_run)


@pytest.fixture(scope="module")
def rows(table_run: Path) -> Any:
    return synthgen.load(table_run)


def asker(model: Any, **settings: Any) -> Ask:
    app = create_app(model, ServeSettings(**settings))

    def ask(method: str, path: str, **more: Any) -> httpx.Response:
        async def once() -> httpx.Response:
            transport = httpx.ASGITransport(app)  # type: ignore[arg-type]
            async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
                return await client.request(method, path, **more)

        return asyncio.run(once())

    return ask


@pytest.fixture(scope="module")
def ask(pictures: Any) -> Iterator[Ask]:
    yield asker(pictures, max_count=100)


def test_alive_ready_and_described(ask: Ask, pictures: Any) -> None:
    assert ask("GET", "/health").json() == {"status": "ok"}
    assert ask("GET", "/ready").json()["waiting"] == 0
    card = ask("GET", "/model").json()
    assert card["class_names"] == list(pictures.class_names)
    assert card["sha256"] == pictures.sha256


def test_images_have_the_bytes_of_the_command(ask: Ask, pictures: Any) -> None:
    label = pictures.class_names[1]
    answer = ask("POST", "/generate", json={"count": 3, "labels": label, "seed": 7}).json()
    expected = [png_bytes(image) for image in pictures.sample(3, labels=label, seed=7)]
    assert [base64.b64decode(text) for text in answer["images"]] == expected
    assert answer["labels"] == [label] * 3


def test_npz_needs_no_pickle(ask: Ask, pictures: Any) -> None:
    answer = ask("POST", "/generate", json={"count": 5, "format": "npz", "start": 2})
    with np.load(io.BytesIO(answer.content), allow_pickle=False) as held:
        np.testing.assert_array_equal(held["images"], pictures.sample(5, start=2))
        assert list(held["class_names"]) == list(pictures.class_names)


def test_a_stream_is_the_same_samples_a_line_each(ask: Ask, pictures: Any) -> None:
    answer = ask("POST", "/generate", json={"count": 70, "start": 5, "stream": True})
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert [line["number"] for line in lines] == list(range(5, 75))
    expected = [png_bytes(image) for image in pictures.sample(70, start=5)]
    assert [base64.b64decode(line["image"]) for line in lines] == expected


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"count": 0}, "greater than or equal to 1"),
        ({"count": 101}, "100 samples"),
        ({"labels": "no such class"}, "unknown class"),
        ({"labels": ["0", 99]}, "unknown class"),
        ({"labels": []}, "at least 1 item"),
        ({"sampler": "magic"}, "unknown sampler"),
        ({"where": ["age=3"]}, "Extra inputs"),
        ({"seed": -1}, "greater than or equal to 0"),
        ({"format": "exe"}, "'png' or 'npz'"),
        ([1], "valid"),
    ],
)
def test_wrong_fields_are_422_and_named(ask: Ask, body: object, said: str) -> None:
    answer = ask("POST", "/generate", json=body)
    assert answer.status_code == 422
    assert said in answer.text


def test_large_bodies_are_413(ask: Ask) -> None:
    large = b'{"count": 1' + b" " * 70_000 + b"}"
    assert ask("POST", "/generate", content=large).status_code == 413

    async def drip() -> Any:
        for _ in range(70):
            yield b" " * 1000

    assert ask("POST", "/generate", content=drip()).status_code == 413


def test_a_key_is_asked_for_everywhere_but_where_balancers_look(pictures: Any) -> None:
    key = "0123456789abcdef"
    ask = asker(pictures, api_key=key)
    assert ask("GET", "/health").status_code == 200
    assert ask("GET", "/ready").status_code == 200
    for path in ("/model", "/metrics", "/docs", "/openapi.json"):
        assert ask("GET", path).status_code == 401
        assert ask("GET", path, headers={"X-API-Key": key}).status_code == 200
    assert ask("POST", "/generate", json={}, headers={"Authorization": f"Bearer {key}x"}).status_code == 401
    assert ask("POST", "/generate", json={}, headers={"Authorization": f"Bearer {key}"}).status_code == 200


def test_addresses_that_strangers_reach_need_a_key() -> None:
    assert is_local("127.0.0.1")
    assert is_local("::1")
    assert not is_local("0.0.0.0")
    with pytest.raises(UsageError, match="other machines"):
        ServeSettings(host="0.0.0.0").check()
    with pytest.raises(UsageError, match="16 characters"):
        ServeSettings(host="10.0.0.1", api_key="short").check()


def test_request_ids_come_back_and_strange_ones_do_not(ask: Ask, capfd: pytest.CaptureFixture[str]) -> None:
    assert ask("GET", "/health", headers={"X-Request-ID": "abc-1"}).headers["x-request-id"] == "abc-1"
    strange = ask("GET", "/health", headers={"X-Request-ID": "a b\t<script>"}).headers["x-request-id"]
    assert len(strange) == 32
    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    assert {"abc-1", strange} <= {line["id"] for line in lines}


def test_metrics_count(pictures: Any) -> None:
    ask = asker(pictures)
    ask("POST", "/generate", json={"count": 3})
    ask("POST", "/generate", json={"count": 0})
    text = ask("GET", "/metrics").text
    assert "synthgen_samples_total 3.0" in text
    assert 'synthgen_requests_total{path="/generate",status="200"} 1.0' in text
    assert 'synthgen_requests_total{path="/generate",status="422"} 1.0' in text


def test_rows_are_those_of_the_command(rows: Any, table_run: Path, tmp_path: Path, cli: Cli) -> None:
    ask = asker(rows)
    cli("sample", table_run, "--count", 20, "--seed", 3, "--out", "rows.csv")
    answer = ask("POST", "/generate", json={"count": 20, "seed": 3, "format": "csv"})
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.content == (tmp_path / "rows.csv").read_bytes()
    records = ask("POST", "/generate", json={"count": 20, "seed": 3}).json()["rows"]
    assert list(records[0]) == list(rows.schema.names)
    streamed = ask("POST", "/generate", json={"count": 20, "seed": 3, "stream": True}).text.splitlines()
    assert [json.loads(line) for line in streamed] == records


def test_conditions_on_rows_are_understood_or_named(rows: Any) -> None:
    ask = asker(rows)
    refused = ask("POST", "/generate", json={"where": ["nonsense=1"]})
    assert refused.status_code == 422
    assert "nonsense" in refused.text
    assert "Extra inputs" in ask("POST", "/generate", json={"labels": 3}).text
    columns = ask("GET", "/model").json()["columns"]
    assert [one["name"] for one in columns] == list(rows.schema.names)


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


@pytest.fixture
def slow(pictures: Any, monkeypatch: pytest.MonkeyPatch) -> Slow:
    maker = Slow(pictures)
    monkeypatch.setattr("synthgen.serving.app.maker_of", lambda model: maker)
    return maker


def test_a_full_queue_answers_503_at_once_and_loses_nobody(pictures: Any, slow: Slow) -> None:
    app = create_app(pictures, ServeSettings(queue=3))

    async def crowd() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app)  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            waiting = [asyncio.create_task(client.post("/generate", json={"seed": seed})) for seed in range(20)]
            await asyncio.wait(waiting, timeout=60, return_when=asyncio.FIRST_COMPLETED)
            while sum(task.done() for task in waiting) < 16:
                await asyncio.sleep(0.01)
            slow.go.set()
            return await asyncio.gather(*waiting)

    answers = asyncio.run(crowd())
    statuses = [answer.status_code for answer in answers]
    assert (statuses.count(200), statuses.count(503)) == (4, 16)
    assert all(answer.headers["retry-after"] == "1" for answer in answers if answer.status_code == 503)
    for seed, answer in enumerate(answers):
        if answer.status_code == 200:
            expected = png_bytes(pictures.sample(1, seed=seed)[0])
            assert base64.b64decode(answer.json()["images"][0]) == expected


def test_what_takes_too_long_is_504_and_stops(pictures: Any, slow: Slow) -> None:
    ask = asker(pictures, timeout_seconds=0.2)
    assert ask("POST", "/generate", json={}).status_code == 504
    assert slow.given_up.wait(20)


def test_a_stream_whose_time_ends_in_the_queue_is_told_so(pictures: Any, slow: Slow) -> None:
    app = create_app(pictures, ServeSettings(timeout_seconds=0.3))

    async def two() -> tuple[httpx.Response, httpx.Response]:
        transport = httpx.ASGITransport(app)  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            first = asyncio.create_task(client.post("/generate", json={}))
            while not slow.begun.is_set():
                await asyncio.sleep(0.01)
            second = asyncio.create_task(client.post("/generate", json={"stream": True}))
            return await asyncio.wait_for(first, 60), await asyncio.wait_for(second, 60)

    first, second = asyncio.run(two())
    assert first.status_code == 504
    assert json.loads(second.text) == {"error": "not done in time"}


def test_numbers_in_json_keep_their_digits() -> None:
    numbers = [1.2345678901e-11, 1 / 3, np.nan, -np.inf, 123456789.123456]
    frame = pd.DataFrame(
        {
            "a": numbers,
            "b": np.array(numbers, np.float32),
            "c": pd.array([1, None, 2**53 + 1, 3, 4], "Int64"),
            "d": pd.to_datetime(["2020-01-01"] * 4 + [None]),
        }
    )
    found = json_columns(frame)
    assert found["a"] == [1.2345678901e-11, 1 / 3, None, None, 123456789.123456]
    assert found["b"][1] == float(str(np.float32(1 / 3)))
    assert found["c"] == [1, None, 2**53 + 1, 3, 4]
    assert found["d"][0].startswith("2020-01-01T00:00:00")
    assert found["d"][4] is None


def test_a_client_that_goes_frees_its_place(pictures: Any, slow: Slow) -> None:
    app = create_app(pictures, ServeSettings(queue=1))

    async def leave() -> None:
        sent: list[Any] = []
        body = iter([{"type": "http.request", "body": b"{}", "more_body": False}])

        async def receive() -> Any:
            message = next(body, None)
            if message is None:
                while not slow.begun.is_set():
                    await asyncio.sleep(0.01)
                return {"type": "http.disconnect"}
            return message

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {"type": "http", "method": "POST", "path": "/generate", "raw_path": b"/generate", "query_string": b""}
        headers = [(b"content-type", b"application/json"), (b"content-length", b"2")]
        await app(
            {**scope, "headers": headers, "http_version": "1.1", "root_path": "", "scheme": "http"}, receive, send
        )

    asyncio.run(leave())
    assert slow.given_up.wait(20)
