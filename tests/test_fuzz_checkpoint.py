"""Hostile checkpoints: whatever is in the file, loading it gives a model or a SynthgenError, and costs no memory.

`SYNTHGEN_FUZZ_SECONDS=60 pytest tests/test_fuzz_checkpoint.py` goes on for that long with new random files.
"""

from __future__ import annotations

import json
import os
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from synthgen.checkpoints import load_checkpoint, save_checkpoint
from synthgen.downstream.classifier import load_classifier, save_classifier
from synthgen.errors import SynthgenError
from synthgen.generation.facts import CODEC_PREFIX
from synthgen.generation.model import load
from synthgen.generation.series.model import SeriesModel
from synthgen.generation.tables.model import TableModel
from synthgen.models.classifier import build_classifier
from synthgen.runs import list_checkpoints, resolve_run
from synthgen.training.saving import load_state

SECONDS = float(os.environ.get("SYNTHGEN_FUZZ_SECONDS", "0"))

pytestmark = pytest.mark.filterwarnings("ignore:.*:UserWarning")

odd_values = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from([0, -1, 1, 7, 2**31, 2**63, 2**200, 10**9, 1e308, -0.0, float("nan"), float("inf")]),
    st.sampled_from(["", "edm", "../../etc/passwd", "\x00", "ü" * 2000, "{}", "class", "bf16"]),
    st.lists(st.integers(-1, 70000), max_size=7),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)
bytes_to_bytes = st.one_of(
    st.tuples(st.just("flip"), st.floats(0, 1, exclude_max=True), st.integers(0, 7)),
    st.tuples(st.just("cut"), st.floats(0, 1), st.just(0)),
    st.tuples(st.just("zero"), st.floats(0, 1, exclude_max=True), st.integers(1, 4096)),
    st.tuples(st.just("insert"), st.floats(0, 1), st.integers(1, 300)),
    st.tuples(st.just("length"), st.floats(0, 1), st.integers(0, 2**64 - 1)),
)


@pytest.fixture(scope="module", params=["tiny_run", "table_run", "series_run"])
def good(request: pytest.FixtureRequest) -> Path:
    """A checkpoint of images, one of a table, one of series."""
    return resolve_run(request.getfixturevalue(request.param))


def damaged(data: bytes, change: tuple[str, float, int]) -> bytes:
    """`data` with one change to its bytes."""
    kind, where, amount = change
    at = int(where * len(data))
    if kind == "flip":
        return data[:at] + bytes([data[at] ^ (1 << amount)]) + data[at + 1 :]
    if kind == "cut":
        return data[:at]
    if kind == "zero":
        return data[:at] + bytes(len(data[at : at + amount])) + data[at + amount :]
    if kind == "insert":
        return data[:at] + os.urandom(amount) + data[at:]
    return struct.pack("<Q", amount) + data[8:]


