"""Charts that the pages of several modalities share."""

from __future__ import annotations

import numpy as np

from synthgen.explain.tables.detector import Detection
from synthgen.html import Markup, bar_chart


def detection_chart(found: Detection, what: str, most: int) -> Markup:
    """The `most` strongest contributions to a detector's verdict, beside what chance reaches. what: one of them."""
    order = np.argsort(-found.scores, kind="stable")[:most]
    return bar_chart(
        [found.names[place] for place in order],
        [round(100.0 * float(found.scores[place]), 2) for place in order],
        marks=[100.0 * float(found.chance[place]) for place in order],
        unit=" pp",
        title=f"how far each {what} moves the verdict towards the truth",
    )
