"""Small drawings of numbers."""

from __future__ import annotations

import numpy as np

from synthgen.rendering import sparkline


def test_a_sequence_as_bars() -> None:
    assert sparkline(np.arange(8.0)) == "▁▂▃▄▅▆▇█"
    assert sparkline(np.array([1.0, np.nan, 0.0, np.nan])) == "█ ▁"
    assert sparkline(np.full(3, 7.0)) == "▁▁▁" and sparkline(np.full(3, np.nan)) == ""
    long = sparkline(np.repeat(np.arange(8.0), 100), width=8)
    assert long == "▁▂▃▄▅▆▇█" and len(sparkline(np.arange(1000.0))) == 60
