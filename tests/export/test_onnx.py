"""ONNX exports run by onnxruntime: the same numbers, any batch, the card's programs, nothing of this machine."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch

from synthgen.errors import SynthgenError, UsageError
from synthgen.export import onnx as writing
from synthgen.export import replaying
from synthgen.export.exporting import export_model

for package in ("onnx", "onnxscript"):
    pytest.importorskip(package, reason='needs pip install "synthgen[onnx]"')
onnxruntime = pytest.importorskip("onnxruntime", reason='needs pip install "synthgen[onnx]"')


@pytest.fixture(scope="module")
def exported(make_model, tmp_path_factory):
    """A stochastic sampler with guidance: (model, recipe, folder, result)."""
    model = make_model("edm", "edm")
    recipe = model.recipe(sampler="ddpm", steps=2, guidance_scale=1.5)
    folder = tmp_path_factory.mktemp("onnx") / "digits"
    return model, recipe, folder, export_model(model, folder, format="onnx", recipe=recipe)


def test_it_was_loaded_and_compared(exported):
    *_, result = exported
    assert result.files == ("README.md", "network.onnx", "sampler.onnx")
    assert [check.what for check in result.checks] == ["network", "sampler"]
    assert all(check.error <= 1e-4 for check in result.checks)
    assert result.max_difference <= 1


def test_the_network_needs_no_formula(exported):
    model, _, folder, _ = exported
    session = onnxruntime.InferenceSession(str(folder / "network.onnx"))
    assert [(one.name, one.shape) for one in session.get_inputs()] == [
        ("x", ["batch", 1, 8, 8]),
        ("level", ["batch"]),
        ("labels", ["batch"]),
    ]
    generator = torch.Generator().manual_seed(3)
    for batch in (1, 5):
        x, sigma = torch.randn(batch, 1, 8, 8, generator=generator) * 3, torch.full((batch,), 3.0)
        none = {"x": x.numpy(), "level": sigma.numpy(), "labels": np.full(batch, 2)}
        model.denoiser.precision = torch.float32
        expected = model.denoiser(x, torch.ones(()), sigma, sigma.log() / 4, None)
        (found,) = session.run(None, none)
        np.testing.assert_allclose(found, expected.numpy(), rtol=0, atol=1e-4)


def test_the_programs_of_the_card_run(exported, monkeypatch):
    """The first draws images; the second gives the noise of `synthgen sample`."""
    model, recipe, folder, _ = exported
    monkeypatch.chdir(folder.parent)
    first, second = re.findall(r"```python\n(.*?)```", (folder / "README.md").read_text(), re.DOTALL)
    names: dict = {}
    exec(first, names)
    assert (names["images"].shape, names["images"].dtype) == ((16, 8, 8, 1), np.uint8)
    exec(second, names)
    inputs = {"noise": names["noise"], "labels": np.arange(16) % 2, "fresh": names["fresh"]}
    (images,) = names["sampler"].run(["images"], inputs)
    ours = model.sample(16, sampler=recipe.sampler, steps=recipe.steps, guidance_scale=recipe.guidance_scale)
    assert np.abs(images.astype(int) - ours.astype(int)).max() <= 1


def test_nothing_of_this_machine_is_in_the_files(exported):
    _, _, folder, _ = exported
    for path in folder.glob("*.onnx"):
        content = path.read_bytes()
        assert b".py" not in content
        assert b"batch" in content


def test_a_graph_that_computes_something_else_is_no_export(exported, tmp_path, monkeypatch):
    model, recipe, _, _ = exported
    run = writing._run
    monkeypatch.setattr(writing, "_run", lambda *given: {name: one + 1 for name, one in run(*given).items()})
    with pytest.raises(SynthgenError, match="the network does not compute what the model does"):
        export_model(model, tmp_path / "out", format="onnx", recipe=recipe)
    assert list(tmp_path.iterdir()) == []


def test_not_a_number_is_an_error(exported):
    model, recipe, _, _ = exported
    network, _ = writing.graphs_of(model, recipe)
    inputs = replaying.checked_inputs(network, model)
    found = {"x0": np.full_like(inputs["x"].numpy(), np.nan)}
    with pytest.raises(SynthgenError, match="differ by up to nan"):
        replaying.check_graph(network, inputs, found)


def test_the_missing_extra_is_named(make_model, tmp_path, monkeypatch):
    monkeypatch.setattr(writing, "find_spec", lambda name: None if name == "onnxscript" else object())
    with pytest.raises(UsageError, match="needs onnxscript") as caught:
        export_model(make_model("edm", "edm"), tmp_path / "out", format="onnx")
    assert caught.value.hint == 'pip install "synthgen[onnx]"'
