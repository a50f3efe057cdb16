"""Rows of a table as tokens and fractions, and back: what a model of tables sees of the data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from synthgen.config.tables import ConstraintConfig
from synthgen.data.tables.binning import NumberTokens
from synthgen.data.tables.categories import CategoryTokens
from synthgen.data.tables.conditions import Condition
from synthgen.data.tables.identifiers import make_identifiers
from synthgen.data.tables.plain import from_plain, to_plain
from synthgen.data.tables.schema import Kind, TableData, TableSchema
from synthgen.data.tables.transforms import Columns, Transform

if TYPE_CHECKING:
    import pandas as pd
    import torch

Tokens = NumberTokens | CategoryTokens


@dataclass(frozen=True)
class CodecColumn:
    """One modelled column.

    kind: of the column of the table it stands for (category for columns that stand for several). sources: the columns
    of the table that it is made from; it is known when they are.
    """

    name: str
    kind: Kind
    sources: tuple[str, ...]
    tokens: Tokens

    @property
    def size(self) -> int:
        """Tokens; the last one is missing if the column has missing values."""
        return self.tokens.size

    @property
    def missing(self) -> bool:
        """Whether the last token means missing."""
        return self.tokens.missing

    @property
    def positions(self) -> np.ndarray | None:
        """float32 (size,): rank of each token in [0, 1], NaN for missing; None for categories, which have no order."""
        return self.tokens.positions if isinstance(self.tokens, NumberTokens) else None

    @property
    def spread(self) -> np.ndarray:
        """bool (size,): tokens that stand for several values, told apart by the fraction."""
        return self.tokens.spread

    @property
    def counts(self) -> np.ndarray:
        """int64 (size,): training rows of each token."""
        tokens = self.tokens
        if isinstance(tokens, NumberTokens):
            return tokens.counts
        kept = tokens.counts[: tokens.common].tolist()
        rare = [int(tokens.counts[tokens.common : len(tokens.texts)].sum())] if tokens.rare else []
        return np.array(kept + rare + tokens.counts[len(tokens.texts) :].tolist(), np.int64)


@dataclass(frozen=True)
class TableCodec:
    """Fitted on the training rows. steps: changes of columns before they become tokens; units: of dates, in
    microseconds; constants: the texts of constant columns."""

    schema: TableSchema
    columns: tuple[CodecColumn, ...]
    steps: tuple[Transform, ...]
    units: Mapping[str, int]
    constants: Mapping[str, str | None]

    @property
    def sizes(self) -> tuple[int, ...]:
        """Tokens of each column."""
        return tuple(column.size for column in self.columns)

    @classmethod
    def fit(cls, data: TableData, bins: int, rare: int, constraints: Sequence[ConstraintConfig] = ()) -> TableCodec:
        """Tokens for all modelled columns of `data`.

        bins: most tokens of a column of numbers, about. rare: categories with fewer rows share a token. constraints:
        rules that every decoded row keeps.
        Raises UsageError naming a rule that the rows break, the first such row and how many there are.
        """
        from synthgen.data.tables.fitting import fit_codec

        return fit_codec(data, bins, rare, constraints)

    def plain(self, frame: pd.DataFrame) -> Columns:
        """The modelled columns of `frame` as plain arrays, before any change."""
        return {
            column.name: to_plain(frame[column.name], column, self.units.get(column.name, 1))
            for column in self.schema.modelled
        }

    def encode(self, frame: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
        """(tokens int64 (N, C), fractions float32 (N, C) in [0, 1)) of a frame as `TableData` has it.

        A fraction is the place inside a token that stands for several values; 0.5 otherwise. Values that training did
        not have go to the nearest token; of categories to the rare ones.
        """
        columns = self.plain(frame)
        for step in self.steps:
            step.forward(columns)
        tokens = np.empty((len(frame), len(self.columns)), np.int64)
        fractions = np.empty((len(frame), len(self.columns)), np.float32)
        for place, column in enumerate(self.columns):
            tokens[:, place], fractions[:, place] = column.tokens.encode(columns[column.name])
        return tokens, fractions

    def decode(
        self,
        tokens: np.ndarray,
        fractions: np.ndarray,
        *,
        keys: np.ndarray,
        seed: int,
        exact: Columns | None = None,
        known: np.ndarray | None = None,
    ) -> pd.DataFrame:
        """The rows of tokens int64 (N, C) and fractions float32 (N, C), as a frame of the schema's normal forms.

        keys: int64 (N,), the numbers of the rows, from which with `seed` identifiers are made anew. exact: values of
        the codec's columns to take instead where known, bool (N, C), so that what a rule makes out of a known cell
        fits the cell itself and not its token. Every row keeps the constraints.
        """
        import pandas as pd

        columns: Columns = {
            column.name: column.tokens.decode(tokens[:, place], fractions[:, place])
            for place, column in enumerate(self.columns)
        }
        if exact is not None and known is not None:
            for place, name in enumerate(columns):
                columns[name] = np.where(known[:, place], exact[name], columns[name])
        for step in reversed(self.steps):
            step.backward(columns)
        series: dict[str, pd.Series] = {}
        for described in self.schema.columns:
            name = described.name
            if described.kind == "identifier":
                series[name] = pd.Series(make_identifiers(described.format, keys, seed, name), dtype=object)
            elif described.kind == "constant":
                series[name] = pd.Series([self.constants.get(name)] * len(keys), dtype=object)
            else:
                series[name] = from_plain(columns[name], described, self.units.get(name, 1))
        return pd.DataFrame(series)

    @cached_property
    def _places(self) -> dict[str, int]:
        """The codec's column that conditions on a column of the table go to."""
        found = {column.name: place for place, column in enumerate(self.columns) if column.name in self.schema.names}
        for place, column in enumerate(self.columns):
            if isinstance(column.tokens, CategoryTokens) and column.name not in found:
                for source in column.sources:
                    found.setdefault(source, place)
        return found

    def place(self, name: str) -> int:
        """Which of `columns` a condition on column `name` of the table goes to.

        Raises UsageError when there is no such column, or when a rule makes it out of others.
        """
        from synthgen.data.tables.restricting import place_of

        return place_of(self, self._places, name)

    def allowed(self, name: str, condition: Condition) -> tuple[np.ndarray, np.ndarray]:
        """What column `place(name)` may be so that `name` satisfies `condition` for certain.

        Returns (bool (K,) tokens, float32 (K, 2) closed interval of fractions inside each). Raises UsageError when no
        value that the model knows satisfies it.
        """
        from synthgen.data.tables.restricting import restrict

        return restrict(self, name, condition)

    def known(self, cells: np.ndarray) -> np.ndarray:
        """bool (N, C): which tokens are settled by known cells, bool (N, number of columns of the table).

        Raises UsageError naming a row whose known cell would not be kept, because a rule makes its column out of
        another one that is not known.
        """
        from synthgen.data.tables.restricting import known_tokens

        return known_tokens(self, cells)

    def to_dict(self) -> dict[str, Any]:
        """JSON values; the numbers are in `tensors`."""
        from synthgen.data.tables.storing import codec_to_dict

        return codec_to_dict(self)

    def tensors(self) -> dict[str, torch.Tensor]:
        """Bins, knots, categories and counts: numbers for a checkpoint."""
        from synthgen.data.tables.storing import codec_tensors

        return codec_tensors(self)

    @classmethod
    def from_parts(cls, values: dict[str, Any], tensors: Mapping[str, torch.Tensor]) -> TableCodec:
        """What `to_dict` and `tensors` gave. Raises SynthgenError for anything else."""
        from synthgen.data.tables.storing import codec_from_parts

        return codec_from_parts(values, tensors)
