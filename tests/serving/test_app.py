"""The service in this process: what it answers, what it refuses, and that its bytes are those of `synthgen sample`."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import subprocess
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
from synthgen.serving.makers import json_columns
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


def test_head_is_answered_as_get_without_a_body(ask: Ask) -> None:
    for path in ("/health", "/ready", "/model"):
        head, get = ask("HEAD", path), ask("GET", path)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-length"] == get.headers["content-length"]
    assert ask("HEAD", "/generate").status_code == 405


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"labels": "\\ud800"}', 422),  # half of a surrogate pair: no UTF-8 has it
        (b'{"\\ud800": 1}', 422),
        (b'{"count": NaN}', 422),
        (b'{"count": 1e999}', 422),
        (b'{"count": ' + b"9" * 5000 + b"}", 400),
        (b'{"labels": "\xff"}', 400),
        (b"[" * 30_000, 400),
        (b"", 422),
        (b'{"seed": "4"}', 422),
        (b'{"stream": 0}', 422),
    ],
)
def test_hostile_bodies_are_refused_and_break_nothing(ask: Ask, body: bytes, status: int) -> None:
    answer = ask("POST", "/generate", content=body, headers={"content-type": "application/json"})
    assert (answer.status_code, list(answer.json())) == (status, ["detail"])
    assert ask("POST", "/generate", content=body, headers={"content-type": "text/plain"}).status_code in (400, 422)


def test_the_schema_names_what_this_model_knows(ask: Ask, rows: Any) -> None:
    def wish(ask: Ask, name: str) -> Any:
        return ask("GET", "/openapi.json").json()["components"]["schemas"][name]

    fields = wish(ask, "ImageWish")["properties"]
    assert fields["labels"]["anyOf"][0]["anyOf"][0]["enum"] == ["top", "bottom"]
    assert fields["count"]["maximum"] == 100
    assert "euler" in fields["sampler"]["enum"]
    assert ("enum" in str(fields["quality"])) == bool(ask("GET", "/model").json()["sampler_card"])
    for example in wish(ask, "ImageWish")["examples"]:
        assert ask("POST", "/generate", json=example).status_code == 200
    assert "labels" not in wish(asker(rows), "RowWish")["properties"]


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


def test_quality_is_a_setting_of_the_sampler_card(ask: Ask, tiny_run: Path, tmp_path: Path) -> None:
    from synthgen.checkpoints import put_card
    from synthgen.runs import resolve_run
    from tests.evaluation.test_sampler_card import card, setting

    refused = ask("POST", "/generate", json={"quality": "fast"})
    assert refused.status_code == 422 and "no sampler card" in refused.json()["detail"]
    path = tmp_path / "model.safetensors"
    path.write_bytes(resolve_run(tiny_run).read_bytes())
    put_card(path, card(setting(3, 1.0), setting(9, 0.1)).model_dump(mode="json"))
    model = synthgen.load(path, device="cpu")
    answer = asker(model)("POST", "/generate", json={"count": 2, "seed": 5, "quality": "best"})
    images = model.sample(2, seed=5, sampler="dpm++2m", steps=9)
    assert [base64.b64decode(one) for one in answer.json()["images"]] == [png_bytes(image) for image in images]
    both = asker(model)("POST", "/generate", json={"quality": "best", "steps": 3})
    assert both.status_code == 422 and "whole setting" in both.json()["detail"]


def test_prompts(captioned_run: Path, ask: Ask) -> None:
    model = synthgen.load(captioned_run)
    told = asker(model, max_count=100)
    answer = told("POST", "/generate", json={"count": 2, "prompts": ["A red square!", "blue"], "seed": 3})
    assert answer.status_code == 200 and answer.json()["labels"] == ["a red square", "blue"]
    expected = model.sample(2, prompts=["a red square", "blue"], seed=3)
    assert answer.json()["images"] == [base64.b64encode(png_bytes(image)).decode() for image in expected]
    for body, part in (
        ({"prompts": "purple"}, "does not know the word 'purple'"),
        ({"prompts": "red", "labels": 0}, "labels and prompts both"),
        ({"prompts": []}, "prompts"),
    ):
        refused = told("POST", "/generate", json=body)
        assert refused.status_code == 422 and part in refused.text
    other = ask("POST", "/generate", json={"prompts": "red"})
    assert other.status_code == 422 and "did not learn from captions" in other.text
