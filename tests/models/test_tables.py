"""The network of tables: shapes, grouping, what it may look at."""

from __future__ import annotations

import numpy as np
import torch

from synthgen.config.tables import TableModelConfig
from synthgen.models.tables import TableNetwork, group_columns, waves

SIZES = [2, 100, 9, 90, 3]


def network(**settings: int) -> TableNetwork:
    torch.manual_seed(0)
    positions = [None, np.linspace(0, 1, 100), None, np.linspace(0, 1, 90), None]
    spread = [np.zeros(2, bool), np.ones(100, bool), np.zeros(9, bool), np.ones(90, bool), np.zeros(3, bool)]
    return TableNetwork(TableModelConfig(width=16, blocks=1, embedding=4, **settings), SIZES, positions, spread).eval()


def test_every_column_is_scored_in_its_own_place() -> None:
    scores = network()(torch.zeros(3, 5, dtype=torch.long), torch.zeros(3, 5, dtype=torch.bool))
    assert [tuple(score.shape) for score in scores] == [(3, size) for size in SIZES]
    assert all(torch.isfinite(score).all() for score in scores)


def test_columns_of_similar_size_share_a_block() -> None:
    groups = group_columns(SIZES)
    assert [group.columns for group in groups] == [(1, 3), (2,), (4,), (0,)]
    assert sorted(column for group in groups for column in group.columns) == list(range(5))
    wide = group_columns([100] * 1000)
    assert len(wide) == 1


def test_unknown_tokens_are_not_looked_at() -> None:
    net = network()
    known = torch.tensor([[True, False, True, False, True]])
    one = net.trunk(torch.tensor([[1, 5, 2, 7, 0]]), known)
    other = net.trunk(torch.tensor([[1, 99, 2, 0, 0]]), known)
    assert torch.equal(one, other)
    assert not torch.equal(one, net.trunk(torch.tensor([[0, 5, 2, 7, 0]]), known))


def test_a_fresh_network_starts_from_the_columns_frequencies() -> None:
    net = network()
    tokens = torch.zeros(1000, 5, dtype=torch.long)
    tokens[:250, 0] = 1
    net.start_from(tokens)
    with torch.no_grad():
        for head in net.heads:
            head.weight.zero_()  # type: ignore[operator]
    first = net(tokens[:1], torch.zeros(1, 5, dtype=torch.bool))[0].softmax(-1)
    assert torch.allclose(first, torch.tensor([[0.75, 0.25]]), atol=0.01)


def test_one_level_means_no_second_stage() -> None:
    assert network(fine=4).spread_columns == (1, 3)
    assert network(fine=1).spread_columns == ()


def test_waves_of_no_rank_are_zero() -> None:
    found = waves(torch.tensor([0.0, 0.5, torch.nan]))
    assert found.shape == (3, 16)
    assert torch.allclose(found[1, :4], torch.tensor([0.0, -1.0, 0.0, 0.5**0.5]), atol=1e-6)
    assert torch.allclose(found[0, :4], (2.0 / torch.arange(1, 5)).sqrt())
    assert (found[2] == 0).all()
