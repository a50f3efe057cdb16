"""How the times of a recording go on: the interval between its steps, gaps, and times beyond its end.

`SeriesSchema.step` (JSON values): kind: `datetime` or `number`, what the column of times holds. unit: `regular`
(microseconds, or the unit of the numbers), `business` (days from Monday to Friday), `month`, or `irregular` (no
interval; the gaps are learned). interval: how many of the unit from one step to the next; of `irregular`, the median
gap. whole: whether times are whole numbers. end: of `month`, whether days are the last of their month.
"""

from __future__ import annotations

from typing import Any

import numpy as np

DAY = 86_400_000_000
"""Microseconds."""
_JITTER = 0.1
"""Times that stray by no more than this share of the interval count as regular."""
_UNITS = ((DAY, "day"), (3_600_000_000, "hour"), (60_000_000, "minute"), (1_000_000, "second"), (1000, "millisecond"))


def as_numbers(times: np.ndarray) -> np.ndarray:
    """datetime64[us] as int64 microseconds since 1970, numbers as float64."""
    found: np.ndarray = (
        times.astype("datetime64[us]").astype(np.int64) if times.dtype.kind == "M" else times.astype(np.float64)
    )
    return found


def find_step(times: np.ndarray, offsets: np.ndarray, *, dates: bool, whole: bool) -> tuple[dict[str, Any], str]:
    """(how times go on, a remark for people or ""), from `as_numbers` of all steps, ascending in each sequence."""
    step: dict[str, Any] = {"kind": "datetime" if dates else "number", "whole": whole}
    gaps, owner = _gaps(times, offsets)
    if not len(gaps):
        return step | {"unit": "regular", "interval": DAY if dates else 1}, ""
    if dates:
        special = _calendar_step(times, offsets)
        if special is not None:
            return step | special, ""
    interval = _most_common(gaps)
    rates = _rates(gaps, owner)
    if len(rates) > 1:
        shown = ", ".join(sorted(describe_interval(step | {"unit": "regular", "interval": rate}) for rate in rates)[:4])
        remark = f"sequences differ in their interval ({shown}): the time between steps is learned"
        return step | {"unit": "irregular", "interval": _plain(np.median(gaps), dates)}, remark
    multiples = np.rint(gaps / interval)
    stray = np.abs(gaps - multiples * interval)
    if (multiples >= 1).all() and stray.max() <= _JITTER * interval:
        exact = stray.max() <= 1e-6 * interval
        remark = "" if exact else f"times stray by up to {stray.max() / interval:.1%} of the interval; made ones do not"
        return step | {"unit": "regular", "interval": _plain(interval, dates)}, remark
    remark = "times have no common interval: the time between steps is learned"
    return step | {"unit": "irregular", "interval": _plain(np.median(gaps), dates)}, remark


