"""All measures, in the order in which results list them.

To add one:

1. Write a module here with a function `_measure(parts: Parts) -> Found` and, below it, for instance

       DIVERSITY = Measure("diversity", gives=("vendi",), measure=_measure, impossible=_why_not)

   `Parts` (in `measure`) holds the images of every role with their features, the extractor, n, the seed, the reporter
   for progress, `check_stop()`, and `keep(...)` for what takes long. Compute every figure for `parts.fake` and, where
   it is not None, for `parts.other`: that is the floor. `parts.metric(...)` builds the figure. What the report should
   show beside the figures goes into `Found.details`; it is at `Evaluation.details[name]`, and in the JSON.
2. Add the name to `MEASURES`.

`--metrics`, `--fail-if`, the table, the JSON and the report then know it.
"""

from __future__ import annotations

from collections.abc import Sequence

from synthgen.errors import UsageError, nearest
from synthgen.evaluation.copying import DUPLICATES, MEMORISED
from synthgen.evaluation.distances import FID, FID_INFINITY, KID
from synthgen.evaluation.diversity import DIVERSITY
from synthgen.evaluation.judged import AGREEMENT, CLASSES, INCEPTION_SCORE
from synthgen.evaluation.manifolds import DENSITY_COVERAGE, PRC
from synthgen.evaluation.measure import Measure

MEASURES: tuple[Measure, ...] = (
    FID,
    FID_INFINITY,
    KID,
    INCEPTION_SCORE,
    PRC,
    DENSITY_COVERAGE,
    AGREEMENT,
    CLASSES,
    MEMORISED,
    DUPLICATES,
    DIVERSITY,
)

METRICS = tuple(measure.name for measure in MEASURES)
"""What `--metrics` may name."""


def check_metrics(metrics: Sequence[str] | None) -> tuple[str, ...]:
    """The metrics meant, in the order of `METRICS`; None means all. Raises UsageError for an unknown name or none."""
    if metrics is None:
        return METRICS
    for name in metrics:
        if name not in METRICS:
            raise UsageError(f"unknown metric '{name}'{nearest(name, METRICS)}", f"known: {', '.join(METRICS)}")
    if not metrics:
        raise UsageError("no metric was named", f"known: {', '.join(METRICS)}")
    return tuple(name for name in METRICS if name in metrics)
