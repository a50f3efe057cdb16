"""The calibration of a model of rows, against the frequencies of its rows."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from synthgen.config.tables import TableModelConfig
from synthgen.diffusion import calibration
from synthgen.diffusion.calibration import calibrate
from synthgen.diffusion.masked import MaskedDenoiser
from synthgen.models.tables import TableNetwork

SIZES = [3, 5, 2]


def untrained() -> MaskedDenoiser:
    torch.manual_seed(0)
    config = TableModelConfig(width=32, blocks=1, embedding=8)
    spread = [np.zeros(size, bool) for size in SIZES]
    return MaskedDenoiser(TableNetwork(config, SIZES, [None] * 3, spread)).eval()


def rows() -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    shares = [torch.tensor([0.7, 0.2, 0.1]), torch.tensor([0.5, 0.3, 0.1, 0.05, 0.05]), torch.tensor([0.9, 0.1])]
    return torch.stack([torch.multinomial(share, 5000, replacement=True, generator=generator) for share in shares], 1)


def test_mean_predictions_become_the_frequencies() -> None:
    denoiser, tokens = untrained(), rows()
    calibrate(denoiser, tokens)
    for column, size in enumerate(SIZES):
        known = (torch.arange(3) < column).expand(len(tokens), 3)
        made = denoiser.logits(tokens, known)[column].softmax(-1).mean(0)
        there = torch.bincount(tokens[:, column], minlength=size) / len(tokens)
        assert torch.allclose(made, there, atol=1e-3)


def test_samples_have_the_columns_frequencies() -> None:
    denoiser, tokens = untrained(), rows()
    calibrate(denoiser, tokens)
    drawn, _ = denoiser.sample(torch.rand(20_000, 9, generator=torch.Generator().manual_seed(2)))
    for column, size in enumerate(SIZES):
        there = torch.bincount(tokens[:, column], minlength=size) / len(tokens)
        assert torch.allclose(torch.bincount(drawn[:, column], minlength=size) / 20_000, there, atol=0.02)


def test_many_rows_are_thinned_evenly_and_wide_tables_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    denoiser, tokens = untrained(), rows()
    monkeypatch.setattr(calibration, "MOST_CALLS", 3000)
    calibrate(denoiser, tokens)
    made = denoiser.logits(tokens[:1], torch.zeros(1, 3, dtype=torch.bool))[0].softmax(-1)
    assert torch.allclose(made[0], torch.tensor([0.7, 0.2, 0.1]), atol=0.05)
    before = {name: value.clone() for name, value in denoiser.network.state_dict().items()}
    monkeypatch.setattr(calibration, "MOST_COLUMNS", 2)
    calibrate(denoiser, tokens)
    assert all(torch.equal(value, before[name]) for name, value in denoiser.network.state_dict().items())
