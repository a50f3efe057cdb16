"""What goes into one file, or into a file for each shard: items in their order, be they rows or sequences."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, Any, Protocol

from synthgen.errors import SynthgenError
from synthgen.generation.shardset import ShardPlan

Opened = Callable[[], "AbstractContextManager[IO[bytes]]"]
"""Opens a file to be read."""


class FilePlan(ShardPlan, Protocol):
    """What is asked of a plan whose items go into files."""

    @property
    def packed(self) -> bool: ...

    @property
    def suffix(self) -> str: ...


class Contents(Protocol):
    """Items of one plan as bytes, and what is said about them.

    modality: as manifests name it. unit: what an item is called, in the plural. stem: the file's name in a folder.
    """

    modality: str
    unit: str
    stem: str

    @property
    def plan(self) -> FilePlan: ...

    def piece(self, count: int) -> int:
        """Items of a piece of a file of `count` items: whole blocks."""

    def encode(self, items: Any, start: int, *, first: bool) -> bytes:
        """A piece of a file. items: number start, start + 1, ...; first: they open the file."""

    def join(self, items: list[Any]) -> Any:
        """Several lots of items as one."""

    def assemble(self, pieces: Iterable[Path], target: Path) -> tuple[str, int]:
        """One file of pieces, in their order, flushed to disk: its sha256 and size. Memory: one piece."""

    def merge(self, files: Sequence[Opened], target: Path) -> None:
        """One file of whole files, in their order: what one process would have written."""

    def describe(self, *, finished: bool, **state: Any) -> bytes:
        """The manifest as JSON; `state`: what is there (files or shards)."""

    def card(self) -> str:
        """The README beside the data."""

    def single(self) -> Contents:
        """The same in one file."""


def open_contents(document: dict[str, Any], place: str) -> Contents | None:
    """The contents that a manifest describes, to be read; None for images. Raises SynthgenError when it is damaged."""
    modality = document.get("modality", "images")
    if modality == "tables":
        from synthgen.generation.tables.contents import open_table

        return open_table(document, place)
    if modality == "series":
        from synthgen.generation.series.contents import open_series

        return open_series(document, place)
    if modality != "images":
        raise SynthgenError(f"{place} is about {modality}, which this synthgen does not know", "update synthgen")
    return None
