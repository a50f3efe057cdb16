"""Sequences over HTTP: those of `synthgen sample`, in each format."""

from __future__ import annotations

import asyncio
import io
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import httpx
import numpy as np
import pytest

import synthgen
from synthgen.errors import StoppedError
from synthgen.generation.series.model import SeriesModel
from synthgen.serving.app import create_app, describe
from synthgen.serving.series import SeriesMaker
from synthgen.serving.settings import ServeSettings
from synthgen.serving.wishes import SeriesWish

Cli = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def post(series_run: Path) -> Callable[..., httpx.Response]:
    app = create_app(synthgen.load(series_run), ServeSettings())

    def post(body: dict[str, Any]) -> httpx.Response:
        async def once() -> httpx.Response:
            transport = httpx.ASGITransport(app)  # type: ignore[arg-type]
            async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
                return await client.post("/generate", json=body)

        return asyncio.run(once())

    return post


def test_csv_has_the_bytes_of_the_command(
    post: Callable[..., httpx.Response], series_run: Path, tmp_path: Path, cli: Cli
) -> None:
    cli("sample", series_run, "--count", 5, "--seed", 2, "--out", "some.csv")
    answer = post({"count": 5, "seed": 2, "format": "csv"})
    assert answer.content == (tmp_path / "some.csv").read_bytes()


def test_json_stream_and_arrays_agree(post: Callable[..., httpx.Response], series_run: Path) -> None:
    model: Any = synthgen.load(series_run)
    wish = {"count": 3, "seed": 1, "length": 7}
    sequences = post(wish).json()["sequences"]
    assert [json.loads(line) for line in post({**wish, "stream": True}).text.splitlines()] == sequences
    expected = model.sample(3, seed=1, length=7)
    channel = model.schema.channels.index("temperature") if "temperature" in model.schema.channels else 0
    name = model.schema.channels[channel]
    assert all(len(one[name]) <= 7 for one in sequences)
    with np.load(io.BytesIO(post({**wish, "format": "npz"}).content), allow_pickle=False) as held:
        np.testing.assert_array_equal(held["X"][: len(expected), : expected.shape[1]], expected)


def test_what_it_cannot_do_is_named(post: Callable[..., httpx.Response]) -> None:
    for body, said in (
        ({"labels": "no such"}, "no such"),
        ({"where": ["nowhere=1"]}, "nowhere"),
        ({"length": 0}, "length"),
    ):
        answer = post(body)
        assert answer.status_code == 422
        assert said in answer.text


def test_the_card_names_columns_and_classes(series_run: Path) -> None:
    model: Any = synthgen.load(series_run)
    card = describe(model)
    assert [one["name"] for one in card["columns"]] == list(model.schema.table.names)
    assert card["class_names"] == (list(model.class_names) or None)


def test_a_long_sequence_is_given_up_between_its_windows(series_run: Path) -> None:
    asked = []

    def should_stop() -> bool:
        asked.append(True)
        return len(asked) > 3

    maker = SeriesMaker(cast("SeriesModel", synthgen.load(series_run)))
    with pytest.raises(StoppedError, match="after 3 windows"):
        maker.make(SeriesWish(length=5000), should_stop)
