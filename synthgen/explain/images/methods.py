"""The names of the methods, without what they import."""

from __future__ import annotations

from collections.abc import Sequence

from synthgen.errors import UsageError, nearest

METHOD_NAMES = (
    "trajectory",
    "evidence",
    "information",
    "gradcam",
    "judge",
    "attention",
    "shap",
    "neighbours",
    "influence",
    "detector",
    "augmentation",
)
NEEDS_CLASSES = ("evidence", "information", "gradcam", "judge", "shap")
"""Methods that hold a class against another."""

NEEDS_DATA = ("neighbours", "influence", "detector", "augmentation")
"""Methods that look at real images."""


def check_methods(methods: Sequence[str]) -> None:
    """Raise UsageError for an empty list or an unknown name."""
    known = f"methods for images: {', '.join(METHOD_NAMES)}"
    if not methods:
        raise UsageError("no method was given", known)
    for method in methods:
        if method not in METHOD_NAMES:
            raise UsageError(f"unknown method '{method}'{nearest(method, METHOD_NAMES)}", known)
