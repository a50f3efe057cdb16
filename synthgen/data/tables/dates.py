"""Dates and times as texts: which format they have, read into UTC or naive microseconds, written back the same.

The format of a datetime column (JSON values):
format: as strptime has it, `%z` included where texts name a zone; unpadded: day, month and hour without leading zeros.
fraction: digits of `%f`; the last three of nine are read as zeros. zone: name or offset of the zone; values are UTC
then. resolution: microseconds of which all values are multiples (86400000000 for dates), so that made values are as
well.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from synthgen.errors import UsageError

_TIMES = ("", "%H:%M:%S", "%H:%M", "%H:%M:%S.%f", "%I:%M:%S %p", "%I:%M %p")
_ISO_DATES = ("%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d")
_DAY_FIRST = ("%d/%m/%Y", "%d.%m.%Y", "%d-%m-%Y", "%d/%m/%y", "%d.%m.%y", "%d-%m-%y")
_NAMED = ("%d %b %Y", "%d-%b-%Y", "%d-%b-%y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y", "%d%b%Y")
_CLOCKS = ("%H:%M:%S", "%H:%M")
_ZONE = re.compile(r"(?:Z| ?[+-]\d{2}:?\d{2})$")
_NANOSECONDS = re.compile(r"(\.\d{6})\d{1,3}(?!\d)")
_TRIED = 2000
_LENGTHS = {"%Y-%m-%d": 10, "%Y-%m-%d %H:%M:%S": 19, "%Y-%m-%dT%H:%M:%S": 19, "%Y-%m-%d %H:%M": 16}
MIXED = "mixed"
"""What `date_format` remarks of dates of which some name a zone and some do not."""
_UNITS = (86_400_000_000, 3_600_000_000, 60_000_000, 1_000_000, 1_000, 1)
_EPOCH = datetime(1970, 1, 1)


def date_format(texts: Sequence[str]) -> tuple[dict[str, Any], str]:
    """(the format of all `texts`, a remark where it was ambiguous); ({}, "") when they are no dates."""
    tried = list(texts[:: max(1, len(texts) // _TRIED)])
    if not tried or not all(any(sign.isdigit() for sign in text) and 4 <= len(text) <= 40 for text in tried):
        return {}, ""
    zoned = [bool(_ZONE.search(text)) and ":" in text for text in tried]
    candidates = [form for form in _candidates(tried[0], zoned[0]) if _fits(tried[:5], form)]
    found = [form for form in candidates if parse_dates(texts, form)[1] is None]
    if not found:
        plain = [text for text, has in zip(tried, zoned, strict=True) if not has]
        parts = (plain, [text for text, has in zip(tried, zoned, strict=True) if has])
        return {}, MIXED if 0 < len(plain) < len(tried) and all(date_format(part)[0] for part in parts) else ""
    remark = ""
    if len(found) > 1 and "%d" in found[0] and _swapped(found[0]) in found and found[0].startswith("%d"):
        example = next((text for text in tried if text[:2] != text[3:5]), tried[0])
        remark = f"'{example}' is taken as day and month; if months come first, its format is {_swapped(found[0])}"
    return describe_dates(texts, found[0]), remark


def _candidates(text: str, zoned: bool) -> list[str]:
    months_first = [_swapped(form) for form in _DAY_FIRST]
    dates = [*_ISO_DATES, *_DAY_FIRST, *months_first, *_NAMED]
    forms = []
    for date in dates:
        for join in ("T",) if "T" in text and date in _ISO_DATES else (" ",):
            forms += [date + (join + time if time else "") for time in _TIMES]
    forms += _CLOCKS
    if zoned:
        space = " " if re.search(r" [+-]\d", text) else ""
        forms = [form + space + "%z" for form in forms if "%H" in form or "%I" in form]
    return forms


def _swapped(form: str) -> str:
    """The same with day and month exchanged."""
    return form.replace("%d", "%_").replace("%m", "%d").replace("%_", "%m")


def _fits(texts: Sequence[str], form: str) -> bool:
    try:
        for text in texts:
            _moment(text, form)
    except ValueError:
        return False
    return True


def _moment(text: str, form: str) -> datetime:
    """Raises ValueError. pandas writes nine digits, of which strptime knows six."""
    return datetime.strptime(_NANOSECONDS.sub(r"\1", text) if "%f" in form else text, form)


def describe_dates(texts: Sequence[str], form: str) -> dict[str, Any]:
    """What writing them back needs beyond their strptime format, which all of them fit."""
    found: dict[str, Any] = {"format": form}
    fractions = [len(match.group(1)) for text in texts if (match := re.search(r"\.(\d{1,9})(?!.*\.\d)", text))]
    if "%f" in form and fractions:
        found["fraction"] = max(fractions)
    if any(re.search(r"(?<!\d)\d(?!\d)", text.split(".")[0] if "%f" in form else text) for text in texts[:_TRIED]):
        found["unpadded"] = True
    if "%z" in form:
        offsets = {match.group().strip() for text in texts if (match := _ZONE.search(text))}
        found["zone"] = offsets.pop() if len(offsets) == 1 else "+00:00"
        if offsets:
            found["mixed_zones"] = True
    return found


def parse_dates(texts: Sequence[str], form: str) -> tuple[np.ndarray, int | None]:
    """datetime64[us] (K,), in UTC where the texts name a zone; and the place of the first text that does not fit."""
    zoned = "%z" in form
    if form in _LENGTHS and all(len(text) == _LENGTHS[form] for text in texts):
        try:  # forty times as fast, and the same
            return np.array(list(texts), "datetime64[us]"), None
        except ValueError:
            pass  # the slow way says which
    values = np.full(len(texts), np.datetime64("NaT", "us"))
    for place, text in enumerate(texts):
        try:
            moment = _moment(text, form)
        except ValueError:
            return values, place
        if zoned:
            moment = moment.astimezone(timezone.utc).replace(tzinfo=None)
        values[place] = moment
    return values, None


def resolution_of(values: np.ndarray) -> int:
    """The largest unit in microseconds (a day at most) of which all values (datetime64[us], no NaT) are multiples."""
    whole = values.astype("datetime64[us]").astype(np.int64)
    return next(unit for unit in _UNITS if not (whole % unit).any())


@lru_cache(maxsize=64)
def zone_of(name: str) -> ZoneInfo | timezone:
    """The zone called `name`: an offset like +02:00, Z, or a name of the IANA data base. Raises UsageError."""
    match = re.fullmatch(r"(?:UTC)?([+-])(\d{2}):?(\d{2})", name)
    if name in ("Z", "UTC"):
        return timezone.utc
    if match:
        minutes = int(match.group(2)) * 60 + int(match.group(3))
        return timezone(timedelta(minutes=-minutes if match.group(1) == "-" else minutes))
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise UsageError(f"there is no time zone '{name}' on this machine", "pip install tzdata") from error


def write_dates(values: np.ndarray, form: dict[str, Any]) -> list[str]:
    """Texts of values (datetime64[us], no NaT) in a format; see the module."""
    layout, zone = str(form.get("format", "%Y-%m-%d %H:%M:%S")), form.get("zone")
    if form.get("unpadded"):
        layout = re.sub(r"%([dmHI])", r"%-\1", layout)
    pieces = re.findall(r"%-?[A-Za-z%]|[^%]+", layout)
    moments = [_EPOCH + timedelta(microseconds=value) for value in values.astype(np.int64).tolist()]
    if zone is not None:
        place = zone_of(str(zone))
        moments = [moment.replace(tzinfo=timezone.utc).astimezone(place) for moment in moments]
    fraction = int(form.get("fraction", 6))
    return ["".join(_piece(moment, piece, str(zone), fraction) for piece in pieces) for moment in moments]


_PARTS = {"%d": "day", "%m": "month", "%H": "hour", "%M": "minute", "%S": "second"}


def _piece(moment: datetime, piece: str, zone: str, fraction: int) -> str:
    """One directive or literal: strftime leaves years before 1000 without zeros on some systems, and is slower."""
    if not piece.startswith("%"):
        return piece
    if piece in _PARTS:
        return f"{getattr(moment, _PARTS[piece]):02d}"
    if piece == "%Y":
        return f"{moment.year:04d}"
    if piece == "%f":
        return f"{moment.microsecond:06d}".ljust(fraction, "0")[:fraction]
    if piece == "%z":
        return _offset(moment, zone)
    if piece.startswith("%-"):
        return moment.strftime("%" + piece[2:]).lstrip("0") or "0"
    return moment.strftime(piece)


def _offset(moment: datetime, zone: str) -> str:
    """The offset as the texts have it: Z, +0200 or +02:00."""
    if zone == "Z":
        return zone
    text = moment.strftime("%z")
    return text if re.fullmatch(r"[+-]\d{4}", zone) else f"{text[:3]}:{text[3:5]}"
