"""What known numbers say about the rest of a window, against the regression of Gaussian data."""

from __future__ import annotations

import pytest
import torch

from synthgen.models import series_linear
from synthgen.models.series_known import KnownNumbers
from synthgen.models.series_linear import LinearEstimate


def walks(count: int, window: int, dimensions: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    steps = torch.randn(count, window, dimensions, generator=generator).cumsum(1)
    return steps @ torch.randn(dimensions, dimensions, generator=generator) * 0.5 + torch.arange(dimensions)


def started(data: torch.Tensor, generated: torch.Tensor) -> LinearEstimate:
    linear = LinearEstimate(data.shape[1], generated)
    exists = torch.ones(data.shape[:2], dtype=torch.bool)
    linear.start_from(lambda index: (data[index], exists[index]), len(data))
    return linear


def estimate(linear: LinearEstimate, x: torch.Tensor, sigma: float) -> torch.Tensor:
    time = torch.full((len(x),), sigma).log() / 4
    return linear(x / (1 + sigma**2) ** 0.5, time, torch.ones(x.shape[:2], dtype=torch.bool))[1]


@pytest.mark.parametrize("sigma", [0.05, 1.0, 30.0])
def test_estimates_become_those_of_gaussian_regression(sigma: float) -> None:
    """E[x0 | x0 at known cells, x elsewhere]: the estimate whose noise is nothing there."""
    data = walks(20_000, 5, 3)
    linear = started(data, torch.ones(3, dtype=torch.bool))
    covariance, mean = torch.cov(data.flatten(1).double().T), data.flatten(1).double().mean(0)
    x0 = data[:30]
    x = x0 + sigma * torch.randn(x0.shape, generator=torch.Generator().manual_seed(1))
    known = torch.rand(x0.shape, generator=torch.Generator().manual_seed(2)) < 0.5
    known[0], known[1], known[2:8] = False, True, known[2]
    guess = estimate(linear, x, sigma)
    given = torch.where(known, x0, torch.full_like(x0, torch.nan))
    found = KnownNumbers(linear, known, torch.ones(3, dtype=torch.bool))(guess, given, torch.tensor(sigma))
    assert torch.equal(found[0], guess[0])
    for row in range(1, 30):
        own = known[row].flatten()
        noise = torch.diag(torch.where(own, 1e-12, sigma**2).double())
        seen = torch.where(known[row], x0[row], x[row]).flatten().double() - mean
        expected = mean + covariance @ torch.linalg.solve(covariance + noise, seen)
        assert torch.allclose(found[row].flatten()[~own].double(), expected[~own], atol=0.01)


def test_few_components_say_what_their_covariance_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """A window too large for all components: of those that are kept, and white noise."""
    monkeypatch.setattr(series_linear, "EXACT", 10)
    monkeypatch.setattr(series_linear, "MOST_ENTRIES", 20 * 36)
    data = walks(4000, 12, 3)
    linear = started(data, torch.ones(3, dtype=torch.bool))
    assert linear.components.shape[1] < 36
    vectors = torch.linalg.qr(linear.components.double())[0]
    rest = linear.variances[-1].double()
    covariance = (vectors * (linear.variances[:-1].double() - rest)) @ vectors.T + rest * torch.eye(36)
    known = torch.zeros(4, 12, 3, dtype=torch.bool)
    known[:, :2] = known[:, 6, 1:] = True
    sigma, own = 0.7, known[0].flatten()
    errors = (covariance.inverse() + torch.eye(36) / sigma**2).inverse()
    gain = torch.linalg.solve(errors[own][:, own], errors[own][:, ~own])
    guess, given = torch.randn(4, 12, 3), torch.randn(4, 12, 3)
    found = KnownNumbers(linear, known, torch.ones(3, dtype=torch.bool))(guess, given, torch.tensor(sigma))
    expected = guess.flatten(1)[:, ~own] + ((given - guess).flatten(1)[:, own].double() @ gain).float()
    assert torch.allclose(found.flatten(1)[:, ~own], expected, atol=1e-4)


def test_dimensions_that_are_told_are_put_right_by_nothing_and_labels_are_not_looked_at() -> None:
    generated = torch.tensor([True, True, False])
    linear, numbers = started(walks(500, 5, 3), generated), torch.tensor([True, False, False])
    known = torch.zeros(2, 5, 3, dtype=torch.bool)
    known[..., 1:] = True
    assert not KnownNumbers(linear, known, numbers)  # no number is known
    known[:, :2, 0] = True
    right = KnownNumbers(linear, known, numbers)
    assert right and not right.open
    guess, given = torch.randn(2, 5, 3), torch.randn(2, 5, 3)
    first = right(guess, given, torch.tensor(1.0))
    given[..., 2] += 5
    assert torch.equal(first, right(guess, given, torch.tensor(1.0)))
    assert KnownNumbers(linear, known & numbers, numbers).open
