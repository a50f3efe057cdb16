"""Rows as the contents of files: see `synthgen.generation.contents.Contents`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synthgen.generation.contents import Opened
from synthgen.generation.tables.card import table_card
from synthgen.generation.tables.joining import join_frames, join_pieces, merge_files
from synthgen.generation.tables.manifest import MODALITY, TableOrigin, describe, plan_and_origin
from synthgen.generation.tables.plan import TablePlan
from synthgen.generation.tables.writing import Encoder, piece_rows

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class TableContents:
    """encoder: only needed to make some."""

    plan: TablePlan
    origin: TableOrigin
    encoder: Encoder | None = None

    modality = MODALITY
    unit = "rows"
    stem = "table"

    def piece(self, count: int) -> int:
        return piece_rows(self.plan, count)

    def encode(self, items: pd.DataFrame, start: int, *, first: bool) -> bytes:
        if self.encoder is None:
            raise ValueError("a set that was opened to be read makes no rows")
        return self.encoder(items, start, first=first)

    def join(self, items: list[pd.DataFrame]) -> pd.DataFrame:
        return join_frames(items)

    def assemble(self, pieces: Iterable[Path], target: Path) -> tuple[str, int]:
        return join_pieces(pieces, target, self.plan.format)

    def merge(self, files: Sequence[Opened], target: Path) -> None:
        merge_files(files, target, self.plan.format, packed=self.plan.packed)

    def describe(self, *, finished: bool, **state: Any) -> bytes:
        return describe(self.plan, self.origin, finished=finished, **state)

    def card(self) -> str:
        return table_card(self.plan, self.origin)

    def single(self) -> TableContents:
        return replace(self, plan=replace(self.plan, shards=None))


def open_table(document: dict[str, Any], place: str) -> TableContents:
    """The rows that a manifest describes. Raises SynthgenError when it is damaged."""
    return TableContents(*plan_and_origin(document, place))
