"""The texts of `augment-classifier`'s options, read and checked."""

from __future__ import annotations

import math
from typing import TypeVar

from synthgen.downstream.variants import Imbalance
from synthgen.errors import UsageError

Value = TypeVar("Value", int, float)


def parse_sizes(text: str | None) -> tuple[int | None, ...]:
    """`100,1000,10000`; `all` or nothing is None. Raises UsageError."""
    if text is None:
        return (None,)
    sizes: list[int | None] = []
    for part in _parts(text):
        if part == "all":
            sizes.append(None)
        elif part.replace("_", "").isdecimal() and int(part) >= 2:
            sizes.append(int(part))
        else:
            raise UsageError(f"--real-size: '{part}' is not a number of 2 or more", "write 1000, 100,1000,10000 or all")
    return _unique("--real-size", tuple(sizes))


def parse_ratios(text: str | None) -> tuple[float | None, ...]:
    """`0.5,1,5`: synthetic per real image, ascending; `all` or nothing is None. Raises UsageError."""
    if text is None:
        return (None,)
    numbers, all_of_them = [], False
    for part in _parts(text):
        if part == "all":
            all_of_them = True
            continue
        numbers.append(_number("--ratio", part, math.inf))
    ratios: tuple[float | None, ...] = (*sorted(numbers), *((None,) if all_of_them else ()))
    return _unique("--ratio", ratios)


def parse_imbalance(text: str | None) -> Imbalance | None:
    """`0.1` (every second class keeps that share) or `3=0.1,cat=0.05`. Raises UsageError."""
    if text is None:
        return None
    if "=" not in text:
        return Imbalance(share=_number("--imbalance", text, 1.0))
    shares = []
    for part in _parts(text):
        name, _, share = part.rpartition("=")
        if not name:
            raise UsageError(f"--imbalance: '{part}' is not CLASS=SHARE", "write 0.1, or 3=0.1,7=0.05")
        shares.append((name, _number("--imbalance", share, 1.0)))
    return Imbalance(shares=tuple(shares))


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(",")]


def _number(flag: str, text: str, most: float) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value <= most or math.isinf(value):
        bound = "" if math.isinf(most) else f" and at most {most:g}"
        raise UsageError(f"{flag}: '{text}' is not a number above 0{bound}")
    return value


def _unique(flag: str, values: tuple[Value | None, ...]) -> tuple[Value | None, ...]:
    if len(set(values)) != len(values):
        raise UsageError(f"{flag} names the same value twice")
    return values
