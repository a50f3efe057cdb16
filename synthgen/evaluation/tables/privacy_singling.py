"""Singling out: does a description that fits one synthetic row fit exactly one training row? (Giomi et al. 2023, 4.1)

An attacker reads off the synthetic rows descriptions (`capital-gain >= 99999 and country = Peru`) that fit a single one
of them, and claims that they fit a single person. Whether a description fits exactly one row depends on how many rows
there are, so the training rows and the rows of the control are made equally many first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from synthgen.data.tables.schema import NUMERIC, TableData
from synthgen.evaluation.tables.privacy_risk import Attack
from synthgen.evaluation.tables.space import numbers, texts

Operator = Literal["=", "!=", "<=", ">=", "<", ">"]
Term = tuple[int, Operator, float]
"""A column by its place, how it is compared, and with what; NaN stands for a missing value."""

Predicate = tuple[Term, ...]
"""Terms that must all hold."""

COLUMNS = 3
"""Columns that a description with several columns names, as in the paper; see `multivariate`."""

_BATCH = 1000
_PATIENCE = 10
"""Batches of tries after which one more column is named: in a table of few categories three are seldom enough."""

_MOST_BATCHES = 50
"""Batches that are tried before fewer descriptions than asked for have to do."""

_COMPARE: dict[Operator, Callable[[np.ndarray, float], np.ndarray]] = {
    "<=": lambda values, bound: values <= bound,
    ">=": lambda values, bound: values >= bound,
    "<": lambda values, bound: values < bound,
    ">": lambda values, bound: values > bound,
}


@dataclass(frozen=True)
class Grid:
    """A table as numbers: float64 (columns, rows); categories by code, NaN where missing. ordered: bool (columns,)."""

    values: np.ndarray
    ordered: np.ndarray

    def fits(self, predicate: Predicate) -> int:
        """How many rows all terms hold for."""
        found = np.ones(self.values.shape[1], bool)
        for column, operator, bound in predicate:
            found &= _holds(self.values[column], operator, bound)
        return int(found.sum())

    def select(self, index: np.ndarray) -> Grid:
        """The rows in `index`."""
        return Grid(self.values[:, index], self.ordered)


def _holds(values: np.ndarray, operator: Operator, bound: float) -> np.ndarray:
    if operator in _COMPARE:
        return _COMPARE[operator](values, bound)
    same: np.ndarray = np.isnan(values) if np.isnan(bound) else values == bound
    return same if operator == "=" else ~same


def grids(tables: Sequence[TableData]) -> list[Grid]:
    """The modelled columns of tables of one schema, with the same codes in all of them."""
    import pandas as pd

    columns = tables[0].schema.modelled
    rows: list[list[np.ndarray]] = [[] for _ in tables]
    for column in columns:
        if column.kind in NUMERIC:
            found = [numbers(one.frame[column.name], column) for one in tables]
        else:
            parts = [texts(one.frame[column.name]) for one in tables]
            codes = pd.factorize(np.concatenate(parts))[0].astype(np.float64)
            codes[codes < 0] = np.nan
            found = np.split(codes, np.cumsum([len(part) for part in parts])[:-1])
        for place, values in enumerate(found):
            rows[place].append(values)
    ordered = np.array([column.kind in NUMERIC for column in columns])
    return [Grid(np.array(one).reshape(len(columns), -1), ordered) for one in rows]


def univariate(synthetic: Grid, count: int, random: np.random.Generator) -> list[Predicate]:
    """At most `count` descriptions of one column: its smallest and largest value, and values that occur once."""
    found: list[Predicate] = []
    for column, values in enumerate(synthetic.values):
        known = values[~np.isnan(values)]
        if len(values) - len(known) == 1:
            found.append(((column, "=", np.nan),))
        uniques, counts = np.unique(known, return_counts=True)
        found += [((column, "=", float(value)),) for value in uniques[counts == 1]]
        if synthetic.ordered[column] and len(uniques):
            # It fits one row only where the extreme value occurs once.
            found += [((column, "<=", float(uniques[0])),)] * int(counts[0] == 1)
            found += [((column, ">=", float(uniques[-1])),)] * int(counts[-1] == 1)
    return [found[place] for place in random.permutation(len(found))[:count]]


def multivariate(
    synthetic: Grid,
    count: int,
    random: np.random.Generator,
    *,
    columns: int = COLUMNS,
    check: Callable[[], None] = lambda: None,
) -> list[Predicate]:
    """At most `count` descriptions, each made from a synthetic row that it alone fits.

    They name `columns` columns, and one more for every 10,000 tries that were not enough. Categories are equal to the
    row's; numbers at least or at most as large, whichever is farther from the median.
    """
    with np.errstate(all="ignore"):
        medians = np.array([np.nanmedian(v) if not np.isnan(v).all() else np.nan for v in synthetic.values])
    found: dict[Predicate, None] = {}
    width, total = synthetic.values.shape
    for batch in range(_MOST_BATCHES):
        check()
        named = min(columns + batch // _PATIENCE, width)
        for row in random.integers(0, total, _BATCH):
            chosen = np.sort(random.choice(width, named, replace=False))
            predicate = tuple(_term(synthetic, int(column), int(row), medians) for column in chosen)
            if predicate not in found and synthetic.fits(predicate) == 1:
                found[predicate] = None
                if len(found) == count:
                    return list(found)
    return list(found)


def _term(grid: Grid, column: int, row: int, medians: np.ndarray) -> Term:
    value = float(grid.values[column, row])
    if np.isnan(value) or not grid.ordered[column]:
        return column, "=", value
    return column, ">=" if value > medians[column] else "<=", value


def guesses(synthetic: Grid, count: int, random: np.random.Generator, *, columns: int = COLUMNS) -> Iterator[Predicate]:
    """Descriptions made without looking whom they fit: random columns, comparisons and values that occur."""
    width = synthetic.values.shape[0]
    values = [np.unique(row) for row in synthetic.values]
    for _ in range(count):
        chosen = np.sort(random.choice(width, min(columns, width), replace=False))
        terms: list[Term] = []
        for column in map(int, chosen):
            bound = float(random.choice(values[column]))
            few = np.isnan(bound) or not synthetic.ordered[column]
            operators: tuple[Operator, ...] = ("=", "!=") if few else ("=", "!=", "<=", ">=", "<", ">")
            terms.append((column, operators[random.integers(len(operators))], bound))
        yield tuple(terms)


def singling_out(
    train: TableData,
    synthetic: TableData,
    control: TableData,
    *,
    attempts: int,
    seed: int,
    several: bool,
    check: Callable[[], None] = lambda: None,
) -> Attack | None:
    """The attack with one column, or with `COLUMNS` of them (`several`); None when no description was found.

    train and control are cut to equally many random rows. check: called now and then, may raise.
    """
    random = np.random.default_rng([seed, 3 if several else 1])
    ours, fake, theirs = grids([train, synthetic, control])
    equal = min(len(train), len(control))
    ours, theirs = (one.select(np.sort(random.permutation(one.values.shape[1])[:equal])) for one in (ours, theirs))
    predicates = multivariate(fake, attempts, random, check=check) if several else univariate(fake, attempts, random)
    if not predicates:
        return None
    check()
    naive = guesses(fake, len(predicates), random, columns=COLUMNS if several else 1)
    hits, misses, lucky = (
        sum(grid.fits(one) == 1 for one in some)
        for grid, some in ((ours, predicates), (theirs, predicates), (ours, naive))
    )
    name = "singling_out" if several else "singling_out_univariate"
    return Attack(name, len(predicates), hits, lucky, len(predicates), misses)
