"""Noise is a pure function of (seed, k, draw)."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from synthgen.errors import UsageError
from synthgen.generation.noise import noise, uniforms

SHAPE = (1, 5, 3)


@given(seed=st.integers(0, 2**64 - 1), keys=st.lists(st.integers(0, 2**62), min_size=1, max_size=6))
def test_a_sample_does_not_depend_on_its_company(seed: int, keys: list[int]) -> None:
    together = noise(seed, np.array(keys), SHAPE)
    for row, key in zip(together, keys, strict=True):
        np.testing.assert_array_equal(row, noise(seed, np.array([key]), SHAPE)[0])


def test_every_bit_of_the_seed_counts() -> None:
    keys = np.array([7])
    base = noise(5, keys, SHAPE)
    for bit in range(64):
        assert not np.array_equal(base, noise(5 ^ (1 << bit), keys, SHAPE)), bit


def test_samples_and_draws_are_independent_standard_normal() -> None:
    draws = np.stack([noise(0, np.arange(400), (64,), draw).ravel() for draw in range(3)])
    assert np.all(np.abs(draws.mean(1)) < 4 / np.sqrt(draws.shape[1]))
    assert np.all(np.abs(draws.var(1) - 1) < 4 * np.sqrt(2 / draws.shape[1]))
    correlation = np.corrcoef(draws)[np.triu_indices(3, 1)]
    assert np.all(np.abs(correlation) < 4 / np.sqrt(draws.shape[1]))
    rows = np.corrcoef(noise(0, np.arange(50), (4000,)))[np.triu_indices(50, 1)]
    assert np.abs(rows).max() < 5 / np.sqrt(4000)


def test_each_sample_has_the_philox_stream_of_its_seed_and_number() -> None:
    """As numpy makes them, one generator for each; the words of the counter keep noise and uniforms apart."""
    keys, draws = [3, 2**40, 3], [0, 1, 2]
    found = noise(2**63 + 1, np.array(keys), (7,), np.array(draws))
    for row, key, draw in zip(found, keys, draws, strict=True):
        words = {"key": np.array([2**63 + 1, key], np.uint64), "counter": np.array([0, 0, 0, draw], np.uint64)}
        expected = np.random.Generator(np.random.Philox(**words)).standard_normal(7, dtype=np.float32)
        np.testing.assert_array_equal(row, expected)
    words = {"key": np.array([1, 9], np.uint64), "counter": np.array([0, 0, 1, 4], np.uint64)}
    expected = np.random.Generator(np.random.Philox(**words)).random(5, dtype=np.float32)
    np.testing.assert_array_equal(uniforms(1, np.array([8, 9]), 5, 4)[1], expected)


@pytest.mark.parametrize("seed", [-1, 2**64])
def test_a_seed_out_of_range_is_refused(seed: int) -> None:
    with pytest.raises(UsageError, match="out of range"):
        noise(seed, np.array([0]), SHAPE)


def test_uniforms_are_functions_of_seed_key_and_draw() -> None:
    keys = np.array([5, 0, 5, 2**40])
    numbers = uniforms(3, keys, 400)
    assert numbers.dtype == np.float32 and numbers.shape == (4, 400)
    np.testing.assert_array_equal(numbers[0], numbers[2])
    np.testing.assert_array_equal(uniforms(3, keys[3:], 400)[0], numbers[3])
    mixed = uniforms(3, keys, 400, np.array([0, 0, 1, 2]))
    np.testing.assert_array_equal(mixed[:2], numbers[:2])
    np.testing.assert_array_equal(mixed[2], uniforms(3, keys, 400, 1)[0])
    assert not np.intersect1d(mixed[2], numbers[2]).size > 5
    with pytest.raises(UsageError, match="out of range"):
        uniforms(2**64, keys, 1)


def test_uniforms_are_uniform_and_independent() -> None:
    """Kolmogorov-Smirnov against the uniform law, and no correlation between neighbouring rows and columns."""
    numbers = uniforms(11, np.arange(500), 40).astype(np.float64)
    assert stats.kstest(numbers.ravel(), "uniform").pvalue > 1e-3
    assert abs(np.corrcoef(numbers[:-1].ravel(), numbers[1:].ravel())[0, 1]) < 0.03
    assert abs(np.corrcoef(numbers[:, :-1].ravel(), numbers[:, 1:].ravel())[0, 1]) < 0.03
    assert numbers.min() >= 0 and numbers.max() < 1
