"""Rules of `data.constraints`: checked on the training rows, and turned into changes of columns that keep them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np

from synthgen.config.tables import ConstraintConfig
from synthgen.data.tables.binning import round_to
from synthgen.data.tables.schema import NUMERIC, TableSchema
from synthgen.data.tables.transforms import Ascending, Columns, Joint, Total, Transform, free_name
from synthgen.errors import UsageError, nearest

_EXACT_DECIMALS = 15


def constraint_columns(rule: ConstraintConfig) -> tuple[str, ...]:
    """The columns that a rule is about."""
    names = rule.less_equal or rule.combination or rule.sum or ()
    return (*names, rule.total) if rule.total is not None else tuple(names)


def describe(rule: ConstraintConfig) -> str:
    """The rule in words: `low <= high`."""
    if rule.less_equal:
        return " <= ".join(rule.less_equal)
    if rule.combination:
        return "combinations of " + ", ".join(rule.combination)
    return f"{' + '.join(rule.sum or ())} = {rule.total}"


def check_names(rule: ConstraintConfig, schema: TableSchema) -> None:
    """Raises UsageError for a column that is not there, stands twice or is of a kind that the rule cannot hold for."""
    names = constraint_columns(rule)
    for name in names:
        if name not in schema.names:
            raise UsageError(
                f"data.constraints: the rule '{describe(rule)}' names a column '{name}' that the table does not have"
                f"{nearest(name, schema.names)}"
            )
        if names.count(name) > 1:
            raise UsageError(f"data.constraints: the rule '{describe(rule)}' names column '{name}' twice")
        column = schema[name]
        fits = column.modelled if rule.combination else column.kind in NUMERIC
        if rule.sum and column.kind == "datetime":
            fits = False
        if not fits:
            raise UsageError(
                f"data.constraints: the rule '{describe(rule)}' cannot hold for column '{name}', "
                f"whose kind is {column.kind}"
            )
    dates = {schema[name].kind == "datetime" for name in names}
    if rule.less_equal and len(dates) > 1:
        raise UsageError(f"data.constraints: the rule '{describe(rule)}' compares dates with numbers")


def apply_rule(rule: ConstraintConfig, columns: Columns, schema: TableSchema) -> list[Transform]:
    """Check a rule on all rows and change `columns` accordingly; the changes, in their order.

    Raises UsageError naming the first row (from 1) that breaks the rule and how many do, or a column that another rule
    has taken already.
    """
    for name in constraint_columns(rule):
        if name not in columns:
            raise UsageError(
                f"data.constraints: column '{name}' of the rule '{describe(rule)}' is settled by another rule already",
                "Join rules of one kind: less_equal: [low, middle, high].",
            )
    taken = {*columns, *schema.names}
    steps: list[Transform] = []
    if rule.combination:
        numeric = tuple(schema[name].kind in NUMERIC for name in rule.combination)
        steps.append(Joint(rule.combination, free_name(" + ".join(rule.combination), taken), numeric))
    elif rule.less_equal:
        return _ascending(rule, columns, taken)
    else:
        steps.append(_total(rule, columns, taken))
    for step in steps:
        step.forward(columns)
    return steps


def _ascending(rule: ConstraintConfig, columns: Columns, taken: set[str]) -> list[Transform]:
    """From the last pair to the first, so that every `low` is still what it was."""
    assert rule.less_equal is not None
    names = rule.less_equal
    for low, high in pairwise(names):
        broken = columns[high] < columns[low]  # false where either is missing
        _refuse(rule, broken, _pair(columns, low, high))
    steps: list[Transform] = []
    for low, high in reversed(list(pairwise(names))):
        values = columns[high]
        alone = bool((np.isnan(columns[low]) & ~np.isnan(values)).any())
        step = Ascending(
            low,
            high,
            free_name(f"{high} - {low}", taken),
            free_name(f"{high} without {low}", taken) if alone else None,
            max(most_decimals(columns[low]), most_decimals(values)),
            float(np.nanmax(values)) if not np.isnan(values).all() else 0.0,
        )
        step.forward(columns)
        steps.append(step)
    return steps


def _total(rule: ConstraintConfig, columns: Columns, taken: set[str]) -> Total:
    assert rule.sum is not None and rule.total is not None
    decimals = max(most_decimals(columns[name]) for name in (*rule.sum, rule.total))
    plain = Total(rule.sum, rule.total, None, None, decimals)
    sums, total = plain.add(columns), columns[rule.total]
    tolerance = 1e-9 * np.maximum(np.abs(total), 1.0)
    broken = np.abs(sums - total) > tolerance
    _refuse(rule, broken, lambda row: f"the parts make {sums[row]:g}, the total is {total[row]:g}")
    alone = bool((np.isnan(sums) & ~np.isnan(total)).any())
    hidden = bool((~np.isnan(sums) & np.isnan(total)).any())
    return Total(
        rule.sum,
        rule.total,
        free_name(f"{rule.total} without all parts", taken) if alone else None,
        free_name(f"{rule.total} is given", taken) if hidden else None,
        decimals,
    )


def _pair(columns: Columns, low: str, high: str) -> Callable[[int], str]:
    return lambda row: f"{columns[low][row]:g} > {columns[high][row]:g}"


def _refuse(rule: ConstraintConfig, broken: np.ndarray, words: Callable[[int], str]) -> None:
    if broken.any():
        row = int(np.argmax(broken))
        count = int(broken.sum())
        raise UsageError(
            f"data.constraints: {count:,} of {len(broken):,} rows break the rule '{describe(rule)}', "
            f"the first of them row {row + 1:,} ({words(row)})",
            "Correct the data or leave the rule out.",
        )


def most_decimals(values: np.ndarray) -> int:
    """The fewest decimals that hold all values (NaN left out); 15 when more are needed."""
    present = np.unique(values[~np.isnan(values)])
    for decimals in range(_EXACT_DECIMALS):
        if np.array_equal(round_to(present, decimals), present):
            return decimals
    return _EXACT_DECIMALS


def violations(rules: Sequence[ConstraintConfig], columns: Columns) -> dict[str, int]:
    """Rows that break each rule of numbers or dates, by its words; combinations cannot be judged without the data."""
    found = {}
    for rule in rules:
        if rule.less_equal:
            pairs = pairwise(rule.less_equal)
            broken = np.any([columns[high] < columns[low] for low, high in pairs], axis=0)
            found[describe(rule)] = int(broken.sum())
        elif rule.sum and rule.total:
            total = columns[rule.total]
            decimals = max(most_decimals(columns[name]) for name in (*rule.sum, rule.total))
            sums = Total(rule.sum, rule.total, None, None, decimals).add(columns)
            found[describe(rule)] = int((np.abs(sums - total) > 1e-9 * np.maximum(np.abs(total), 1.0)).sum())
    return found
