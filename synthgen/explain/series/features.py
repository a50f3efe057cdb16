"""Windows as features that a forest reads and a person understands: each speaks of one channel, span or pair."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from synthgen.data.tables.schema import NUMERIC

LAGS = (1, 2, 4, 8)
BANDS = ((0.0, 0.125, "slow"), (0.125, 0.25, "middle"), (0.25, 0.51, "fast"))
"""Shares of the power, by cycles per step: slow (periods of 8 steps and more), middle, fast (under 4 steps)."""

SPANS = 4
MOST_PAIRS = 30
_MOST_LEVELS = 5


@dataclass(frozen=True)
class Feature:
    """What a feature speaks of. span: (first, last) step from 1, where it is of a part of the window only."""

    channel: str
    what: str
    span: tuple[int, int] | None = None

    @property
    def name(self) -> str:
        where = "" if self.span is None else f", steps {self.span[0]} to {self.span[1]}"
        return f"{self.channel}: {self.what}{where}"


def window_features(
    values: np.ndarray,
    lengths: np.ndarray,
    channels: Sequence[str],
    kinds: Sequence[str],
    pairs: Sequence[tuple[int, int]],
) -> tuple[tuple[Feature, ...], np.ndarray]:
    """(features, float64 (N, F)); NaN where a window does not have one.

    values: float64 (N, L, C), NaN where missing or beyond the length. kinds: of `ColumnSchema`. pairs: of channels
    whose correlation is looked at.
    """
    found: list[tuple[Feature, np.ndarray]] = []
    exists = np.arange(values.shape[1]) < lengths[:, None]
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)  # means of nothing: NaN is what they are
        for place, (channel, kind) in enumerate(zip(channels, kinds, strict=True)):
            one = values[..., place]
            of_kind = _numeric if kind in NUMERIC else _categorical
            found += [(Feature(channel, what, span), column) for what, span, column in of_kind(one, lengths)]
            missing = np.isnan(one) & exists
            if missing.any():
                found.append((Feature(channel, "missing share"), missing.sum(axis=1) / lengths))
        for a, b in pairs:
            names = f"{channels[a]} × {channels[b]}"
            found.append((Feature(names, "correlation"), _correlation(values[..., a], values[..., b])))
    if len(np.unique(lengths)) > 1:
        found.append((Feature("window", "length"), lengths.astype(np.float64)))
    return tuple(feature for feature, _ in found), np.stack([column for _, column in found], axis=1)


def strongest_pairs(values: np.ndarray, kinds: Sequence[str]) -> list[tuple[int, int]]:
    """The pairs of numeric channels with the strongest correlation over all steps of real windows, at most 30."""
    numeric = [place for place, kind in enumerate(kinds) if kind in NUMERIC]
    steps = values.reshape(-1, values.shape[-1])
    pairs = [(a, b) for number, a in enumerate(numeric) for b in numeric[number + 1 :]]
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)
        strength = [float(np.nan_to_num(abs(_correlation(steps[None, :, a], steps[None, :, b])[0]))) for a, b in pairs]
    order = np.argsort(-np.array(strength), kind="stable")[:MOST_PAIRS]
    return [pairs[one] for one in order]


def filled(features: np.ndarray) -> np.ndarray:
    """float32 (N, F) for a forest: ranks among all windows (trees cut them in the same places, and single precision
    holds them), -1 where a window does not have the feature."""
    found = np.full(features.shape, -1.0, np.float32)
    for column in range(features.shape[1]):
        there = np.isfinite(features[:, column])
        found[there, column] = np.unique(features[there, column], return_inverse=True)[1]
    return found


def _numeric(one: np.ndarray, lengths: np.ndarray) -> Iterator[tuple[str, tuple[int, int] | None, np.ndarray]]:
    """Of one channel float64 (N, L)."""
    mean = np.nanmean(one, axis=1)
    centred = one - mean[:, None]
    deviation = np.sqrt(np.nanmean(centred**2, axis=1))
    scaled = centred / np.where(deviation > 0, deviation, np.nan)[:, None]
    steps = np.diff(one, axis=1)
    typical = np.nanstd(one) or 1.0
    yield "mean", None, mean
    yield "deviation", None, deviation
    yield "skewness", None, np.nanmean(scaled**3, axis=1)
    yield "tails", None, np.nanmean(scaled**4, axis=1)
    yield "smallest", None, np.nanmin(one, axis=1)
    yield "largest", None, np.nanmax(one, axis=1)
    yield "rise from first to last", None, _last(one) - _last(one[:, ::-1])
    yield "roughness", None, np.nanmean(np.abs(steps), axis=1) / typical
    yield "largest step", None, np.nanmax(np.abs(steps), axis=1)
    yield (
        "curvature",
        None,
        np.nanmean(np.abs(np.diff(steps, axis=1)), axis=1) / typical if one.shape[1] > 2 else mean * 0,
    )
    yield "repeated values", None, np.nanmean(np.where(np.isnan(steps), np.nan, steps == 0), axis=1)
    for lag in LAGS:
        if 2 * lag < one.shape[1]:
            yield f"autocorrelation {lag}", None, np.nanmean(scaled[:, lag:] * scaled[:, :-lag], axis=1)
    yield from _bands(centred)
    edges = np.rint(np.linspace(0, one.shape[1], SPANS + 1)).astype(int)
    for first, last in pairwise(edges):
        if last - first >= 2 and one.shape[1] >= 2 * SPANS:
            part = one[:, first:last]
            yield "mean", (first + 1, last), np.nanmean(part, axis=1)
            yield "roughness", (first + 1, last), np.nanmean(np.abs(np.diff(part, axis=1)), axis=1) / typical


def _last(one: np.ndarray) -> np.ndarray:
    """The last value of each row that is there, float64 (N,)."""
    there = ~np.isnan(one)
    place = one.shape[1] - 1 - there[:, ::-1].argmax(axis=1)
    return np.asarray(one[np.arange(len(one)), place])


def _bands(centred: np.ndarray) -> Iterator[tuple[str, None, np.ndarray]]:
    """Shares of the power in bands of frequency; gaps count as the mean."""
    power = np.abs(np.fft.rfft(np.nan_to_num(centred), axis=1)) ** 2
    frequency = np.fft.rfftfreq(centred.shape[1])
    total = power[:, 1:].sum(axis=1)
    for low, high, name in BANDS:
        inside = (frequency > low) & (frequency <= high)
        yield f"{name} power", None, power[:, inside].sum(axis=1) / np.where(total > 0, total, np.nan)


def _categorical(one: np.ndarray, lengths: np.ndarray) -> Iterator[tuple[str, tuple[int, int] | None, np.ndarray]]:
    codes, counts = np.unique(one[~np.isnan(one)], return_counts=True)
    there = np.maximum((~np.isnan(one)).sum(axis=1), 1)
    for code in codes[np.argsort(-counts, kind="stable")[:_MOST_LEVELS]]:
        yield f"share of level {code:g}", None, (one == code).sum(axis=1) / there
    yield "changes", None, (np.abs(np.diff(one, axis=1)) > 0).sum(axis=1) / there


def _correlation(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Pearson's correlation along each row (N, L) of the steps where both are there; NaN where one is constant."""
    both = ~np.isnan(a) & ~np.isnan(b)
    a, b = np.where(both, a, np.nan), np.where(both, b, np.nan)
    a, b = a - np.nanmean(a, axis=1, keepdims=True), b - np.nanmean(b, axis=1, keepdims=True)
    scale = np.sqrt(np.nansum(a * a, axis=1) * np.nansum(b * b, axis=1))
    return np.asarray(np.nansum(a * b, axis=1) / np.where(scale > 0, scale, np.nan))