def places(document: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a JSON document, as keys to follow."""
    inner = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    return [at, *(place for key, value in inner for place in places(value, (*at, key)))][: 10**4]


def changed(document: dict[str, Any], place: tuple[Any, ...], value: Any, drop: bool) -> dict[str, Any]:
    """A copy with the value at `place` replaced, or gone."""
    result = deepcopy(document)
    if not place:
        return result
    holder: Any = result
    for key in place[:-1]:
        holder = holder[key]
    if drop and isinstance(holder, dict):
        del holder[place[-1]]
    else:
        holder[place[-1]] = value
    return result


def survives(path: Path, before: dict[str, torch.Tensor] | None = None) -> None:
    """Load and lay out the sampler, decode some rows or windows; nothing but SynthgenError may come of it."""
    try:
        model = load(path, device="cpu")
        model.engine()
        if isinstance(model, TableModel):
            tokens = np.array([[0] * len(model.codec.columns), [size - 1 for size in model.codec.sizes]])
            rows = model.codec.decode(tokens, np.full(tokens.shape, 0.5, np.float32), keys=np.arange(2), seed=0)
            assert rows.shape == (2, len(model.schema.columns))
        if isinstance(model, SeriesModel):
            frames = model.codec.draw(np.arange(2), 0)
            starts = frames.starts
            rows = model.codec.decode(frames.given, frames.lengths, np.arange(2), 0, starts, numbered=True)
            assert len(rows) == frames.lengths.sum()
    except SynthgenError as error:
        assert error.message
        return
    if before is not None:  # it was taken: then its weights are the right ones
        now = model.denoiser.network.state_dict()
        weights = {name: tensor for name, tensor in before.items() if not name.startswith(CODEC_PREFIX)}
        assert all(torch.equal(now[name], tensor) for name, tensor in weights.items())


def repeat(attack: Callable[[], None]) -> None:
    """Once over; with SYNTHGEN_FUZZ_SECONDS again and again, each time with other files."""
    started = time.monotonic()
    attack()
    while time.monotonic() - started < SECONDS:
        attack()


FUZZ = settings(
    max_examples=120,
    derandomize=not SECONDS,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def test_any_bytes(good: Path, tmp_path: Path) -> None:
    data = good.read_bytes()
    header, tensors = load_checkpoint(good)
    path = tmp_path / "model.safetensors"

    @FUZZ
    @given(changes=st.lists(bytes_to_bytes, min_size=1, max_size=3))
    def attack(changes: list[tuple[str, float, int]]) -> None:
        altered = data
        for change in changes:
            altered = damaged(altered, change) if altered else altered
        path.write_bytes(altered)
        survives(path, tensors)

    repeat(attack)
    assert header["kind"] == "model"


def test_any_header_with_a_right_hash(good: Path, tmp_path: Path) -> None:
    header, tensors = load_checkpoint(good)
    known = [place for place in places(header) if place and place[0] not in ("sha256", "format", "kind")]
    path = tmp_path / "model.safetensors"

    @FUZZ
    @given(edits=st.lists(st.tuples(st.sampled_from(known), odd_values, st.booleans()), min_size=1, max_size=2))
    def attack(edits: list[tuple[tuple[Any, ...], Any, bool]]) -> None:
        altered = header
        for place, value, drop in edits:
            with suppress(KeyError, TypeError, IndexError):  # the first edit may take away where the second would go
                altered = changed(altered, place, value, drop)
        save_checkpoint(path, tensors, altered)
        survives(path)

    repeat(attack)


def test_any_tensors_with_a_right_hash(good: Path, tmp_path: Path) -> None:
    header, tensors = load_checkpoint(good)
    names = sorted(tensors)
    path = tmp_path / "model.safetensors"
    dtypes = [torch.int64, torch.float64, torch.bool, torch.bfloat16]

    @FUZZ
    @given(
        name=st.sampled_from(names),
        action=st.sampled_from(["drop", "rename", "reshape", "cast", "nan", "empty", "shuffle"]),
        dtype=st.sampled_from(dtypes),
    )
    def attack(name: str, action: str, dtype: torch.dtype) -> None:
        altered = dict(tensors)
        tensor = altered.pop(name)
        if action == "rename":
            altered[name + "x"] = tensor
        elif action != "drop":
            altered[name] = {
                "reshape": lambda: tensor.reshape(-1, 1),
                "cast": lambda: tensor.to(dtype),
                "nan": lambda: torch.full_like(tensor, float("nan") if tensor.is_floating_point() else -1),
                "empty": lambda: tensor.new_empty(0),
                "shuffle": lambda: tensor.flip(0) if tensor.dim() else tensor,
            }[action]()
        save_checkpoint(path, altered, header)
        survives(path)

    repeat(attack)


@pytest.mark.parametrize("where", [("config", "model", "channels"), ("codec", "height"), ("class_names",)])
def test_a_header_that_asks_for_everything_costs_nothing(
    where: tuple[str, ...], tiny_run: Path, tmp_path: Path
) -> None:
    """A network of a hundred gigabytes is refused before it is built."""
    header, tensors = load_checkpoint(resolve_run(tiny_run))
    huge = {"channels": [2048] * 6, "height": 4096, "class_names": [f"{n}" for n in range(99_999)]}[where[-1]]
    altered = changed(header, where, huge, drop=False)
    altered["config"]["model"]["layers_per_block"] = 8
    altered["codec"] |= {"height": 1024, "width": 1024} if where[-1] == "channels" else {}
    path = tmp_path / "model.safetensors"
    save_checkpoint(path, tensors, altered)
    started = time.process_time()
    with pytest.raises(SynthgenError, match="the weights do not fit the network"):
        load(path, device="cpu")
    assert time.process_time() - started < 60  # a bound on work, not on speed: it would be minutes and 100 GB


@pytest.mark.parametrize(("name", "value"), [("width", 8192), ("blocks", 64), ("embedding", 1024), ("fine", 256)])
def test_a_table_that_asks_for_everything_costs_nothing(name: str, value: int, table_run: Path, tmp_path: Path) -> None:
    header, tensors = load_checkpoint(resolve_run(table_run))
    altered = changed(header, ("config", "model", name), value, drop=False)
    path = tmp_path / "model.safetensors"
    save_checkpoint(path, tensors, altered)
    with pytest.raises(SynthgenError, match="the weights do not fit the network"):
        load(path, device="cpu")


def test_a_foreign_state_is_refused(good: Path, tmp_path: Path) -> None:
    with pytest.raises(SynthgenError, match="kind 'model'"):
        load_state(good)


def test_any_classifier(tmp_path: Path) -> None:
    path = tmp_path / "judge.safetensors"
    save_classifier(path, build_classifier(1, 3, widths=(8, 8, 8)), ("a", "b", "c"), {"feature_scale": 1.0})
    header, tensors = load_checkpoint(path, kind="classifier")
    known = [place for place in places(header) if place and place[0] in ("channels", "num_classes", "widths")]

    @FUZZ
    @given(place=st.sampled_from(known), value=odd_values, drop=st.booleans())
    def attack(place: tuple[Any, ...], value: Any, drop: bool) -> None:
        save_checkpoint(path, tensors, changed(header, place, value, drop))
        try:
            load_classifier(path)
        except SynthgenError as error:
            assert error.message

    repeat(attack)


def test_a_damaged_newest_checkpoint_is_named_and_the_one_before_is_used(tiny_run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    (folder / "checkpoints").mkdir(parents=True)
    whole = list_checkpoints(tiny_run)[0].read_bytes()
    (folder / "checkpoints" / "step-00000100.safetensors").write_bytes(whole)
    (folder / "checkpoints" / "step-00000200.safetensors").write_bytes(whole[:-100])
    with pytest.warns(UserWarning, match=r"step-00000200\.safetensors is damaged.*using the checkpoint before it"):
        model = load(folder, device="cpu")
    assert model.path.name == "step-00000100.safetensors"
    with pytest.raises(SynthgenError, match="step-00000200"):  # a file that was named is not replaced by another
        load(folder / "checkpoints" / "step-00000200.safetensors", device="cpu")


def test_the_header_is_json_that_says_what_it_is(good: Path) -> None:
    """What the fuzzing starts from is a real file: its header is where the format says."""
    data = good.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    assert json.loads(json.loads(data[8 : 8 + length])["__metadata__"]["synthgen"])["kind"] == "model"
