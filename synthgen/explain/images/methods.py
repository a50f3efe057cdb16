"""The names of the methods, without what they import."""

from __future__ import annotations

from collections.abc import Sequence

from synthgen.explain.methods import check_names

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
    check_names(methods, METHOD_NAMES, "images")
