"""The names of the methods for series, without what they import."""

from __future__ import annotations

from collections.abc import Sequence

from synthgen.explain.methods import check_names

METHOD_NAMES = ("evidence", "attention", "trajectory", "shap", "detector", "neighbours")
NEEDS_DATA = ("shap", "detector", "neighbours")
"""Methods that need the real windows that the model learned from."""

NEEDS_SAMPLES = ("trajectory",)
"""Methods that watch the model draw, and so say nothing of given sequences."""


def check_methods(methods: Sequence[str]) -> None:
    """Raise UsageError for an empty list or an unknown name."""
    check_names(methods, METHOD_NAMES, "series")
