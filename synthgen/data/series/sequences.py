"""From rows to sequences: in the order of time, cut at long gaps, with missing steps where short ones are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from synthgen.data.series.times import advance, as_numbers, describe_interval, find_step, places
from synthgen.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd

Where = Callable[[int], str]
_NAME_IDS = "if it holds several sequences, name the column that tells them apart: --set data.id=COLUMN"


@dataclass(frozen=True)
class Steps:
    """Steps of all sequences, one sequence after the other; as `synthgen.data.series.schema.SeriesData` holds them.

    official: int8 (S,), the part that the source itself puts a sequence into: 0 none, else one more than its place in
    `PARTS`.
    """

    frame: pd.DataFrame
    offsets: np.ndarray
    recording: np.ndarray
    official: np.ndarray

    @property
    def lengths(self) -> np.ndarray:
        found: np.ndarray = np.diff(self.offsets)
        return found

    def cut(self, begins: np.ndarray, ends: np.ndarray, owner: np.ndarray) -> Steps:
        """The steps begins[i] to ends[i] - 1 (ascending) of sequence owner[i], each a sequence of its own."""
        whole = len(begins) == len(self.offsets) - 1 and (ends - begins).sum() == self.offsets[-1]
        frame = self.frame if whole else self.frame.iloc[ranges(begins, ends)].reset_index(drop=True)
        offsets = np.concatenate([[0], np.cumsum(ends - begins)]).astype(np.int64)
        return Steps(frame, offsets, self.recording[owner], self.official[owner])


def ranges(begins: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """int64: begins[0], ..., ends[0] - 1, begins[1], ..."""
    lengths = ends - begins
    before = np.cumsum(lengths) - lengths
    found: np.ndarray = np.arange(int(lengths.sum())) + np.repeat(begins - before, lengths)
    return found


def owners(offsets: np.ndarray) -> np.ndarray:
    """int64 (T,): the sequence of each step."""
    found: np.ndarray = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    return found


def in_order(
    frame: pd.DataFrame, time: str | None, ids: pd.Series | None, name: str, where: Where, several: str = ""
) -> tuple[np.ndarray | None, np.ndarray, bool]:
    """(rows in order or None when they are already, offsets of the sequences, whether rows were moved in time).

    Sequences come in the order of their ids when there are times, else in that of their first rows. Raises UsageError
    for a missing time or id, and for two rows with the same. several: how rows without ids are told apart, in words.
    """
    for column in (time, None if ids is None else str(ids.name)):
        if column is not None:
            gone = frame.get(column, ids).isna().to_numpy(bool)
            if gone.any():
                raise UsageError(
                    f"{name}, {where(int(np.argmax(gone)))}: nothing in the column '{column}'",
                    f"every row needs {'a time' if column == time else 'the name of its sequence'}",
                )
    codes = np.zeros(len(frame), np.int64) if ids is None else _codes(ids, ordered=time is not None)
    if time is None:
        order = np.argsort(codes, kind="stable")
        moved = False
    else:
        values = as_numbers(frame[time].to_numpy())
        order = np.lexsort((values, codes))
        same = (np.diff(values[order]) == 0) & (np.diff(codes[order]) == 0)
        if same.any():
            first, second = sorted(order[np.argmax(same) + np.arange(2)].tolist())
            raise _twice(frame, time, ids, name, where, first, second, several or _NAME_IDS)
        moved = bool((np.diff(np.argsort(order, kind="stable"))[np.diff(codes) == 0] < 0).any())
    counts = np.bincount(codes)
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return (None if (np.diff(order) == 1).all() else order), offsets, moved


def _codes(ids: pd.Series, *, ordered: bool) -> np.ndarray:
    """int64 (N,): the number of each row's sequence, by value (whole numbers as such) or by first appearance."""
    import pandas as pd

    codes, distinct = pd.factorize(ids)
    if ordered:
        keys = [(0, int(one), "") if str(one).removeprefix("-").isdecimal() else (1, 0, str(one)) for one in distinct]
        rank = np.empty(len(keys), np.int64)
        rank[sorted(range(len(keys)), key=keys.__getitem__)] = np.arange(len(keys))
        codes = rank[codes]
    found: np.ndarray = codes.astype(np.int64)
    return found


def _twice(
    frame: pd.DataFrame,
    time: str,
    ids: pd.Series | None,
    name: str,
    where: Where,
    first: int,
    second: int,
    several: str,
) -> UsageError:
    moment = frame[time].iloc[first]
    owner = "" if ids is None else f" of the sequence '{ids.iloc[first]}'"
    return UsageError(
        f"{name}: column '{time}' holds {moment}{owner} twice, in {where(first)} and {where(second)}",
        several if ids is None else "each step of a sequence needs a time of its own",
    )


