"""Numbers as tokens: repeated values for themselves, all others in bins, and the way back through quantiles.

A bin is decoded by a piecewise linear function of the fraction: through quantiles of its rows where values hardly
repeat, in steps of the values themselves where they do. The outermost bins give the smallest and the largest value an
own share, as large as three rows: a sample as large as the training data then reaches each in 95 of 100 cases, which
keeps everything that is measured on the range of a column (bins of equal width among it) comparable.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from synthgen.data.tables.numbers import resolution

KNOTS = 65
MOST_STEPS = 256
_REPEATS = 3.0
"""Rows per distinct value from which on a bin is decoded to values that occur."""
_EXTREME_ROWS = 3
_BELOW_ONE = 1 - 2.0**-24
_EXACT_DIGITS = 15


@dataclass(frozen=True)
class NumberTokens:
    """The tokens of one column of numbers, in ascending order; one more for missing values when `missing`.

    low, high: float64 (K,), the values that a token stands for; equal for values with a token of their own.
    counts: int64 (size,), training rows per token. knots, at: float64 (M,), the decoded value at token + fraction,
    ascending, linear between, with jumps where two knots stand at one place; ends: int64 (K,), where in them the knots
    of a token end. smooth: bool (K,), bins whose values are interpolated, and rounded to `decimals` and `digits`.
    """

    low: np.ndarray
    high: np.ndarray
    counts: np.ndarray
    knots: np.ndarray
    at: np.ndarray
    ends: np.ndarray
    smooth: np.ndarray
    decimals: int
    digits: int
    missing: bool

    @property
    def ordered(self) -> int:
        """Tokens that stand for numbers."""
        return len(self.low)

    @property
    def size(self) -> int:
        return self.ordered + self.missing

    @property
    def spread(self) -> np.ndarray:
        """bool (size,): tokens that are bins."""
        return np.append(self.low < self.high, np.zeros(int(self.missing), bool))

    @property
    def positions(self) -> np.ndarray:
        """float32 (size,): rank in [0, 1], NaN for missing."""
        ranks = np.arange(self.ordered) / max(self.ordered - 1, 1)
        return np.append(ranks, np.full(int(self.missing), np.nan)).astype(np.float32)

    def encode(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(tokens int64 (N,), fractions float32 (N,)) of float64 values, NaN where missing.

        What lies outside of all tokens goes to the nearest; missing values of a column that had none in training go to
        its middle token.
        """
        tokens = np.full(len(values), self.ordered if self.missing else self.ordered // 2, np.int64)
        fractions = np.full(len(values), 0.5)
        present = np.flatnonzero(~np.isnan(values))
        if self.ordered and len(present):
            tokens[present], fractions[present] = self._encode(values[present])
        return tokens, np.clip(fractions, 0, _BELOW_ONE).astype(np.float32)

    def _encode(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        is_bin = self.low < self.high
        bins, own = np.flatnonzero(is_bin), np.flatnonzero(~is_bin)
        fractions = np.full(len(values), 0.5)
        if not len(bins):
            return own[_nearest(self.low, values)], fractions
        tokens = bins[np.minimum(np.searchsorted(self.high[bins], values), len(bins) - 1)]
        fractions = self._fractions(values, tokens)
        if len(own):
            near = own[_nearest(self.low[own], values)]
            exact = self.low[near] == values
            tokens, fractions = np.where(exact, near, tokens), np.where(exact, 0.5, fractions)
        return tokens, fractions

    def _fractions(self, values: np.ndarray, tokens: np.ndarray) -> np.ndarray:
        """Where in their bins values stand; in the middle of the place of a value that has a width."""
        token = np.repeat(np.arange(self.ordered), np.diff(self.ends, prepend=0))
        keep = (self.low < self.high)[token]
        knots, at = self.knots[keep], self.at[keep]
        clipped = np.clip(values, self.low[tokens], self.high[tokens])
        left, right = np.searchsorted(knots, clipped, "left"), np.searchsorted(knots, clipped, "right")
        last = len(knots) - 1
        before, after = np.clip(left - 1, 0, last), np.clip(left, 0, last)
        width = knots[after] - knots[before]
        share = (clipped - knots[before]) / np.where(width > 0, width, 1.0)
        between = at[before] + share * (at[after] - at[before])
        middle = (at[after] + at[np.clip(right - 1, 0, last)]) / 2
        return np.asarray(np.where(right > left, middle, between) - tokens)

    def decode(self, tokens: np.ndarray, fractions: np.ndarray) -> np.ndarray:
        """float64 (N,), NaN where missing. fractions: in [0, 1]."""
        if not self.ordered:
            return np.full(len(tokens), np.nan)
        place = np.minimum(tokens, self.ordered - 1)
        values = np.interp(place + np.clip(fractions.astype(np.float64), 0, _BELOW_ONE), self.at, self.knots)
        smooth = self.smooth[place]
        if smooth.any():
            exact, low, high = values[smooth], self.low[place[smooth]], self.high[place[smooth]]
            rounded = np.clip(round_to(exact, self.decimals, self.digits), low, high)
            values[smooth] = np.where((exact == low) | (exact == high), exact, rounded)
        values[tokens >= self.ordered] = np.nan
        return np.asarray(values)

    def allowed(self, low: float, high: float) -> tuple[np.ndarray, np.ndarray]:
        """(bool (size,), float32 (size, 2)): tokens and fractions that decode into [low, high], for certain."""
        tokens = np.zeros(self.size, bool)
        intervals = np.tile(np.array([0.0, _BELOW_ONE], np.float32), (self.size, 1))
        tokens[: self.ordered] = (self.high >= low) & (self.low <= high)
        whole = (self.low >= low) & (self.high <= high)
        for token in np.flatnonzero(tokens[: self.ordered] & (self.low < self.high) & ~whole):
            first, last = self._first(int(token), low), self._first(int(token), np.nextafter(high, np.inf)) - 1
            tokens[token] = first <= last
            margin = 1 if last - first > 4 else 0  # for what rounds when a fraction is drawn between the two
            intervals[token] = np.array([first + margin, last - margin], np.float64) / 2**24
        return tokens, intervals

    def _first(self, token: int, value: float) -> int:
        """The smallest k for which the fraction k / 2^24 decodes to at least `value`; 2^24 if there is none."""
        below, above = -1, 2**24
        while above - below > 1:
            middle = (below + above) // 2
            if self.decode(np.array([token]), np.array([middle / 2**24]))[0] >= value:
                above = middle
            else:
                below = middle
        return above


def _nearest(ascending: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Places of the entries nearest to values."""
    right = np.clip(np.searchsorted(ascending, values), 0, len(ascending) - 1)
    left = np.maximum(right - 1, 0)
    return np.where(np.abs(values - ascending[left]) < np.abs(ascending[right] - values), left, right)


def round_to(values: np.ndarray, decimals: int, digits: int = 17) -> np.ndarray:
    """Values with at most so many decimals and significant digits; more than 15 are what floating point has anyway."""
    if digits < _EXACT_DIGITS:
        size = np.floor(np.log10(np.maximum(np.abs(values), 1e-300))).astype(np.int64)
        factor = 10.0 ** np.clip(digits - 1 - size, 0, 22)
        values = np.rint(values * factor) / factor
    return np.round(values, decimals) if decimals < _EXACT_DIGITS else values


def fit_numbers(values: np.ndarray, bins: int) -> NumberTokens:
    """Tokens of float64 values (N,), NaN where missing: about `bins` of them, with about equally many rows each.

    Values that fill a token by themselves have one; so has every value when there are at most `bins`.
    """
    present = values[~np.isnan(values)] + 0.0
    distinct, counts = np.unique(present, return_counts=True)
    missing = len(values) - len(present)
    if len(distinct) <= bins:
        return _assemble([(value[None], count[None]) for value, count in zip(distinct, counts, strict=True)], missing)
    own = counts >= max(len(present) / bins, 2)
    rest, weights = distinct[~own], counts[~own]
    number = max(4, int(bins * weights.sum() / len(present)))
    middle = np.cumsum(weights) - weights / 2
    place = np.minimum((middle / weights.sum() * number).astype(np.int64), number - 1)
    cuts = np.flatnonzero(np.diff(place)) + 1
    groups = list(zip(np.split(rest, cuts), np.split(weights, cuts), strict=True))
    groups += [(distinct[i : i + 1], counts[i : i + 1]) for i in np.flatnonzero(own)]
    groups.sort(key=lambda group: float(np.average(group[0], weights=group[1])))
    return _assemble([group for group in groups if len(group[0])], missing, resolution(rest))


def _assemble(
    groups: list[tuple[np.ndarray, np.ndarray]], missing: int, rounding: dict[str, int] | None = None
) -> NumberTokens:
    """Tokens from (distinct values, rows of each), in ascending order."""
    rounding = rounding or {"decimals": _EXACT_DIGITS, "digits": 17}
    smallest = min((values[0] for values, _ in groups), default=0.0)
    largest = max((values[-1] for values, _ in groups), default=0.0)
    knots, at, smooth = [], [], []
    for token, (values, counts) in enumerate(groups):
        ends = bool(values[0] == smallest), bool(values[-1] == largest)
        stepped = len(values) == 1 or (len(values) <= MOST_STEPS and counts.sum() >= _REPEATS * len(values))
        places, levels = _steps(values, counts, *ends) if stepped else _quantiles(values, counts)
        smooth.append(not stepped)
        if not stepped:
            share = min(_EXTREME_ROWS / counts.sum(), 0.2)
            places, levels = _with_extremes(places, levels, share, *ends)
        knots.append(levels)
        at.append(token + places)
    rows = [int(counts.sum()) for _, counts in groups] + ([missing] if missing else [])
    return NumberTokens(
        low=np.array([values[0] for values, _ in groups], np.float64),
        high=np.array([values[-1] for values, _ in groups], np.float64),
        counts=np.array(rows, np.int64),
        knots=np.concatenate([*knots, np.empty(0)]),
        at=np.concatenate([*at, np.empty(0)]),
        ends=np.cumsum([len(part) for part in knots], dtype=np.int64),
        smooth=np.array(smooth, bool),
        missing=missing > 0,
        **rounding,
    )


def _steps(values: np.ndarray, counts: np.ndarray, first: bool, last: bool) -> tuple[np.ndarray, np.ndarray]:
    """(fractions, values) of a distribution on `values`, of which the first, the last or both are extremes."""
    counts = counts.copy()
    for place in [0] * first + [-1] * last:
        counts[place] = max(counts[place], _EXTREME_ROWS)
    ends = np.cumsum(counts) / counts.sum()
    return np.stack([np.append(0, ends[:-1]), ends], axis=1).ravel(), np.repeat(values, 2)


def _quantiles(values: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(fractions, values) through the empirical quantiles, first and last value included."""
    places = np.linspace(0, 1, min(KNOTS, int(counts.sum())))
    ranks = places * (counts.sum() - 1)
    starts = np.cumsum(counts) - counts
    # Rank r lies between the sorted rows floor(r) and floor(r) + 1.
    below = np.searchsorted(starts, np.floor(ranks), "right") - 1
    above = np.searchsorted(starts, np.minimum(np.floor(ranks) + 1, counts.sum() - 1), "right") - 1
    share = ranks - np.floor(ranks)
    return places, values[below] * (1 - share) + values[above] * share


def _with_extremes(
    places: np.ndarray, levels: np.ndarray, share: float, first: bool, last: bool
) -> tuple[np.ndarray, np.ndarray]:
    """The same with a share of the fractions set aside for the first value, the last, or both."""
    before, after = share * first, share * last
    places = before + places * (1 - before - after)
    if first:
        places, levels = np.append(0.0, places), np.append(levels[0], levels)
    if last:
        places, levels = np.append(places, 1.0), np.append(levels, levels[-1])
    return places, levels
