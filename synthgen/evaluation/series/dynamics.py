"""How windows go on in time: autocorrelation, spectrum, and how channels follow one another."""

from __future__ import annotations

import numpy as np

from synthgen.evaluation.series.measure import Found, Measure, SeriesParts, plain
from synthgen.evaluation.series.pooling import pooled, pooled_metric
from synthgen.evaluation.series.space import fill

LAGS = 48
"""The autocorrelation is compared up to this lag, or up to the window's length."""

_CROSS = (0, 1, 2, 3, 4, 6, 8, 12, 16, 24)
_WIDEST = 60
_FLOOR = 1e-9
"""Share of the power that counts as none: below it spectra are rounding."""


def lagged_sums(values: np.ndarray, lags: int) -> np.ndarray:
    """(C, lags + 1, 6): of pairs `lag` steps apart with both there: number, sums, sums of squares, of products."""
    seen = ~np.isnan(values)
    filled, count = np.where(seen, values, 0.0), seen.astype(np.float64)
    squares, length = filled**2, values.shape[1]
    found = np.empty((values.shape[2], lags + 1, 6))
    for lag in range(lags + 1):
        x, xx, a = (one[:, : length - lag] for one in (filled, squares, count))
        y, yy, b = (one[:, lag:] for one in (filled, squares, count))
        for place, (one, other) in enumerate(((a, b), (x, b), (a, y), (xx, b), (a, yy), (x, y))):
            found[:, lag, place] = np.einsum("nlc,nlc->c", one, other)
    return found


def autocorrelations(sums: np.ndarray) -> np.ndarray:
    """(C, lags + 1): Pearson's correlation of values `lag` steps apart, over all pairs in all windows.

    Around the mean of the pairs and not of each window, so that many short windows of a stationary process give its
    autocorrelation c_k / c_0 without the bias of short series (Brockwell and Davis 1991, ch. 7).
    """
    return correlation_of(np.moveaxis(sums, 2, 0))


def correlation_of(sums: np.ndarray) -> np.ndarray:
    """Pearson's correlation from (6, ...): number, sums of x and y, of their squares, of products; 0 of constants."""
    count, x, y, xx, yy, xy = sums
    count = np.maximum(count, 1)
    joint = xy / count - x * y / count**2
    spread = np.sqrt(np.maximum(xx / count - (x / count) ** 2, 0) * np.maximum(yy / count - (y / count) ** 2, 0))
    found: np.ndarray = np.divide(joint, spread, out=np.zeros_like(joint), where=spread > 1e-9)
    return np.asarray(np.clip(found, -1, 1))


def _autocorrelation(parts: SeriesParts) -> Found:
    lags = min(LAGS, parts.reference.values.shape[1] - 1)

    def sums(values: np.ndarray) -> np.ndarray:
        return lagged_sums(values, lags)

    def distance(first: np.ndarray, second: np.ndarray) -> float:
        both = (first[:, 1:, 0] > 0) & (second[:, 1:, 0] > 0)
        apart = np.abs(autocorrelations(first) - autocorrelations(second))[:, 1:]
        return float(apart[both].mean()) if both.any() else float("nan")

    metric = pooled_metric(
        parts,
        "autocorrelation",
        "autocorrelation distance",
        sums,
        distance,
        "Autocorrelations are {value} apart on average",
        plain,
    )
    curves = [
        autocorrelations(pooled(parts, one, "autocorrelation", sums)).tolist() for one in (parts.reference, parts.fake)
    ]
    details = {"channels": _names(parts), "real": curves[0], "fake": curves[1]}
    return Found((metric,), details)


def power(values: np.ndarray) -> np.ndarray:
    """(C, F): summed periodograms of windows (N, L, C), mean removed, Hann's taper; the frequency 0 is left out.

    |FFT(h (x - mean))|^2 at frequencies k / L, k = 1 ... L // 2 (Brockwell and Davis 1991, ch. 10). The taper keeps the
    jump between a window's ends from hiding what is weak at high frequencies.
    """
    count, length, channels = values.shape
    rows = fill(values.transpose(0, 2, 1).reshape(-1, length), 0.0)
    taper = np.hanning(length + 2)[1:-1]
    # The mean under the taper: what is left at frequency 0 does not leak into the first ones.
    rows = rows - (rows @ taper / taper.sum())[:, None]
    spectra = np.abs(np.fft.rfft(rows * taper, axis=1)[:, 1:]) ** 2
    found: np.ndarray = spectra.reshape(count, channels, -1).sum(0)
    return found


def normalised(power_: np.ndarray) -> np.ndarray:
    """(C, F): shares of each channel's power."""
    total = power_.sum(1, keepdims=True)
    found: np.ndarray = np.divide(power_, total, out=np.zeros_like(power_), where=total > 0)
    return found


