"""Whether synthetic windows are training windows again: exactly, nearly, or moved in time.

Nearly: a synthetic window lies nearer to some training window than only 1 of 200 windows of one real half lies to the
other half, with which it shares no step. About one percent of the windows of a generator that copies nothing do so.
Moved in time: the same for the middle half of a window, which is looked for at every place of every training window.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from synthgen.data.series.windows import WindowSet
from synthgen.evaluation.series.dividing import cut
from synthgen.evaluation.series.measure import Floor, Found, Measure, SeriesMetric, SeriesParts, beside, percent, plain

ASKED = 2000
"""Synthetic windows whose neighbours are looked for, drawn at random; for exact copies all are."""

QUANTILE = 0.005
_TOLD = 0.03
"""A share of copies from which a warning is due: about one percent is chance."""

_PAIRS = 6
_CHUNK = 256
_MOST_CELLS = 60_000_000
_DIGITS = 6


@dataclass(frozen=True)
class Nearest:
    """distance: float64 (N,), root mean square over cells; place: int64 (N,), which one it is."""

    distance: np.ndarray
    place: np.ndarray


def nearest(asked: np.ndarray, among: np.ndarray, check: object = None) -> Nearest:
    """The nearest of `among` (M, D) to each of `asked` (N, D), Euclidean, over the root of D."""
    squares = (among**2).sum(1)
    places = []
    for start in range(0, len(asked), _CHUNK):
        if callable(check):
            check()
        part = asked[start : start + _CHUNK]
        places.append((squares - 2.0 * (part @ among.T)).argmin(1))
    place = np.concatenate(places) if places else np.empty(0, np.int64)
    # Again, exactly: the expanded square above loses what is small, which is what copies are about.
    apart = np.sqrt(((asked - among[place]) ** 2).mean(1)) if len(asked) else np.empty(0)
    return Nearest(apart, place)


def windows_flat(parts: SeriesParts, windows: WindowSet) -> np.ndarray:
    """float32 (N, L * D): the windows in units of the channels' deviations, as networks see them."""
    x: np.ndarray = parts.prepared(windows).x / _deviations(parts)
    return x.reshape(len(x), -1)


def _deviations(parts: SeriesParts) -> np.ndarray:
    def compute() -> np.ndarray:
        x = parts.prepared(parts.reference).x
        spread = x.reshape(-1, x.shape[2]).std(0, dtype=np.float64)
        found: np.ndarray = np.where(spread > 1e-6, spread, 1.0).astype(np.float32)
        return found

    return parts.keep("deviations", compute)


