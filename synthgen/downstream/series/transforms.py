"""Classical augmentation of series: noise, scaling and bending of the time axis, anew every time one is shown.

Um et al., "Data augmentation of wearable sensor data for Parkinson's disease monitoring" (2017); Iwana and Uchida, "An
empirical survey of data augmentation for time series classification" (2021).
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from synthgen.downstream.series.inputs import Inputs
from synthgen.errors import UsageError, nearest

_MOST = {"jitter": 2.0, "scaling": 2.0, "warp": 1.0}
_KNOTS = 4


@dataclass(frozen=True)
class SeriesTransforms:
    """How far a series may be changed.

    jitter: deviation of the noise on every value, in deviations of its channel. scaling: deviation of the factor by
    which each channel is multiplied. warp: deviation of the speed of time, which follows a smooth curve.
    """

    jitter: float = 0.05
    scaling: float = 0.1
    warp: float = 0.2

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def sentence(self) -> str:
        """The changes in words."""
        return (
            f"noise of {self.jitter:g} deviations of the channel, each channel scaled by a factor with deviation "
            f"{self.scaling:g}, time bent by a smooth speed with deviation {self.warp:g}"
        )

    def apply(self, data: Inputs, random: np.random.Generator) -> Inputs:
        """Each window changed in its own way; lengths stay. Categories and missingness are bent in time alone."""
        x = data.x if self.warp == 0 else _at(data.x, self._times(data, random))
        smooth = data.smooth.astype(np.float32)
        factor = random.normal(1.0, self.scaling, (len(x), 1, x.shape[2])).astype(np.float32)
        noise = random.normal(0.0, self.jitter, x.shape).astype(np.float32)
        x = (x * (1 + (factor - 1) * smooth) + noise * smooth) * data.valid[..., None]
        return Inputs(x.astype(np.float32), data.lengths, data.labels, data.smooth)

    def _times(self, data: Inputs, random: np.random.Generator) -> np.ndarray:
        """From which step each step is taken: float64 (N, L), from 0 to the last step of each window, never back."""
        steps = np.arange(data.x.shape[1])
        speeds = np.maximum(random.normal(1.0, self.warp, (len(data), _KNOTS + 2)), 0.1)
        place = steps / np.maximum(data.lengths[:, None] - 1, 1) * (_KNOTS + 1)
        low = np.clip(place.astype(np.int64), 0, _KNOTS)
        part = np.clip(place - low, 0.0, 1.0)
        speed = np.take_along_axis(speeds, low, 1) * (1 - part) + np.take_along_axis(speeds, low + 1, 1) * part
        speed = np.where(data.valid, speed, 0.0)
        times = np.cumsum(speed, axis=1) - speed[:, :1]
        last = np.take_along_axis(times, data.lengths[:, None] - 1, 1)
        return np.asarray(times / np.maximum(last, 1e-9) * (data.lengths[:, None] - 1))


def _at(x: np.ndarray, times: np.ndarray) -> np.ndarray:
    """x (N, L, D) at fractional steps (N, L), on the line between neighbours."""
    low = np.clip(np.floor(times).astype(np.int64), 0, x.shape[1] - 1)
    high = np.minimum(low + 1, x.shape[1] - 1)
    part = (times - low)[..., None].astype(np.float32)
    rows = np.arange(len(x))[:, None]
    return np.asarray(x[rows, low] * (1 - part) + x[rows, high] * part)


def parse_series_transforms(text: str | None) -> SeriesTransforms:
    """`jitter=0.05,scaling=0.1,warp=0.2`: what is not named keeps its default. Raises UsageError."""
    values: dict[str, float] = {}
    for part in filter(None, (piece.strip() for piece in (text or "").split(","))):
        name, _, value = part.partition("=")
        if name not in _MOST:
            raise UsageError(
                f"--augment: there is no change '{part}' of series{nearest(name, list(_MOST))}",
                "write jitter=0.05,scaling=0.1,warp=0.2",
            )
        values[name] = _number(name, value)
    return SeriesTransforms(**values)


def _number(name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0.0 <= value <= _MOST[name]:
        raise UsageError(f"--augment: {name} must be a number from 0 to {_MOST[name]:g}, not '{text}'")
    return value
