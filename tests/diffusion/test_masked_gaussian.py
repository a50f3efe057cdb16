"""Gaussian diffusion over rows: rows as vectors, and a joint distribution learned."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from synthgen.config.tables import TableModelConfig
from synthgen.diffusion.table_gaussian import GaussianTableDenoiser, spread_out
from synthgen.errors import UsageError
from synthgen.models.table_gaussian import GaussianTableNetwork, RowSpace

POSITIONS = [np.array([0.0, 0.5, 1.0, np.nan]), None, np.array([1.0, 0.0])]
"""Three bins and a missing state; three categories; two ordered values whose tokens are in descending order."""


def test_rows_survive_the_way_to_vectors_and_back() -> None:
    space = RowSpace([4, 3, 2], POSITIONS)
    generator = torch.Generator().manual_seed(0)
    tokens = torch.stack([torch.randint(size, (200,), generator=generator) for size in (4, 3, 2)], 1)
    fractions = torch.full(tokens.shape, 0.5)
    fractions[:, 0] = torch.where(tokens[:, 0] < 3, torch.rand(200, generator=generator), 0.5)
    space.start_from(tokens)
    vectors = space.encode(tokens, fractions)
    assert vectors.shape == (200, space.dimensions) == (200, 1 + 2 + 3 + 1)
    again, places = space.decode(vectors)
    assert torch.equal(again, tokens)
    assert torch.allclose(places, fractions, atol=1e-3)


def test_numbers_are_normal_scores() -> None:
    space = RowSpace([4, 3, 2], POSITIONS)
    tokens = torch.tensor([[0, 0, 1]] * 600 + [[1, 0, 1]] * 200 + [[2, 0, 0]] * 200)
    space.start_from(tokens)
    scores = space.encode(torch.tensor([[1, 0, 1]]), torch.tensor([[0.5, 0.5, 0.5]]))
    assert float(scores[0, 0]) == pytest.approx(0.5244, abs=5e-3)  # quantile .7
    assert float(scores[0, -1]) == pytest.approx(-0.2533, abs=5e-3)  # token 1 comes first: quantile .4


def test_the_learned_joint_is_that_of_the_data() -> None:
    """Two values and a bin: the place in the bin is low for one value and high for the other."""
    generator = torch.Generator().manual_seed(0)
    value = torch.randint(2, (4000, 1), generator=generator)
    tokens = torch.cat([value, torch.zeros_like(value)], 1)
    fractions = torch.rand(4000, 2, generator=generator) / 2 + value / 2
    fractions[:, 0] = 0.5
    torch.manual_seed(0)
    space = RowSpace([2, 1], [None, np.array([0.0])])
    network = GaussianTableNetwork(TableModelConfig(width=48, blocks=2, dropout=0.0), space)
    network.start_from(tokens)
    denoiser = GaussianTableDenoiser(network, noise_mean=-0.8, noise_std=1.4)
    optimizer = torch.optim.AdamW(denoiser.parameters(), lr=3e-3)
    for step in range(400):
        for group in optimizer.param_groups:
            group["lr"] = 3e-3 * (1 - step / 400)
        rows = torch.randint(4000, (512,), generator=generator)
        order, depth = torch.rand(512, 2, generator=generator), torch.rand(512, generator=generator)
        loss = denoiser.loss(tokens[rows], fractions[rows], order, depth).mean()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    drawn, places = denoiser.eval().sample(torch.rand(4000, 6, generator=generator))
    share = drawn[:, 0].float().mean()
    assert float(share) == pytest.approx(0.5, abs=0.06)
    assert bool(((places[:, 1] > 0.5) == (drawn[:, 0] == 1)).float().mean() > 0.95)


def test_conditions_are_refused() -> None:
    torch.manual_seed(0)
    network = GaussianTableNetwork(TableModelConfig(width=16, blocks=1), RowSpace([4, 3, 2], POSITIONS))
    denoiser = GaussianTableDenoiser(network, noise_mean=-0.8, noise_std=1.4)
    uniforms = torch.rand(2, 9)
    with pytest.raises(UsageError, match="cannot keep known cells"):
        denoiser.sample(uniforms, tokens=torch.zeros(2, 3, dtype=torch.long), known=torch.ones(2, 3, dtype=torch.bool))
    with pytest.raises(UsageError, match="cannot keep known cells"):
        denoiser.sample(uniforms, allowed=[torch.ones(4, dtype=torch.bool), None, None])
    with pytest.raises(UsageError, match="temperature"):
        denoiser.sample(uniforms, temperature=0.5)
    tokens, _ = denoiser.sample(uniforms, known=torch.zeros(2, 3, dtype=torch.bool), steps=3)
    assert tokens.shape == (2, 3)


def test_noise_from_uniforms_is_standard_normal_and_row_by_row() -> None:
    uniforms = torch.rand(4000, 6, generator=torch.Generator().manual_seed(0))
    noise = spread_out(uniforms, 20)
    assert noise.shape == (4000, 20)
    assert float(noise.mean()) == pytest.approx(0.0, abs=0.02)
    assert float(noise.std()) == pytest.approx(1.0, abs=0.02)
    correlation = torch.corrcoef(noise.T) - torch.eye(20)
    assert float(correlation.abs().max()) < 0.08
    assert torch.equal(spread_out(uniforms[7:8], 20)[0], noise[7])
