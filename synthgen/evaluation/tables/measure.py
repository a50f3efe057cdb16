"""What a measure of tables is, what it is handed, and what it gives back. The list of all measures is `measures`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from synthgen.data.tables.schema import TableData
from synthgen.errors import StoppedError
from synthgen.reporting import NullReporter, Reporter
from synthgen.stopping import ShouldStop, never_stop

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

FloorName = Literal["bootstrap", "holdout", "smote", "real"]
"""bootstrap: the training rows drawn anew, with replacement. holdout: real rows that no generator was trained on.
smote: points between neighbouring training rows. real: the training rows themselves, for what is learned from rows."""

T = TypeVar("T")


@dataclass(frozen=True)
class Floor:
    """What rows that are no generator's score in the same measure. n: how many rows. interval: 95 %."""

    name: FloorName
    value: float
    n: int
    interval: tuple[float, float] | None = None


@dataclass(frozen=True)
class TableMetric:
    """One figure of synthetic rows beside its floors.

    n: synthetic rows that it was computed from. interval: 95 %, found by `method` (`bootstrap`, `delong`, `wilson`).
    better: `nearer` means that the best value is `ideal`, and that both sides of it are worse. share: a part of 1,
    written in percent. sentence: what it says in plain words, with its floor. floors: the first is the one that gates
    (`shape>2*floor`) and pages mean.
    """

    name: str
    title: str
    value: float
    n: int
    better: Literal["lower", "higher", "nearer"]
    sentence: str
    floors: tuple[Floor, ...] = ()
    interval: tuple[float, float] | None = None
    method: str | None = None
    share: bool = False
    ideal: float | None = None

    @property
    def floor(self) -> float | None:
        """The value of the first floor."""
        return self.floors[0].value if self.floors else None

    @property
    def margin(self) -> float | None:
        """Half of the interval's length."""
        return None if self.interval is None else (self.interval[1] - self.interval[0]) / 2

    def at(self, name: FloorName) -> Floor | None:
        """The floor of that name."""
        return next((one for one in self.floors if one.name == name), None)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; `floor` beside `floors`, so that images and tables are read alike."""
        floors = {one.name: {key: value for key, value in asdict(one).items() if key != "name"} for one in self.floors}
        values = {key: value for key, value in asdict(self).items() if key not in ("name", "floors")}
        return {**values, "floor": self.floor, "floors": floors}


@dataclass(frozen=True)
class Found:
    """What a measure gives back.

    metrics: the figures, each under its `name`. details: anything JSON-ready that the report shows beside the figures
    (columns, pairs, histograms). warnings: sentences that a user must not miss. notes: sentences on what was left out.
    """

    metrics: tuple[TableMetric, ...] = ()
    details: dict[str, Any] | None = None
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class TableParts:
    """Who takes part in a comparison; all in the terms of one schema, that of `real`.

    real: the training rows, whole: the reference. fake: the synthetic rows. holdout: real rows that no generator was
    trained on, None where there are none. bootstrap, smote: floors at the size of `fake`; smote None where neighbours
    cannot be had. target: the column that models are to predict, None where there is none. seed: decides every draw.
    shared: results that do not depend on `fake`, kept for the next synthetic set; use `keep`. likelihood: the
    generator's own log-likelihood of rows (a frame of N -> float (N,)), where the generator is at hand.
    """

    real: TableData
    fake: TableData
    holdout: TableData | None
    bootstrap: TableData
    smote: TableData | None
    target: str | None = None
    seed: int = 0
    reporter: Reporter = field(default_factory=NullReporter)
    should_stop: ShouldStop = never_stop
    shared: dict[str, Any] = field(default_factory=dict, repr=False)
    likelihood: Callable[[pd.DataFrame], np.ndarray] | None = None

    def keep(self, key: str, compute: Callable[[], T]) -> T:
        """`compute()`, once for all synthetic sets: for floors and whatever else does not depend on `fake`."""
        if key not in self.shared:
            self.shared[key] = compute()
        found: T = self.shared[key]
        return found

    def floor_tables(self) -> dict[FloorName, TableData]:
        """The tables that floors are made of, those that are there."""
        known: dict[FloorName, TableData | None] = {
            "bootstrap": self.bootstrap,
            "holdout": self.holdout,
            "smote": self.smote,
        }
        return {name: data for name, data in known.items() if data is not None}

    def check_stop(self) -> None:
        """Raise StoppedError when the user asked to stop. Call it every second or so."""
        if self.should_stop():
            raise StoppedError("stopped while measuring")


def _always(parts: TableParts) -> str | None:
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
    measure: Callable[[TableParts], Found]
    impossible: Callable[[TableParts], str | None] = _always
    shares: tuple[str, ...] = ()