def decibels_apart(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(C,): the mean of |10 log10| of the ratio of both spectra over frequencies, in dB; 0 where neither has power."""
    one, other = (np.maximum(normalised(side), _FLOOR) for side in (first, second))
    found: np.ndarray = np.abs(10 * np.log10(one / other)).mean(1)
    return found


def _decibels(value: float) -> str:
    return f"{value:.3g} dB"


def _spectrum(parts: SeriesParts) -> Found:
    metric = pooled_metric(
        parts,
        "spectrum",
        "spectral distance, dB",
        power,
        lambda first, second: float(decibels_apart(first, second).mean()),
        "Spectra are {value} apart, averaged over frequencies and channels",
        _decibels,
    )
    real, fake = (pooled(parts, one, "spectrum", power) for one in (parts.reference, parts.fake))
    length = parts.reference.values.shape[1]
    details = {
        "channels": _names(parts),
        "frequencies": [(k + 1) / length for k in range(real.shape[1])],
        "real": normalised(real).tolist(),
        "fake": normalised(fake).tolist(),
        "apart": decibels_apart(real, fake).tolist(),
    }
    return Found((metric,), details)


def cross_sums(values: np.ndarray, lags: tuple[int, ...]) -> np.ndarray:
    """(lags, 6, C, C): of pairs (i at t, j at t + lag) with both there: number, sums, squares, products."""
    seen = ~np.isnan(values)
    filled, count = np.where(seen, values, 0.0), seen.astype(np.float64)
    length, channels = values.shape[1:]
    found = np.empty((len(lags), 6, channels, channels))
    for place, lag in enumerate(lags):
        x, a = (one[:, : length - lag].reshape(-1, channels) for one in (filled, count))
        y, b = (one[:, lag:].reshape(-1, channels) for one in (filled, count))
        products = (a.T @ b, x.T @ b, a.T @ y, (x * x).T @ b, a.T @ (y * y), x.T @ y)
        found[place] = np.stack(products)
    return found


def cross_correlations(sums: np.ndarray) -> np.ndarray:
    """(lags, C, C): Pearson's correlation of channel i with channel j `lag` steps later; 0 where one is constant."""
    return correlation_of(np.moveaxis(sums, 1, 0))


def _cross(parts: SeriesParts) -> Found:
    length = parts.reference.values.shape[1]
    lags = tuple(lag for lag in _CROSS if lag <= length // 2)
    chosen = slice(None) if len(parts.space.numbers) <= _WIDEST else slice(0, _WIDEST)
    others = ~np.eye(len(parts.space.numbers[chosen]), dtype=bool)

    def sums(values: np.ndarray) -> np.ndarray:
        return cross_sums(values[:, :, chosen], lags)

    def distance(first: np.ndarray, second: np.ndarray) -> float:
        return float(np.abs(cross_correlations(first) - cross_correlations(second))[:, others].mean())

    metric = pooled_metric(
        parts,
        "cross_correlation",
        "cross-correlation distance",
        sums,
        distance,
        f"Correlations of channels up to {lags[-1]} steps apart differ by {{value}} on average",
        plain,
    )
    real, fake = (
        cross_correlations(pooled(parts, one, "cross_correlation", sums)) for one in (parts.reference, parts.fake)
    )
    apart = np.abs(real - fake) * others
    names = _names(parts)[chosen]
    worst = [np.unravel_index(place, apart.shape) for place in np.argsort(-apart, axis=None)[:12]]
    pairs = [
        {"channels": [names[i], names[j]], "lag": lags[k], "real": float(real[k, i, j]), "fake": float(fake[k, i, j])}
        for k, i, j in worst
        if i != j
    ]
    here = {"channels": names, "real": real[0].tolist(), "fake": fake[0].tolist()}
    left = len(parts.space.numbers) - len(names)
    notes = (f"cross-correlations: of the first {_WIDEST} of {left + _WIDEST} channels",) if left else ()
    return Found((metric,), {"pairs": pairs, "lags": list(lags), "at_once": here}, notes=notes)


def _names(parts: SeriesParts) -> list[str]:
    return [parts.space.channels[place] for place in parts.space.numbers]


def _no_numbers(parts: SeriesParts) -> str | None:
    if not parts.space.numbers:
        return "no channel is a number that changes"
    return None if parts.reference.values.shape[1] >= 4 else "windows of fewer than 4 steps have no dynamics to compare"


def _no_pairs(parts: SeriesParts) -> str | None:
    if len(parts.space.numbers) < 2:
        return "there is one channel only" if parts.space.numbers else "no channel is a number that changes"
    return _no_numbers(parts)


AUTOCORRELATION = Measure("autocorrelation", ("autocorrelation",), _autocorrelation, _no_numbers)
SPECTRUM = Measure("spectrum", ("spectrum",), _spectrum, _no_numbers)
CROSS = Measure("cross_correlation", ("cross_correlation",), _cross, _no_pairs)
