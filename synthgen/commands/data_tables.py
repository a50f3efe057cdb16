"""`synthgen data inspect` on a table: its columns, what they mean, and how they are learned."""

from __future__ import annotations

import shlex
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from synthgen.commands.resuming import stoppable
from synthgen.console import Console
from synthgen.errors import UsageError

if TYPE_CHECKING:
    from synthgen.data.tables.inspection import TableInspection

_MOST_COLUMNS = 100
_MOST_WARNINGS = 20


def inspect(console: Console, source: str, overrides: list[str]) -> None:
    """Describe the table at `source`; overrides: `data.KEY=VALUE` texts of --set."""
    console.loading("pandas")
    from synthgen.config.loading import load_config
    from synthgen.config.tables import TableConfig
    from synthgen.data.tables.inspection import inspect_table

    config = load_config(None, overrides, {"modality": "tables", "data.source": source})
    if not isinstance(config, TableConfig):
        raise UsageError(f"{source} is a table, and the settings are those of images")
    with stoppable() as stop:
        found = inspect_table(source, config.data, reporter=console.reporter, should_stop=stop)
    console.result(_document(found), lambda: _show(console, found), quiet=found.rows)
    if found.interval:
        first = found.columns[0].name
        console.note(
            f"'{first}' goes on by {found.interval} from row to row: --set data.window=24 learns the rows as a series"
        )
    flags = "".join(f" --set {shlex.quote(text)}" for text in overrides)
    if found.refused:
        drop = shlex.quote(f"data.drop=[{','.join(found.refused)}]")
        console.warn(f"training would refuse {len(found.refused)} column(s): {', '.join(found.refused[:10])}")
        console.next(f"synthgen data inspect {shlex.quote(source)}{flags} --set {drop}")
    else:
        console.next(f"synthgen train --data {shlex.quote(source)}{flags}")


def _document(found: TableInspection) -> dict[str, Any]:
    return {
        "name": found.name,
        "kind": "table",
        "count": found.rows,
        "columns": [asdict(column) for column in found.columns],
        "splits": found.splits,
        "left_out": list(found.dropped),
        "duplicates": found.duplicates,
        "interval": found.interval or None,
        "fingerprint": found.fingerprint,
        "licence": found.licence,
    }


def _show(console: Console, found: TableInspection) -> None:
    modelled = sum(column.tokens > 0 for column in found.columns)
    parts = ", ".join(f"{part} {count:,}" for part, count in found.splits.items())
    rows = [
        ("rows", f"{found.rows:,}" + (f" ({parts})" if parts else "")),
        ("columns", f"{len(found.columns):,}, of which {modelled:,} are learned"),
        ("tokens", f"{sum(column.tokens for column in found.columns):,}"),
        ("duplicate rows", f"{found.duplicates:,}"),
        ("licence", found.licence or "unknown"),
        ("fingerprint", found.fingerprint),
    ]
    if found.dropped:
        rows.insert(2, ("left out", ", ".join(found.dropped)))
    console.table(found.name, ("", ""), rows)
    shown = [
        (column.name, column.kind, f"{column.distinct:,}", _share(column.missing), column.values, column.treatment)
        for column in found.columns[:_MOST_COLUMNS]
    ]
    console.table(None, ("column", "kind", "distinct", "missing", "values", "learned as"), shown, right=(2, 3))
    if len(found.columns) > _MOST_COLUMNS:
        console.line(f"... and {len(found.columns) - _MOST_COLUMNS:,} more columns (--json lists them all)")
    lines = [
        (f"{column.name} {warning}", "red" if warning == column.refused else None)
        for column in found.columns
        for warning in column.warnings
    ]
    for text, style in lines[:_MOST_WARNINGS]:
        console.line(text, style)
    if len(lines) > _MOST_WARNINGS:
        console.line(f"... and {len(lines) - _MOST_WARNINGS:,} more remarks (--json lists them all)")


def _share(missing: float) -> str:
    if missing == 0:
        return ""
    return f"{missing:.1%}" if missing >= 0.001 else "< 0.1%"
