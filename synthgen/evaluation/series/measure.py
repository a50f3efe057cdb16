"""What a measure of series is, what it is handed, and what it gives back. The list of all measures is `measures`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, TypeVar

import numpy as np

from synthgen.data.series.windows import WindowSet
from synthgen.errors import StoppedError
from synthgen.evaluation.cache import ArrayCache
from synthgen.evaluation.series.space import Prepared, Space
from synthgen.reporting import NullReporter, Reporter
from synthgen.stopping import ShouldStop, never_stop

FloorName = Literal["halves", "redrawn", "later", "real", "chance"]
"""halves: one part of the real windows against another; no window of the one overlaps one of the other. redrawn: the
real windows drawn anew, with replacement: a generator that has learned their law and nothing else. later: the real part
that no generator was trained on. real: what is learned from real windows. chance: what a perfect generator would score
on independent windows."""

FLOORS: dict[FloorName, str] = {
    "halves": "one real half against the other",
    "redrawn": "the real windows drawn anew",
    "later": "the later, held-out part",
    "real": "trained on real windows",
    "chance": "chance alone",
}
"""How sentences call the floors."""

T = TypeVar("T")


@dataclass(frozen=True)
class Floor:
    """What windows that are no generator's score in the same measure. n: how many. spread: deviation over seeds."""

    name: FloorName
    value: float
    n: int
    spread: float | None = None


@dataclass(frozen=True)
class SeriesMetric:
    """One figure of synthetic windows beside its floors.

    value: the mean over seeds, whose single values are `values`; spread: their deviation. n: synthetic windows that it
    was computed from. share: a part of 1, written in percent. ideal: the best value, where more and less are worse.
    sentence: what it says in plain words. floors: the first is the one that gates (`spectrum>2*floor`) mean.
    """

    name: str
    title: str
    value: float
    n: int
    better: Literal["lower", "higher", "nearer"]
    sentence: str
    floors: tuple[Floor, ...] = ()
    spread: float | None = None
    values: tuple[float, ...] = ()
    share: bool = False
    ideal: float | None = None

    @property
    def floor(self) -> float | None:
        """The value of the first floor."""
        return self.floors[0].value if self.floors else None

    def at(self, name: FloorName) -> Floor | None:
        """The floor of that name."""
        return next((one for one in self.floors if one.name == name), None)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; `floor` beside `floors`, so that all modalities are read alike."""
        floors = {one.name: {key: value for key, value in asdict(one).items() if key != "name"} for one in self.floors}
        values = {key: value for key, value in asdict(self).items() if key not in ("name", "floors")}
        return {**values, "floor": self.floor, "floors": floors}


@dataclass(frozen=True)
class Found:
    """What a measure gives back.

    metrics: the figures. details: anything JSON-ready that the report shows beside them (curves, channels, pairs).
    warnings: sentences that a user must not miss. notes: sentences on what was done or left out.
    """

    metrics: tuple[SeriesMetric, ...] = ()
    details: dict[str, Any] | None = None
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class SeriesParts:
    """Who takes part in a comparison.

    real: the training windows, whole. reference: at most n of them; fake: n synthetic ones. later: at most n windows of
    the part that no generator was trained on, None without one. halves: positions in `real` of two parts that share no
    step. space: how windows become arrays. seeds: of everything random. shared: results that do not depend on `fake`,
    kept for the next synthetic set; use `keep`.
    """

    real: WindowSet
    reference: WindowSet
    fake: WindowSet
    later: WindowSet | None
    halves: tuple[np.ndarray, np.ndarray]
    space: Space
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    protocol: str = "honest"
    reporter: Reporter = field(default_factory=NullReporter)
    should_stop: ShouldStop = never_stop
    cache: ArrayCache = field(default_factory=ArrayCache)
    shared: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def n(self) -> int:
        """Synthetic windows."""
        return len(self.fake)

    def keep(self, key: str, compute: Callable[[], T]) -> T:
        """`compute()`, once for all synthetic sets: for floors and whatever else does not depend on `fake`."""
        if key not in self.shared:
            self.shared[key] = compute()
        found: T = self.shared[key]
        return found

    def prepared(self, windows: WindowSet) -> Prepared:
        """Windows as networks take them, kept."""
        return self.keep(f"prepared {windows.fingerprint}", lambda: self.space.prepared(windows))

    def half(self, which: int) -> WindowSet:
        """One of the two halves, at most n windows."""
        return self.keep(f"half {which}", lambda: self.real.select(self.halves[which]))

    @property
    def divided(self) -> bool:
        """Whether there are halves that are worth comparing."""
        return min(len(half) for half in self.halves) >= 8

    def check_stop(self) -> None:
        """Raise StoppedError when the user asked to stop. Call it every second or so."""
        if self.should_stop():
            raise StoppedError("stopped while measuring")


def floor_of(name: FloorName, values: np.ndarray | Sequence[float], n: int) -> Floor:
    """A floor from its values for all seeds."""
    return Floor(name, float(np.mean(values)), n, deviation(values))


def deviation(values: np.ndarray | Sequence[float]) -> float | None:
    """The standard deviation over seeds; None of a single one."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else None


def beside(floors: Sequence[Floor], written: Callable[[float], str]) -> str:
    """The floors in words: ` (chance alone: 0.010)`."""
    return f" ({'; '.join(f'{FLOORS[one.name]}: {written(one.value)}' for one in floors)})" if floors else ""


def plain(value: float) -> str:
    """Three digits."""
    return f"{value:.3g}"


def percent(value: float) -> str:
    """A share as text; two digits after the point below ten percent."""
    return f"{100 * value:.2f} %" if abs(value) < 0.1 else f"{100 * value:.1f} %"


def _always(parts: SeriesParts) -> str | None:
    return None


@dataclass(frozen=True)
class Measure:
    """One thing that can be measured.

    name: what `--metrics` calls it. gives: the names of the figures that it may give, which `--fail-if` may name;
    shares: those of them between 0 and 1. measure: computes them. impossible: why it cannot be had for these parts, or
    None; it must be cheap.
    """

    name: str
    gives: tuple[str, ...]
    measure: Callable[[SeriesParts], Found]
    impossible: Callable[[SeriesParts], str | None] = _always
    shares: tuple[str, ...] = ()
