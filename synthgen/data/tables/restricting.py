"""What tokens may be: conditions on columns, and cells that are known beforehand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from synthgen.data.tables.binning import NumberTokens
from synthgen.data.tables.categories import CategoryTokens
from synthgen.data.tables.conditions import Condition, Wanted, resolve
from synthgen.data.tables.plain import zone_shift
from synthgen.data.tables.schema import NUMERIC
from synthgen.data.tables.transforms import DAY, Ascending, DateParts, Joint, Total
from synthgen.errors import UsageError, nearest

if TYPE_CHECKING:
    from synthgen.data.tables.codec import CodecColumn, TableCodec


def place_of(codec: TableCodec, places: Mapping[str, int], name: str) -> int:
    """See `TableCodec.place`."""
    schema = codec.schema
    if name not in schema.names:
        known = ", ".join(schema.names[:20]) + (", ..." if len(schema.names) > 20 else "")
        raise UsageError(f"there is no column '{name}'{nearest(name, schema.names)}", f"The columns are {known}.")
    kind = schema[name].kind
    if kind in ("identifier", "constant"):
        why = "made anew for every row" if kind == "identifier" else "the same in every row"
        raise UsageError(f"column '{name}' cannot be asked for: it is {why}")
    for step in codec.steps:
        settled = (isinstance(step, Ascending) and step.high == name) or (
            isinstance(step, Total) and step.total == name
        )
        if settled:
            others = (step.low,) if isinstance(step, Ascending) else step.names if isinstance(step, Total) else ()
            raise UsageError(
                f"column '{name}' cannot be asked for: a constraint makes it from {', '.join(others)}",
                f"Ask for {' or '.join(others)}, or train without the constraint.",
            )
    return places[name]


def restrict(codec: TableCodec, name: str, condition: Condition) -> tuple[np.ndarray, np.ndarray]:
    """See `TableCodec.allowed`."""
    column = codec.columns[codec.place(name)]
    tokens, intervals = _allowed(codec, column, name, condition)
    if not tokens.any():
        raise UsageError(
            f"no value of column '{name}' that the model knows satisfies {name}{condition}",
            f"It has {span(codec, name)}.",
        )
    return tokens, intervals


def _allowed(codec: TableCodec, column: CodecColumn, name: str, condition: Condition) -> tuple[np.ndarray, np.ndarray]:
    described, tokens = codec.schema[name], column.tokens
    joint = next((step for step in codec.steps if isinstance(step, Joint) and name in step.names), None)
    if joint is not None and isinstance(tokens, CategoryTokens):
        return _allowed_joint(codec, tokens, joint, name, condition)
    if isinstance(tokens, CategoryTokens):
        wanted = resolve(condition, described, set(map(str, tokens.texts)))
        return tokens.allowed(np.array([text in wanted.texts for text in tokens.texts], bool), wanted.missing)
    wanted = resolve(condition, described)
    found = np.zeros(tokens.size, bool)
    intervals = np.zeros((tokens.size, 2), np.float32)
    for low, high in _plain_ranges(codec, name, wanted):
        some, inside = tokens.allowed(low, high)
        # Two ranges may share a bin, which can be cut once only: the larger cut stays.
        better = some & (~found | (np.diff(inside)[:, 0] > np.diff(intervals)[:, 0]))
        intervals[better] = inside[better]
        found |= some
    if tokens.missing:
        found[-1] = wanted.missing
    return found, intervals


def _plain_ranges(codec: TableCodec, name: str, wanted: Wanted) -> list[tuple[float, float]]:
    """Ranges in the units of the codec. Raises UsageError for parts of days where days and times are apart."""
    described = codec.schema[name]
    if described.kind != "datetime":
        return list(wanted.ranges)
    unit, shift = codec.units[name], zone_shift(described)
    parted = any(isinstance(step, DateParts) and step.name == name for step in codec.steps)
    found = []
    for low, high in wanted.ranges:
        first, last = low + shift, high + shift
        if parted:
            whole = (not np.isfinite(first) or first % DAY == 0) and (not np.isfinite(last) or (last + 1) % DAY == 0)
            if not whole:
                raise UsageError(
                    f"column '{name}' can be asked for by whole days only", f"Write {name}=2010-01-01..2010-06-30."
                )
        size = DAY if parted else unit
        found.append((float(np.ceil(first / size)), float(np.floor(last / size))))
    return found


def _allowed_joint(
    codec: TableCodec, tokens: CategoryTokens, joint: Joint, name: str, condition: Condition
) -> tuple[np.ndarray, np.ndarray]:
    """The combinations in which one column satisfies the condition."""
    described, place = codec.schema[name], joint.names.index(name)
    values = [joint.parts(str(text))[place] for text in tokens.texts]
    if described.kind in NUMERIC:
        wanted = resolve(condition, described)
        ranges = _plain_ranges(codec, name, wanted)
        fits = [wanted.missing if v is None else any(a <= v <= b for a, b in ranges) for v in values]
    else:
        wanted = resolve(condition, described, {str(value) for value in values if value is not None})
        fits = [wanted.missing if value is None else value in wanted.texts for value in values]
    return tokens.allowed(np.array(fits, bool), False)


def span(codec: TableCodec, name: str) -> str:
    """The values of a column in words: `17 to 90`, or its commonest categories."""
    tokens = codec.columns[codec.place(name)].tokens
    gone = " and missing values" if tokens.missing else ""
    if isinstance(tokens, NumberTokens):
        if not tokens.ordered:
            return "missing values only"
        low, high = float(tokens.low[0]), float(tokens.high.max())
        if codec.schema[name].kind == "datetime":
            return f"dates of other times{gone}"
        return f"values from {low:g} to {high:g}{gone}"
    count = len(tokens.texts)
    order = np.argsort(-tokens.counts[:count], kind="stable")[:10]
    return ", ".join(str(tokens.texts[place]) for place in order) + (", ..." if count > 10 else "") + gone


def known_tokens(codec: TableCodec, cells: np.ndarray) -> np.ndarray:
    """See `TableCodec.known`."""
    names = list(codec.schema.names)
    found = np.ones((len(cells), len(codec.columns)), bool)
    for place, column in enumerate(codec.columns):
        found[:, place] = cells[:, [names.index(source) for source in column.sources]].all(axis=1)
    kept = {name: cells[:, names.index(name)] for name in names if codec.schema[name].modelled}
    for step in codec.steps:
        parents = _parents(step)
        for name in parents[0]:
            others = [other for other in parents[1] if other != name]
            lost = kept[name] & ~np.all([kept[other] for other in others], axis=0)
            if lost.any():
                row = int(np.argmax(lost))
                lacking = " and ".join(f"'{other}'" for other in others)
                raise UsageError(
                    f"row {row + 1:,}: '{name}' is known but not all of {lacking}, from which a constraint makes it",
                    f"Fill in {', '.join(others)}, leave '{name}' empty, or train without the constraint.",
                )
    return found


def _parents(step: object) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(columns that are only kept if all the others are known, all the columns)."""
    if isinstance(step, Joint):
        return step.names, step.names
    if isinstance(step, Ascending):
        return (step.high,), (step.low, step.high)
    if isinstance(step, Total):
        return (step.total,), (*step.names, step.total)
    return (), ()
