"""The sampling loop: what it calls, in which order, and what it leaves alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from synthgen.diffusion.loop import run_table
from synthgen.diffusion.samplers import build_table
from synthgen.diffusion.tables import Row, SamplerTable

SIGMAS = np.array([10.0, 3.0, 1.0, 0.2, 0.0])


def table(name="euler", **options):
    return build_table(name, np.ones(5), SIGMAS, **options)


def test_rows_are_applied_as_written():
    """A made-up table of three rows, worked out by hand."""
    rows = (
        Row(0, 0.5, (2.0,)),
        Row(1, -1.0, (1.0, 10.0), noise=3.0),
        Row(1, 0.0, (1.0, 10.0, 100.0), noise=0.5),
    )
    made = SamplerTable("made-up", np.ones(3), np.array([2.0, 1.0, 0.0]), rows)
    answers = {0: [5.0], 1: [7.0, 11.0]}
    seen = []

    def denoise(x, level):
        seen.append((level, float(x)))
        return torch.tensor([answers[level].pop(0)])

    noises = [torch.tensor([0.25]), torch.tensor([4.0])]
    end = run_table(made, denoise, torch.tensor([4.0]), lambda draw: noises[draw])
    first = 0.5 * 4 + 2 * 5
    second = -first + 7 + 10 * 5 + 3 * 0.25
    assert seen == [(0, 4.0), (1, first), (1, second)]
    assert end.tolist() == [11.0 + 10 * 7 + 100 * 5 + 0.5 * 4]


@pytest.mark.parametrize("name", ["ddpm", "dpm++2m-sde"])
def test_noise_is_asked_for_once_per_draw_in_order(name):
    asked = []

    def noise(draw):
        asked.append(draw)
        return torch.zeros(2)

    run_table(table(name), lambda x, level: x * 0.1, torch.ones(2), noise)
    assert asked == list(range(table(name).draws)) == [0, 1, 2]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_state_keeps_its_dtype(dtype):
    seen = set()

    def denoise(x, level):
        seen.add(x.dtype)
        return (0.1 * x).to(torch.bfloat16)  # a network may answer in less

    assert run_table(table("heun"), denoise, torch.ones(2, dtype=dtype), pytest.fail).dtype == dtype
    assert seen == {dtype}


def test_half_precision_state_is_refused():
    with pytest.raises(ValueError, match=r"float32 or float64, not torch\.bfloat16"):
        run_table(table(), lambda x, level: x, torch.ones(2, dtype=torch.bfloat16), pytest.fail)


def test_clip_bounds_every_estimate():
    end = run_table(table("dpm++2m"), lambda x, level: x, torch.tensor([50.0, -50.0, 0.3]), pytest.fail, clip=1.0)
    assert end.tolist()[:2] == [1.0, -1.0]


def test_the_callback_sees_what_the_denoiser_saw():
    asked, told = [], []

    def denoise(x, level):
        asked.append(x.clone())
        return torch.tanh(x)

    run_table(table("heun"), denoise, torch.ones(3), pytest.fail, callback=lambda *seen: told.append(seen))
    assert [index for index, _, _ in told] == list(range(7))
    for x, (_, told_x, told_x0) in zip(asked, told, strict=True):
        assert torch.equal(x, told_x)
        assert torch.equal(torch.tanh(x), told_x0)


@pytest.mark.parametrize("name", ["euler", "heun", "dpm++3m", "ddpm"])
def test_inputs_and_answers_are_left_as_they_were(name):
    """A denoiser may hand out one tensor again and again, and the caller may keep x."""
    x, answer, fresh = torch.ones(2), torch.full((2,), 0.25), torch.ones(2)
    run_table(table(name), lambda z, level: answer, x, lambda draw: fresh)
    assert x.tolist() == [1.0, 1.0]
    assert answer.tolist() == [0.25, 0.25]
    assert fresh.tolist() == [1.0, 1.0]


def test_gradients_flow_through_the_whole_chain():
    """d end / d x of a linear chain is the product that finite differences find."""
    x = torch.tensor([0.7], dtype=torch.float64, requires_grad=True)

    def end(start):
        return run_table(table("dpm++2m"), lambda z, level: torch.tanh(z), start, pytest.fail)

    (gradient,) = torch.autograd.grad(end(x), x)
    with torch.no_grad():
        estimate = (end(x + 1e-6) - end(x - 1e-6)) / 2e-6
    torch.testing.assert_close(gradient, estimate, rtol=1e-6, atol=1e-9)


def test_an_infinite_x_does_not_survive_the_last_step():
    """The step to sigma 0 does not read x, so that 0 * inf cannot spoil it."""
    made = SamplerTable("one", np.ones(2), np.array([1.0, 0.0]), (Row(0, 0.0, (1.0,)),))
    assert run_table(made, lambda x, level: torch.ones(1), torch.tensor([float("inf")]), pytest.fail).item() == 1.0


@pytest.mark.cuda
@pytest.mark.parametrize("name", ["ddpm", "heun", "dpm++3m"])
def test_nothing_in_the_loop_waits_for_the_device(name):
    x = torch.ones(2, device="cuda")
    noises = [torch.zeros(2, device="cuda") for _ in range(table(name).draws)]
    torch.cuda.synchronize()
    before = torch.cuda.get_sync_debug_mode()
    torch.cuda.set_sync_debug_mode("error")
    try:
        run_table(table(name), lambda z, level: torch.tanh(z), x, noises.__getitem__, clip=1.0)
    finally:
        torch.cuda.set_sync_debug_mode(before)
