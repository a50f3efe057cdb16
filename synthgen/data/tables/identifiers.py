"""Identifiers: found by their values, and made anew in the same form from (seed, key) instead of being learned.

The format of an identifier (JSON values): id: `sequence` (counts on from `next`), `uuid`, `numbered` (`prefix`, a
number padded to `width`, `suffix`, counting on from `next`) or `shape` (`shapes`: texts in which A, a and 9 stand for
any upper case letter, lower case letter and digit).
"""

from __future__ import annotations

import hashlib
import re
import uuid
from collections import Counter
from collections.abc import Sequence
from math import gcd
from typing import Any

import numpy as np

from synthgen.data.tables.hashing import text_hash, uniforms

_UUID = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
_NUMBERED = re.compile(r"(.*?)(\d+)(\D*)", re.DOTALL)
_NAME = re.compile(r"(?:^|[_\-. ])(?:id|uuid|guid|index|key|no|nr|row|rownum|rowid|unnamed_1)$", re.IGNORECASE)
_CAMEL = re.compile(r"(?<=[a-z])(?:Id|ID)$")
_MOST_SHAPES = 20
_LEAST_ROWS = 5
_ALPHABETS = {"A": "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "a": "abcdefghijklmnopqrstuvwxyz", "9": "0123456789"}


def is_row_number(name: str, values: np.ndarray) -> bool:
    """Whether whole numbers, int64 (N,) without missing ones, only number the rows.

    True for 0..N-1 and 1..N in any order, and for unique numbers under a name such as `id`.
    """
    if len(values) < _LEAST_ROWS or len(np.unique(values)) != len(values):
        return False
    first, last = int(values.min()), int(values.max())
    if first in (0, 1) and last - first == len(values) - 1:
        return True
    return bool(_NAME.search(name) or _CAMEL.search(name))


def sequence_format(values: np.ndarray) -> dict[str, Any]:
    """The format of whole numbers that count."""
    return {"id": "sequence", "next": int(values.max()) + 1}


def identifier_format(texts: Sequence[str]) -> dict[str, Any]:
    """The form of unique texts, from which others of the same form are made."""
    if all(map(_UUID.fullmatch, texts)):
        return {"id": "uuid", "upper": bool(texts[0] != texts[0].lower())}
    numbered = _numbered(texts)
    if numbered:
        return numbered
    shapes = Counter(map(_shape, texts)).most_common(_MOST_SHAPES)
    return {"id": "shape", "shapes": [[shape, count] for shape, count in shapes]}


def _numbered(texts: Sequence[str]) -> dict[str, Any] | None:
    """Texts that differ by one number only."""
    matches = [_NUMBERED.fullmatch(text) for text in texts]
    if not all(matches):
        return None
    parts = [match.groups() for match in matches if match]
    prefixes, suffixes = {part[0] for part in parts}, {part[2] for part in parts}
    if len(prefixes) > 1 or len(suffixes) > 1 or max(len(part[1]) for part in parts) > 18:
        return None
    widths = {len(part[1]) for part in parts}
    padded = any(part[1].startswith("0") and len(part[1]) > 1 for part in parts)
    if padded and len(widths) > 1:
        return None
    found = {"prefix": prefixes.pop(), "suffix": suffixes.pop(), "next": max(int(part[1]) for part in parts) + 1}
    return {"id": "numbered", "width": max(widths) if padded else 0, **found}


def _shape(text: str) -> str:
    """Letters and digits by their class; everything else as it is."""
    return "".join(
        "9" if sign.isdigit() else "A" if sign.isupper() else "a" if sign.isalpha() else sign for sign in text[:200]
    )


def make_identifiers(form: dict[str, Any], keys: np.ndarray, seed: int, name: str) -> np.ndarray:
    """object (N,), one text per key (int64, >= 0): a function of (form, seed, key, name) alone.

    Different keys give different texts, except for shapes that have fewer members than there are keys.
    """
    found = np.empty(len(keys), object)
    kind = form.get("id")
    if kind == "uuid":
        made = [_uuid(f"{seed}:{name}:{key}", bool(form.get("upper"))) for key in keys.tolist()]
    elif kind == "numbered":
        width, prefix, suffix = int(form["width"]), str(form["prefix"]), str(form["suffix"])
        made = [f"{prefix}{int(form['next']) + key:0{width}d}{suffix}" for key in keys.tolist()]
    elif kind == "shape" and form.get("shapes"):
        made = _from_shapes(form["shapes"], keys, seed, name)
    else:
        first = int(form.get("next", 1))
        made = [str(first + key) for key in keys.tolist()]
    found[:] = made
    return found


def _uuid(text: str, upper: bool) -> str:
    made = str(uuid.UUID(bytes=hashlib.blake2b(text.encode(), digest_size=16).digest(), version=4))
    return made.upper() if upper else made


def _from_shapes(shapes: Sequence[Sequence[Any]], keys: np.ndarray, seed: int, name: str) -> list[str]:
    weights = np.cumsum([float(count) for _, count in shapes])
    chosen = np.searchsorted(weights / weights[-1], uniforms(seed, keys, f"{name}:shape"), side="right")
    chosen = np.minimum(chosen, len(shapes) - 1)
    scales = [_scale(str(shape)) for shape, _ in shapes]
    shifts = [text_hash(f"{seed}:{name}:{shape}") for shape, _ in shapes]
    made = []
    for key, place in zip(keys.tolist(), chosen.tolist(), strict=True):
        size, factor = scales[place]
        made.append(_spell(str(shapes[place][0]), (key * factor + shifts[place]) % size))
    return made


def _scale(shape: str) -> tuple[int, int]:
    """(how many texts have this shape, a factor without common divisor that scatters consecutive numbers)."""
    size = 1
    for sign in shape:
        size *= len(_ALPHABETS.get(sign, " "))
    factor = max(1, size * 618_033_988 // 1_000_000_007)
    while gcd(factor, size) != 1:
        factor += 1
    return size, factor


def _spell(shape: str, number: int) -> str:
    """The text of this number among those of a shape."""
    signs = []
    for sign in reversed(shape):
        alphabet = _ALPHABETS.get(sign)
        if alphabet is None:
            signs.append(sign)
        else:
            number, place = divmod(number, len(alphabet))
            signs.append(alphabet[place])
    return "".join(reversed(signs))
