"""A map over steps and channels, and what belongs to it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from synthgen.errors import SynthgenError
from synthgen.explain.attribution import Check

LARGEST_GAP = 1e-4
"""By which share of what they add up to the cells of a map may miss it: rounding of float64 sums leaves far less."""


@dataclass(frozen=True, eq=False)
class Map:
    """One method's answer for N windows.

    name: of the method. question: what is shared out among the cells, in words. unit: of the values.
    values: float64 (N, L, P), signed, unscaled, 0 at steps that do not exist; P parts, channels before static
    covariates. totals: float64 (N,), what a window's values add up to. halves: float64 (2, N, L, P), the same from two
    independent halves of the random numbers; None where there is no chance in it. names: the two sides of each window,
    such as (class, rival). caveat: what the map does not say. checks, verdict: see `synthgen.explain.series.audit`.
    """

    name: str
    question: str
    unit: str
    values: np.ndarray
    totals: np.ndarray
    halves: np.ndarray | None
    names: tuple[tuple[str, str], ...]
    caveat: str
    checks: tuple[Check, ...] = ()
    verdict: str = ""
    details: dict[str, Any] = field(default_factory=dict)


def checked_sum(values: np.ndarray, totals: np.ndarray) -> float:
    """The largest gap between the sum of a window's cells and its total, found on another way; (N, L, P), (N,).

    Raises SynthgenError where it is more than rounding.
    """
    gap = float(np.abs(values.sum(axis=(1, 2)) - totals).max())
    if not gap <= LARGEST_GAP * (1.0 + float(np.abs(totals).max())):
        raise SynthgenError(f"the cells of the map miss its total by {gap:.3g}")
    return gap
