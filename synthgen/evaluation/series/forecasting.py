"""What synthetic windows are worth to a forecaster: trained on them, tested on real ones, against the last value.

The forecaster is ridge regression from the first two thirds of a window, all channels, to its last third, whose penalty
a fifth of its own training windows decides. Skill is 1 - MAE / MAE of repeating the last known value, in units of each
channel's deviation; 0 is no better than that, 1 is perfect.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from synthgen.data.series.windows import WindowSet
from synthgen.evaluation.series.measure import Found, Measure, SeriesMetric, SeriesParts, beside, floor_of, percent
from synthgen.evaluation.series.measure import deviation as spread_of
from synthgen.evaluation.series.space import fill

KNOWN = 2 / 3
"""Share of a window that is known."""

_INPUTS = 2000
"""Numbers that a forecast is made from at most: of wide windows the last steps."""

_PENALTIES = tuple(10.0**power for power in range(-4, 4))
_LEAST = 20


@dataclass(frozen=True)
class Forecaster:
    """From known steps (N, K, C) to the next ones (N, H, C)."""

    weights: np.ndarray
    shift: np.ndarray
    mean: np.ndarray

    def __call__(self, known: np.ndarray) -> np.ndarray:
        flat = known.reshape(len(known), -1)
        found: np.ndarray = (flat - self.mean) @ self.weights + self.shift
        return found


def fit_forecaster(known: np.ndarray, following: np.ndarray, seed: int = 0) -> Forecaster:
    """Ridge regression; both (N, ., C), without NaN. The penalty is relative to the inputs' mean variance."""
    x, y = known.reshape(len(known), -1), following.reshape(len(following), -1)
    order = np.random.default_rng([seed, 13]).permutation(len(x))
    held, kept = order[: max(len(x) // 5, 1)], order[max(len(x) // 5, 1) :]
    errors = []
    for penalty, (weights, shift, mean) in zip(_PENALTIES, _ridge(x[kept], y[kept], _PENALTIES), strict=True):
        errors.append((float(np.abs((x[held] - mean) @ weights + shift - y[held]).mean()), penalty))
    ((weights, shift, mean),) = _ridge(x, y, (min(errors)[1],))
    return Forecaster(weights, shift, mean)


def _ridge(
    x: np.ndarray, y: np.ndarray, penalties: tuple[float, ...]
) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """(weights, shift, mean) for each penalty: W = (X'X + a s I)^-1 X'Y, s the mean of X'X's diagonal."""
    mean, shift = x.mean(0), y.mean(0)
    centred = x - mean
    values, vectors = np.linalg.eigh(centred.T @ centred)
    scale = max(float(values.clip(0).mean()), 1e-12)
    target = vectors.T @ (centred.T @ (y - shift))
    return [((vectors / (values.clip(0) + one * scale)) @ target, shift, mean) for one in penalties]


def _split(parts: SeriesParts, windows: WindowSet) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(known (N, K, C), following (N, H, C), observed of the latter), gaps filled within either part."""
    whole = windows.lengths >= windows.values.shape[1]
    values = parts.space.scaled(windows)[whole]
    length, channels = values.shape[1:]
    border = known_steps(length)
    first = max(0, border - max(_INPUTS // max(channels, 1), 1))
    sides = []
    means = parts.space.mean[parts.space.numbers]
    for part in (values[:, first:border], values[:, border:]):
        filled = np.empty_like(part)
        for channel in range(channels):
            filled[:, :, channel] = fill(part[:, :, channel], means[channel])
        sides.append(filled)
    return sides[0], sides[1], ~np.isnan(values[:, border:])


def known_steps(length: int) -> int:
    """How many steps of a window are known: 16 of 24."""
    return min(max(round(KNOWN * length), 1), length - 1)


def error(foretold: np.ndarray, following: np.ndarray, observed: np.ndarray, scale: np.ndarray) -> float:
    """Mean absolute error in units of `scale` (C,), over observed cells."""
    apart = np.abs(foretold - following) / scale
    return float(apart[observed].mean()) if observed.any() else float("nan")


def _measure(parts: SeriesParts) -> Found:
    tests = parts.reference if parts.later is None else parts.later
    known, following, observed = parts.keep("forecast test", lambda: _split(parts, tests))
    reference = parts.keep("forecast real", lambda: _split(parts, parts.reference))
    scale = np.maximum(reference[1].reshape(-1, following.shape[2]).std(0), 1e-9)
    naive = error(np.repeat(known[:, -1:], following.shape[1], axis=1), following, observed, scale)

    def skills(train: tuple[np.ndarray, np.ndarray, np.ndarray]) -> list[float]:
        found = []
        for seed in parts.seeds:
            parts.check_stop()
            index = np.arange(len(train[0]))
            if seed != parts.seeds[0]:  # the first is the figure itself, the others say how sure it is
                index = np.random.default_rng([seed, 12]).integers(0, len(index), len(index))
            model = fit_forecaster(train[0][index], train[1][index], seed)
            foretold = model(known).reshape(following.shape)
            found.append(1.0 - error(foretold, following, observed, scale) / max(naive, 1e-12))
        return found

    values = skills(_split(parts, parts.fake))
    floors = (parts.keep("forecast floor", lambda: floor_of("real", skills(reference), len(reference[0]))),)
    value = float(np.mean(values))
    where = "the later part" if parts.later is not None else "the real windows themselves"
    steps = known.shape[1]
    text = (
        f"Trained on synthetic windows, ridge regression foretells the last {following.shape[1]} of "
        f"{steps + following.shape[1]} steps of {where} with an error {percent(value)} below that of repeating the "
        f"last value{beside(floors, percent)}."
    )
    title = "forecasting skill over the last value"
    metric = SeriesMetric(
        "forecast_skill", title, value, parts.n, "higher", text, floors, spread_of(values), tuple(values), True
    )
    return Found((metric,), {"naive_error": naive, "known": steps, "horizon": following.shape[1]})


def _impossible(parts: SeriesParts) -> str | None:
    if not parts.space.numbers:
        return "no channel is a number that changes"
    length = parts.reference.values.shape[1]
    if length < 3:
        return "windows of fewer than 3 steps leave nothing to foretell"
    for windows in (parts.reference, parts.fake, parts.later or parts.reference):
        whole = int((windows.lengths >= length).sum())
        if whole < _LEAST:
            return f"{whole} of the windows of {windows.name} are {length} steps long, {_LEAST} are the least"
    return None


FORECASTING = Measure("forecasting", ("forecast_skill",), _measure, _impossible)
