"""Rows of which some columns of a fixed combination are known: the combinations that each may still become."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from synthgen.data.tables.categories import CategoryTokens
from synthgen.data.tables.transforms import Columns, Joint
from synthgen.errors import UsageError
from synthgen.generation.tables.engine import Allowed

if TYPE_CHECKING:
    from synthgen.data.tables.codec import TableCodec

_NONE = object()


@dataclass(frozen=True)
class Partial:
    """codes: int64 (N,), which of the choices each row has; 0: all. tokens: bool (D, K). intervals: (D, K, 2)."""

    place: int
    codes: np.ndarray
    tokens: np.ndarray
    intervals: np.ndarray

    def allowed(self, rows: np.ndarray) -> Allowed:
        """What the column may become in these rows."""
        codes = self.codes[rows]
        return Allowed(self.tokens[codes], self.intervals[codes])


def partial_combinations(
    codec: TableCodec, cells: np.ndarray, plain: Columns, allow_missing: bool, where: Callable[[int], str]
) -> tuple[np.ndarray, list[Partial]]:
    """(cells that are known outright, combinations of which parts are known).

    cells: bool (N, columns of the table). plain: their values as the codec's rules see them. where: words for a row.
    Raises UsageError naming the first row whose known parts stand in no combination of the data.
    """
    names, cells, found = list(codec.schema.names), cells.copy(), []
    for step in codec.steps:
        if not isinstance(step, Joint):
            continue
        places = [names.index(name) for name in step.names]
        mine = cells[:, places]
        rows = np.flatnonzero(mine.any(axis=1) & ~mine.all(axis=1))
        if not len(rows):
            continue
        place = next(i for i, column in enumerate(codec.columns) if column.name == step.joint)
        values = [
            tuple(plain[name][row] if known else _NONE for name, known in zip(step.names, mine[row], strict=True))
            for row in rows
        ]
        cells[rows[:, None], np.array(places)] = False
        found.append(_partial(codec, step, place, rows, values, len(cells), allow_missing, where))
    return cells, found


def _partial(
    codec: TableCodec,
    step: Joint,
    place: int,
    rows: np.ndarray,
    values: list[tuple[Any, ...]],
    count: int,
    allow_missing: bool,
    where: Callable[[int], str],
) -> Partial:
    tokens = codec.columns[place].tokens
    assert isinstance(tokens, CategoryTokens)  # combinations are texts
    parts = [step.parts(str(text)) for text in tokens.texts]
    everything = tokens.allowed(np.array([allow_missing or None not in part for part in parts], bool), False)
    if not everything[0].any():
        everything = tokens.allowed(np.ones(len(parts), bool), False)
    choices, numbers = [everything], {}
    codes = np.zeros(count, np.int64)
    for row, known in zip(rows, values, strict=True):
        if known not in numbers:
            wanted = _wanted(parts, known, allow_missing)
            if not wanted.any():
                shown = ", ".join(f"{n}={v}" for n, v in zip(step.names, known, strict=True) if v is not _NONE)
                raise UsageError(
                    f"{where(int(row))}: no combination of {' and '.join(step.names)} in the training data has {shown}",
                    "correct the cell, or leave it empty to have it drawn",
                )
            numbers[known] = len(choices)
            choices.append(tokens.allowed(wanted, False))
        codes[row] = numbers[known]
    return Partial(place, codes, np.stack([one for one, _ in choices]), np.stack([one for _, one in choices]))


def _wanted(parts: list[list[Any]], known: tuple[Any, ...], allow_missing: bool) -> np.ndarray:
    """bool (T,): combinations with these parts; without missing others, where there are any."""
    fits = [all(v is _NONE or part == v for part, v in zip(one, known, strict=True)) for one in parts]
    whole = [fit and (allow_missing or None not in one) for fit, one in zip(fits, parts, strict=True)]
    return np.array(whole if any(whole) else fits, bool)
