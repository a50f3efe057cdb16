"""What explanations of images, rows and series have in common: names of methods, and which of them can be had."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from synthgen.errors import UsageError, nearest


def check_names(methods: Sequence[str], known: tuple[str, ...], data: str) -> None:
    """Raise UsageError for an empty list or an unknown name. data: what is explained, in one word."""
    told = f"methods for {data}: {', '.join(known)}"
    if not methods:
        raise UsageError("no method was given", told)
    for method in methods:
        if method not in known:
            raise UsageError(f"unknown method '{method}'{nearest(method, known)}", told)


def possible(
    methods: Sequence[str],
    why_not: Callable[[str], str | None],
    notes: list[str],
    *,
    asked: bool,
    hint: str = "leave the method out",
) -> list[str]:
    """The methods that can be had, asked before any of them works.

    why_not: the reason why one cannot be had, or None. asked: somebody named these methods, so that one which cannot be
    had is an error; else its reason goes into `notes`. Raises UsageError with `hint`.
    """
    reasons = {method: why_not(method) for method in methods}
    for method, reason in reasons.items():
        if reason is not None and asked:
            raise UsageError(f"{method}: {reason}", hint)
        if reason is not None:
            notes.append(f"{method} was left out: {reason}")
    return [method for method, reason in reasons.items() if reason is None]
