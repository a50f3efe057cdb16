"""Rows in shards: each is a file of its own, with the line of names, made alone by anybody."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synthgen.errors import SynthgenError
from synthgen.generation.manifest import MANIFEST
from synthgen.generation.pipeline import write_behind
from synthgen.generation.shardset import ShardedSet
from synthgen.generation.storage import Store
from synthgen.generation.tables.card import table_card
from synthgen.generation.tables.manifest import TableOrigin, describe, plan_and_origin
from synthgen.generation.tables.plan import TablePlan
from synthgen.generation.tables.writing import Encoder, join_frames, join_pieces, piece_rows
from synthgen.stopping import ShouldStop, never_stop

if TYPE_CHECKING:
    import pandas as pd


class TableShardSet(ShardedSet[TablePlan]):
    """The shards of one plan of rows in one store. encode: only needed to make some."""

    content = "rows_sha256"

    def __init__(self, store: Store, plan: TablePlan, origin: TableOrigin, encode: Encoder | None = None) -> None:
        super().__init__(store, plan)
        self.origin, self.encode = origin, encode

    def data_names(self, shard: int) -> list[str]:
        """The one file of a shard."""
        return [f"data/rows-{self.tag(shard)}{self.plan.suffix}"]

    def describe(self, *, finished: bool, **state: Any) -> bytes:
        return describe(self.plan, self.origin, finished=finished, **state)

    def write(
        self,
        shard: int,
        blocks: Iterator[pd.DataFrame],
        *,
        report: Callable[[int], None] = lambda made: None,
        should_stop: ShouldStop = never_stop,
    ) -> bool:
        """Make a shard of frames of rows; False, with nothing left behind, when it was asked to stop."""
        start, stop = self.plan.bounds(shard)
        encode = self.encode
        if encode is None:
            raise ValueError("a set that was opened to be read makes no rows")
        with self.store.workspace(self.tag(shard)) as folder:
            position = start
            pieces: list[Path] = []

            def put(frame: pd.DataFrame) -> None:
                nonlocal position
                piece = folder / f"piece-{len(pieces):06d}"
                piece.write_bytes(encode(frame, position, first=position == start))
                pieces.append(piece)
                position += len(frame)

            size = piece_rows(self.plan, stop - start)
            if not write_behind(
                blocks, stop - start, size, put, report=report, should_stop=should_stop, join=join_frames
            ):
                return False
            if position != stop:
                raise SynthgenError(f"shard {shard} has {position - start:,} rows instead of {stop - start:,}")
            whole = folder / f"whole{self.plan.suffix}"
            sha256, _ = join_pieces(pieces, whole, self.plan.format)
            made = [(whole, self.data_names(shard)[0])]
            record = self.shard_record(shard, made, rows_sha256=sha256)
            self.store.publish(made)
            self.store.write(self.manifest_name(shard), json.dumps(record, indent=1, ensure_ascii=False).encode())
        return True

    def finish(self, records: Iterable[dict[str, Any]]) -> None:
        """All shards are there: write the manifest of the whole, and the card; clear away what kills left."""
        names = ("shard", "start", "count", "rows_sha256", "files")
        shards = [{name: record[name] for name in names} for record in records]
        files = [file["name"] for shard in shards for file in shard["files"]]
        self.store.write("README.md", table_card(self.plan, self.origin).encode())
        state = {"count": self.plan.count, "files": files, "shards": shards}
        self.store.write(MANIFEST, self.describe(finished=True, **state))
        self.store.sweep()


def open_table_set(store: Store, document: dict[str, Any]) -> TableShardSet:
    """The set that a manifest describes. Raises SynthgenError when it is damaged."""
    return TableShardSet(store, *plan_and_origin(document, f"{store.url}/{MANIFEST}"))
