"""All measures of series, in the order in which results list them.

To add one, write a module with a function `_measure(parts: SeriesParts) -> Found` and, below it, a `Measure`; then add
its name to `MEASURES`. `--metrics`, `--fail-if`, the table, the JSON and the report then know it.
"""

from __future__ import annotations

from synthgen.evaluation.series.agreement import AGREEMENT
from synthgen.evaluation.series.copies import COPIES
from synthgen.evaluation.series.dynamics import AUTOCORRELATION, CROSS, SPECTRUM
from synthgen.evaluation.series.forecasting import FORECASTING
from synthgen.evaluation.series.marginals import MARGINALS
from synthgen.evaluation.series.measure import Measure
from synthgen.evaluation.series.scores import CONTEXT, CORRELATIONAL, DISCRIMINATIVE, PREDICTIVE

MEASURES: tuple[Measure, ...] = (
    CONTEXT,
    CORRELATIONAL,
    DISCRIMINATIVE,
    PREDICTIVE,
    MARGINALS,
    AUTOCORRELATION,
    SPECTRUM,
    CROSS,
    FORECASTING,
    AGREEMENT,
    COPIES,
)

SHARES = tuple(name for measure in MEASURES for name in measure.shares)
"""Figures between 0 and 1."""
