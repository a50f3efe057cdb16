"""What the columns of a table mean, told from their values; what the configuration says goes first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from synthgen.config.tables import ColumnConfig, TableDataConfig
from synthgen.data.tables.columns import BOOLEAN_WORDS, Cells, cells_of, texts_of, typed_format
from synthgen.data.tables.dates import MIXED, date_format, describe_dates, parse_dates, resolution_of
from synthgen.data.tables.identifiers import identifier_format, is_row_number, sequence_format
from synthgen.data.tables.numbers import number_format, number_kind
from synthgen.data.tables.raw import RawTable, TextColumn, TypedColumn
from synthgen.data.tables.schema import ColumnSchema, Kind, TableSchema
from synthgen.errors import UsageError, nearest

_LEAST_UNIQUE = 20
"""So many texts, all different, are names of the rows; in smaller tables they may be anything."""


@dataclass
class Inferred:
    """A schema; remarks: by column, what a user should know; refused: by column, why it cannot be learned as it is."""

    schema: TableSchema
    remarks: dict[str, str] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)

    def check(self, name: str) -> None:
        """Raises UsageError naming every refused column of the table `name`."""
        if not self.refused:
            return
        columns = ",".join(self.refused)
        message = "; ".join(f"column '{column}' {reason}" for column, reason in self.refused.items())
        raise UsageError(
            f"{name}: {message}",
            f"leave it out (--set data.drop=[{columns}]), learn it as a category "
            f"(--set data.as_category=[{columns}]) or have it made anew (--set data.columns.NAME.kind=identifier)",
        )


class _Refused(Exception):
    """A column that cannot be learned as it is; the text says why."""


def infer(table: RawTable, config: TableDataConfig) -> Inferred:
    """The schema of all columns that are not dropped. Raises UsageError for names that the table does not have."""
    names = [column.name for column in table.columns]
    _check_names(table.name, names, config)
    dropped = {*config.drop, *(name for name, own in config.columns.items() if own.kind == "drop")}
    kept = [column for column in table.columns if column.name not in dropped]
    if not kept:
        raise UsageError(f"{table.name}: no column is left to learn", "data.drop names all of them.")
    found = Inferred(TableSchema((), {}))
    columns = []
    for column in kept:
        own = config.columns.get(column.name, ColumnConfig())
        if own.kind == "auto" and column.name in config.as_category:
            own = own.model_copy(update={"kind": "category"})
        work = _Column(table, own, frozenset({*config.missing, *own.missing}), found)
        columns.append(work.infer(column))
    form = dict(table.format)
    if config.missing != TableDataConfig().missing:
        form["missing"] = list(config.missing)
    found.schema = TableSchema(tuple(columns), form)
    return found


def _check_names(table: str, names: Sequence[str], config: TableDataConfig) -> None:
    used = {"data.drop": config.drop, "data.as_category": config.as_category, "data.columns": tuple(config.columns)}
    if config.target is not None:
        used["data.target"] = (config.target,)
    for key, wanted in used.items():
        for name in wanted:
            if name not in names:
                raise UsageError(
                    f"{key}: {table} has no column '{name}'{nearest(name, tuple(names))}",
                    f"Its columns: {', '.join(names[:20])}{', ...' if len(names) > 20 else ''}.",
                )


@dataclass
class _Column:
    """The inference of one column."""

    table: RawTable
    config: ColumnConfig
    missing: frozenset[str]
    found: Inferred

    def infer(self, column: TextColumn | TypedColumn) -> ColumnSchema:
        try:
            if isinstance(column, TypedColumn):
                kind, form = self._typed(column)
            else:
                kind, form = self._text(column)
        except _Refused as error:
            self.found.refused[column.name] = str(error)
            kind, form = "category", {}
        if self.config.missing:
            form["missing_texts"] = list(self.config.missing)
        return ColumnSchema(column.name, kind, form)

    def _typed(self, column: TypedColumn) -> tuple[Kind, dict[str, Any]]:
        form = typed_format(column)
        present = column.values[~column.missing]
        kind: Kind = {"M": "datetime", "b": "boolean", "i": "integer"}.get(column.values.dtype.kind, "number")  # type: ignore[assignment]
        if kind == "datetime" and len(present):
            form["resolution"] = resolution_of(present)
        if kind == "number" and not np.isfinite(present).all():
            row = int(np.argmax(~np.isfinite(column.values) & ~column.missing))
            raise _Refused(f"holds {column.values[row]} in {self.table.where(row)}: only finite numbers can be learned")
        if self.config.kind not in ("auto", "drop"):
            forced: Kind = self.config.kind  # type: ignore[assignment]
            if forced == "identifier":
                form |= sequence_format(present) if kind == "integer" else identifier_format(self._texts(column))
            return forced, form
        distinct = len(np.unique(present[:1000])) if len(present) else 0
        if len(present) == 0 or (distinct == 1 and not column.missing.any() and len(np.unique(present)) == 1):
            return "constant", form
        if kind == "integer" and not column.missing.any() and is_row_number(column.name, present):
            return "identifier", form | sequence_format(present)
        return kind, form

    def _texts(self, column: TypedColumn) -> list[str]:
        return [str(text) for text in np.unique(texts_of(column)[~column.missing].astype(str))]

    def _text(self, column: TextColumn) -> tuple[Kind, dict[str, Any]]:
        cells = cells_of(column, self.missing)
        texts = [str(text) for text in cells.texts]
        form: dict[str, Any] = {}
        if column.dtype:
            form |= {"dtype": column.dtype, **column.extra}
        if cells.missing is not None:
            form["missing"] = cells.missing
        if cells.pad != ("", ""):
            form["pad"] = list(cells.pad)
        if column.quoted:
            form |= {"quoted": True, **column.extra}
        if cells.several:
            self._remark(column.name, f"several texts mean missing; all are written as '{cells.missing}'")
        kind, more = self._forced(column, cells, texts) or self._kind(column, cells, texts)
        return kind, form | more

    def _forced(self, column: TextColumn, cells: Cells, texts: list[str]) -> tuple[Kind, dict[str, Any]] | None:
        kind = self.config.kind
        if kind == "number":
            comma = number_kind(texts) == "comma"
            fine = number_kind(texts) is not None or not texts
            return "number", {**(number_format(texts, comma) if fine else {}), **({"comma": True} if comma else {})}
        if kind == "integer":
            return "integer", {"style": "integer"}
        if kind == "boolean":
            return "boolean", _boolean_words(texts)
        if kind == "datetime" or (kind == "auto" and self.config.format):
            return "datetime", self._dates(column, cells, texts)
        if kind == "identifier":
            return "identifier", _identifier(texts)
        if kind == "constant":
            if len(texts) > 1:
                raise _Refused(f"is no constant: it holds '{texts[0][:40]}' and '{texts[1][:40]}'")
            return "constant", {}
        return ("category", {}) if kind == "category" else None

    def _dates(self, column: TextColumn, cells: Cells, texts: list[str]) -> dict[str, Any]:
        """The format of dates that the configuration declares."""
        given = self.config.format
        if given is None:
            form, remark = date_format(texts)
            if not form:
                raise _Refused("holds no dates of a format that is known; say which: data.columns.NAME.format=%d.%m.%Y")
            self._remark(column.name, remark)
        else:
            form = describe_dates(texts, given)
        moments, bad = parse_dates(texts, form["format"])
        if bad is not None:
            row = int(np.argmax(cells.codes == bad))
            raise _Refused(
                f"holds '{texts[bad][:40]}' in {self.table.where(row)}, which is no date of the format {given}"
            )
        return form | {"resolution": resolution_of(moments)}

    def _kind(self, column: TextColumn, cells: Cells, texts: list[str]) -> tuple[Kind, dict[str, Any]]:
        complete = bool((cells.codes >= 0).all())
        if not texts or (len(texts) == 1 and complete):
            return "constant", {}
        words = {text.lower() for text in texts} if len(texts) == 2 else set()
        if len(texts) == 2 and words in ({"true", "false"}, {"yes", "no"}):
            return "boolean", _boolean_words(texts)
        numbers = number_kind(texts)
        if numbers == "thousands":
            self._refuse_thousands(cells, texts)
        if numbers == "integer":
            values = np.array([int(text) for text in texts], np.int64)
            if complete and len(values) == len(cells.codes) and is_row_number(column.name, values[cells.codes]):
                return "identifier", sequence_format(values)
            return "integer", {"style": "integer"}
        if numbers is not None:
            return "number", number_format(texts, numbers == "comma")
        form, remark = date_format(texts)
        if form:
            self._remark(column.name, remark)
            if form.get("mixed_zones"):
                self._remark(column.name, "names several offsets: taken as instants and written in UTC")
            moments, _ = parse_dates(texts, form["format"])
            return "datetime", form | {"resolution": resolution_of(moments)}
        if remark == MIXED:
            raise _Refused("holds dates with a zone and dates without one")
        return self._category(cells, texts)

    def _refuse_thousands(self, cells: Cells, texts: list[str]) -> None:
        place = next(
            i for i, text in enumerate(texts) if not text.lstrip("+-").isdigit() and any(s in text for s in ",' ")
        )
        row = int(np.argmax(cells.codes == place))
        raise _Refused(
            f"holds numbers with thousands separators ('{texts[place]}' in {self.table.where(row)}): write them without"
        )

    def _category(self, cells: Cells, texts: list[str]) -> tuple[Kind, dict[str, Any]]:
        rows, distinct = int(cells.counts.sum()), len(texts)
        some = texts[:: max(1, distinct // 1000)]
        words = float(np.mean([len(text.split()) for text in some]))
        length = float(np.mean([len(text) for text in some]))
        if distinct == rows and distinct >= _LEAST_UNIQUE and words < 2 and length <= 64:
            return "identifier", identifier_format(texts)
        if (distinct == rows and distinct >= _LEAST_UNIQUE) or distinct > max(50, 0.5 * rows):
            raise _Refused(self._free(distinct, rows, texts))
        if (length > 80 and distinct > 20) or (words >= 4 and distinct > max(50, 0.2 * rows)):
            raise _Refused(self._free(distinct, rows, texts))
        return "category", {}

    def _free(self, distinct: int, rows: int, texts: list[str]) -> str:
        example = texts[0] if len(texts[0]) <= 40 else texts[0][:37] + "..."
        return f"is free text: {distinct:,} different texts in {rows:,} rows, such as '{example}'"

    def _remark(self, name: str, text: str) -> None:
        if text:
            before = self.found.remarks.get(name)
            self.found.remarks[name] = f"{before}; {text}" if before else text


def _identifier(texts: list[str]) -> dict[str, Any]:
    if number_kind(texts) == "integer":
        return sequence_format(np.array([int(text) for text in texts], np.int64))
    return identifier_format(texts) if texts else {"id": "sequence", "next": 1}


def _boolean_words(texts: list[str]) -> dict[str, Any]:
    """The texts of true and false as the column has them."""
    known = {text: BOOLEAN_WORDS.get(text.lower()) for text in texts}
    pairs = [(yes, no) for yes in known for no in known if known[yes] is True and known[no] is False]
    if pairs:
        return {"true": pairs[0][0], "false": pairs[0][1]}
    return {"true": "true", "false": "false"}
