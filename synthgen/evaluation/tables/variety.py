"""Whether synthetic rows are as various as real ones: repeated rows, categories that occur, ranges that are reached."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from synthgen.evaluation.metrics import Figure, share
from synthgen.evaluation.tables.cells import Cells, cells, coder
from synthgen.evaluation.tables.figures import FLOORS, percent
from synthgen.evaluation.tables.measure import Floor, FloorName, Found, Measure, TableMetric, TableParts

_SHOWN = 20


def duplicates(table: Cells) -> np.ndarray:
    """bool (N,): rows that are equal to an earlier one in all modelled columns."""
    import pandas as pd

    return np.asarray(pd.DataFrame({**table.numbers, **table.codes}).duplicated())


def categories(real: Cells, fake: Cells) -> tuple[int, int]:
    """Of the real table's categories, over all columns: how many occur in the other table, and how many there are."""
    known = [set(np.unique(codes[codes >= 0]).tolist()) for codes in real.codes.values()]
    other = [set(np.unique(codes[codes >= 0]).tolist()) for codes in fake.codes.values()]
    return sum(len(a & b) for a, b in zip(known, other, strict=True)), sum(len(one) for one in known)


def ranges(real: Cells, fake: Cells) -> dict[str, float]:
    """By numeric column, the share of the real range that lies inside the other table's (SDMetrics' RangeCoverage)."""
    found = {}
    for name, values in real.numbers.items():
        other = fake.numbers[name]
        if np.isnan(values).all() or np.isnan(other).all():
            continue
        low, high = float(np.nanmin(values)), float(np.nanmax(values))
        inside = min(high, float(np.nanmax(other))) - max(low, float(np.nanmin(other)))
        found[name] = max(0.0, inside / (high - low)) if high > low else float(low in other)
    return found


def _repeated(parts: TableParts, real: Cells, fake: Cells) -> TableMetric:
    def floors() -> list[Floor]:
        first = _share(real.subset(len(fake), np.random.default_rng([parts.seed, 71])))
        found = [Floor("real", first.value, min(len(real), len(fake)), first.interval)]
        if parts.holdout is not None:
            other = _share(cells(parts, parts.holdout))
            found.append(Floor("holdout", other.value, len(parts.holdout), other.interval))
        return found

    found = _share(fake)
    known = tuple(parts.keep(f"duplicates floors {len(fake)}", floors))
    beside = f"{FLOORS['real']}: {percent(known[0].value)}"
    sentence = f"{percent(found.value)} of the synthetic rows repeat another one ({beside})."
    return TableMetric(
        "duplicates", "repeated rows", found.value, len(fake), "lower", sentence, known, found.interval, "wilson", True
    )


def _share(table: Cells) -> Figure:
    return share(duplicates(table))


def _floors(parts: TableParts, figure: Callable[[Cells], float], count: int) -> tuple[Floor, ...]:
    """The value of bootstrap, held-out rows and SMOTE against the real table."""
    tables = parts.floor_tables()
    order: tuple[FloorName, ...] = ("bootstrap", "holdout", "smote")
    random = np.random.default_rng([parts.seed, 72])
    found = []
    for name in order:
        if name in tables:
            other = cells(parts, tables[name]).subset(count, random)
            found.append(Floor(name, figure(other), len(other)))
    return tuple(found)


def _measure(parts: TableParts) -> Found:
    real, fake = cells(parts, parts.real), cells(parts, parts.fake)
    metrics = [_repeated(parts, real, fake)]
    details: dict[str, object] = {}
    if real.codes:

        def covered(other: Cells) -> float:
            return (lambda pair: pair[0] / max(pair[1], 1))(categories(real, other))

        hits, total = categories(real, fake)
        known = parts.keep(f"categories floors {len(fake)}", partial(_floors, parts, covered, len(fake)))
        text = f"{hits:,} of {total:,} categories occur ({FLOORS[known[0].name]}: {percent(known[0].value)})."
        metrics.append(
            TableMetric("categories", "categories covered", covered(fake), len(fake), "higher", text, known, share=True)
        )
        details |= _levels(parts, real, fake)
    if real.numbers:

        def reached(other: Cells) -> float:
            found = list(ranges(real, other).values())
            return float(np.mean(found)) if found else 1.0

        value = reached(fake)
        known = parts.keep(f"ranges floors {len(fake)}", partial(_floors, parts, reached, len(fake)))
        text = f"{percent(value)} of the real columns' ranges are reached ({FLOORS[known[0].name]}: " + (
            f"{percent(known[0].value)})."
        )
        metrics.append(TableMetric("ranges", "ranges covered", value, len(fake), "higher", text, known, share=True))
        details["ranges"] = ranges(real, fake)
    return Found(tuple(metrics), details)


def _levels(parts: TableParts, real: Cells, fake: Cells) -> dict[str, object]:
    """Categories that are lacking, the most frequent first, and ones that the real table does not have."""
    lacking: list[tuple[int, str, str]] = []
    foreign: list[tuple[int, str, str]] = []
    for name, codes in real.codes.items():
        levels = coder(parts).levels(name)
        ours, theirs = (np.bincount(one[one >= 0], minlength=len(levels)) for one in (codes, fake.codes[name]))
        lacking += [(int(ours[k]), name, levels[k]) for k in np.flatnonzero((ours > 0) & (theirs == 0))]
        foreign += [(int(theirs[k]), name, levels[k]) for k in np.flatnonzero((ours == 0) & (theirs > 0))]
    return {
        key: [{"column": name, "category": level, "rows": count} for count, name, level in sorted(found, reverse=True)][
            :_SHOWN
        ]
        for key, found in (("lacking", lacking), ("foreign", foreign))
    }


def _impossible(parts: TableParts) -> str | None:
    return None if parts.real.schema.modelled else "the table has nothing but identifiers and constants"


VARIETY = Measure(
    "variety",
    ("duplicates", "categories", "ranges"),
    _measure,
    _impossible,
    shares=("duplicates", "categories", "ranges"),
)
