"""Sample k is a function of (checkpoint, seed, k): not of the count, the seed's low half, or the process's settings."""

from __future__ import annotations

import os
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch

from synthgen.generation.model import Model, load
from synthgen.generation.numerics import numerics, pinned
from synthgen.generation.plan import Labels, plan_samples

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def model(tiny_run: Path) -> Model:
    return load(tiny_run, device="cpu")


def first(model: Model, count: int, seed: int, samples: int) -> np.ndarray:
    """The first `samples` of a request of `count`, made as `synthgen sample` makes them; the rest is never made."""
    plan = plan_samples(model, count, seed=seed)
    blocks = model.engine(plan.recipe).span(0, plan.count, Labels(plan, model.class_names), plan.seed)
    return np.concatenate(list(islice(blocks, -(-samples // plan.recipe.block_size))))[:samples]


def test_sample_7_of_10_is_sample_7_of_60000(model: Model) -> None:
    few, many = first(model, 10, 0, 10), first(model, 60_000, 0, 10)
    assert few.shape == (10, 8, 8, 1)
    np.testing.assert_array_equal(few[7], many[7])
    np.testing.assert_array_equal(few, many)


def test_all_64_bits_of_the_seed_count(model: Model) -> None:
    assert not np.array_equal(first(model, 10, 5, 10), first(model, 10, 5 + 2**32, 10))


def test_a_block_far_away_is_as_it_is_alone(model: Model) -> None:
    labels = Labels(plan_samples(model, 10**9), model.class_names)
    far = list(model.engine().span(10**9 - 20, 10**9, labels, 3))
    assert [len(block) for block in far] == [16, 4]
    np.testing.assert_array_equal(np.concatenate(far), model.sample(20, start=10**9 - 20, seed=3))


def test_settings_of_the_process_are_left_alone_on_a_cpu() -> None:
    before = torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic
    with pinned(torch.device("cpu")):
        assert (torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic) == before


def test_cuda_settings_are_pinned_and_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """The flags can be set without a GPU; what they do there is the next test's matter."""
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", "")
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG")
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul

    def settings() -> tuple[bool, ...]:
        strict = torch.are_deterministic_algorithms_enabled(), torch.utils.deterministic.fill_uninitialized_memory
        return cudnn.deterministic, cudnn.benchmark, cudnn.allow_tf32, matmul.allow_tf32, *strict

    before = settings()
    with pinned(torch.device("cuda")):
        assert settings() == (True, False, False, False, True, False)
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    assert settings() == before != (True, False, False, False, True, False)


@pytest.mark.cuda
def test_cuda_repeats_itself_and_is_close_to_the_cpu(tiny_run: Path, model: Model) -> None:
    on_gpu = load(tiny_run, device="cuda")
    images = on_gpu.sample(100, seed=1)
    np.testing.assert_array_equal(images, load(tiny_run, device="cuda").sample(100, seed=1))
    np.testing.assert_array_equal(images[40:60], on_gpu.sample(20, start=40, seed=1))
    difference = np.abs(images.astype(int) - model.sample(100, seed=1))
    assert difference.max() <= 2 and (difference > 0).mean() < 0.02
    assert numerics(on_gpu.device)["deterministic"] is True


@pytest.mark.cuda
def test_no_block_waits_for_a_gpu(tiny_run: Path) -> None:
    engine = load(tiny_run, device="cuda").engine()
    keys, labels = np.arange(16), np.arange(16) % 2
    engine.latents(keys, labels, 0)
    torch.cuda.synchronize()
    before = torch.cuda.get_sync_debug_mode()
    torch.cuda.set_sync_debug_mode("error")
    try:
        engine.latents(keys, labels, 1)
    finally:
        torch.cuda.set_sync_debug_mode(before)


@pytest.mark.cuda
@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two NVIDIA GPUs")
def test_the_second_gpu_draws_what_the_first_one_does(tiny_run: Path) -> None:
    first, second = (load(tiny_run, device=f"cuda:{index}").sample(100, seed=1) for index in range(2))
    np.testing.assert_array_equal(first, second)
