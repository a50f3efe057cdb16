"""The linear estimate of windows under noise, against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.covariance import ledoit_wolf

from synthgen.models import series_linear
from synthgen.models.series_linear import LinearEstimate


def gather(x: torch.Tensor, valid: torch.Tensor | None = None) -> series_linear.Gather:
    exists = torch.ones(x.shape[:2], dtype=torch.bool) if valid is None else valid
    return lambda index: (x[index], exists[index])


def windows(count: int, window: int = 5, dimensions: int = 3) -> torch.Tensor:
    """Random walks that depend on each other, with means."""
    generator = torch.Generator().manual_seed(0)
    steps = torch.randn(count, window, dimensions, generator=generator).cumsum(1)
    return steps @ torch.randn(dimensions, dimensions, generator=generator) * 0.5 + torch.arange(dimensions)


def estimate(linear: LinearEstimate, x: torch.Tensor, sigma: float, valid: torch.Tensor | None = None) -> torch.Tensor:
    time = torch.full((len(x),), float(np.log(sigma) / 4))
    exists = torch.ones(x.shape[:2], dtype=torch.bool) if valid is None else valid
    raw, clean = linear(x / (1 + sigma**2) ** 0.5, time, exists)
    through_the_core = x / (1 + sigma**2) + sigma / (1 + sigma**2) ** 0.5 * raw
    assert torch.allclose(clean, through_the_core.masked_fill(~exists[..., None], 0.0), atol=1e-4)
    return clean


@pytest.mark.parametrize("sigma", [0.05, 1.0, 30.0])
def test_it_is_the_posterior_mean_of_gaussian_data(sigma: float) -> None:
    data = windows(20_000)
    linear = LinearEstimate(5, torch.ones(3, dtype=torch.bool))
    linear.start_from(gather(data), len(data))
    flat = data.flatten(1).double().numpy()
    mean, covariance = flat.mean(0), np.cov(flat.T, bias=True)
    x = data[:50] + sigma * torch.randn(50, 5, 3)
    inverse = np.linalg.inv(covariance + sigma**2 * np.eye(15))
    expected = mean + (x.flatten(1).double().numpy() - mean) @ inverse @ covariance
    assert np.allclose(estimate(linear, x, sigma).flatten(1).numpy(), expected, atol=0.01)


def test_few_windows_are_drawn_towards_white_noise_as_sklearn_does() -> None:
    data = windows(12)
    linear = LinearEstimate(5, torch.ones(3, dtype=torch.bool))
    linear.start_from(gather(data), len(data))
    covariance = linear.components @ torch.diag(linear.variances[:-1]) @ linear.components.T
    flat = data.flatten(1).double().numpy()
    _, share = ledoit_wolf(flat)
    share *= 1 - 12 / (4 * 15)
    assert 0.02 < share < 1
    plain = np.cov(flat.T, bias=True)
    assert np.allclose(covariance.numpy(), (1 - share) * plain + share * np.eye(15) * plain.trace() / 15, atol=1e-3)


def test_smooth_series_stay_as_smooth_as_they_are() -> None:
    """Shrinking by a thousandth adds white noise of deviation .03: loud beside steps of .01."""
    time = torch.arange(3000)[:, None] + torch.arange(12)
    data = torch.stack([(0.01 * time).sin(), (0.013 * time).cos()], -1) * 2**0.5
    linear = LinearEstimate(12, torch.ones(2, dtype=torch.bool))
    linear.start_from(gather(data), len(data))
    covariance = (linear.components * linear.variances[:-1]) @ linear.components.T
    rough = torch.zeros(24)
    rough[0], rough[2], rough[4] = 1.0, -2.0, 1.0
    assert float(rough @ covariance @ rough) ** 0.5 < 3e-3


def test_leading_components_are_those_of_the_whole_covariance(monkeypatch: pytest.MonkeyPatch) -> None:
    data = windows(500, window=12)
    whole = LinearEstimate(12, torch.ones(3, dtype=torch.bool))
    whole.start_from(gather(data), len(data))
    monkeypatch.setattr(series_linear, "EXACT", 10)
    monkeypatch.setattr(series_linear, "MOST_ENTRIES", 20 * 36)
    part = LinearEstimate(12, torch.ones(3, dtype=torch.bool))
    part.start_from(gather(data), len(data))
    assert part.components.shape == (36, 20)
    assert torch.allclose(part.variances[:8], whole.variances[:8], rtol=0.02)
    assert float(part.variances[-1]) == pytest.approx(float(whole.variances[20:36].mean()), rel=0.2)
    x = data[:50] + 0.5 * torch.randn(50, 12, 3)
    one, other = estimate(whole, x, 0.5), estimate(part, x, 0.5)
    error = [(each - data[:50]).square().mean() for each in (one, other)]
    assert float(error[1]) == pytest.approx(float(error[0]), rel=0.15)


def test_before_it_starts_it_knows_nothing() -> None:
    linear = LinearEstimate(4, torch.ones(2, dtype=torch.bool))
    x = torch.randn(3, 4, 2)
    assert torch.allclose(estimate(linear, x, 2.0), x / 5)


def test_conditions_and_steps_that_do_not_exist_play_no_part() -> None:
    data = windows(400)
    valid = torch.ones(400, 5, dtype=torch.bool)
    valid[::2, 3:] = False
    generated = torch.tensor([True, False, True])
    spoilt = torch.where(valid[..., None] & generated, data, torch.full_like(data, torch.nan))
    linear = LinearEstimate(5, generated)
    linear.start_from(gather(spoilt, valid), 400)
    assert all(torch.isfinite(tensor).all() for tensor in linear.state_dict().values())
    first = estimate(linear, torch.nan_to_num(spoilt[:8]), 0.3, valid[:8])
    time = torch.full((8,), float(np.log(0.3) / 4))
    spoilt_again = torch.where(valid[:8, :, None] & generated, spoilt[:8] / 1.09**0.5, torch.full_like(data[:8], 9.0))
    assert torch.allclose(linear(spoilt_again, time, valid[:8])[1], first.masked_fill(~generated, 0.0), atol=1e-4)
    assert not first[~valid[:8]].any()


def test_constant_channels_and_a_single_window() -> None:
    for data in (torch.zeros(10, 3, 2), torch.randn(1, 3, 2)):
        linear = LinearEstimate(3, torch.ones(2, dtype=torch.bool))
        linear.start_from(gather(data), len(data))
        assert torch.isfinite(estimate(linear, torch.randn(4, 3, 2), 0.01)).all()


def test_a_window_of_many_cells_takes_bounded_memory() -> None:
    linear = LinearEstimate(4096, torch.ones(100, dtype=torch.bool))
    assert sum(tensor.numel() for tensor in linear.state_dict().values()) < 8e6
