"""Sequences as the contents of files: see `synthgen.generation.contents.Contents`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from synthgen.generation.contents import Opened
from synthgen.generation.series.archive import join_archives, piece_bytes
from synthgen.generation.series.card import series_card
from synthgen.generation.series.drawn import Drawn, join_drawn
from synthgen.generation.series.manifest import MODALITY, SeriesOrigin, describe, plan_and_origin
from synthgen.generation.series.plan import SeriesPlan
from synthgen.generation.tables.joining import join_pieces, merge_files, settle
from synthgen.generation.tables.writing import RowEncoder

if TYPE_CHECKING:
    from synthgen.data.tables.schema import TableSchema

PIECE_CELLS = 2**20
"""Cells that are written at once, about: what a kill can cost."""
_MOST_PIECES = 4096


@dataclass(frozen=True)
class SeriesContents:
    """columns: of the file; only needed to make some. cells: of one sequence, about. whole: see `join_archives`."""

    plan: SeriesPlan
    origin: SeriesOrigin
    columns: TableSchema | None = None
    cells: int = 1
    whole: dict[str, np.ndarray] | None = None

    modality = MODALITY
    unit = "sequences"
    stem = "series"

    def piece(self, count: int) -> int:
        block = self.plan.block
        size = max(block, PIECE_CELLS // max(self.cells, 1) // block * block)
        while size * _MOST_PIECES < count:
            size *= 2
        return size

    def encode(self, items: Drawn, start: int, *, first: bool) -> bytes:
        if self.plan.format == "npz":
            return piece_bytes(items.arrays)
        if self.columns is None or items.frame is None:
            raise ValueError("a set that was opened to be read makes no sequences")
        return RowEncoder(self.plan, self.columns)(items.frame, start, first=first)

    def join(self, items: list[Drawn]) -> Drawn:
        return join_drawn(items)

    def assemble(self, pieces: Iterable[Path], target: Path) -> tuple[str, int]:
        if self.plan.format != "npz":
            return join_pieces(pieces, target, self.plan.format)
        target.unlink(missing_ok=True)
        opened: list[Opened] = [partial(_open, piece) for piece in pieces]
        join_archives(opened, target, self.whole or {})
        return settle(target)

    def merge(self, files: Sequence[Opened], target: Path) -> None:
        if self.plan.format != "npz":
            merge_files(files, target, self.plan.format, packed=self.plan.packed)
        else:
            join_archives(files, target, whole_arrays(files[0]))

    def describe(self, *, finished: bool, **state: Any) -> bytes:
        return describe(self.plan, self.origin, finished=finished, **state)

    def card(self) -> str:
        return series_card(self.plan, self.origin)

    def single(self) -> SeriesContents:
        return replace(self, plan=replace(self.plan, shards=None))


def _open(path: Path) -> IO[bytes]:
    return path.open("rb")


def open_series(document: dict[str, Any], place: str) -> SeriesContents:
    """The sequences that a manifest describes. Raises SynthgenError when it is damaged."""
    return SeriesContents(*plan_and_origin(document, place))


WHOLE = ("channel_names", "class_names", "static_names")
"""Arrays of an npz file that do not have an entry for each sequence."""


def whole_arrays(file: Opened) -> dict[str, np.ndarray]:
    """Those of them that a file of ours has, with the levels of its categories."""
    with file() as stream, np.load(stream, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files if name in WHOLE or name.startswith(LEVELS)}


LEVELS = "levels_"
"""Before the name of a channel: the texts that its codes stand for."""
