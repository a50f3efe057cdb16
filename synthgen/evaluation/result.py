"""What an evaluation found, in numbers and in plain words."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from synthgen.evaluation.metrics import Figure

SMALL_COUNT = 2000
"""Below this n the bias of FID is large, and figures at different n must not be compared."""


@dataclass(frozen=True)
class Metric:
    """One figure beside its floor.

    floor: the same metric between the reference and other real images at the same n; None when the sets are equal.
    interval: 95 %. spread: standard deviation over torch-fidelity's subsets or splits. n: images on the fake side.
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

    @property
    def margin(self) -> float | None:
        """Half of the interval's length, or the spread."""
        return (self.interval[1] - self.interval[0]) / 2 if self.interval else self.spread


@dataclass(frozen=True)
class ClassFigures:
    """The figures of one class. None where there are too few images or no judge."""

    name: str
    n: int
    fid: float | None
    fid_floor: float | None
    agreement: float | None
    agreement_floor: float | None


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


_TITLES: dict[str, tuple[str, Literal["lower", "higher"]]] = {
    "fid": ("FID", "lower"),
    "kid": ("KID", "lower"),
    "is": ("inception score", "higher"),
    "precision": ("precision", "higher"),
    "recall": ("recall", "higher"),
    "agreement": ("class agreement", "higher"),
}


def build_metric(name: str, found: Figure, floor: Figure | None, n: int, extractor: str) -> Metric:
    """A figure, its floor and what the two say."""
    title, better = _TITLES[name]
    spread = found.spread
    limit = None if floor is None else floor.value
    sentence = _sentence(name, found, floor)
    return Metric(name, title, found.value, limit, found.interval, spread, better, n, extractor, sentence)


def _sentence(name: str, found: Figure, floor: Figure | None) -> str:
    value = found.value
    real = "" if floor is None else f" (real images: {_written(name, floor.value)})"
    if name == "fid":
        return _fid_sentence(found, floor)
    if name == "kid":
        spread = found.spread or 0.0
        near = floor is not None and value - floor.value <= 2 * spread
        return (
            f"KID {value:.3g} is within two standard deviations of what real images show{real}."
            if near
            else f"KID {value:.3g} tells the fake images from the real ones{real}."
        )
    if name == "is":
        return f"The judge sees {value:.2f} clear and equally frequent classes{real}."
    share = f"{100 * value:.1f} %"
    if name == "precision":
        return f"{share} of the fake images lie where real ones lie{real}."
    if name == "recall":
        return f"{share} of the real images lie where fake ones lie{real}."
    return f"The judge reads the asked label in {share} of the fake images{real}."


def _written(name: str, value: float) -> str:
    if name in ("precision", "recall", "agreement"):
        return f"{100 * value:.1f} %"
    return f"{value:.2f}" if name == "is" else f"{value:.3g}"


def _fid_sentence(found: Figure, floor: Figure | None) -> str:
    if floor is None:
        return f"FID {found.value:.3g}."
    lowest = found.interval[0] if found.interval else found.value
    if lowest <= floor.value:
        return f"FID {found.value:.3g} is not above what other real images show ({floor.value:.3g})."
    times = found.value / floor.value if floor.value > 0 else float("inf")
    return f"FID {found.value:.3g} is {times:,.1f} times the {floor.value:.3g} of other real images at the same n."
