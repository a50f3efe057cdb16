"""From a column as it came to the values of its kind: strictly, naming the row of what does not fit."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from synthgen.data.tables.dates import date_format, parse_dates
from synthgen.data.tables.numbers import parse_numbers
from synthgen.data.tables.raw import Column, TextColumn, TypedColumn
from synthgen.data.tables.schema import ColumnSchema
from synthgen.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd

Where = Callable[[int], str]
BOOLEAN_WORDS = {"true": True, "false": False, "yes": True, "no": False, "t": True, "f": False, "y": True, "n": False,
                 "1": True, "0": False}  # fmt: skip
"""What a column that is declared boolean may hold, in any case of letters; only the first four are found unasked."""
_ARTICLES = {
    "number": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
    "datetime": "a date of its format",
}


@dataclass(frozen=True)
class Cells:
    """Texts of a column without missing ones and, in text files, without blanks around.

    codes: int32 (N,), -1 where missing. texts: object (K,), distinct. missing: how the column writes missing values
    (None: as null). pad: blanks around every cell, if they are the same everywhere. several: more than one text means
    missing.
    """

    codes: np.ndarray
    texts: np.ndarray
    missing: str | None = None
    pad: tuple[str, str] = ("", "")
    several: bool = False

    @property
    def counts(self) -> np.ndarray:
        """Rows per text, int64 (K,)."""
        found: np.ndarray = np.bincount(self.codes[self.codes >= 0], minlength=len(self.texts))
        return found


def cells_of(column: TextColumn, missing: Collection[str]) -> Cells:
    """Tell missing from present. missing: texts that mean it; a column with real nulls has no others."""
    import pandas as pd

    plain = not column.dtype
    stripped = [text.strip() for text in column.texts] if plain else list(column.texts)
    nulls = bool((column.codes < 0).any())
    bare = stripped if plain else [text.strip() for text in stripped]
    gone = np.zeros(len(bare), bool) if nulls else np.array([text in missing for text in bare], bool)
    counts = np.bincount(column.codes[column.codes >= 0], minlength=len(stripped))
    own = None
    if gone.any():
        own = str(column.texts[int(np.argmax(np.where(gone, counts, -1)))])
    pad = _pad(column.texts) if plain else ("", "")
    if own is not None and plain:
        own = own[len(pad[0]) : len(own) - len(pad[1])]
    merged, texts = pd.factorize(np.array([*stripped, None], dtype=object)[:-1])
    merged = np.append(np.where(gone, -1, merged), -1).astype(np.int32)
    codes = merged[column.codes]
    used = np.zeros(len(texts) + 1, bool)
    used[merged] = True
    renumbered = np.append(np.cumsum(used[:-1]) - 1, -1).astype(np.int32)
    return Cells(renumbered[codes], texts[used[:-1]], own, pad, int(gone.sum()) > 1)


def _pad(texts: np.ndarray) -> tuple[str, str]:
    """Blanks that stand before and after every one of these texts."""
    if not len(texts) or texts[0] == texts[0].strip(" "):
        return "", ""
    before = {text[: len(text) - len(text.lstrip(" "))] for text in texts}
    after = {text[len(text.rstrip(" ")) :] for text in texts if text.strip(" ")}
    left = before.pop() if len(before) == 1 and all(text.strip(" ") for text in texts) else ""
    return left, after.pop() if len(after) == 1 else ""


def to_series(
    column: Column, schema: ColumnSchema, missing: Collection[str], where: Where, hint: str | None = None
) -> pd.Series:
    """The values of one column in the normal form of its kind. Raises UsageError naming the first row that fails.

    where: words for the place of a row, its number from 0 given. hint: what to do then; None: which settings help.
    """
    if isinstance(column, TypedColumn):
        return _from_typed(column, schema, where)
    cells = cells_of(column, {*missing, *schema.format.get("missing_texts", ())})
    kind, texts = schema.kind, [str(text) for text in cells.texts]

    def fail(place: int, kind: str) -> NoReturn:
        row = int(np.argmax(cells.codes == place))
        raise UsageError(
            f"{where(row)}, column '{schema.name}': '{texts[place][:60]}' is not {_ARTICLES.get(kind, 'such a value')}",
            hint
            or f'If it means a missing value: --set data.columns.{schema.name}.missing=["{texts[place][:60]}"]; '
            f"to learn texts: --set data.columns.{schema.name}.kind=category",
        )

    if kind in ("number", "integer"):
        values, bad = parse_numbers(texts, bool(schema.format.get("comma")))
        if bad is None and kind == "integer" and (values % 1 != 0).any():
            bad = int(np.argmax(values % 1 != 0))
        return fail(bad, kind) if bad is not None else numeric(kind, values, cells.codes)
    if kind == "boolean":
        known = {schema.format.get("true"): True, schema.format.get("false"): False}
        found = [known.get(text, BOOLEAN_WORDS.get(text.lower())) for text in texts]
        if None in found:
            fail(found.index(None), kind)
        return booleans(np.array(found, bool), cells.codes)
    if kind == "datetime":
        moments, bad = parse_dates(texts, str(schema.format.get("format", "")))
        if bad is not None:
            own, _ = date_format(texts)
            if not own:
                fail(bad, kind)
            if ("zone" in own) != ("zone" in schema.format):
                raise _other_zone(schema, where(int(np.argmax(cells.codes == bad))), texts[bad])
            moments, _ = parse_dates(texts, own["format"])
        return dates(moments, cells.codes)
    return objects(np.array([*texts, None], object)[:-1], cells.codes)


def _other_zone(schema: ColumnSchema, place: str, text: str) -> UsageError:
    """Of a date with a zone where the known ones have none, or the other way round."""
    zoned = "zone" in schema.format
    have, others = ("no zone", "have one") if zoned else ("a zone", "have none")
    return UsageError(
        f"{place}, column '{schema.name}': '{text[:60]}' has {have}, and the dates that were learned {others}",
        "write the zone behind the time: 2024-05-31T14:00Z or +02:00" if zoned else "leave the zone out",
    )


def numeric(kind: str, values: np.ndarray, codes: np.ndarray) -> pd.Series:
    """float64 or Int64 (N,) from distinct values and codes, -1 for missing."""
    import pandas as pd

    if kind == "number":
        return pd.Series(np.append(values, np.nan)[codes])
    whole = np.append(values, 0).astype(np.int64)[codes]
    return pd.Series(pd.arrays.IntegerArray(whole, codes < 0))


def booleans(values: np.ndarray, codes: np.ndarray) -> pd.Series:
    """`boolean` (N,) from distinct values and codes, -1 for missing."""
    import pandas as pd

    return pd.Series(pd.arrays.BooleanArray(np.append(values, False)[codes], codes < 0))


def dates(values: np.ndarray, codes: np.ndarray) -> pd.Series:
    """datetime64[us] (N,) from distinct values and codes, -1 for missing."""
    import pandas as pd

    return pd.Series(np.append(values.astype("datetime64[us]"), np.datetime64("NaT", "us"))[codes])


def objects(texts: np.ndarray, codes: np.ndarray) -> pd.Series:
    """Texts as objects (N,) from distinct ones and codes, -1 for missing; each distinct one is held once."""
    import pandas as pd

    held = np.empty(len(texts) + 1, object)
    held[:-1] = texts
    return pd.Series(held[codes], dtype=object)


def _from_typed(column: TypedColumn, schema: ColumnSchema, where: Where) -> pd.Series:
    kind, present = schema.kind, ~column.missing
    codes = np.where(present, np.arange(len(column)), -1)
    values = column.values
    is_date = values.dtype.kind == "M"

    def fail(bad: np.ndarray) -> NoReturn:
        row = int(np.argmax(bad & present))
        raise UsageError(
            f"{where(row)}, column '{schema.name}': {values[row]} is not {_ARTICLES.get(kind, 'such a value')}"
        )

    if kind == "datetime":
        return dates(values, codes) if is_date else fail(present)
    if kind in ("number", "integer"):
        if is_date:
            fail(present)
        numbers = values.astype(np.float64)
        bad = ~np.isfinite(numbers) if kind == "number" else ~np.isfinite(numbers) | (numbers % 1 != 0)
        if (bad & present).any():
            fail(bad)
        return numeric(kind, np.where(present, values, 0), codes)
    if kind == "boolean":
        bad = present if is_date else (values != 0) & (values != 1)
        return fail(bad) if (bad & present).any() else booleans(values == 1, codes)
    return objects(texts_of(column), codes)


def texts_of(column: TypedColumn) -> np.ndarray:
    """object (N,): the values as texts that name them exactly."""
    found = np.empty(len(column), object)
    if column.values.dtype.kind == "M":
        found[:] = [str(value) for value in np.datetime_as_string(column.values, timezone="naive").tolist()]
    else:
        found[:] = [str(value) for value in column.values.tolist()]
    return found


def typed_format(column: TypedColumn) -> dict[str, Any]:
    """What restoring the type of the values needs."""
    return {"dtype": column.dtype, **({"zone": column.zone} if column.zone else {}), **column.extra}
