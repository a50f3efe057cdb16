"""What every explainer returns: a signed map, the question that it answers, and what was checked about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Check:
    """One test of a map.

    name: `stability`; value: the figure; sentence: what the figure says, in words for a reader.
    """

    name: str
    value: float
    sentence: str

    def to_dict(self) -> dict[str, Any]:
        return {"name": self.name, "value": float(f"{self.value:.6g}"), "sentence": self.sentence}


@dataclass(frozen=True, eq=False)
class Attribution:
    """Maps of N samples.

    method: `evidence`. question: what scalar is shared out, as a sentence.
    values: float32 (N, C, H, W), signed, unscaled. scalars: float64 (N,), what the values of a sample sum to.
    labels, rivals: class names per sample; a rival may be "no class".
    seeds: the seeds of the noise that was used. checks: what was tested. caveat: what was not, or what a map
    is not.
    """

    method: str
    question: str
    values: np.ndarray
    scalars: np.ndarray
    labels: tuple[str, ...]
    rivals: tuple[str, ...]
    seeds: tuple[int, ...]
    checks: tuple[Check, ...]
    caveat: str

    def to_dict(self) -> dict[str, Any]:
        """Everything but the map itself, for JSON."""
        return {
            "method": self.method,
            "question": self.question,
            "scalars": [float(f"{value:.6g}") for value in self.scalars],
            "labels": list(self.labels),
            "rivals": list(self.rivals),
            "seeds": list(self.seeds),
            "checks": [check.to_dict() for check in self.checks],
            "caveat": self.caveat,
        }


def rank_correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Spearman's rho of two arrays of one size, ties by their mean rank; NaN where one is constant."""
    a, b = _ranks(first.ravel()), _ranks(second.ravel())
    a, b = a - a.mean(), b - b.mean()
    scale = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return float((a * b).sum()) / scale if scale > 0 else float("nan")


def _ranks(values: np.ndarray) -> np.ndarray:
    """0, 1, 2, ... by size; equal values share the mean of their ranks."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    means = ends - (counts + 1) / 2.0
    result: np.ndarray = means[inverse.reshape(-1)]
    return result
