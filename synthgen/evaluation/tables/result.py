"""What an evaluation of synthetic rows found, in numbers and in plain words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from synthgen.evaluation.result import GateResult, SetSummary
from synthgen.evaluation.tables.measure import TableMetric

HEADLINES = ("shape", "trend", "detection_auc", "tstr_auc", "tstr_f1", "tstr_r2", "dcr_share")
"""Figures that sum it up."""


@dataclass(frozen=True)
class Leak:
    """What is known of the rows that the generator was trained on.

    status: clean (the real rows, and no others); other (other rows); test (rows that it is tested on); unknown.
    overlap: how many of the `held_out` rows are equal to a real training row. expected: how many would be by chance, as
    often as a training row equals another one.
    """

    status: str
    sentence: str
    overlap: int = 0
    held_out: int = 0
    expected: float = 0.0


@dataclass(frozen=True)
class TableEvaluation:
    """The whole result; `to_dict` is what --json prints.

    n: synthetic rows used. holdout: real rows that no generator was trained on, None without any. target: the column
    that models are trained to predict.
    """

    real: SetSummary
    fake: SetSummary
    holdout: SetSummary | None
    n: int
    seed: int
    target: str | None
    metrics: dict[str, TableMetric]
    leak: Leak
    warnings: tuple[str, ...]
    notes: tuple[str, ...]
    details: dict[str, Any] = field(default_factory=dict)
    """What measures found beside figures, JSON-ready, under the measure's name."""

    gates: tuple[GateResult, ...] = ()

    @property
    def headline(self) -> str:
        """A few sentences that sum it up."""
        return " ".join(one.sentence for name, one in self.metrics.items() if name in HEADLINES[:4])

    @property
    def reference(self) -> str:
        """What the synthetic rows were compared with."""
        held = "" if self.holdout is None else f"; held out: {self.holdout.used:,} rows of {self.holdout.name}"
        return f"the {self.real.used:,} training rows{held}"

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, snake_case; the same shape as that of images."""
        skipped = ("metrics",)
        return {
            "kind": "synthgen-evaluation",
            "modality": "tables",
            **{key: value for key, value in asdict(self).items() if key not in skipped},
            "reference": self.reference,
            "metrics": {name: metric.to_dict() for name, metric in self.metrics.items()},
            "headline": self.headline,
        }


def ranking(results: Sequence[TableEvaluation]) -> str | None:
    """One sentence on which set is hardest to tell from real rows, and whether it can be told from the next."""
    name = "detection_auc" if all("detection_auc" in one.metrics for one in results) else "trend_fixed"
    known = [one for one in results if name in one.metrics]
    ranked = sorted(known, key=lambda one: abs(one.metrics[name].value - (one.metrics[name].ideal or 0.0)))
    if len(ranked) < 2:
        return None
    (best, first), (other, second) = ((one.fake.name, one.metrics[name]) for one in ranked[:2])
    apart = first.interval is None or second.interval is None or _disjoint(first.interval, second.interval)
    figures = f"{first.title} {first.value:.3g} against {second.value:.3g} of {other}"
    if apart:
        return f"{best} is nearest to the real rows: {figures}."
    return f"{best} and {other} cannot be told apart: {figures}, and the intervals overlap."


def _disjoint(first: tuple[float, float], second: tuple[float, float]) -> bool:
    return first[1] < second[0] or second[1] < first[0]
