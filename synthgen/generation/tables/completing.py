"""Rows with some cells known: what is known of them, and the others drawn given these, without touching a known one."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from synthgen.config.tables import TableDataConfig
from synthgen.data.tables.categories import CategoryTokens
from synthgen.data.tables.columns import to_series
from synthgen.data.tables.frames import from_pandas
from synthgen.data.tables.raw import RawTable, TextColumn
from synthgen.data.tables.reading import open_table
from synthgen.data.tables.schema import ColumnSchema
from synthgen.data.tables.transforms import Ascending, Total
from synthgen.errors import UsageError, nearest
from synthgen.generation.storage import sha256_of_file
from synthgen.generation.tables.combining import partial_combinations
from synthgen.generation.tables.engine import Allowed, Given
from synthgen.generation.tables.plan import Completion, TablePlan
from synthgen.generation.tables.writing import Encoder, RowEncoder
from synthgen.reporting import NullReporter, Reporter
from synthgen.stopping import never_stop

if TYPE_CHECKING:
    import pandas as pd

    from synthgen.data.tables.schema import TableSchema
    from synthgen.generation.tables.model import TableModel

DRAW = "draw"
"""The column that tells the completions of one row apart."""


def read_known(
    model: TableModel, source: str | Path, draws: int, allow_missing: bool, reporter: Reporter | None = None
) -> KnownCells:
    """The rows of a file to complete. Raises UsageError naming the line and column of what the model cannot take."""
    config = TableDataConfig(missing=model.config.data.missing)
    raw, _ = open_table(source, config, "all", reporter or NullReporter(), never_stop)
    sha256, _ = sha256_of_file(Path(raw.name))
    return KnownCells(model, raw, draws, allow_missing, sha256)


def known_cells(model: TableModel, frame: pd.DataFrame, draws: int = 1, allow_missing: bool = False) -> KnownCells:
    """The rows of a DataFrame to complete. Raises UsageError naming the row and column."""
    from synthgen.data.tables.hashing import row_hashes

    digest = hashlib.sha256(np.ascontiguousarray(row_hashes(frame.astype(object))).data).hexdigest()
    return KnownCells(model, from_pandas("DataFrame", frame), draws, allow_missing, digest, frame)


class KnownCells:
    """Rows to complete: a request for `count` rows, of which row k is draw k % draws of row k // draws.

    frame: the rows in the normal form of the model's columns, missing where a cell is to be drawn. cells: bool
    (N, columns of the table), the cells that are known.
    """

    def __init__(
        self,
        model: TableModel,
        raw: RawTable,
        draws: int,
        allow_missing: bool,
        sha256: str,
        original: pd.DataFrame | None = None,
    ) -> None:
        import pandas as pd

        if draws < 1:
            raise UsageError(f"1 draw or more is needed, not {draws}")
        model.check_masked("completed rows")
        _check_columns(raw, model.schema, draws)
        self.codec, self.schema, self.raw, self.draws, self.original = model.codec, model.schema, raw, draws, original
        missing = {*model.config.data.missing, *model.schema.format.get("missing", ())}
        columns = {column.name: column for column in raw.columns}
        empty = np.full(raw.count, -1, np.int32), np.empty(0, object)
        self.frame = pd.DataFrame(
            {
                one.name: to_series(columns.get(one.name, TextColumn(one.name, *empty)), one, missing, raw.where)
                for one in model.schema.columns
            }
        )
        self.cells = self.frame.notna().to_numpy(bool)
        self.described = Completion(sha256, raw.count, draws, allow_missing)
        self.count = raw.count * draws
        self.exact = self.codec.plain(self.frame)
        outright, self._partial = partial_combinations(
            self.codec, self.cells, self.exact, allow_missing, lambda row: f"{raw.name}, {raw.where(row)}"
        )
        self.known = self.codec.known(outright)
        for step in self.codec.steps:
            step.forward(self.exact)
        self._check_values()
        self._check_rules()
        self.tokens, self.fractions = self.codec.encode(self.frame)
        self._allowed = {} if allow_missing else self._without_missing()

    def _check_values(self) -> None:
        """Raises UsageError naming the first known category that the model has never seen and cannot stand for."""
        for place, column in enumerate(self.codec.columns):
            if not isinstance(column.tokens, CategoryTokens) or column.tokens.rare:
                continue  # an unknown text counts as one of the rare ones
            bad = (column.tokens.places(self.exact[column.name]) == -2) & self.known[:, place]
            if bad.any():
                row = int(np.argmax(bad))
                value = self.exact[column.name][row]
                names = [str(text) for text in column.tokens.texts]
                raise UsageError(
                    f"{self.raw.name}, {self.raw.where(row)}, column '{column.name}': the model has never seen "
                    f"'{str(value)[:60]}'{nearest(str(value), names)}",
                    "correct the cell, or leave it empty to have it drawn",
                )

    def _check_rules(self) -> None:
        """Raises UsageError naming the first row whose known cells break a rule that all rows must keep."""
        plain = self.codec.plain(self.frame)
        for step in self.codec.steps:
            if isinstance(step, Ascending):
                bad, rule = plain[step.low] > plain[step.high], f"{step.low} <= {step.high}"
            elif isinstance(step, Total):
                sums, total = step.add(plain), plain[step.total]
                bad = np.abs(sums - total) > 1e-9 * np.maximum(np.abs(total), 1.0)
                rule = f"{' + '.join(step.names)} = {step.total}"
            else:
                continue
            if bad.any():
                where = self.raw.where(int(np.argmax(bad)))
                raise UsageError(
                    f"{self.raw.name}, {where}: its known cells break the rule {rule}",
                    "correct them, or leave one of them empty",
                )

    def _without_missing(self) -> dict[int, Allowed]:
        """By column: all tokens but that of missing values, where there are others."""
        found = {}
        for place, column in enumerate(self.codec.columns):
            if column.missing and column.size > 1:
                tokens = np.arange(column.size) < column.size - 1
                found[place] = Allowed(tokens, np.tile(np.array([0.0, 1.0], np.float32), (column.size, 1)))
        return found

    def rows(self, keys: np.ndarray) -> np.ndarray:
        """The row of the file that each row of the result belongs to; beyond the end, the last."""
        found: np.ndarray = np.minimum(keys // self.draws, self.raw.count - 1)
        return found

    def given(self, keys: np.ndarray) -> Given:
        """Tokens of the known cells; the others may be anything but missing, unless that is allowed."""
        rows = self.rows(keys)
        partial = {one.place: one.allowed(rows) for one in self._partial}
        allowed = {**self._allowed, **partial}
        return Given(self.tokens[rows], self.fractions[rows], self.known[rows], allowed, tuple(partial))

    def numbers(self, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Draw m of row i has the random numbers of key i, draw m: the same however many draws there are."""
        return self.rows(keys), keys % self.draws

    def decode(self, tokens: np.ndarray, fractions: np.ndarray, keys: np.ndarray, seed: int) -> pd.DataFrame:
        """Rows in normal form: drawn cells, made so that they fit the known ones as they are; known cells unchanged."""
        rows = self.rows(keys)
        exact = {name: values[rows] for name, values in self.exact.items()}
        names = self.raw.count * (keys % self.draws) + keys // self.draws
        frame = self.codec.decode(tokens, fractions, keys=names, seed=seed, exact=exact, known=self.known[rows])
        cells = self.cells[rows]
        for place, name in enumerate(self.schema.names):
            mine = cells[:, place]
            if mine.any():
                frame[name] = frame[name].where(~mine, self.frame[name].iloc[rows].reset_index(drop=True))
        return frame

    def mark(self, drawn: pd.DataFrame, start: int = 0) -> pd.DataFrame:
        """The rows start, start + 1, ... of the result with known cells as they came, and the column `draw`."""
        keys = np.arange(start, start + len(drawn))
        if self.draws > 1:
            drawn = drawn.assign(**{DRAW: keys % self.draws})
        return drawn

    def encoder(self, plan: TablePlan, schema: TableSchema) -> Encoder:
        """Writes known cells with the very text that they have in the file."""
        return _KnownEncoder(self, plan, schema)