def on_grid(
    steps: Steps, time: str, step: dict[str, Any] | None, window: Callable[[int], int], whole: bool
) -> tuple[Steps, dict[str, Any], list[str]]:
    """Steps at equal intervals, where times have one; (steps, how times go on, remarks for people).

    A gap of fewer steps than a window becomes missing steps; a longer one cuts the recording in two. window: of the
    longest sequence, its window. step: known already; None: found out.
    """
    times = as_numbers(steps.frame[time].to_numpy())
    dates = steps.frame[time].dtype.kind == "M"
    remarks = []
    if step is None:
        step, remark = find_step(times, steps.offsets, dates=dates, whole=whole)
        if remark:
            remarks.append(f"column '{time}': {remark}")
    place = places(step, times, steps.offsets)
    if place is None:
        return steps, step, remarks
    owner = owners(steps.offsets)
    jumps = np.zeros(len(times), np.int64)
    jumps[1:] = np.where(owner[1:] == owner[:-1], np.diff(place) - 1, 0)
    if not jumps.any():
        return steps, step, remarks
    longest = window(int(steps.lengths.max()))
    long = jumps >= longest
    short = np.where(long, 0, jumps)
    remarks.append(_gap_words(time, short, long, step))
    return _fill(_cut_at(steps, np.flatnonzero(long)), short, time, times, step), step, remarks


def _gap_words(time: str, short: np.ndarray, long: np.ndarray, step: dict[str, Any]) -> str:
    words = []
    if short.any():
        filled = int(short.sum())
        words.append(f"{filled:,} step{'s are' if filled > 1 else ' is'} not there and count as missing")
    if long.any():
        cuts = int(long.sum())
        words.append(f"{cuts:,} gap{'s' if cuts > 1 else ''} of a window or more cut{'' if cuts > 1 else 's'} it")
    return f"column '{time}' (interval {describe_interval(step)}): " + ", ".join(words)


def _cut_at(steps: Steps, rows: np.ndarray) -> Steps:
    """The same steps with sequences cut before these rows."""
    return cut_before(steps, rows)


def cut_before(steps: Steps, rows: np.ndarray) -> Steps:
    """Further cuts before `rows`; the pieces keep the number of their recording."""
    if not len(rows):
        return steps
    offsets = np.union1d(steps.offsets, rows)
    owner = np.searchsorted(steps.offsets, offsets[:-1], side="right") - 1
    return replace(steps, offsets=offsets, recording=steps.recording[owner], official=steps.official[owner])


def _fill(steps: Steps, jumps: np.ndarray, time: str, times: np.ndarray, step: dict[str, Any]) -> Steps:
    """`jumps[i]` missing steps before row i."""
    import pandas as pd

    if not jumps.any():
        return steps
    rows = np.repeat(np.arange(len(jumps)), jumps + 1)
    own = np.zeros(len(rows), bool)
    ends = np.cumsum(jumps + 1)
    own[ends - 1] = True
    ahead = ends[rows] - 1 - np.arange(len(rows))  # steps from here to the row that follows
    previous = rows - 1
    since = jumps[rows] + 1 - ahead
    source = np.where(own, rows, -1)
    made = np.where(own, times[rows], advance(step, times[np.maximum(previous, 0)], since))
    columns = {}
    for name in steps.frame.columns:
        values = steps.frame[name]
        if name == time:
            columns[name] = _as_times(values, made)
        else:
            columns[name] = pd.Series(pd.api.extensions.take(values.array, source, allow_fill=True), dtype=values.dtype)
    offsets = np.concatenate([[0], ends[steps.offsets[1:] - 1]]).astype(np.int64)
    return replace(steps, frame=pd.DataFrame(columns), offsets=offsets)


def _as_times(values: pd.Series, made: np.ndarray) -> pd.Series:
    """Numbers of `as_numbers` in the normal form of the column of times."""
    import pandas as pd

    if values.dtype.kind == "M":
        return pd.Series(made.astype("datetime64[us]"))
    if str(values.dtype) == "Int64":
        return pd.Series(np.rint(made).astype(np.int64)).astype("Int64")
    return pd.Series(made.astype(np.float64))


def constant_within(steps: Steps, names: list[str]) -> Steps:
    """The columns `names` take the first value of their sequence in every step: ids, labels, covariates, constants."""
    import pandas as pd

    if not len(steps.frame):
        return steps
    frame = steps.frame.copy(deep=False)
    first = np.repeat(steps.offsets[:-1], steps.lengths)
    for name in names:
        frame[name] = pd.Series(frame[name].array.take(first), dtype=frame[name].dtype)
    return replace(steps, frame=frame)
