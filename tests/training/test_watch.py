"""The watch on samples held out keeps the best averaged weights and says when to stop, across a resumption too."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import pytest
import torch
from torch import nn

from synthgen.training.ema import WeightAverage
from synthgen.training.subject import Subject
from synthgen.training.watch import EVERY, Watch


class Net(nn.Module):
    """A network of one weight under the name that every denoiser gives its network."""

    def __init__(self) -> None:
        super().__init__()
        self.network = nn.Linear(1, 1)


class Scripted:
    """A subject whose losses on held-out samples are known beforehand."""

    def __init__(self, *losses: float | None) -> None:
        self.losses: Iterator[float | None] = iter(losses)

    def validation(self, denoiser: Any) -> float | None:
        return next(self.losses)


def watch(*losses: float | None, patience: int = 0) -> Watch:
    return Watch(cast(Subject, Scripted(*losses)), WeightAverage(Net(), 0.1), patience)


def mark(one: Watch, value: float) -> None:
    """Make the averaged weights tell when they were taken."""
    with torch.no_grad():
        one.average.state("network.")["weight"].fill_(value)


def test_the_best_weights_are_kept_and_not_the_last() -> None:
    one = watch(3.0, 1.0, 2.0, patience=5)
    for number in (1, 2, 3):
        mark(one, number)
        one.look(number * EVERY)
    assert one.best is not None and float(one.best["weight"]) == 2
    assert (one.loss, one.step, one.since, one.over) == (1.0, 2 * EVERY, 1, False)


def test_checks_are_made_at_steps_of_their_own_and_once_at_the_end() -> None:
    one = watch(3.0, 2.0)
    for step in range(1, EVERY + 10):
        one.look(step)
    one.look(EVERY + 9, at_end=True)
    one.look(EVERY + 9, at_end=True)
    assert (one.loss, one.step) == (2.0, EVERY + 9)


def test_patience_ends_a_run_that_gets_worse() -> None:
    one = watch(1.0, 1.0, 2.0, 0.5, 0.6, 0.7, 0.8, patience=3)
    over = []
    for number in range(1, 8):
        one.look(number * EVERY)
        over.append(one.over)
    assert over == [False] * 6 + [True]


def test_a_loss_that_is_no_number_is_never_the_best() -> None:
    one = watch(1.0, float("nan"), patience=1)
    one.look(EVERY)
    one.look(2 * EVERY)
    assert one.loss == 1.0 and one.over


def test_without_patience_the_last_weights_stand() -> None:
    one = watch(1.0, 2.0)
    one.look(EVERY)
    one.look(2 * EVERY)
    assert one.best is None and not one.over and one.facts()["best_step"] == EVERY


def test_where_nothing_is_held_out_the_last_weights_stand() -> None:
    one = watch(None)
    one.look(EVERY)
    assert one.best is None and one.facts() == {} and not one.over


@pytest.mark.parametrize("cut", [1, 2, 3, 4])
def test_a_resumed_watch_goes_on_as_if_nothing_had_been(cut: int) -> None:
    losses = [3.0, 1.0, 2.0, 1.5, 1.2]
    whole, first = watch(*losses, patience=4), watch(*losses[:cut], patience=4)
    for number in range(1, 6):
        mark(whole, number)
        whole.look(number * EVERY)
    for number in range(1, cut + 1):
        mark(first, number)
        first.look(number * EVERY)
    second = watch(*losses[cut:], patience=4)
    second.restore(first.facts(), dict(first.best or {}))
    for number in range(cut + 1, 6):
        mark(second, number)
        second.look(number * EVERY)
    assert second.facts() == whole.facts()
    assert second.best is not None and whole.best is not None
    assert torch.equal(second.best["weight"], whole.best["weight"])
