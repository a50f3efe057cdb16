"""Checkpoints: what goes in comes out, and nothing damaged or foreign gets in."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file

from synthgen.checkpoints import load_checkpoint, read_header, save_checkpoint
from synthgen.errors import SynthgenError, UsageError

HEADER = {"kind": "model", "note": "two words", "numbers": [1, 2.5, None]}


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    tensors = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.ones(4, dtype=torch.bfloat16), "c": torch.tensor(7)}
    save_checkpoint(path, tensors, HEADER)
    return path


def test_round_trip_keeps_values_dtypes_and_header(checkpoint: Path) -> None:
    header, tensors = load_checkpoint(checkpoint)
    assert torch.equal(tensors["a"], torch.arange(6.0).reshape(2, 3))
    assert tensors["b"].dtype == torch.bfloat16
    assert tensors["c"].shape == ()
    assert {key: header[key] for key in HEADER} == HEADER
    assert read_header(checkpoint) == header


def test_no_temporary_file_is_left(checkpoint: Path) -> None:
    assert [path.name for path in checkpoint.parent.iterdir()] == [checkpoint.name]


@given(where=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_flipped_bit_anywhere_is_refused(where: float, bit: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("flip") / "model.safetensors"
    save_checkpoint(path, {"a": torch.arange(64.0)}, HEADER)
    data = bytearray(path.read_bytes())
    data[int(where * len(data))] ^= 1 << bit
    path.write_bytes(bytes(data))
    try:
        header, tensors = load_checkpoint(path)
    except SynthgenError as error:
        assert str(path) in error.message
    else:  # the flip turned one padding blank or JSON blank into another: the content must be untouched
        assert torch.equal(tensors["a"], torch.arange(64.0))
        assert {key: header[key] for key in HEADER} == HEADER


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_a_truncated_file_is_refused_by_name(checkpoint: Path, share: float) -> None:
    data = checkpoint.read_bytes()
    checkpoint.write_bytes(data[: int(share * len(data))])
    with pytest.raises(SynthgenError, match=r"model\.safetensors is damaged"):
        load_checkpoint(checkpoint)


@pytest.mark.parametrize(("start", "stop"), [(0.0, 1.0), (0.5, 1.0), (0.3, 0.6)])
def test_a_zero_filled_file_is_refused_by_name(checkpoint: Path, start: float, stop: float) -> None:
    """What some file systems leave after a power cut: the right length, and nothing in it."""
    data = checkpoint.read_bytes()
    first, last = int(start * len(data)), int(stop * len(data))
    checkpoint.write_bytes(data[:first] + bytes(last - first) + data[last:])
    with pytest.raises(SynthgenError, match=r"model\.safetensors"):
        load_checkpoint(checkpoint)


def test_a_header_that_claims_gigabytes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.safetensors"
    path.write_bytes(struct.pack("<Q", 2**40) + b"{}")
    with pytest.raises(SynthgenError, match="claims"):
        load_checkpoint(path)


def test_weights_of_another_program_are_named_as_such(tmp_path: Path) -> None:
    path = tmp_path / "foreign.safetensors"
    save_file({"w": torch.zeros(2)}, path)
    with pytest.raises(SynthgenError, match="no synthgen header"):
        load_checkpoint(path)


def test_another_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "state.safetensors"
    save_checkpoint(path, {"a": torch.zeros(1)}, {"kind": "state"})
    with pytest.raises(SynthgenError, match="kind 'state'"):
        load_checkpoint(path)


def test_a_newer_format_says_update(tmp_path: Path) -> None:
    path = tmp_path / "new.safetensors"
    header = {"format": "synthgen-checkpoint", "format_version": 99, "kind": "model"}
    save_file({"a": torch.zeros(1)}, path, metadata={"synthgen": json.dumps(header)})
    with pytest.raises(SynthgenError) as caught:
        load_checkpoint(path)
    assert caught.value.hint == "update synthgen"


def test_a_missing_file_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no checkpoint"):
        load_checkpoint(tmp_path / "nothing.safetensors")
