"""What is asked of rows: conditions on columns, and a column whose values take turns.

What is computed, exactly. A condition leaves a column some of its tokens, and of each a part of its interval. Columns
under a condition are drawn before all others, one after the other: their probabilities, given what is known by then,
are set to zero where a token is not allowed, weighted by the part of it that is, and renormalised. All other columns
are drawn after them and given them. Nothing is drawn and thrown away.

A column that the conditions leave one value is known from the start; nothing has to be drawn there at all. So with any
number of such columns and at most one with several values the rows follow the model's distribution given the
conditions. With two or more columns of several values each, the second condition does not reach back to the first
draw: every row keeps every condition, and the shares of the values within them follow the order of drawing, which is
random for each row, instead of the joint distribution.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from synthgen.data.tables.conditions import Condition, parse_condition
from synthgen.errors import UsageError, nearest
from synthgen.generation.tables.engine import Allowed, Given

if TYPE_CHECKING:
    import pandas as pd

    from synthgen.data.tables.codec import TableCodec

Where = Sequence[str] | Mapping[str, Any]
"""Conditions as on the command line (`"age=30..40"`), or values by column name."""

_BALANCED = ("category", "boolean")


class Request:
    """Conditions in terms of tokens, the same for every row but for the balanced column.

    known: token and fraction by column index. allowed: what drawn columns may become. turns: (column index, tokens
    that take turns, intervals of all its tokens), or None.
    """

    def __init__(
        self,
        codec: TableCodec,
        known: dict[int, tuple[int, float]],
        allowed: dict[int, Allowed],
        turns: tuple[int, np.ndarray, np.ndarray] | None = None,
    ) -> None:
        self.codec, self.known, self.allowed, self.turns = codec, known, allowed, turns

    def given(self, keys: np.ndarray) -> Given:
        """What is known of the rows `keys`."""
        shape = (len(keys), len(self.codec.columns))
        tokens, fractions = np.zeros(shape, np.int64), np.full(shape, 0.5, np.float32)
        known = np.zeros(shape, bool)
        for column, (token, fraction) in self.known.items():
            tokens[:, column], fractions[:, column], known[:, column] = token, fraction, True
        if self.turns is None:
            return Given(tokens, fractions, known, self.allowed)
        column, values, intervals = self.turns
        tokens[:, column] = values[keys % len(values)]
        # A token that stands for several rare values is fixed, but not which of them: that is drawn.
        several = self.codec.columns[column].spread[tokens[:, column]]
        known[:, column] = ~several
        if not several.any():
            return Given(tokens, fractions, known, self.allowed)
        only = np.arange(self.codec.columns[column].size)[None] == tokens[:, column][:, None]
        return Given(tokens, fractions, known, {**self.allowed, column: Allowed(only, intervals)})

    def numbers(self, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The random numbers of row k are those of key k, draw 0."""
        return keys, np.zeros(len(keys), np.int64)

    def decode(self, tokens: np.ndarray, fractions: np.ndarray, keys: np.ndarray, seed: int) -> pd.DataFrame:
        """Rows in the normal form of their columns."""
        return self.codec.decode(tokens, fractions, keys=keys, seed=seed)


def read_request(codec: TableCodec, where: Where = (), balance: str | None = None) -> Request:
    """Understand conditions and balance. Raises UsageError for an unknown column or value, or a contradiction."""
    allowed: dict[int, Allowed] = {}
    texts: dict[int, list[str]] = {}
    for name, condition in conditions_of(where):
        _check_column(codec, name)
        index = codec.place(name)
        allowed[index] = _both(allowed.get(index), *codec.allowed(name, condition))
        texts.setdefault(index, []).append(f"{name}{condition}")
        if not allowed[index].tokens.any():
            raise _contradiction(texts[index])
    turns = None if balance is None else _turns(codec, balance, allowed)
    known = {}
    for index, one in list(allowed.items()):
        if turns is not None and index == turns[0]:
            del allowed[index]
            continue
        (tokens,) = np.nonzero(one.tokens)
        low, high = one.intervals[tokens[0]]
        if len(tokens) == 1 and (low == high or not codec.columns[index].spread[tokens[0]]):
            known[index] = (int(tokens[0]), float(low + high) / 2)
            del allowed[index]
    return Request(codec, known, allowed, turns)


def conditions_of(where: Where) -> list[tuple[str, Condition]]:
    """(column, condition) of texts, or of values by column name: a value, a list of them, a (low, high) tuple, None."""
    if isinstance(where, str):
        return [parse_condition(where)]
    if isinstance(where, Mapping):
        return [(str(name), Condition(_text(value))) for name, value in where.items()]
    return [parse_condition(text) for text in where]


def _text(value: Any) -> str:
    if isinstance(value, tuple) and len(value) == 2:
        return "..".join("" if end is None else _text(end) for end in value)
    if isinstance(value, list | tuple | set | frozenset):
        return "|".join(_text(one) for one in value)
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    return "" if value is None or value != value else str(value)


def _check_column(codec: TableCodec, name: str) -> None:
    names = list(codec.schema.names)
    if name not in names:
        shown = ", ".join(names[:20]) + (", ..." if len(names) > 20 else "")
        raise UsageError(f"the table has no column '{name}'{nearest(name, names)}", f"its columns: {shown}")


def _both(before: Allowed | None, tokens: np.ndarray, intervals: np.ndarray) -> Allowed:
    """What two conditions on one column leave."""
    if before is None:
        return Allowed(tokens, intervals)
    low = np.maximum(before.intervals[:, 0], intervals[:, 0])
    high = np.minimum(before.intervals[:, 1], intervals[:, 1])
    return Allowed(before.tokens & tokens & (low <= high), np.stack([low, np.maximum(low, high)], axis=1))


def _contradiction(texts: list[str]) -> UsageError:
    if len(texts) == 1:
        return UsageError(
            f"no value of the training data, and nothing between them, satisfies {texts[0]}",
            "the model can only draw what lies in the range of its data",
        )
    return UsageError(f"no value satisfies {' and '.join(texts)}", "leave out one of them")


def _turns(codec: TableCodec, name: str, allowed: dict[int, Allowed]) -> tuple[int, np.ndarray, np.ndarray]:
    """The tokens of the balanced column, all but the missing one, as far as conditions allow them."""
    _check_column(codec, name)
    kind = codec.schema[name].kind
    if kind not in _BALANCED:
        raise UsageError(
            f"column '{name}' cannot be balanced: it is of kind {kind}", "name a column of categories or truth values"
        )
    index = codec.place(name)
    if codec.columns[index].name != name:
        others = " and ".join(codec.columns[index].sources)
        raise UsageError(
            f"column '{name}' cannot be balanced: a constraint learns it in combination, with {others} as one",
            "name another column, or train without the constraint",
        )
    both = _both(allowed.get(index), *codec.allowed(name, Condition("", negate=True)))
    (values,) = np.nonzero(both.tokens)
    if not len(values):
        raise UsageError(f"there is no value of '{name}' left to balance", "leave out one of the two")
    return index, values.astype(np.int64), both.intervals
