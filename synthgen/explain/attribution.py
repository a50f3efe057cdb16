"""What every explainer returns: a signed map, the question that it answers, and what was checked about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
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
        value = float(f"{self.value:.6g}")
        return {"name": self.name, "value": value if np.isfinite(value) else None, "sentence": self.sentence}


@dataclass(frozen=True)
class Target:
    """What a map is held to: one number for each image.

    of: (encoded images float32 (M, C, H, W), which explained image each of them came of, int64 (M,)) -> float64 (M,).
    unit: what the number counts, as words that follow it: `of the judge's probability of the class`.
    """

    unit: str
    of: Callable[[np.ndarray, np.ndarray], np.ndarray]

    def __call__(self, images: np.ndarray, rows: np.ndarray) -> np.ndarray:
        return self.of(images, rows)


@dataclass(frozen=True, eq=False)
class Attribution:
    """Maps of N samples.

    method: `evidence`. question: what scalar is shared out, as a sentence.
    values: float32 (N, C, H, W), signed, unscaled; C is 1 where the method does not tell channels apart.
    scalars: float64 (N,), what the values of a sample sum to; NaN where they do not share out anything.
    labels, rivals: class names per sample; a rival may be "no class".
    seeds: the seeds of the noise that was used. caveat: what was not tested, or what a map is not.
    unit: of the values. halves: float64 (2, N, H, W), the same from two independent halves of the random numbers; None
    where there is no chance in it. checks, verdict: what was tested, and all of it in one sentence. details: more, for
    pages and JSON.
    """

    method: str
    question: str
    values: np.ndarray
    scalars: np.ndarray
    labels: tuple[str, ...]
    rivals: tuple[str, ...]
    seeds: tuple[int, ...]
    caveat: str
    unit: str = ""
    halves: np.ndarray | None = None
    checks: tuple[Check, ...] = ()
    verdict: str = ""
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def maps(self) -> np.ndarray:
        """float64 (N, H, W): summed over channels."""
        return np.asarray(self.values.astype(np.float64).sum(axis=1))

    def judged(self, checks: tuple[Check, ...], verdict: str) -> Attribution:
        """The map with its checks and the verdict."""
        return replace(self, checks=checks, verdict=verdict)

    def to_dict(self) -> dict[str, Any]:
        """Everything but the map itself, for JSON."""
        return {
            "question": self.question,
            "unit": self.unit,
            "verdict": self.verdict,
            "scalars": [float(f"{value:.6g}") if np.isfinite(value) else None for value in self.scalars],
            "labels": list(self.labels),
            "rivals": list(self.rivals),
            "seeds": list(self.seeds),
            "checks": [check.to_dict() for check in self.checks],
            **self.details,
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
