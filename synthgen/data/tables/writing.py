"""Rows as they came: the text of a CSV file byte for byte, the types of Parquet and pandas.

What is not kept of a text file: a missing newline at its end, several texts for missing in one column (the commonest
is written), blanks around or needless quotes in some cells of a column only, numbers whose texts have no common form
(1.50 beside 2.5), blank lines.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from synthgen.data.tables.dates import write_dates
from synthgen.data.tables.numbers import number_kind, write_numbers
from synthgen.data.tables.restoring import restore, to_arrow
from synthgen.data.tables.schema import ColumnSchema, TableSchema

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["format_rows", "restore", "to_arrow"]

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""Beginnings of what a spreadsheet computes: OWASP, CSV Injection."""
_DAY = 86_400_000_000


def format_rows(
    frame: pd.DataFrame,
    schema: TableSchema,
    *,
    header: bool,
    escape_formulas: bool = False,
    kept: Mapping[str, np.ndarray] | None = None,
) -> str:
    """The rows of `frame` (normal forms) as text, written as the table that `schema` describes was.

    header: the line of column names first. escape_formulas: put an apostrophe before texts that a spreadsheet would
    compute (=, +, -, @, tab, carriage return), in columns of texts and in names. kept: by column, objects (N,), texts
    to write as they are, None where the value is to be written. Tables that were no text file are written with commas.
    Ends with the end of a line.
    """
    form = schema.format if schema.format.get("kind") == "text" else {}
    separator, end = str(form.get("separator", ",")), str(form.get("line_end", "\n"))
    special = re.compile(f'[{re.escape(separator)}"\r\n]')
    texts = [_cells(frame[column.name], column, special, escape_formulas) for column in schema.columns]
    for place, column in enumerate(schema.columns):
        if kept is not None and column.name in kept:
            texts[place] = _kept(texts[place], kept[column.name], column, special, escape_formulas)
    if len(texts) == 1:  # a line without anything is no row
        texts = [[text or '""' for text in texts[0]]]
    lines = [separator.join(cells) for cells in zip(*texts, strict=True)]
    if header:
        names = [str(name) for name in form.get("header", schema.names)]
        if len(names) != len(schema.columns):
            names = list(schema.names)
        if escape_formulas:
            names = [_escape(name) for name in names]
        names = [_quote(name, special, bool(form.get("header_quoted"))) for name in names]
        lines.insert(0, ("\ufeff" if form.get("mark") else "") + separator.join(names))
    return "".join(line + end for line in lines)


def _cells(values: pd.Series, column: ColumnSchema, special: re.Pattern[str], escape: bool) -> list[str]:
    """The texts of all cells of a column; each distinct value is written once."""
    import pandas as pd

    codes, distinct = pd.factorize(values)
    form = column.format
    texts = column_texts(distinct, column)
    if escape and column.kind in ("category", "identifier", "constant"):
        texts = [_escape(text) for text in texts]
    quoted = bool(form.get("quoted"))
    before, after = form.get("pad", ("", ""))
    held = [before + _quote(text, special, quoted) + after for text in texts]
    missing = str(form.get("missing") or "")
    bare = not quoted or bool(form.get("bare_missing"))
    held.append(before + _quote(missing, special, not bare) + after)
    return [held[code] for code in codes.tolist()]


def _kept(
    cells: list[str], texts: np.ndarray, column: ColumnSchema, special: re.Pattern[str], escape: bool
) -> list[str]:
    """Cells, with these texts where there are any."""
    quoted = bool(column.format.get("quoted"))
    texts = np.array([text if text is None or not escape else _escape(text) for text in texts], object)
    return [cell if text is None else _quote(text, special, quoted) for cell, text in zip(cells, texts, strict=True)]


def column_texts(values: Any, column: ColumnSchema) -> list[str]:
    """The texts of present values (an array or Index of a column's normal form), without quotes."""
    form, kind = column.format, column.kind
    if kind == "number":
        numbers = np.asarray(values, np.float64)
        return write_numbers(numbers, form if "style" in form else {"style": "shortest", "point": True})
    if kind == "integer":
        return [str(int(value)) for value in values]
    if kind == "datetime":
        moments = np.asarray(values).astype("datetime64[us]")
        return write_dates(moments, form if "format" in form else form | {"format": _layout(form)})
    if kind == "boolean":
        words = (str(form.get("false", "False")), str(form.get("true", "True")))
        return [words[int(value)] for value in values]
    return [str(value) for value in values]


def _layout(form: dict[str, Any]) -> str:
    """ISO 8601 as pandas writes it, for dates that came with a type."""
    step = int(form.get("resolution", 1))
    if step % _DAY == 0 and not form.get("zone"):
        return "%Y-%m-%d"
    layout = "%Y-%m-%d %H:%M:%S" + ("" if step % 1_000_000 == 0 else ".%f")
    return layout + ("%z" if form.get("zone") else "")


def _quote(text: str, special: re.Pattern[str], always: bool) -> str:
    return '"' + text.replace('"', '""') + '"' if always or special.search(text) else text


def _escape(text: str) -> str:
    return "'" + text if text.startswith(_FORMULA) and number_kind([text]) is None else text
