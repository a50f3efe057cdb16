"""Who takes part in the tests of measures: tables with answers, and the parts that measures are handed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from synthgen.config.tables import ColumnConfig, TableDataConfig
from synthgen.data.tables.reading import table_from_frame
from synthgen.data.tables.schema import TableData
from synthgen.evaluation.tables.measure import TableParts
from tests.evaluation.tables.mixed import mixed

KINDS = {
    "size": "number",
    "age": "integer",
    "weight": "number",
    "day": "datetime",
    "colour": "category",
    "local": "boolean",
    "buys": "category",
}


def as_table(frame: pd.DataFrame, like: TableData | None = None) -> TableData:
    """A table of ours; like: in whose terms."""
    columns = {name: ColumnConfig(kind=KINDS[name]) for name in frame if name in KINDS}  # type: ignore[arg-type]
    if like is not None:
        return table_from_frame(frame, schema=like.schema)
    return table_from_frame(frame, TableDataConfig(columns=columns))


@pytest.fixture(scope="session")
def real() -> TableData:
    return as_table(mixed(1200, 1))


@pytest.fixture(scope="session")
def held_out(real: TableData) -> TableData:
    return as_table(mixed(800, 2), real)


MakeParts = Callable[..., TableParts]


@pytest.fixture(scope="session")
def make_parts(real: TableData, held_out: TableData) -> MakeParts:
    """Parts of a synthetic frame against `real`; what floors do not depend on it is shared."""
    shared: dict[str, object] = {}

    def make(fake: pd.DataFrame | TableData, *, holdout: bool = True, target: str | None = None) -> TableParts:
        data = fake if isinstance(fake, TableData) else as_table(fake, real)
        random = np.random.default_rng(9)
        bootstrap = real.select(random.integers(0, len(real), len(data)))
        return TableParts(real, data, held_out if holdout else None, bootstrap, None, target, shared=dict(shared))

    return make
