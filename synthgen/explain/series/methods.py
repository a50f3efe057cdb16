"""The names of the methods for series, without what they import."""

from __future__ import annotations

from collections.abc import Sequence

from synthgen.errors import UsageError, nearest

METHOD_NAMES = ("evidence", "attention", "trajectory", "shap", "detector", "neighbours")
NEEDS_DATA = ("shap", "detector", "neighbours")
"""Methods that need the real windows that the model learned from."""

NEEDS_SAMPLES = ("trajectory",)
"""Methods that watch the model draw, and so say nothing of given sequences."""


def check_methods(methods: Sequence[str]) -> None:
    """Raise UsageError for an empty list or an unknown name."""
    known = f"methods for series: {', '.join(METHOD_NAMES)}"
    if not methods:
        raise UsageError("no method was given", known)
    for method in methods:
        if method not in METHOD_NAMES:
            raise UsageError(f"unknown method '{method}'{nearest(method, METHOD_NAMES)}", known)
