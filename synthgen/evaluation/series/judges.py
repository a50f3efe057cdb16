"""The two scores of TimeGAN (Yoon, Jarrett, van der Schaar 2019) that small recurrent networks give.

Discriminative: how often a GRU tells synthetic windows from real ones that it did not see, as |accuracy - 1/2|.
Predictive: how well a GRU trained on synthetic windows foretells the last channel of real ones. Settings as the field
uses them since: hidden = channels / 2, Adam with 1e-3, 2,000 steps of 128 + 128 windows and 5,000 steps of 128.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from synthgen.errors import StoppedError
from synthgen.evaluation.series.recurrent import ParallelGRU
from synthgen.stopping import ShouldStop, never_stop

DISCRIMINATIVE_STEPS, PREDICTIVE_STEPS = 2000, 5000
BATCH = 128
_RATE = 1e-3
_TEST = 0.2
_CHUNK = 1024


def expected_score(count: int) -> float:
    """What |accuracy - 1/2| is on average over `count` independent test windows of a perfect generator.

    E|N(0, 1/4n)| = 1 / sqrt(2 pi n), about .4 / sqrt(n).
    """
    return float(1.0 / np.sqrt(2.0 * np.pi * max(count, 1)))


def test_count(first: int, second: int) -> int:
    """How many windows the discriminative score of so many real and synthetic ones is tested on."""
    return sum(count - int((1 - _TEST) * count) for count in (first, second))


test_count.__test__ = False  # type: ignore[attr-defined]


def discriminative(
    real: np.ndarray,
    fake: np.ndarray,
    seeds: Sequence[int] = range(5),
    *,
    steps: int = DISCRIMINATIVE_STEPS,
    should_stop: ShouldStop = never_stop,
) -> np.ndarray:
    """|accuracy - 1/2| of a GRU on a fifth of both sides that it was not trained on, float64 (S,), one for each seed.

    real, fake: (N, L, C) and (M, L, C) without NaN, scaled to about 0..1. 0: cannot be told apart; 1/2: always.
    """
    sides = [_tensor(side) for side in (real, fake)]
    seeds = list(seeds)
    cuts = [[_cut(len(side), seed, place) for seed in seeds] for place, side in enumerate(sides)]
    channels = real.shape[2]
    network = ParallelGRU(channels, max(channels // 2, 1), seeds)
    adam = torch.optim.Adam(network.parameters(), _RATE)
    randoms = [np.random.default_rng([seed, 3]) for seed in seeds]
    truth = torch.cat([torch.ones(len(seeds), BATCH), torch.zeros(len(seeds), BATCH)], dim=1)
    for step in range(steps):
        _check(step, should_stop)
        parts = []
        for side, cut in zip(sides, cuts, strict=True):
            drawn = [
                train[random.integers(0, len(train), BATCH)] for (train, _), random in zip(cut, randoms, strict=True)
            ]
            parts.append(_take(side, np.stack(drawn)))
        logits = network.last(torch.cat(parts, dim=1))
        # The mean over windows, summed over networks: each gets the gradient that it would get alone.
        loss = 2 * binary_cross_entropy_with_logits(logits, truth, reduction="none").mean(1).sum()
        adam.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        adam.step()
    right, count = np.zeros(len(seeds)), 0
    for place, (side, cut) in enumerate(zip(sides, cuts, strict=True)):
        index = np.stack([test for _, test in cut])
        called = _apply(network, side, index, should_stop) > 0
        right += (called if place == 0 else ~called).sum(1).numpy()
        count += index.shape[1]
    return np.abs(right / count - 0.5)


def predictive(
    train: np.ndarray,
    tests: Sequence[np.ndarray],
    seeds: Sequence[int] = range(5),
    *,
    target: int = -1,
    observed: Sequence[np.ndarray] | None = None,
    steps: int = PREDICTIVE_STEPS,
    should_stop: ShouldStop = never_stop,
) -> np.ndarray:
    """Mean absolute error of the next step's `target` channel, float64 (len(tests), S), one row for each test set.

    A GRU learns it from all other channels of `train` (N, L, C), without NaN and scaled to 0..1 (its output is a
    sigmoid). observed: bool (N, L) of `train` and of every one of `tests`; errors count where True. At least two
    channels are needed.
    """
    seeds, channels = list(seeds), train.shape[2]
    others = [place for place in range(channels) if place != target % channels]
    seen = [None] * (1 + len(tests)) if observed is None else list(observed)
    source, truth, weight = _lagged(train, others, target, seen[0])
    network = ParallelGRU(channels - 1, max(channels // 2, 1), seeds)
    adam = torch.optim.Adam(network.parameters(), _RATE)
    randoms = [np.random.default_rng([seed, 4]) for seed in seeds]
    for step in range(steps):
        _check(step, should_stop)
        index = np.stack([random.integers(0, len(source), BATCH) for random in randoms])
        wanted, counts = _take(truth, index), _take(weight, index)
        error = (network.each(_take(source, index)).sigmoid() - wanted).abs() * counts
        loss = (error.sum((1, 2)) / counts.sum((1, 2)).clamp(min=1)).sum()
        adam.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        adam.step()
    return np.stack(
        [
            _error(network, *_lagged(test, others, target, at), should_stop)
            for test, at in zip(tests, seen[1:], strict=True)
        ]
    )


def _cut(count: int, seed: int, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions of four fifths to train on and of one fifth to test with."""
    order = np.random.default_rng([seed, 2, side]).permutation(count)
    border = int((1 - _TEST) * count)
    return order[:border], order[border:]


def _tensor(values: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, np.float32))


def _take(values: Tensor, index: np.ndarray) -> Tensor:
    """Rows `index` (S, B) of `values` (N, ...): (S, B, ...)."""
    return values.index_select(0, torch.from_numpy(index.reshape(-1))).view(*index.shape, *values.shape[1:])


def _check(step: int, should_stop: ShouldStop) -> None:
    if step % 20 == 0 and should_stop():
        raise StoppedError("stopped while measuring")


def _lagged(
    values: np.ndarray, others: list[int], target: int, observed: np.ndarray | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Channels up to the last but one step (N, L - 1, C - 1), and what comes next with its weight (N, L - 1)."""
    whole = _tensor(values)
    weight = torch.ones(whole.shape[:2]) if observed is None else _tensor(observed)
    return whole[:, :-1, others].contiguous(), whole[:, 1:, target].contiguous(), weight[:, 1:].contiguous()


@torch.no_grad()
def _apply(network: ParallelGRU, values: Tensor, index: np.ndarray, should_stop: ShouldStop) -> Tensor:
    found = []
    for place, start in enumerate(range(0, index.shape[1], _CHUNK)):
        _check(20 * place, should_stop)
        found.append(network.last(_take(values, index[:, start : start + _CHUNK])))
    return torch.cat(found, dim=1)


@torch.no_grad()
def _error(network: ParallelGRU, source: Tensor, truth: Tensor, weight: Tensor, should_stop: ShouldStop) -> np.ndarray:
    models = network.weight.shape[0]
    total = torch.zeros(models, dtype=torch.float64)
    for place, start in enumerate(range(0, len(source), _CHUNK)):
        _check(20 * place, should_stop)
        part = slice(start, start + _CHUNK)
        foretold = network.each(source[part].expand(models, -1, -1, -1)).sigmoid()
        total += ((foretold - truth[part]).abs() * weight[part]).sum((1, 2), dtype=torch.float64)
    found: np.ndarray = (total / weight.sum(dtype=torch.float64).clamp(min=1)).numpy()
    return found
