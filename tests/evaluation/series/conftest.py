"""Windows with answers, and the parts that measures are handed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from synthgen.data.series.windows import WindowSet
from synthgen.evaluation.series.dividing import cut, halves
from synthgen.evaluation.series.measure import SeriesParts
from synthgen.evaluation.series.space import Space


def window_set(values: np.ndarray, **given: Any) -> WindowSet:
    """Windows (N, L, C), each a sequence of its own unless `start` and `sequence` say otherwise."""
    count, length, channels = values.shape
    known: dict[str, Any] = {
        "lengths": np.full(count, length),
        "labels": None,
        "class_names": (),
        "channels": tuple(f"c{place}" for place in range(channels)),
        "kinds": ("number",) * channels,
        "sequence": np.arange(count),
        "start": np.zeros(count, np.int64),
        "name": "windows",
        "fingerprint": f"{hash(values.tobytes())}",
        "split": "all",
    }
    return WindowSet(values=values.astype(np.float64), **{**known, **given})


def recording_windows(recording: np.ndarray, length: int, **given: Any) -> WindowSet:
    """All windows of a recording (T, C), one at every step."""
    values = np.lib.stride_tricks.sliding_window_view(recording, length, axis=0).transpose(0, 2, 1)
    count = len(values)
    return window_set(values, sequence=np.zeros(count, np.int64), start=np.arange(count), **given)


def autoregressive(random: np.random.Generator, count: int, length: int, phi: float, channels: int = 1) -> np.ndarray:
    """(N, L, C): stationary AR(1) with standard normal marginals."""
    x = np.empty((count, length, channels))
    x[:, 0] = random.standard_normal((count, channels))
    for step in range(1, length):
        noise = random.standard_normal((count, channels))
        x[:, step] = phi * x[:, step - 1] + np.sqrt(1 - phi**2) * noise
    return x


MakeParts = Callable[..., SeriesParts]


@pytest.fixture
def make_parts() -> MakeParts:
    def make(real: WindowSet, fake: WindowSet, later: WindowSet | None = None, seeds: int = 2) -> SeriesParts:
        n = min(len(real), len(fake))
        return SeriesParts(
            real, cut(real, n, 0), cut(fake, n, 0), later, halves(real), Space(real), tuple(range(seeds))
        )

    return make