def pieces(
    x: np.ndarray, sequence: np.ndarray, start: np.ndarray, length: int, ends: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Every piece of `length` steps of windows (N, L, D), each place of a recording once: (P, length * D), owner (P,).

    ends: int64 (N,), the windows' lengths: no piece reaches beyond. Of more than fit in memory some, evenly spread.
    """
    count = x.shape[1] - length + 1
    place = sequence[:, None] * (int(start.max(initial=0)) + x.shape[1] + 1) + start[:, None] + np.arange(count)
    _, first = np.unique(place.ravel(), return_index=True)
    if ends is not None:
        first = first[first % count + length <= ends[first // count]]
    most = max(1000, _MOST_CELLS // (length * x.shape[2]))
    first = first[:: -(-len(first) // most)]
    owner, offset = first // count, first % count
    found = np.stack([x[owner, offset + step] for step in range(length)], axis=1)
    return found.reshape(len(owner), -1), owner


def _middle(x: np.ndarray, ends: np.ndarray, length: int) -> np.ndarray:
    """The piece of `length` steps in the middle of each window that goes on so long, (M, length * D)."""
    begin = (x.shape[1] - length) // 2
    return x[ends >= begin + length, begin : begin + length].reshape(-1, length * x.shape[2])


def exact_copies(real: WindowSet, fake: WindowSet) -> np.ndarray:
    """bool (N,): which synthetic windows are equal to a real one, to six digits of the channel's largest value."""
    return equal_rows(real.values, fake.values)


def equal_rows(real: np.ndarray, fake: np.ndarray) -> np.ndarray:
    """bool (N,): which of `fake` (N, L, C) are among `real` (M, L, C), to six digits of a channel's largest value."""
    found: np.ndarray = np.isin(_rows(fake, real), _rows(real, real))
    return found


def _rows(values: np.ndarray, real: np.ndarray) -> np.ndarray:
    """(N,): windows as bytes, to six digits of the largest value of `real`."""
    largest = np.nanmax(np.abs(np.where(np.isnan(real), 0.0, real)), axis=(0, 1), initial=0.0)
    scale = 10.0 ** (_DIGITS - 1) / np.where(largest > 0, largest, 1.0)
    whole = np.where(np.isnan(values), -(2.0**62), np.rint(np.nan_to_num(values) * scale)).astype(np.int64)
    flat = np.ascontiguousarray(whole.reshape(len(whole), -1))
    return flat.view(np.dtype((np.void, flat.dtype.itemsize * flat.shape[1]))).ravel()


Sides = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class _Search:
    """Where copies are looked for.

    among: (M, D), with the window that each is of. threshold: calibrated, None without halves. usual: how near real
    windows of one half come to the other half.
    """

    among: np.ndarray
    owner: np.ndarray
    threshold: float | None
    usual: np.ndarray

    @property
    def chance(self) -> float:
        """The share that a generator that copies nothing shows: more where real windows repeat, such as dry days."""
        return max(2 * QUANTILE, float((self.usual <= self.threshold).mean()) if self.threshold is not None else 0.0)


def _calibrated(
    parts: SeriesParts, asked: Sides, others: Sides, among: np.ndarray, owner: np.ndarray, tag: int
) -> _Search:
    """asked: rows of either half; others: what they are looked for among, in the other half."""
    if not parts.divided or not all(len(one) for one in (*asked, *others)):
        return _Search(among, owner, None, np.empty(0))
    random = np.random.default_rng([parts.seeds[0], tag])
    usual = []
    for one, other in zip(asked, others[::-1], strict=True):
        some = one if len(one) <= ASKED else one[random.permutation(len(one))[:ASKED]]
        usual.append(nearest(some, other, parts.check_stop).distance)
    return _Search(among, owner, min(float(np.quantile(one, QUANTILE)) for one in usual), np.concatenate(usual))


def _whole_search(parts: SeriesParts) -> _Search:
    flat = windows_flat(parts, parts.real)
    sides = (flat[parts.halves[0]], flat[parts.halves[1]])
    return _calibrated(parts, sides, sides, flat, np.arange(len(flat)), 14)


def _piece_search(parts: SeriesParts, length: int) -> _Search:
    x, real = parts.prepared(parts.real).x / _deviations(parts), parts.real

    def of(index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        found, owner = pieces(x[index], real.sequence[index], real.start[index], length, real.lengths[index])
        return found, index[owner]

    among, owner = of(np.arange(len(x)))
    first, second = (_middle(x[half], real.lengths[half], length) for half in parts.halves)
    return _calibrated(parts, (first, second), (of(parts.halves[0])[0], of(parts.halves[1])[0]), among, owner, 15)


def _measure(parts: SeriesParts) -> Found:
    exact = exact_copies(parts.real, parts.fake)
    asked = cut(parts.fake, ASKED, parts.seeds[0])
    search = parts.keep("copies search", lambda: _whole_search(parts))
    found = nearest(windows_flat(parts, asked), search.among, parts.check_stop)
    repeats = parts.keep("exact chance", lambda: _repeats(parts.real)) if exact.any() else 0.0
    metrics = [_share("exact_copies", "exact copies", exact, repeats, "are equal to a training window")]
    details: dict[str, Any] = {"pairs": _pairs(parts, asked, found), "asked": len(asked), "threshold": search.threshold}
    if search.threshold is not None:
        near = found.distance <= search.threshold
        text = "lie nearer to a training window than real windows do"
        metrics.append(_share("copies", "near copies", near, search.chance, text))
        metrics.append(_nearness(found, search, len(asked)))
        details["distances"] = {"fake": _quantiles(found.distance), "real": _quantiles(search.usual)}
    length = parts.reference.values.shape[1] // 2
    if length >= 3 and parts.divided:
        moved = parts.keep("moved search", lambda: _piece_search(parts, length))
        if moved.threshold is not None:
            middles = _middle(parts.prepared(asked).x / _deviations(parts), asked.lengths, length)
            near = nearest(middles, moved.among, parts.check_stop).distance <= moved.threshold
            text = (
                f"have {length} steps in the middle that are nearer to {length} training steps anywhere than real ones"
            )
            metrics.append(_share("shifted_copies", "near copies, moved in time", near, moved.chance, text))
    told = [one for one in metrics if one.share and one.name != "exact_copies" and beyond_chance(one) > _TOLD]
    warnings = [one.sentence for one in told]
    if exact.any() and exact.mean() > 0.001 + repeats:
        warnings.insert(0, metrics[0].sentence)
    notes = () if len(asked) == parts.n else (f"near copies: of {len(asked):,} synthetic windows, drawn at random",)
    return Found(tuple(metrics), details, tuple(warnings), notes)


def beyond_chance(one: SeriesMetric) -> float:
    """A share of near copies as it would be where about one percent is chance."""
    return one.value - max((one.floor or 0.0) - 2 * QUANTILE, 0.0)


def _repeats(real: WindowSet) -> float:
    """How often a training window equals another one: constant stretches repeat by themselves."""
    _, counts = np.unique(_rows(real.values, real.values), return_counts=True)
    return float(counts[counts > 1].sum() / len(real))


def _share(name: str, title: str, hits: np.ndarray, chance: float, text: str) -> SeriesMetric:
    """The share of `hits`, bool (N,). chance: that of windows that were not copied."""
    n = len(hits)
    value = float(hits.mean()) if n else 0.0
    floors = (Floor("chance", chance, n),)
    sentence = f"{percent(value)} of {n:,} synthetic windows {text}{beside(floors, percent)}."
    spread = float(np.sqrt(value * (1 - value) / max(n, 1)))
    return SeriesMetric(name, title, value, n, "lower", sentence, floors, spread, (), True)


def _nearness(found: Nearest, search: _Search, n: int) -> SeriesMetric:
    """The median distance to the nearest training window, over that of real windows to the other real half."""
    usual = float(np.median(search.usual))
    value = float(np.median(found.distance)) / max(usual, 1e-12)
    text = (
        f"The nearest training window is {plain(value)} times as far from a synthetic window as the nearest window of "
        "the other half is from a real one (well below 1: copied; well above: off)."
    )
    random = np.random.default_rng(16)
    drawn = [np.median(found.distance[random.integers(0, n, n)]) / max(usual, 1e-12) for _ in range(5)]
    spread = float(np.std(drawn, ddof=1))
    return SeriesMetric(
        "nearest", "distance to the nearest, ratio", value, n, "nearer", text, (), spread, (), ideal=1.0
    )


def _quantiles(values: np.ndarray) -> list[float]:
    return [float(one) for one in np.quantile(values, np.linspace(0, 1, 51))]


def _pairs(parts: SeriesParts, asked: WindowSet, found: Nearest) -> list[dict[str, Any]]:
    """The nearest pairs, for the report: positions in `real` and values of up to three channels."""
    rows = []
    for place in np.argsort(found.distance, kind="stable")[:_PAIRS].tolist():
        mine, theirs = asked.values[place], parts.real.values[found.place[place]]
        apart = np.nan_to_num(np.abs(mine - theirs)).mean(0)
        rows.append(
            {
                "distance": float(found.distance[place]),
                "sequence": int(parts.real.sequence[found.place[place]]),
                "start": int(parts.real.start[found.place[place]]),
                "channel": parts.space.channels[int(np.argmax(np.nan_to_num(mine).std(0)))],
                "fake": _listed(mine[:, int(np.argmax(np.nan_to_num(mine).std(0)))]),
                "real": _listed(theirs[:, int(np.argmax(np.nan_to_num(mine).std(0)))]),
                "worst": parts.space.channels[int(np.argmax(apart))],
            }
        )
    return rows


def _listed(values: np.ndarray) -> list[float | None]:
    return [None if np.isnan(value) else float(value) for value in values]


def _impossible(parts: SeriesParts) -> str | None:
    return None if parts.space.dimensions else "no channel changes"


NAMES = ("exact_copies", "copies", "nearest", "shifted_copies")
COPIES = Measure("copies", NAMES, _measure, _impossible, shares=("exact_copies", "copies", "shifted_copies"))
