"""All measures of tables, in the order in which results list them.

To add one, write a module with a function `_measure(parts: TableParts) -> Found` and, below it, a `Measure`; then add
its name to `MEASURES`. `--metrics`, `--fail-if`, the table, the JSON and the report then know it.
"""

from __future__ import annotations

from synthgen.evaluation.tables.detection import DETECTION
from synthgen.evaluation.tables.installed import SDMETRICS
from synthgen.evaluation.tables.measure import Measure
from synthgen.evaluation.tables.missing import MISSING
from synthgen.evaluation.tables.privacy import MEASURES as PRIVACY
from synthgen.evaluation.tables.shapes import SHAPES
from synthgen.evaluation.tables.support import SUPPORT
from synthgen.evaluation.tables.trends import TRENDS
from synthgen.evaluation.tables.utility import UTILITY
from synthgen.evaluation.tables.variety import VARIETY

MEASURES: tuple[Measure, ...] = (
    SHAPES,
    TRENDS,
    SDMETRICS,
    DETECTION,
    UTILITY,
    SUPPORT,
    MISSING,
    VARIETY,
    *PRIVACY,
)

SHARES = tuple(name for measure in MEASURES for name in measure.shares)
"""Figures between 0 and 1."""
