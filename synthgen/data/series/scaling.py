"""Numbers of a channel as the network sees them, and back: standard, min-max, and normal scores."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.special import ndtr, ndtri

from synthgen.data.tables.binning import round_to
from synthgen.data.tables.numbers import resolution

KINDS = ("standard", "minmax", "quantile")
_KNOTS = 1000
_ATOM = 0.02
"""A value that takes this share of all is one that comes again and again, such as zero."""
_TAIL = 10.0
"""Standard deviations of the farthest value beyond which tails are heavy."""
_ROUGH = 0.5
"""Correlation of neighbours below which a channel is rough: where noise dominates, its law is most of what it is."""
_ODD = 0.03
"""Largest distance between distribution functions beyond which a law is not normal."""
_DISCRETE = 12
"""So many different values, or fewer, are the only ones that are made."""


@dataclass(frozen=True)
class Scaler:
    """One channel of numbers.

    kind: of `KINDS`. shift, scale: z = (x - shift) / scale. values, scores: of `quantile`, float64 (K,), both
    ascending; equal neighbours among values are an atom, reached from every score between theirs. low, high: the range
    that was seen. decimals, digits: of `synthgen.data.tables.numbers.resolution`. whole: whole numbers only.
    """

    kind: str
    shift: float
    scale: float
    low: float
    high: float
    decimals: int = 15
    digits: int = 17
    whole: bool = False
    values: np.ndarray = field(default_factory=lambda: np.empty(0))
    scores: np.ndarray = field(default_factory=lambda: np.empty(0))

    @property
    def half(self) -> float:
        """Half of the place to which values are rounded; 0: they are not, or to significant digits."""
        return 0.5 if self.whole else 0.5 * 10.0**-self.decimals if self.decimals < 15 else 0.0

    def encode(self, x: np.ndarray) -> np.ndarray:
        """float64 to float64, about zero with deviation one; NaN stays."""
        if self.kind != "quantile":
            scaled: np.ndarray = (x - self.shift) / self.scale
            return scaled
        left = np.searchsorted(self.values, x, side="left")
        right = np.searchsorted(self.values, x, side="right")
        last = len(self.scores) - 1
        first, final = self.scores[np.minimum(left, last)], self.scores[np.clip(right - 1, 0, last)]
        # The middle of an atom in probability, so that noise around it stays within.
        middle = ndtri((ndtr(first) + ndtr(final)) / 2)
        scored = np.where(right - left > 1, middle, np.interp(x, self.values, self.scores))
        beyond = (np.maximum(x - self.high, 0) + np.minimum(x - self.low, 0)) / self.scale
        return np.where(np.isnan(x), np.nan, scored + beyond)

    def decode(self, z: np.ndarray, *, clip: bool = True) -> np.ndarray:
        """The value that `encode` takes to z, rounded as the data are; within what was seen if `clip`."""
        if self.kind == "quantile":
            x = np.interp(z, self.scores, self.values)
            if not clip:
                top, bottom = self.scores[-1], self.scores[0]
                x = x + self.scale * (np.maximum(z - top, 0) + np.minimum(z - bottom, 0))
        else:
            x = z * self.scale + self.shift
        if self.whole:
            x = np.rint(x)
        elif self.decimals < 15 or self.digits < 15:
            x = round_to(x, self.decimals, self.digits)
        found: np.ndarray = np.clip(x, self.low, self.high) if clip else x
        return found


def fit_scaler(x: np.ndarray, kind: str, *, whole: bool) -> Scaler:
    """The scaler of the present values x (float64, at least one); kind: of `KINDS` or `auto`."""
    kind = choose(x) if kind == "auto" else kind
    low, high = float(x.min()), float(x.max())
    rounding = resolution(x)
    shift, scale = float(x.mean()), float(x.std())
    if kind == "minmax":
        shift, scale = (low + high) / 2, (high - low) / 2
    if not np.isfinite(scale) or scale <= 1e-12 * max(1.0, abs(shift)):
        scale, kind = max(1.0, abs(shift)) if low == high else max((high - low) / 2, 1e-300), "standard"
    if kind != "quantile":
        return Scaler(kind, shift, scale, low, high, rounding["decimals"], rounding["digits"], whole)
    values, scores = _knots(x)
    return Scaler(kind, 0.0, scale, low, high, rounding["decimals"], rounding["digits"], whole, values, scores)


def choose(x: np.ndarray) -> str:
    """`quantile` for few values, those that repeat amid others, tails far out, and noise that is not normal; else
    `standard`. x: in the order of time."""
    distinct, counts = np.unique(x, return_counts=True)
    if len(distinct) <= _DISCRETE:
        return "quantile"
    deviation = x.std()
    if deviation > 0 and np.abs(x - x.mean()).max() > _TAIL * deviation:
        return "quantile"
    expected = 1 / len(distinct)
    repeats = counts.max() / len(x) > max(_ATOM, 10 * expected)
    return "quantile" if repeats or (_is_rough(x) and _is_odd(x)) else "standard"


def _is_rough(x: np.ndarray) -> bool:
    centred = x - x.mean()
    return bool((centred[1:] * centred[:-1]).sum() < _ROUGH * np.square(centred).sum())


def _is_odd(x: np.ndarray) -> bool:
    """Whether the law is far from normal, by more than the chance of so few values explains (Kolmogorov, Smirnov)."""
    ordered = ndtr((np.sort(x) - x.mean()) / x.std())
    above = (np.arange(len(x)) + 1) / len(x)
    distance = max(float((above - ordered).max()), float((ordered - above).max()) + 1 / len(x))
    return bool(distance > _ODD + 1.5 / len(x) ** 0.5)


def _knots(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Values and their normal scores: the middle of what each value takes of the probability, both ends for atoms."""
    distinct, counts = np.unique(x, return_counts=True)
    ends = np.cumsum(counts) / len(x)
    begins = ends - counts / len(x)
    atom = counts > max(1, len(x) // _KNOTS)
    plain = np.flatnonzero(~atom)
    chosen = plain[np.unique(np.rint(np.linspace(0, len(plain) - 1, min(_KNOTS, len(plain)))).astype(np.int64))]
    values = np.concatenate([distinct[chosen], distinct[atom], distinct[atom]])
    levels = np.concatenate([(begins[chosen] + ends[chosen]) / 2, begins[atom], ends[atom]])
    order = np.lexsort((levels, values))
    levels = np.clip(levels[order], 0.25 / len(x), 1 - 0.25 / len(x))
    return values[order], np.maximum.accumulate(ndtri(levels))
