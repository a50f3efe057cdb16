"""A loaded model: the same samples for the same request, whatever surrounds them."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from synthgen.checkpoints import load_checkpoint, save_checkpoint
from synthgen.errors import StoppedError, SynthgenError, UsageError
from synthgen.generation.model import Model, load

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def model(tiny_run: Path) -> Model:
    return load(tiny_run, device="cpu")


def test_samples_are_what_was_learned(model: Model) -> None:
    """The bright corner is where the label says, in nearly every sample of a really trained model."""
    images = model.sample(64).astype(float)[..., 0]
    top, bottom = images[:, :4, :4].mean((1, 2)), images[:, 4:, 4:].mean((1, 2))
    says_bottom = bottom > top
    assert (says_bottom == (np.arange(64) % 2 == 1)).mean() > 0.95
    assert np.maximum(top, bottom).mean() > 150 > 80 > np.minimum(top, bottom).mean()


@pytest.mark.parametrize("sampler", ["dpm++2m", "dpm++2m-sde", "ddpm", "heun"])
def test_sample_k_is_the_same_in_every_request(model: Model, sampler: str) -> None:
    whole = model.sample(40, sampler=sampler, seed=3)
    np.testing.assert_array_equal(whole[:7], model.sample(7, sampler=sampler, seed=3))
    np.testing.assert_array_equal(whole[17:40], model.sample(23, start=17, sampler=sampler, seed=3))
    np.testing.assert_array_equal(whole[39:], model.sample(1, start=39, sampler=sampler, seed=3))
    assert not np.array_equal(whole, model.sample(40, sampler=sampler, seed=3 + 2**32))


def test_another_process_would_draw_the_same(model: Model, tiny_run: Path) -> None:
    np.testing.assert_array_equal(model.sample(8), load(tiny_run, device="cpu").sample(8))


@pytest.mark.parametrize("threads", [2, 5])
def test_the_number_of_threads_changes_nothing(model: Model, threads: int) -> None:
    alone = model.sample(100, seed=1)
    torch.set_num_threads(threads)
    try:
        np.testing.assert_array_equal(model.sample(100, seed=1), alone)
        assert torch.get_num_threads() == threads, "the caller's setting is kept"
    finally:
        torch.set_num_threads(1)


def test_the_trajectory_ends_in_the_sample(model: Model) -> None:
    followed = model.trajectory([5, 2, 30], steps=6, sampler="dpm++2m")
    assert followed.x.shape == (7, 3, 1, 8, 8)
    assert followed.x0.shape == (6, 3, 1, 8, 8)
    assert np.all(np.diff(followed.sigmas) < 0)
    pixels = np.rint((np.clip(followed.x[-1, :, 0], -1, 1) + 1) * 127.5).astype(np.uint8)
    np.testing.assert_array_equal(pixels, model.sample(31)[[5, 2, 30], :, :, 0])
    np.testing.assert_allclose(followed.x[-1], followed.x0[-1], atol=1e-6)  # the last step leaves x0_hat
    assert followed.labels is not None and followed.labels.tolist() == [1, 0, 0]


def test_labels_by_index_name_and_sequence(model: Model) -> None:
    assert model.class_names == ("top", "bottom")
    np.testing.assert_array_equal(model.sample(6, labels="bottom"), model.sample(6, labels=1))
    assert model.labels_for(3, 4, ["bottom", "top", 1]).tolist() == [1, 0, 1, 1]  # type: ignore[union-attr]
    assert model.labels_for(3, 4, None).tolist() == [1, 0, 1, 0]  # type: ignore[union-attr]
    with pytest.raises(UsageError, match="did you mean 'bottom'"):
        model.sample(1, labels="botom")
    with pytest.raises(UsageError, match="unknown class '2'"):
        model.sample(1, labels=2)
    with pytest.raises(UsageError, match="unknown class '¹'"):  # a digit to Unicode, no number to Python
        model.sample(1, labels="¹")


def test_guidance_is_a_change_only_inside_its_interval(model: Model) -> None:
    plain = model.sample(16)
    np.testing.assert_array_equal(plain, model.sample(16, guidance_scale=1.0))
    assert not np.array_equal(plain, model.sample(16, guidance_scale=3.0))
    engine = model.engine(model.recipe(guidance_scale=3.0))
    assert engine.network_calls == 2 * model.engine().network_calls


@pytest.mark.parametrize(("arguments", "message"), [({"count": 0}, "1 or more"), ({"count": 1, "steps": 0}, "1 step")])
def test_nonsense_is_refused(model: Model, arguments: dict[str, int], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        model.sample(**arguments)


def test_a_stop_is_heard_between_blocks(model: Model) -> None:
    with pytest.raises(StoppedError):
        model.sample(64, should_stop=lambda: True)


def test_a_state_file_is_not_a_model(tiny_run: Path) -> None:
    state = next((tiny_run / "checkpoints").glob("state-*"))
    with pytest.raises(SynthgenError, match="kind 'state'"):
        load(state)


def test_a_header_that_does_not_fit_its_weights_is_refused(tiny_run: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    shutil.copy(next((tiny_run / "checkpoints").glob("step-*")), path)
    header, tensors = load_checkpoint(path)
    header["config"]["model"]["channels"] = [16, 16]
    save_checkpoint(path, tensors, header)
    with pytest.raises(SynthgenError, match="do not fit"):
        load(path)
    header["config"]["model"]["channels"] = "many"
    save_checkpoint(path, tensors, header)
    with pytest.raises(SynthgenError, match="not one that this synthgen understands"):
        load(path)
