"""Which rows an explanation looks at: those explained, those learned from, those held out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from synthgen.config.tables import TableConfig
from synthgen.data.tables.reading import read_table, table_from_frame
from synthgen.data.tables.schema import ColumnSchema, TableData
from synthgen.data.tables.writing import column_texts
from synthgen.errors import SynthgenError, UsageError, nearest
from synthgen.reporting import Reporter
from synthgen.stopping import ShouldStop, never_stop
from synthgen.training.batches import mix

if TYPE_CHECKING:
    import pandas as pd

    from synthgen.generation.tables.model import TableModel

_VALIDATION_ROWS = 4096
"""As `synthgen.training.tables`; a test keeps the two equal."""


@dataclass(frozen=True, eq=False)
class Real:
    """The real rows. train: those learned from; None where they are not to be had, and `why` says why.

    numbers: int64, the place of each of them in the table as it was read, from 0.
    holdout: rows that the weights never saw, or None. holdout_name: what they are, for people.
    """

    train: TableData | None
    holdout: TableData | None
    numbers: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))
    holdout_name: str = ""
    why: str = ""


def real_rows(
    model: TableModel,
    data: str | None,
    test: str | None,
    reporter: Reporter,
    should_stop: ShouldStop = never_stop,
) -> Real:
    """The training rows (`data`, else the source in the model's config if it is still the same table), and held-out
    ones: the rows of `test`, else those that training put aside. Raises UsageError for files that cannot be read."""
    settings, facts = model.config.data, model.header["data"]
    try:
        everything = read_table(data or settings.source, settings, schema=model.schema, split=_split(facts, data))
    except (SynthgenError, OSError) as error:
        if data is not None:
            raise
        return Real(None, None, why=f"the training rows cannot be read ({getattr(error, 'message', error)})")
    same = everything.fingerprint == facts["fingerprint"]
    if not same and data is None:
        return Real(None, None, why=f"{settings.source} has changed since the training")
    if not same:
        reporter.warn(f"{data} is not the table that the model was trained on: neighbours in it are no training rows")
    kept, held = held_out(model.config, len(everything)) if same else (np.arange(len(everything)), np.empty(0, int))
    train = everything.select(kept)
    if test is not None:
        rows = read_table(
            test, settings.model_copy(update={"limit": None}), schema=model.schema, split=_split({}, test)
        )
        return Real(train, rows, kept, rows.name)
    if len(held):
        return Real(train, everything.select(held), kept, f"{len(held):,} rows that training held out")
    return Real(train, None, kept)


def value_texts(values: pd.Series[Any], column: ColumnSchema) -> list[str]:
    """The values of a column as the table writes them, in their order; `(missing)` for missing ones."""
    there = np.flatnonzero(values.notna().to_numpy())
    found = ["(missing)"] * len(values)
    for place, text in zip(there, column_texts(values.iloc[there].array, column), strict=True):
        found[place] = text
    return found


def _split(facts: dict[str, str], source: str | None) -> str:
    """The part of a table that is meant: of a file named by the user, all of it."""
    return facts.get("split", "all") if source is None else "all"


def held_out(config: TableConfig, count: int) -> tuple[np.ndarray, np.ndarray]:
    """(rows learned from, rows held out) of `count`, as `synthgen.training.tables` parts them; sorted row numbers."""
    settings = config.training
    order = np.random.Generator(np.random.Philox(key=mix(settings.seed, "validation"))).permutation(count)
    number = min(_VALIDATION_ROWS, int(settings.validation * count))
    return np.sort(order[number:]), np.sort(order[:number])


@dataclass(frozen=True, eq=False)
class Asked:
    """rows: those to explain, N. crowd: all synthetic (or given) rows, for the detector. given: whether by a file.

    names: how the rows are called: `row 0`, ...
    """

    rows: TableData
    crowd: TableData
    given: bool
    names: tuple[str, ...]


def asked_rows(
    model: TableModel,
    rows: str | None,
    samples: int,
    count: int,
    seed: int,
    steps: int | None,
    reporter: Reporter,
    should_stop: ShouldStop = never_stop,
) -> Asked:
    """The first `samples` rows of a file, or of what `synthgen sample` makes with the same seed; of both up to `count`
    for the detector. Raises UsageError for a file without rows."""
    if rows is not None:
        crowd = read_table(rows, model.config.data.model_copy(update={"limit": None}), schema=model.schema)
        if not len(crowd):
            raise UsageError(f"{rows} has no rows", "name a table with the rows to explain")
    else:
        frame = model.sample(max(samples, count), seed=seed, steps=steps, reporter=reporter, should_stop=should_stop)
        crowd = table_from_frame(frame, schema=model.schema, name="sampled rows")
    chosen = crowd.select(np.arange(min(samples, len(crowd))))
    return Asked(chosen, crowd, rows is not None, tuple(f"row {number}" for number in range(len(chosen))))


def choose_target(model: TableModel, wanted: str | None) -> int:
    """The number of the target among the modelled columns: `wanted`, else the config's, else the last category or truth
    value, else the last column. Raises UsageError for a column that is not modelled, naming the nearest."""
    names = [column.name for column in model.codec.columns]
    name = wanted if wanted is not None else model.config.data.target
    if name is not None and name not in names:
        raise UsageError(
            f"there is no column '{name}' that the model predicts{nearest(name, names)}",
            f"it predicts: {', '.join(names[:20])}{', ...' if len(names) > 20 else ''}",
        )
    if name is not None:
        return names.index(name)
    classes = [place for place, column in enumerate(model.codec.columns) if column.kind in ("category", "boolean")]
    return classes[-1] if classes else len(names) - 1
