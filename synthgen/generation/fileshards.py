"""Rows or sequences in shards: each is a file of its own, with the line of names, made alone by anybody."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from synthgen.errors import SynthgenError
from synthgen.generation.contents import Contents, FilePlan, open_contents
from synthgen.generation.manifest import MANIFEST
from synthgen.generation.pipeline import write_behind
from synthgen.generation.shardset import ShardedSet
from synthgen.generation.storage import Store
from synthgen.stopping import ShouldStop, never_stop


class FileShardSet(ShardedSet[FilePlan]):
    """The shards of one plan in one store, a file each."""

    def __init__(self, store: Store, contents: Contents) -> None:
        super().__init__(store, contents.plan)
        self.contents = contents
        self.content = f"{contents.unit}_sha256"

    def data_names(self, shard: int) -> list[str]:
        """The one file of a shard."""
        return [f"data/{self.contents.unit}-{self.tag(shard)}{self.plan.suffix}"]

    def describe(self, *, finished: bool, **state: Any) -> bytes:
        return self.contents.describe(finished=finished, **state)

    def write(
        self,
        shard: int,
        blocks: Iterator[Any],
        *,
        report: Callable[[int], None] = lambda made: None,
        should_stop: ShouldStop = never_stop,
    ) -> bool:
        """Make a shard of lots of items; False, with nothing left behind, when it was asked to stop."""
        start, stop = self.plan.bounds(shard)
        contents = self.contents
        with self.store.workspace(self.tag(shard)) as folder:
            position = start
            pieces: list[Path] = []

            def put(items: Any) -> None:
                nonlocal position
                piece = folder / f"piece-{len(pieces):06d}"
                piece.write_bytes(contents.encode(items, position, first=position == start))
                pieces.append(piece)
                position += len(items)

            size = contents.piece(stop - start)
            if not write_behind(
                blocks, stop - start, size, put, report=report, should_stop=should_stop, join=contents.join
            ):
                return False
            if position != stop:
                made_of = f"{position - start:,} {contents.unit} instead of {stop - start:,}"
                raise SynthgenError(f"shard {shard} has {made_of}")
            whole = folder / f"whole{self.plan.suffix}"
            sha256, _ = contents.assemble(pieces, whole)
            made = [(whole, self.data_names(shard)[0])]
            record = self.shard_record(shard, made, **{self.content: sha256})
            self.store.publish(made)
            self.store.write(self.manifest_name(shard), json.dumps(record, indent=1, ensure_ascii=False).encode())
        return True

    def finish(self, records: Iterable[dict[str, Any]]) -> None:
        """All shards are there: write the manifest of the whole, and the card; clear away what kills left."""
        names = ("shard", "start", "count", self.content, "files")
        shards = [{name: record[name] for name in names} for record in records]
        files = [file["name"] for shard in shards for file in shard["files"]]
        self.store.write("README.md", self.contents.card().encode())
        state = {"count": self.plan.count, "files": files, "shards": shards}
        self.store.write(MANIFEST, self.describe(finished=True, **state))
        self.store.sweep()


def open_file_set(store: Store, document: dict[str, Any]) -> FileShardSet | None:
    """The set that a manifest describes; None for one of images. Raises SynthgenError when it is damaged."""
    contents = open_contents(document, f"{store.url}/{MANIFEST}")
    return None if contents is None else FileShardSet(store, contents)
