"""Likelihood and surprise of rows, against a joint distribution that is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from synthgen.config.tables import TableModelConfig
from synthgen.diffusion.masked import MaskedDenoiser
from synthgen.errors import StoppedError, SynthgenError
from synthgen.explain.tables.likelihood import chain, chain_gap, check_chain, likelihood
from synthgen.explain.tables.probe import Probe
from synthgen.models.tables import TableNetwork
from tests.explain.tables.exact import Exact, all_rows

pytestmark = pytest.mark.usefixtures("one_thread")

JOINT = np.random.default_rng(0).dirichlet(np.ones(12)).reshape(2, 3, 2)


def test_total_and_surprise_are_those_of_the_joint_distribution() -> None:
    rows = all_rows(JOINT.shape)
    found = likelihood(Probe(Exact(JOINT), JOINT.shape), rows, seed=3, draws=5)
    np.testing.assert_allclose(found.total, np.log2(JOINT[tuple(rows.T)]), atol=1e-9)
    np.testing.assert_allclose(found.parts.sum(1), found.total, atol=1e-9)
    np.testing.assert_allclose(found.spread, 0.0, atol=1e-9)  # every order of a true joint says the same
    row = rows[7]
    given = JOINT[row[0], :, row[2]]
    assert found.surprise[7, 1] == pytest.approx(-np.log2(given[row[1]] / given.sum()), abs=1e-9)


def test_a_row_that_cannot_be_is_infinitely_surprising_only_where_it_breaks_the_rule() -> None:
    rule = np.array([[0.5, 0.0], [0.0, 0.5]])
    found = likelihood(Probe(Exact(rule), (2, 2)), np.array([[0, 0], [0, 1]]), draws=2)
    assert found.surprise[0].max() < 1e-6 and found.surprise[1].min() > 100


def untrained(spread: bool) -> MaskedDenoiser:
    torch.manual_seed(0)
    config = TableModelConfig(width=16, blocks=1, embedding=4, fine=4 if spread else 1)
    positions = [np.linspace(0, 1, 5, dtype=np.float32) if spread else None, None, None]
    network = TableNetwork(config, [5, 3, 4], positions, [np.full(5, spread), np.zeros(3, bool), np.zeros(4, bool)])
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return MaskedDenoiser(network).eval()


@pytest.mark.parametrize("spread", [False, True])
def test_single_questions_add_up_to_what_the_model_says_of_the_row(spread: bool) -> None:
    denoiser = untrained(spread)
    rows = all_rows((5, 3, 4))
    assert check_chain(denoiser, Probe(denoiser, (5, 3, 4)), rows, 0) < 1e-4
    assert bool(denoiser.network.spread_columns) == spread  # the model itself is left as it was


def test_a_chain_of_another_model_is_refused() -> None:
    denoiser, rows = untrained(False), all_rows((5, 3, 4))
    with torch.no_grad():
        other = untrained(False)
        other.network.embedding.weight.mul_(2.0)
    with pytest.raises(SynthgenError, match="miss the row's log-likelihood"):
        check_chain(denoiser, Probe(other, (5, 3, 4)), rows, 0)
    with pytest.raises(SynthgenError):
        chain_gap(np.array([np.nan]), np.zeros(1))


def test_probabilities_of_all_rows_along_one_order_sum_to_one() -> None:
    denoiser, rows = untrained(False), all_rows((5, 3, 4))
    orders = np.tile([2, 0, 1], (len(rows), 1))
    total = chain(Probe(denoiser, (5, 3, 4)), rows, orders).sum(axis=1)
    assert (2.0**total).sum() == pytest.approx(1.0, abs=1e-5)


def test_a_signal_ends_it() -> None:
    with pytest.raises(StoppedError):
        likelihood(Probe(Exact(JOINT), JOINT.shape, should_stop=lambda: True), all_rows(JOINT.shape))
