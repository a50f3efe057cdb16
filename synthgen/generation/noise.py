"""Noise for sample k, a pure function of (seed, k): never of batch size, order, or number of workers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from synthgen.errors import UsageError

SEED_LIMIT = 2**64


def noise(seed: int, keys: np.ndarray, shape: tuple[int, ...], draw: int | np.ndarray = 0) -> np.ndarray:
    """Standard normal noise, float32 (len(keys), *shape).

    Args:
        seed: 0 <= seed < 2^64; all 64 bits count.
        keys: sample numbers k >= 0, any order, repeats allowed.
        draw: which noise of the sample: 0 is where it starts, 1, 2, ... are the fresh noises of its sampler; one
            number, or one for each key.

    Each sample has a Philox-4x64 generator of its own, keyed by (seed, k) (Salmon et al. 2011); `draw` is the highest
    word of its counter, so that the streams cannot meet.
    """
    if not 0 <= seed < SEED_LIMIT:
        raise UsageError(f"seed {seed} is out of range: it must lie between 0 and 2**64 - 1")
    out = np.empty((len(keys), *shape), np.float32)
    for row, generator in zip(out, _generators(seed, keys, draw, 0), strict=True):
        generator.standard_normal(out=row, dtype=np.float32)
    return out


def uniforms(seed: int, keys: np.ndarray, count: int, draw: int | np.ndarray = 0) -> np.ndarray:
    """Uniform numbers in [0, 1), float32 (len(keys), count), in streams of their own beside those of `noise`.

    Args: seed, keys: as for `noise`. draw: which of several independent sets of numbers, of all rows or of each.
    """
    if not 0 <= seed < SEED_LIMIT:
        raise UsageError(f"seed {seed} is out of range: it must lie between 0 and 2**64 - 1")
    out = np.empty((len(keys), count), np.float32)
    for row, generator in zip(out, _generators(seed, keys, draw, 1), strict=True):
        generator.random(out=row, dtype=np.float32)
    return out


def _generators(seed: int, keys: np.ndarray, draw: int | np.ndarray, stream: int) -> Iterator[np.random.Generator]:
    """The generator of each key, at the beginning of its stream; one object, set anew: half the time of new ones."""
    bits = np.random.Philox(key=np.array([seed, 0], np.uint64), counter=np.array([0, 0, stream, 0], np.uint64))
    generator = np.random.Generator(bits)
    start: Any = bits.state  # nothing is buffered in it
    key, counter = start["state"]["key"], start["state"]["counter"]
    for number, which in zip(np.asarray(keys).tolist(), np.broadcast_to(draw, len(keys)).tolist(), strict=True):
        key[1], counter[3] = number, which
        bits.state = start
        yield generator