def _check_columns(raw: RawTable, schema: TableSchema, draws: int) -> None:
    names = list(schema.names)
    for column in raw.columns:
        if column.name not in names:
            raise UsageError(
                f"{raw.name} has a column '{column.name}' that the model does not know{nearest(column.name, names)}",
                "rename it, or leave it out",
            )
    if draws > 1 and DRAW in names:
        raise UsageError(f"the table has a column '{DRAW}' of its own", "complete it with one draw at a time")


class _KnownEncoder:
    """Texts of the file for known cells, texts as the training data were written for all others."""

    def __init__(self, known: KnownCells, plan: TablePlan, schema: TableSchema) -> None:
        self.known, self.draws = known, known.draws
        if self.draws > 1:
            names = [*schema.format["header"], DRAW] if "header" in schema.format else None
            form = schema.format if names is None else {**schema.format, "header": names}
            schema = replace(schema, columns=(*schema.columns, ColumnSchema(DRAW, "integer")), format=form)
        self.rows = RowEncoder(plan, schema)
        self.texts = {column.name: column for column in known.raw.columns if isinstance(column, TextColumn)}

    def __call__(self, frame: pd.DataFrame, start: int, *, first: bool) -> bytes:
        import pandas as pd

        keys = np.arange(start, start + len(frame))
        if self.draws > 1:
            frame = frame.assign(**{DRAW: pd.array(keys % self.draws, dtype="Int64")})
        rows = self.known.rows(keys)
        kept: dict[str, np.ndarray] = {}
        for place, name in enumerate(self.known.schema.names):
            if name in self.texts:
                column = self.texts[name]
                held = np.append(column.texts, [None])[column.codes[rows]]
                held[~self.known.cells[rows, place]] = None
                kept[name] = held
        return self.rows(frame, start, first=first, kept=kept)
