"""What an evaluation of synthetic series found, in numbers and in plain words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from synthgen.evaluation.result import GateResult, SetSummary
from synthgen.evaluation.series.measure import FLOORS, SeriesMetric, percent, plain

HEADLINES = ("context_fid", "discriminative", "spectrum", "copies")
"""Figures that sum it up."""


@dataclass(frozen=True)
class SeriesEvaluation:
    """The whole result; `to_dict` is what --json prints.

    n: synthetic windows used, of `window` steps. later: the real part that no generator was trained on, None without
    one. protocol: `honest` (the reference is the training part) or `leaky` (it is everything, as in the field). seeds:
    of everything random. origin: what is known of the generator's training windows.
    """

    real: SetSummary
    fake: SetSummary
    later: SetSummary | None
    n: int
    window: int
    channels: tuple[str, ...]
    protocol: str
    seeds: tuple[int, ...]
    metrics: dict[str, SeriesMetric]
    origin: str
    warnings: tuple[str, ...]
    notes: tuple[str, ...]
    details: dict[str, Any] = field(default_factory=dict)
    """What measures found beside figures, JSON-ready, under the measure's name."""

    gates: tuple[GateResult, ...] = ()

    @property
    def headline(self) -> str:
        """One sentence with the figures that sum it up."""
        known = [one for name, one in self.metrics.items() if name in HEADLINES] or list(self.metrics.values())[:2]
        return "; ".join(f"{one.title} {_written(one, one.value)}{_first(one)}" for one in known) + "."

    @property
    def reference(self) -> str:
        """What the synthetic windows were compared with."""
        if self.protocol == "leaky":
            return f"{self.real.used:,} windows of everything, which the generator has seen (the field's protocol)"
        held = "" if self.later is None else f"; the later part: {self.later.used:,} windows of {self.later.name}"
        return f"{self.real.used:,} windows of the training part{held}"

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, snake_case; the same shape as that of images and tables."""
        return {
            "kind": "synthgen-evaluation",
            "modality": "series",
            **{key: value for key, value in asdict(self).items() if key != "metrics"},
            "reference": self.reference,
            "metrics": {name: metric.to_dict() for name, metric in self.metrics.items()},
            "headline": self.headline,
        }


def _written(one: SeriesMetric, value: float) -> str:
    return percent(value) if one.share else plain(value)


def _first(one: SeriesMetric) -> str:
    return f" ({FLOORS[one.floors[0].name]}: {_written(one, one.floors[0].value)})" if one.floors else ""


def ranking(results: Sequence[SeriesEvaluation]) -> str | None:
    """One sentence on which set is hardest to tell from real windows, and whether it can be told from the next."""
    for name in ("discriminative", "context_fid", "spectrum"):
        known = [one for one in results if name in one.metrics]
        if len(known) == len(results) >= 2:
            break
    else:
        return None
    ranked = sorted(known, key=lambda one: one.metrics[name].value)
    (best, first), (other, second) = ((one.fake.name, one.metrics[name]) for one in ranked[:2])
    figures = f"{first.title} {first.value:.3g} against {second.value:.3g} of {other}"
    if second.value - first.value > 2 * ((first.spread or 0.0) ** 2 + (second.spread or 0.0) ** 2) ** 0.5:
        return f"{best} is nearest to the real windows: {figures}."
    return f"{best} and {other} cannot be told apart: {figures}, within two deviations over seeds."