def _gaps(times: np.ndarray, offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Time from each step to the next of its sequence, and the sequence's number."""
    owner = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    inside = owner[1:] == owner[:-1]
    found: np.ndarray = np.diff(times)[inside]
    return found, owner[1:][inside]


def _most_common(gaps: np.ndarray) -> float:
    """The commonest gap, of numbers up to rounding; the smallest of several."""
    if gaps.dtype.kind == "f":
        scale = np.median(gaps)
        values, counts = np.unique(np.rint(gaps / scale * 1e6), return_counts=True)
        chosen = values[np.argmax(counts)]
        return float(np.median(gaps[np.rint(gaps / scale * 1e6) == chosen]))
    values, counts = np.unique(gaps, return_counts=True)
    return float(values[np.argmax(counts)])


def _rates(gaps: np.ndarray, owner: np.ndarray) -> set[float]:
    """The intervals of sequences of at least four steps, those within the jitter of each other held as one."""
    ends = np.flatnonzero(np.diff(owner, append=-1)) + 1
    begins = np.concatenate([[0], ends[:-1]])
    found: list[float] = []
    for begin, end in zip(begins.tolist(), ends.tolist(), strict=True):
        if end - begin >= 3:
            own = float(np.median(gaps[begin:end]))
            if not any(abs(own - other) <= _JITTER * other for other in found):
                found.append(own)
    return set(found)


def _plain(value: float, dates: bool) -> int | float:
    return max(1, round(float(value))) if dates else float(value)


def _calendar_step(times: np.ndarray, offsets: np.ndarray) -> dict[str, Any] | None:
    """Months or business days, where the days say so."""
    days, clock = times // DAY, times % DAY
    if (clock != clock[0]).any():
        return None
    gaps, _ = _gaps(days, offsets)
    if gaps.min() >= 28:
        months, end = _months(days)
        if months is not None:
            steps, _ = _gaps(months, offsets)
            interval = round(_most_common(steps))
            if interval >= 1 and not (steps % interval).any():
                return {"unit": "month", "interval": interval, "end": end}
        return None
    weekday = (days + 3) % 7  # 1970-01-01 was a Thursday
    if gaps.min() == 1 and weekday.max() <= 4 and (gaps >= 3).mean() > 0.1 and np.median(gaps) == 1:
        return {"unit": "business", "interval": 1}
    return None


def _months(days: np.ndarray) -> tuple[np.ndarray | None, bool]:
    """(months since 1970, whether all days are the last of theirs); (None, False) for days that differ."""
    dates = days.astype("datetime64[D]")
    months = dates.astype("datetime64[M]")
    day = (dates - months.astype("datetime64[D]")).astype(np.int64)
    last = ((months + 1).astype("datetime64[D]") - dates).astype(np.int64) == 1
    if last.all() and day.min() >= 27:
        return months.astype(np.int64), True
    return (months.astype(np.int64), False) if (day == day[0]).all() and day[0] < 28 else (None, False)


def places(step: dict[str, Any], times: np.ndarray, offsets: np.ndarray) -> np.ndarray | None:
    """int64 (T,): intervals since the first step of each sequence; None when times do not go by an interval."""
    unit = step["unit"]
    if unit == "irregular":
        return None
    gaps, _ = _gaps(times, offsets)
    if unit == "regular":
        counted = np.rint(gaps / step["interval"]).astype(np.int64)
        if len(gaps) and np.abs(gaps - counted * step["interval"]).max() > _JITTER * step["interval"]:
            return None
    else:
        whole = _ordinal(step, times)
        counted = _gaps(whole, offsets)[0]
        if (counted % step["interval"]).any():
            return None
        counted //= step["interval"]
    if len(counted) and counted.min() < 1:
        return None
    rises = np.zeros(len(times), np.int64)
    inside = np.ones(len(times), bool)
    inside[offsets[:-1]] = False
    rises[inside] = counted
    total = np.cumsum(rises)
    found: np.ndarray = total - np.repeat(total[offsets[:-1]], np.diff(offsets))
    return found


def _ordinal(step: dict[str, Any], times: np.ndarray) -> np.ndarray:
    """int64: the number of each time's month or business day."""
    days = (times // DAY).astype("datetime64[D]")
    if step["unit"] == "month":
        months: np.ndarray = days.astype("datetime64[M]").astype(np.int64)
        return months
    business: np.ndarray = np.busday_count(np.datetime64("1970-01-01"), days).astype(np.int64)
    return business


def advance(step: dict[str, Any], start: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Times `count` steps after `start`, broadcast; int64 microseconds or float64 as `as_numbers` gives them."""
    unit, interval = step["unit"], step["interval"]
    if unit in ("regular", "irregular"):
        moved = start + count * interval
        times: np.ndarray = moved.astype(np.int64) if step["kind"] == "datetime" else moved
        return times
    days, clock = start // DAY, start % DAY
    dates = days.astype("datetime64[D]")
    if unit == "business":
        made = np.busday_offset(dates, count * interval, roll="forward")
    else:
        months = dates.astype("datetime64[M]")
        day = (dates - months.astype("datetime64[D]")).astype(np.int64)
        later = months + count * interval
        last = (later + 1).astype("datetime64[D]") - 1
        made = last if step.get("end") else np.minimum(later.astype("datetime64[D]") + day, last)
    found: np.ndarray = made.astype("datetime64[D]").astype(np.int64) * DAY + clock
    return found


def describe_interval(step: dict[str, Any]) -> str:
    """The interval in words: `1 hour`, `15 minutes`, `1 business day`, `0.5`."""
    unit, interval = step["unit"], step["interval"]
    about = "about " if unit == "irregular" else ""
    if unit == "business":
        return "1 business day"
    if unit == "month":
        return _times(interval, "month")
    if step["kind"] == "number":
        return f"{about}{interval:g}"
    for size, name in _UNITS:
        if interval >= size and (interval % size == 0 or unit == "irregular"):
            return about + _times(interval / size, name)
    return about + _times(interval, "microsecond")


def _times(count: float, name: str) -> str:
    return f"{count:.3g} {name}{'s' if count != 1 else ''}"
