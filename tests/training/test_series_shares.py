"""How much the two estimates of a completion count: measured on windows, checked against what is best there."""

from __future__ import annotations

import pytest
import torch

from synthgen.config.series import SeriesConfig
from synthgen.diffusion.series import SeriesDenoiser, build_series_denoiser
from synthgen.models.series_known import KnownNumbers
from synthgen.training.series_shares import measure_shares
from tests.diffusion.series_parts import Codec, Part

PARTS = (
    Part("load", "channel", 0, 1),
    Part("heat", "channel", 1, 2),
    Part("state", "channel", 2, 4),
    Part("hour", "calendar", 4, 6),
)


def fresh() -> tuple[SeriesDenoiser, torch.Tensor]:
    """A network that has learned nothing but the linear law of walks, and their windows."""
    torch.manual_seed(0)
    walks = torch.randn(3000, 8, 2).cumsum(1) / 2
    x0 = torch.cat([walks, walks[..., :1].sign(), -walks[..., :1].sign(), torch.randn(3000, 8, 2)], -1)
    config = SeriesConfig.model_validate({"model": {"width": 16, "blocks": 1, "heads": 2}})
    denoiser = build_series_denoiser(config, Codec(8, PARTS), torch.float32)  # type: ignore[arg-type]
    exists = torch.ones(x0.shape[:2], dtype=torch.bool)
    denoiser.network.start_from(lambda index: (x0[index], exists[index]), len(x0))
    return denoiser.eval(), x0


def measured(denoiser: SeriesDenoiser, x0: torch.Tensor) -> torch.Tensor:
    measure_shares(denoiser, lambda index: (x0[index], torch.ones(len(index), 8, dtype=torch.bool)), len(x0))
    return denoiser.network.shares.told


def test_a_network_that_reads_nothing_from_known_numbers_is_put_right_by_them() -> None:
    denoiser, x0 = fresh()
    shares = measured(denoiser, x0)
    assert float(shares[1, :, :2].max()) < 0.3  # told, it takes a known value for one under noise
    assert float(shares[1, -6:, :2].max()) < 0.1
    assert bool((shares[..., 2:] == 1).all())  # categories and the hour are no numbers
    first = shares.clone()
    assert torch.equal(measured(denoiser, x0), first)


def test_an_estimate_that_is_worth_nothing_counts_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    denoiser, x0 = fresh()
    monkeypatch.setattr(KnownNumbers, "__call__", lambda self, estimate, given, sigma: estimate + 50.0)
    assert float(measured(denoiser, x0)[1, :, :2].min()) > 0.9


def test_without_numbers_nothing_is_measured() -> None:
    denoiser, x0 = fresh()
    denoiser.numbers.zero_()
    denoiser.network.shares.told.fill_(0.5)
    assert bool((measured(denoiser, x0) == 1).all())
