"""How a text file of a table is written, found out from its beginning: separator, quotes, ends of lines."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path
from typing import Any

from synthgen.errors import UsageError

SEPARATORS = (",", ";", "\t", "|")
_SAMPLE_ROWS = 200


def find_separator(path: Path, sample: str, given: str | None) -> str:
    """The character between cells: the one that cuts the first rows into as many cells as the line of names.

    Raises UsageError for a `given` one that is not one character.
    """
    if given is not None:
        given = {"\\t": "\t", "tab": "\t"}.get(given, given)
        if len(given) != 1 or given in '"\r\n':
            raise UsageError(f"data.separator '{given}' is not one character", 'Write "," or ";" or "tab".')
        return given
    name = path.name.lower()
    first = "\t" if name.endswith((".tsv", ".tab", ".tsv.gz", ".tab.gz")) else ","
    order = (first, *(one for one in SEPARATORS if one != first))
    scores = {one: _score(sample, one) for one in order}
    best = max(order, key=lambda one: (*scores[one], -order.index(one)))
    return best if scores[best][1] > 1 else first


def _score(sample: str, separator: str) -> tuple[bool, int]:
    """(nearly all rows have as many cells as the first, cells of the first)."""
    try:
        rows = [row for row in csv.reader(io.StringIO(sample, newline=""), delimiter=separator) if row]
    except csv.Error:
        return False, 0
    rows = rows[:_SAMPLE_ROWS]
    if not rows or len(rows[0]) < 2:
        return False, 1
    return sum(len(row) == len(rows[0]) for row in rows) >= 0.9 * len(rows), len(rows[0])


def find_style(sample: str, separator: str) -> tuple[dict[str, Any], dict[int, bool]]:
    """What writing a file of this style needs, as JSON values; and the places of the columns that are quoted.

    A quoted column maps to whether its missing values stand without quotes, as R writes them.
    """
    ending = re.search(r"\r\n|\n|\r", sample)
    lines = [line for line in sample.splitlines() if line][: _SAMPLE_ROWS + 1]
    cell = re.compile(rf'("(?:[^"]|"")*"|[^{re.escape(separator)}]*)({re.escape(separator)}|$)')
    quoted = [_quotes(line, cell) for line in lines]
    header, rows = (quoted[0], quoted[1:]) if quoted else ([], [])
    rows = [row for row in rows if len(row) == len(header)]
    style: dict[str, Any] = {"kind": "text", "separator": separator}
    if ending and ending.group() != "\n":
        style["line_end"] = ending.group()
    if header and all(cell is None for cell in header):
        style["header_quoted"] = True
    found = {}
    for place in range(len(header)):
        bare = {row[place] for row in rows} - {None}
        if bare <= {"", "NA"} and any(row[place] is None for row in rows):
            found[place] = bool(bare)
    return style, found


def _quotes(line: str, cell: re.Pattern[str]) -> list[str | None]:
    """The cells of a line, None where one stands in quotes."""
    found: list[str | None] = []
    place = 0
    while match := cell.match(line, place):
        found.append(None if match.group(1).startswith('"') else match.group(1))
        place = match.end()
        if not match.group(2):
            break
    return found
