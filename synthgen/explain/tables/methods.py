"""The names of the methods for tables, without what they import."""

from __future__ import annotations

from collections.abc import Sequence

from synthgen.explain.methods import check_names

METHOD_NAMES = ("detector", "likelihood", "attribution", "neighbours")
NEEDS_DATA = ("detector", "neighbours")
NEEDS_LOGITS = ("likelihood", "attribution")
"""Methods that ask how likely a cell is given others, which the Gaussian process does not tell."""


def check_methods(methods: Sequence[str]) -> None:
    """Raise UsageError for an empty list or an unknown name."""
    check_names(methods, METHOD_NAMES, "tables")
