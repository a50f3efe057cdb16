"""The one text that keeps a column from being numbers or dates: a mistyped date, an `inf`, a word amid readings."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from synthgen.data.tables.dates import date_format, parse_dates
from synthgen.data.tables.numbers import parse_numbers

if TYPE_CHECKING:
    import pandas as pd

_TRIED = 500
_MOST = 0.75
"""Share of the different texts that must be numbers, or dates of one format, for the others to be odd."""


def odd_text(values: pd.Series, *, numbers: bool = True) -> tuple[int, str, str] | None:
    """(row from 0, text, what the others are) of the first text that is neither a number nor a date while most are.

    None when there is no such text, or the texts are of all kinds. numbers: look for numbers, too, not for dates alone.
    """
    import pandas as pd

    codes, distinct = pd.factorize(values)
    texts = list(distinct)
    if len(texts) < 4 or not all(isinstance(text, str) for text in texts):
        return None
    tried = texts[:: max(1, len(texts) // _TRIED)]
    bad, others = _odd_number(texts, tried) if numbers else (None, "")
    if bad is None:
        bad, others = _odd_date(texts, tried)
    return None if bad is None else (int((codes == bad).argmax()), texts[bad], others)


def _odd_number(texts: Sequence[str], tried: Sequence[str]) -> tuple[int | None, str]:
    for comma in (False, True):
        fine = sum(parse_numbers([text], comma)[1] is None for text in tried)
        if fine >= _MOST * len(tried):
            return parse_numbers(texts, comma)[1], "numbers"
    return None, ""


def _odd_date(texts: Sequence[str], tried: Sequence[str]) -> tuple[int | None, str]:
    shapes = [re.sub(r"[^\W\d]+", "a", re.sub(r"\d+", "0", text)) for text in tried]
    shape, count = Counter(shapes).most_common(1)[0]
    alike = [text for text, own in zip(tried, shapes, strict=True) if own == shape]
    forms = [date_format(part)[0] for part in (alike, *(alike[place::4] for place in range(4)))]  # one may be no date
    form = next(filter(None, forms), None)
    if form is None or count < _MOST * len(tried):
        return None, ""
    return parse_dates(texts, str(form["format"]))[1], f"dates like {alike[0]}"
