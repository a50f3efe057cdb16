"""The networks that judge windows: the same as torch's, and right where the answer is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from synthgen.errors import StoppedError
from synthgen.evaluation.series.judges import discriminative, expected_score, predictive, test_count
from synthgen.evaluation.series.recurrent import ParallelGRU


def test_each_of_several_networks_is_torchs_gru_with_its_gradient() -> None:
    torch.manual_seed(0)
    ours = ParallelGRU(5, 3, [7, 8])
    x = torch.randn(2, 6, 9, 5)
    weight = torch.randn(9, 2, 3, 6)
    states = ours.states(x)
    (states * weight).sum().backward()
    assert not torch.equal(ours.weight[0], ours.weight[1])
    for place in range(2):
        theirs = torch.nn.GRU(5, 3, batch_first=True)
        pairs = {
            "weight_ih_l0": ours.weight[place],
            "weight_hh_l0": ours.recurrent[place],
            "bias_ih_l0": ours.bias[place, :, 0],
            "bias_hh_l0": ours.product_bias[place, :, 0],
        }
        gradients = {
            "weight_ih_l0": ours.weight.grad,
            "weight_hh_l0": ours.recurrent.grad,
            "bias_ih_l0": ours.bias.grad,
            "bias_hh_l0": ours.product_bias.grad,
        }
        for name, value in pairs.items():
            getattr(theirs, name).data.copy_(value.detach())
        found = theirs(x[place])[0]
        (found * weight[:, place].permute(2, 0, 1)).sum().backward()
        torch.testing.assert_close(found, states[:, place].permute(2, 0, 1))
        for name, gradient in gradients.items():
            assert gradient is not None
            expected = getattr(theirs, name).grad
            torch.testing.assert_close(gradient[place].reshape(expected.shape), expected, atol=1e-5, rtol=1e-4)


def test_the_outputs_are_a_linear_layer_on_the_states() -> None:
    network = ParallelGRU(2, 3, [0, 1])
    x = torch.randn(2, 4, 5, 2)
    states = network.states(x)
    expected = torch.einsum("lshb,sh->slb", states, network.out[:, 0]) + network.out_bias[:, 0, None]
    torch.testing.assert_close(network.each(x), expected.transpose(1, 2))
    torch.testing.assert_close(network.last(x), expected[:, -1])


def test_the_expected_score_is_that_of_coin_tosses() -> None:
    tosses = np.random.default_rng(0).binomial(400, 0.5, 200_000) / 400
    assert expected_score(400) == pytest.approx(np.abs(tosses - 0.5).mean(), rel=0.01)
    assert expected_score(1600) == pytest.approx(0.4 / 40, rel=0.01)
    assert test_count(100, 101) == 20 + 21


def test_windows_of_one_law_are_told_apart_no_better_than_by_chance() -> None:
    random = np.random.default_rng(1)
    first, second = random.random((2, 1000, 6, 2))
    scores = discriminative(first, second, range(4), steps=150)
    assert scores.shape == (4,)
    assert scores.mean() < 3 * expected_score(test_count(1000, 1000))


def test_windows_of_another_law_are_told_apart() -> None:
    random = np.random.default_rng(2)
    first, second = random.random((2, 400, 6, 2))
    scores = discriminative(first, 0.4 * second, range(2), steps=400)
    assert (scores > 0.4).all()
    again = discriminative(first, 0.4 * second, [1], steps=400)
    assert again[0] == pytest.approx(scores[1], abs=0.02)  # a network does not see the ones beside it


def test_the_next_step_is_foretold_where_it_can_be() -> None:
    random = np.random.default_rng(3)
    first = random.random((600, 12, 1))
    follows = np.concatenate([first, np.roll(first, 1, axis=1)], axis=2)[:, 1:]
    unrelated = random.random((600, 11, 2))
    knows, guesses = (predictive(train, [follows], range(2), steps=1200)[0] for train in (follows, unrelated))
    assert guesses.mean() == pytest.approx(0.25, abs=0.02)  # the mean distance of a uniform number from the middle
    assert knows.mean() < 0.15


def test_errors_count_where_the_target_was_observed() -> None:
    values = np.zeros((50, 6, 2))
    values[:, :, 1] = 1.0
    seen = np.ones((50, 6), bool)
    seen[:, 3:] = False
    wrong = values.copy()
    wrong[:, 3:, 1] = 0.0  # only where nobody looks
    errors = predictive(values, [values, wrong], [0], observed=[seen, seen, seen], steps=100)
    assert errors[0, 0] == pytest.approx(errors[1, 0])


def test_judging_stops_when_asked_to() -> None:
    with pytest.raises(StoppedError):
        discriminative(np.zeros((20, 4, 1)), np.zeros((20, 4, 1)), [0], should_stop=lambda: True)
