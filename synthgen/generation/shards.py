"""A set of samples in shards: each is made alone, by anybody, once; a shard counts when its own manifest is there."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from synthgen.errors import SynthgenError, UsageError
from synthgen.generation.manifest import MANIFEST, Origin, describe, parse, plan_and_origin
from synthgen.generation.pipeline import piece_size, write_behind
from synthgen.generation.plan import Labels, SamplePlan
from synthgen.generation.preview import preview_png
from synthgen.generation.shardset import ShardedSet
from synthgen.generation.storage import Store, read
from synthgen.generation.writers import PngLayout, build_writer
from synthgen.stopping import ShouldStop, never_stop

GRID = "grid.png"
_SUFFIXES = {"parquet": (".parquet",), "webdataset": (".tar",), "npz": (".npz",)}
_IDX = ("-images-idx3-ubyte.gz", "-labels-idx1-ubyte.gz")


class ShardSet(ShardedSet[SamplePlan]):
    """The shards of one plan of images in one store."""

    content = "pixels_sha256"

    def __init__(self, store: Store, plan: SamplePlan, origin: Origin) -> None:
        super().__init__(store, plan)
        self.origin = origin
        self.labels = Labels(plan, origin.class_names)

    def describe(self, *, finished: bool, **state: Any) -> bytes:
        return describe(self.plan, self.origin, finished=finished, **state)

    def counts(self) -> dict[str, int]:
        """Samples by class name in the whole set."""
        return self.labels.counts(0, self.plan.count)

    def data_names(self, shard: int) -> list[str]:
        """The objects of a shard, in order."""
        if self.plan.format == "png":
            start, stop = self.plan.bounds(shard)
            layout, labels = PngLayout(self.origin.class_names, self.plan.count), self.labels(start, stop)
            return [layout.name(key, 0 if labels is None else int(labels[key - start])) for key in range(start, stop)]
        suffixes = _SUFFIXES.get(self.plan.format) or (_IDX if self.origin.class_names else _IDX[:1])
        return [f"data/train-{self.tag(shard)}{suffix}" for suffix in suffixes]

    def write(
        self,
        shard: int,
        blocks: Iterator[np.ndarray],
        *,
        report: Callable[[int], None] = lambda made: None,
        should_stop: ShouldStop = never_stop,
    ) -> bool:
        """Make a shard of `blocks` of pixels; False, with nothing left behind, when it was asked to stop."""
        start, stop = self.plan.bounds(shard)
        with self.store.workspace(self.tag(shard)) as folder:
            writer = build_writer(
                self.plan.format, folder, self.origin.class_names, self.plan.count, self.origin.image, start, stop
            )
            position, pixels = start, hashlib.sha256()

            def put(images: np.ndarray) -> None:
                nonlocal position
                labels = self.labels(position, position + len(images))
                writer.write(position, images, labels)
                pixels.update(np.ascontiguousarray(images).tobytes())
                if position == 0:
                    self.store.write(GRID, preview_png(images, labels))
                position += len(images)

            size = piece_size(self.plan.recipe.block_size, self.origin.image_bytes)
            if not write_behind(blocks, stop - start, size, put, report=report, should_stop=should_stop):
                return False
            if position != stop:
                raise SynthgenError(f"shard {shard} has {position - start:,} samples instead of {stop - start:,}")
            made = self._named(shard, folder, writer.finish(self.labels))
            counts = self.labels.counts(start, stop)
            record = self.shard_record(shard, made, counts=counts, pixels_sha256=pixels.hexdigest())
            self.store.publish(made)
            self.store.write(self.manifest_name(shard), json.dumps(record, indent=1, ensure_ascii=False).encode())
        return True

    def _named(self, shard: int, folder: Path, written: list[Path]) -> list[tuple[Path, str]]:
        names = self.data_names(shard)
        files = [folder / name for name in names] if self.plan.format == "png" else written
        return list(zip(files, names, strict=True))

    def finish(self, records: Iterable[dict[str, Any]]) -> None:
        """All shards are there: write the manifest of the whole, and the card; clear away what kills left."""
        from synthgen.generation.card import data_card

        shards = [_summary(record) for record in records]
        counts = self.labels.counts(0, self.plan.count)
        files = [file["name"] for shard in shards for file in shard.get("files", ())]
        if self.plan.format == "png":
            layout = PngLayout(self.origin.class_names, self.plan.count)
            files = [layout.folders[index] for index in self.labels.present(0, self.plan.count) or [0]]
        self.store.write("README.md", data_card(self.plan, self.origin, counts).encode())
        state = {"counts": counts, "files": files, "shards": shards}
        self.store.write(MANIFEST, self.describe(finished=True, **state))
        self.store.sweep()


def _summary(record: dict[str, Any]) -> dict[str, Any]:
    """What the manifest of the whole says of a shard: its few files, or one hash over the hashes of its many."""
    names = ("shard", "start", "count", "pixels_sha256")
    files = record["files"]
    if len(files) <= 2:
        return {**{name: record[name] for name in names}, "files": files}
    listing = "".join(f"{file['sha256']}  {file['name']}\n" for file in files)
    digest = hashlib.sha256(listing.encode()).hexdigest()
    return {**{name: record[name] for name in names}, "file_count": len(files), "files_sha256": digest}


def read_document(store: Store) -> dict[str, Any]:
    """The manifest in a store. Raises UsageError when there is none, SynthgenError when it is damaged."""
    data = read(store, MANIFEST)
    if data is None:
        raise UsageError(f"there is no set of samples in {store.url}", f"a set has a {MANIFEST} at its top")
    return parse(data, f"{store.url}/{MANIFEST}")


def open_set(store: Store) -> tuple[ShardSet, dict[str, Any]]:
    """The set of images in a store, and its manifest. Raises as `read_document` does."""
    document = read_document(store)
    return ShardSet(store, *plan_and_origin(document, f"{store.url}/{MANIFEST}")), document
