"""What an evaluation found, in numbers and in plain words."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

SMALL_COUNT = 2000
"""Below this n the bias of FID is large, and figures at different n must not be compared."""


@dataclass(frozen=True)
class Metric:
    """One figure beside its floor.

    floor: the same metric between the reference and other real images at the same n; None when the sets are equal.
    interval: 95 %; method: how it was found (`bootstrap`, or `wilson` for a plain share). spread: standard deviation
    over torch-fidelity's subsets or splits. n: images on the fake side. share: a part of 1, written in percent.
    """

    name: str
    title: str
    value: float
    floor: float | None
    interval: tuple[float, float] | None
    spread: float | None
    better: Literal["lower", "higher"]
    n: int
    extractor: str
    sentence: str
    share: bool = False
    method: str | None = None

    @property
    def margin(self) -> float | None:
        """Half of the interval's length, or the spread."""
        return (self.interval[1] - self.interval[0]) / 2 if self.interval else self.spread


@dataclass(frozen=True)
class ClassFigures:
    """The figures of one class, with 95 % intervals. None where there are too few images or no judge."""

    name: str
    n: int
    fid: float | None
    fid_floor: float | None
    agreement: float | None
    agreement_floor: float | None
    fid_interval: tuple[float, float] | None = None
    agreement_interval: tuple[float, float] | None = None


@dataclass(frozen=True)
class GateResult:
    """What became of a gate (`fid>30`): the figure's value, the limit it was held against, and how far they are."""

    gate: str
    figure: str
    value: float
    limit: float
    passed: bool
    sentence: str


@dataclass(frozen=True)
class SetSummary:
    """Which images were used: `used` of `count`."""

    name: str
    split: str
    count: int
    used: int
    fingerprint: str


@dataclass(frozen=True)
class Evaluation:
    """The whole result; `to_dict` is what --json prints."""

    real: SetSummary
    fake: SetSummary
    n: int
    seed: int
    reference: str
    extractor: dict[str, Any]
    metrics: dict[str, Metric]
    classes: tuple[ClassFigures, ...]
    exact_copies: int
    identical: bool
    warnings: tuple[str, ...]
    notes: tuple[str, ...]
    details: dict[str, Any] = field(default_factory=dict)
    """What measures found beside figures, JSON-ready, under the measure's name."""

    gates: tuple[GateResult, ...] = ()
    """What became of the gates, in their order."""

    @property
    def judge(self) -> str | None:
        """How well the classifier behind the features reads images it never saw, where that was measured."""
        accuracy, count = self.extractor.get("test_accuracy"), self.extractor.get("test_count")
        if accuracy is None:
            return None
        return f"The judge itself reads {100 * accuracy:.2f} % of {count:,} real test images right."

    @property
    def headline(self) -> str:
        """One or two sentences that sum it up."""
        if self.identical:
            return "The two sets are the same images."
        return " ".join(metric.sentence for name, metric in self.metrics.items() if name in ("fid", "agreement"))

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, snake_case."""
        metrics = {
            name: {key: value for key, value in asdict(metric).items() if key != "name"}
            for name, metric in self.metrics.items()
        }
        return {
            "kind": "synthgen-evaluation",
            **{key: value for key, value in asdict(self).items() if key != "metrics"},
            "metrics": metrics,
            "headline": self.headline,
        }
