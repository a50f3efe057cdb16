"""synthgen's own file with weights in half precision: what is rounded, what is not, and what it does to samples."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from synthgen.checkpoints import load_checkpoint, save_checkpoint
from synthgen.errors import SynthgenError, UsageError
from synthgen.export.exporting import export_model
from synthgen.generation.model import load
from synthgen.runs import resolve_run


@pytest.mark.parametrize(("dtype", "bits"), [("fp16", 11), ("bf16", 8)])
def test_weights_are_rounded_to_the_nearest(dtype, bits, make_model, tmp_path):
    model = make_model("edm", "edm")
    result = export_model(model, tmp_path / "out", format="safetensors", dtype=dtype)
    header, tensors = load_checkpoint(tmp_path / "out" / "model.safetensors")
    assert header["weights"] == {"dtype": dtype, "rounded_from_sha256": model.sha256}
    for name, weight in model.denoiser.network.state_dict().items():
        assert tensors[name].dtype == {"fp16": torch.float16, "bf16": torch.bfloat16}[dtype]
        away = (tensors[name].float() - weight).abs()
        assert bool((away <= weight.abs() * 2.0**-bits + 2.0**-25).all())  # below 6e-5 fp16 has fixed steps
    assert tensors and 0 < result.samples.largest < 60
    assert result.samples.mean < 1
    assert result.size_bytes < 0.75 * model.path.stat().st_size  # the header of so small a model is a third of it


def test_a_rounded_model_samples_as_said(make_model, tmp_path):
    """The difference in the result is the one between the samples that users get in float32."""
    model = make_model("edm", "edm")
    result = export_model(model, tmp_path / "out", format="safetensors", dtype="bf16")
    images = load(tmp_path / "out", device="cpu").sample(8)
    assert np.abs(images.astype(int) - model.sample(8).astype(int)).max() == result.max_difference


def test_rounded_once_it_is_copied(make_model, tmp_path):
    export_model(make_model("edm", "edm"), tmp_path / "half", format="safetensors", dtype="fp16")
    half = load(tmp_path / "half", device="cpu")
    result = export_model(half, tmp_path / "again", format="safetensors", dtype="fp16")
    assert result.samples.differing == 0
    written = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("half", "again")]
    assert written[0] == written[1]


def test_what_fp16_cannot_hold(make_model, tmp_path):
    model = make_model("edm", "edm")
    header, tensors = load_checkpoint(model.path)
    tensors["unet.conv_in.weight"][0, 0, 0, 0] = 70_000
    save_checkpoint(tmp_path / "large.safetensors", tensors, header)
    large = load(tmp_path / "large.safetensors", device="cpu")
    with pytest.raises(SynthgenError, match=r"fp16 cannot hold the weights: unet\.conv_in\.weight reaches 7e"):
        export_model(large, tmp_path / "out", format="safetensors", dtype="fp16")
    export_model(large, tmp_path / "out", format="safetensors", dtype="bf16")


@pytest.mark.parametrize("kind", ["table_run", "series_run"])
def test_what_is_known_of_the_data_is_not_rounded(kind, request, tmp_path):
    run = request.getfixturevalue(kind)
    model = load(run, device="cpu")
    copied = export_model(model, tmp_path / "whole", format="safetensors")
    assert copied.samples.differing == 0
    assert (tmp_path / "whole" / "model.safetensors").read_bytes() == resolve_run(run).read_bytes()
    export_model(model, tmp_path / "half", format="safetensors", dtype="bf16")
    _, before = load_checkpoint(model.path)
    _, after = load_checkpoint(tmp_path / "half" / "model.safetensors")
    learned = {name for name, _ in model.denoiser.network.named_parameters()}
    for name, tensor in before.items():
        assert after[name].dtype == (torch.bfloat16 if name in learned else tensor.dtype), name
    card = (tmp_path / "half" / "README.md").read_text()
    assert "stored in bf16" in card
    assert str(run) not in card
    load(tmp_path / "half", device="cpu").sample(3)


def test_what_cannot_be_asked_for(make_model, series_run, tmp_path):
    model = make_model("edm", "edm")
    with pytest.raises(UsageError, match=r"unknown dtype 'fp61' \(did you mean 'fp16'\?\)"):
        export_model(model, tmp_path / "out", format="safetensors", dtype="fp61")
    with pytest.raises(UsageError, match="not for diffusers"):
        export_model(model, tmp_path / "out", dtype="fp16")
    with pytest.raises(UsageError, match="this is one of series"):
        export_model(load(series_run, device="cpu"), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
