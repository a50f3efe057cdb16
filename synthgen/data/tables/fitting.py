"""The fit of a codec: rules and dates first, then the tokens of every column that comes out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from synthgen.config.tables import ConstraintConfig
from synthgen.data.tables.binning import fit_numbers
from synthgen.data.tables.categories import fit_categories
from synthgen.data.tables.codec import CodecColumn, TableCodec
from synthgen.data.tables.constraints import apply_rule, check_names, constraint_columns
from synthgen.data.tables.plain import constant_of, to_plain, unit_of
from synthgen.data.tables.schema import Kind, TableData
from synthgen.data.tables.transforms import DAY, Ascending, Columns, DateParts, Joint, Total, Transform, free_name


def fit_codec(data: TableData, bins: int, rare: int, constraints: Sequence[ConstraintConfig]) -> TableCodec:
    """See `TableCodec.fit`."""
    schema = data.schema
    for rule in constraints:
        check_names(rule, schema)
    units = _units(data, constraints)
    columns: Columns = {
        column.name: to_plain(data.frame[column.name], column, units.get(column.name, 1)) for column in schema.modelled
    }
    steps: list[Transform] = []
    for rule in constraints:
        steps += apply_rule(rule, columns, schema)
    ruled = {name for rule in constraints for name in constraint_columns(rule)}
    for name, unit in units.items():
        if name not in ruled and unit < DAY and _has_two_parts(columns[name], unit, bins):
            split = DateParts(name, free_name(f"{name}, time of day", {*columns, *schema.names}), unit)
            split.forward(columns)
            steps.append(split)
    sources, kinds = _lineage(steps, {column.name: column.kind for column in schema.modelled})
    order = sorted(columns, key=lambda name: min(map(schema.names.index, sources[name])))
    found = []
    for name in order:
        values = columns[name]
        numeric = values.dtype != object
        tokens = fit_numbers(values, bins) if numeric else fit_categories(values, rare)
        found.append(CodecColumn(name, kinds[name], sources[name], tokens))
    constants = {column.name: constant_of(data.frame[column.name]) for column in schema.columns
                 if column.kind == "constant"}  # fmt: skip
    return TableCodec(schema, tuple(found), tuple(steps), units, constants)


def _units(data: TableData, constraints: Sequence[ConstraintConfig]) -> dict[str, int]:
    """Microseconds in which each column of dates counts: one unit for dates that a rule compares."""
    units = {
        column.name: unit_of(data.frame[column.name], column)
        for column in data.schema.modelled
        if column.kind == "datetime"
    }
    for rule in constraints:
        compared = [name for name in rule.less_equal or () if name in units]
        smallest = min((units[name] for name in compared), default=1)
        units |= dict.fromkeys(compared, smallest)
    return units


def _has_two_parts(values: np.ndarray, unit: int, bins: int) -> bool:
    """Whether dates differ in day and in time, and are too many for a token each."""
    distinct = np.unique(values[~np.isnan(values)])
    days = np.floor(distinct / (DAY // unit))
    return len(distinct) > bins and len(np.unique(days)) > 1 and len(np.unique(distinct - days * (DAY // unit))) > 1


def _lineage(steps: Sequence[Transform], kinds: dict[str, Kind]) -> tuple[dict[str, tuple[str, ...]], dict[str, Kind]]:
    """The columns of the table behind every column there is after `steps`, and its kind."""
    sources: dict[str, tuple[str, ...]] = {name: (name,) for name in kinds}
    kinds = dict(kinds)
    for step in steps:
        made: dict[str, Kind] = {}
        parents: tuple[str, ...] = ()
        if isinstance(step, DateParts):
            made, parents = {step.time: "integer"}, (step.name,)
        elif isinstance(step, Joint):
            made, parents = {step.joint: "category"}, step.names
        elif isinstance(step, Ascending):
            plain: Kind = "integer" if kinds[step.high] != "number" else "number"
            made, parents = {step.gap: plain}, (step.low, step.high)
            if step.alone:
                made[step.alone] = kinds[step.high]
        elif isinstance(step, Total):
            parents = (*step.names, step.total)
            made = {step.alone: kinds[step.total]} if step.alone else {}
            made |= {step.given: "category"} if step.given else {}
        behind = tuple(dict.fromkeys(source for parent in parents for source in sources[parent]))
        for name, kind in made.items():
            sources[name], kinds[name] = behind, kind
    return sources, kinds
