"""Two parts of the real windows that share no step: what the floors between real and real are made of.

Windows that overlap are nearly the same window. A half drawn at random therefore finds itself in the other half, and a
floor made so is that of copies. Here time is cut into blocks, and windows across a border are left out.
"""

from __future__ import annotations

import numpy as np

from synthgen.data.series.windows import WindowSet

_WINDOWS = 4
"""A block is at least so many windows long: at most a quarter of the windows lie across a border."""

_BLOCKS = 40
"""Of one long recording: more would make the halves more alike than two generators of one law are to it."""

_SEQUENCES = 20
"""So many sequences are told apart as wholes."""


def halves(windows: WindowSet, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Positions (sorted) of the windows of either half.

    Sequences as wholes, drawn at random, where there are twenty or more; else blocks of time, in turn. Either half may
    be empty when there is too little to divide.
    """
    sequences, owner = np.unique(windows.sequence, return_inverse=True)
    if len(sequences) >= _SEQUENCES:
        order = np.random.default_rng([seed, 5]).permutation(len(sequences))
        side = np.empty(len(sequences), np.int64)
        side[order] = np.arange(len(sequences)) % 2
        chosen = side[owner]
        return np.flatnonzero(chosen == 0), np.flatnonzero(chosen == 1)
    length = windows.values.shape[1]
    first = np.array([windows.start[owner == place].min() for place in range(len(sequences))])
    begin = windows.start - first[owner]
    last = begin + windows.lengths - 1
    spans = np.array([last[owner == place].max() + 1 for place in range(len(sequences))])
    size = max(_WINDOWS * length, int(np.ceil(spans.sum() / _BLOCKS)))
    counts = -(-spans // size)
    before = np.cumsum(counts) - counts
    block = before[owner] + begin // size
    inside = begin // size == last // size
    return np.flatnonzero(inside & (block % 2 == 0)), np.flatnonzero(inside & (block % 2 == 1))


def cut(windows: WindowSet, n: int, seed: int) -> WindowSet:
    """At most n windows, drawn at random, in their order."""
    if len(windows) <= n:
        return windows
    return windows.select(np.sort(np.random.default_rng([seed, 6]).permutation(len(windows))[:n]))
