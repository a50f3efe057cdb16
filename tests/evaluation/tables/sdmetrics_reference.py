"""What sdmetrics says of `mixed` tables, as JSON: run in an environment that has it.

python tests/evaluation/tables/sdmetrics_reference.py > tests/evaluation/tables/sdmetrics-0.32.json
"""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))


def reference() -> dict[str, object]:
    """Column Shapes and Column Pair Trends of `mixed(1200, 1)` against `mixed(1000, 2)` and against it shuffled."""
    import sdmetrics
    from mixed import SDTYPES, mixed, shuffled  # type: ignore[import-not-found]
    from sdmetrics.reports.single_table._properties import ColumnPairTrends, ColumnShapes

    warnings.simplefilter("ignore")
    metadata = {"columns": {name: {"sdtype": kind} for name, kind in SDTYPES.items()}}
    real, other = mixed(1200, 1), mixed(1000, 2)
    found: dict[str, object] = {"version": sdmetrics.__version__}
    for name, fake in (("other", other), ("shuffled", shuffled(real, 3))):
        shapes, trends = ColumnShapes(), ColumnPairTrends()
        shape = shapes.get_score(real, fake, metadata)
        trend = trends.get_score(real, fake, metadata)
        found[name] = {
            "shape": 1 - float(shape),
            "trend": 1 - float(trend),
            "columns": {str(row["Column"]): 1 - float(row["Score"]) for _, row in shapes.details.iterrows()},
            "pairs": [
                [str(row["Column 1"]), str(row["Column 2"]), 1 - float(row["Score"])]
                for _, row in trends.details.iterrows()
            ],
        }
    return found


if __name__ == "__main__":
    print(json.dumps(reference()))
