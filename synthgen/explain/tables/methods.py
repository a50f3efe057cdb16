"""The names of the methods for tables, without what they import."""

from __future__ import annotations

from collections.abc import Sequence

from synthgen.errors import UsageError, nearest

METHOD_NAMES = ("detector", "likelihood", "attribution", "neighbours")
NEEDS_DATA = ("detector", "neighbours")
NEEDS_LOGITS = ("likelihood", "attribution")
"""Methods that ask how likely a cell is given others, which the Gaussian process does not tell."""


def check_methods(methods: Sequence[str]) -> None:
    """Raise UsageError for an empty list or an unknown name."""
    known = f"methods for tables: {', '.join(METHOD_NAMES)}"
    if not methods:
        raise UsageError("no method was given", known)
    for method in methods:
        if method not in METHOD_NAMES:
            raise UsageError(f"unknown method '{method}'{nearest(method, METHOD_NAMES)}", known)
