"""Numbers as texts: which texts are numbers, and how they are written so that they come back byte for byte.

The format of a number or integer column (JSON values):
style: `shortest` (as few digits as tell the value: 0.1, 1e-07), `plain` (the same without exponents), `fixed`
(always `decimals` of them), `integer`. decimals: the most that any value has, so that made values have no more.
digits: the most significant digits of any value. point: whole values end in `.0`. comma: the decimal sign is a comma.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_INTEGER = re.compile(r"[+-]?\d+")
_COMMA = re.compile(r"[+-]?(?:\d+,\d+|\d+)")
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(?:([,' ])\d{3})+(?:\.\d+)?")  # 0,841 has a decimal comma
_LEADING_ZERO = re.compile(r"[+-]?0\d")
_LARGEST = 2**53
"""Whole numbers beyond it are not told apart by floating point, and are no measurements: codes, kept as texts."""
_TRIED = 2000
_MOST_DECIMALS = 17


def number_kind(texts: Sequence[str]) -> str | None:
    """`integer`, `number`, `comma` (numbers with a decimal comma) or `thousands`; None for anything else.

    texts: without missing ones and blanks around. Codes with leading zeros (00123) and of more than 15 digits are no
    numbers.
    """
    if not texts or any(map(_LEADING_ZERO.match, texts)):
        return None
    if all(map(_INTEGER.fullmatch, texts)):
        return "integer" if all(len(text) <= 15 or abs(int(text)) <= _LARGEST for text in texts) else None
    if all(map(_NUMBER.fullmatch, texts)):
        return "number"
    grouped = [text for text in texts if not _NUMBER.fullmatch(text)]
    if all(map(_THOUSANDS.fullmatch, grouped)):
        return "thousands"
    return "comma" if all(map(_COMMA.fullmatch, texts)) else None


def parse_numbers(texts: Sequence[str], comma: bool) -> tuple[np.ndarray, int | None]:
    """float64 (K,), and the place of the first text that is no finite number, if any."""
    plain = [text.replace(",", ".") for text in texts] if comma else texts
    odd = next((place for place, found in enumerate(map(_NUMBER.fullmatch, plain)) if found is None), None)
    values = np.full(len(texts), np.nan)
    values[:odd] = np.fromiter(map(float, plain[:odd]), np.float64)
    if odd is not None:
        return values, odd
    bad = np.flatnonzero(~np.isfinite(values))
    return values + 0.0, int(bad[0]) if len(bad) else None


def number_format(texts: Sequence[str], comma: bool) -> dict[str, Any]:
    """The format whose writing agrees with most of `texts`."""
    step = max(1, len(texts) // _TRIED)
    tried = [text.replace(",", ".") if comma else text for text in texts[::step]]
    values = np.array([float(text) for text in tried])
    places = [_decimals(text) for text in tried]
    candidates: list[dict[str, Any]] = [{"style": "shortest", "point": True}, {"style": "shortest"}, {"style": "plain"}]
    candidates.append({"style": "plain", "point": True})
    candidates.append({"style": "fixed", "decimals": max(places, default=0)})
    if comma:
        candidates = [candidate | {"comma": True} for candidate in candidates]
    whole = [text.replace(".", ",") for text in tried] if comma else tried
    best, most = candidates[0], -1
    for candidate in candidates:
        hits = sum(a == b for a, b in zip(write_numbers(values, candidate), whole, strict=True))
        if hits > most:
            best, most = candidate, hits
        if hits == len(whole):
            break
    return best | resolution(values)


def resolution(values: np.ndarray) -> dict[str, int]:
    """{decimals, digits}: the most that 99.5 % of these values need, so that one odd value does not decide."""
    finite = np.unique(values[np.isfinite(values)])
    finite = finite[:: max(1, len(finite) // _TRIED)]
    if not len(finite):
        return {"decimals": 0, "digits": 17}
    decimals = np.full(len(finite), _MOST_DECIMALS)
    for places in range(_MOST_DECIMALS - 1, -1, -1):
        decimals[np.round(finite, places) == finite] = places
    size = np.floor(np.log10(np.maximum(np.abs(finite), 1e-300))).astype(np.int64) + 1
    digits = np.where(decimals < _MOST_DECIMALS, np.clip(decimals + size, 1, 17), 17)
    place = int(np.ceil(0.995 * len(finite))) - 1
    return {"decimals": int(np.sort(decimals)[place]), "digits": int(np.sort(digits)[place])}


def _decimals(text: str) -> int:
    return len(text.partition(".")[2]) if "e" not in text and "E" not in text else 0


def write_numbers(values: np.ndarray, form: dict[str, Any]) -> list[str]:
    """Texts of finite values (K,) in a format; see the module."""
    style, point = form.get("style"), bool(form.get("point"))
    if style == "integer":
        return [str(int(value)) for value in values.tolist()]
    if style == "fixed":
        decimals = int(form["decimals"])
        texts = [f"{value:.{decimals}f}" for value in values.tolist()]
    elif style == "plain":
        trim: Literal["0", "-"] = "0" if point else "-"
        texts = [np.format_float_positional(value, trim=trim) for value in values.tolist()]
    else:
        texts = [repr(value) for value in values.tolist()]
        if not point:
            texts = [text.removesuffix(".0") for text in texts]
    return [text.replace(".", ",") for text in texts] if form.get("comma") else texts
