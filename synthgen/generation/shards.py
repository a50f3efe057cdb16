"""A set of samples in shards: each is made alone, by anybody, once; a shard counts when its own manifest is there."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from synthgen.errors import SynthgenError, UsageError
from synthgen.generation.manifest import (
    MANIFEST,
    SHARD_KIND,
    Origin,
    check_same_plan,
    describe,
    parse,
    plan_and_origin,
)
from synthgen.generation.pipeline import piece_size, write_behind
from synthgen.generation.plan import Labels, SamplePlan, differences
from synthgen.generation.preview import preview_png
from synthgen.generation.storage import Store, read, sha256_of, sha256_of_file
from synthgen.generation.writers import PngLayout, build_writer
from synthgen.stopping import ShouldStop, never_stop

GRID = "grid.png"
_SUFFIXES = {"parquet": (".parquet",), "webdataset": (".tar",), "npz": (".npz",)}
_IDX = ("-images-idx3-ubyte.gz", "-labels-idx1-ubyte.gz")


MISSING = "missing"


class OtherPlanError(SynthgenError):
    """A shard that was made from another plan than the set."""


@dataclass(frozen=True)
class ShardState:
    """problem: None when the shard is whole; `MISSING`, or what is wrong with it. record: its manifest, if readable.

    foreign: it was made from another plan.
    """

    problem: str | None
    record: dict[str, Any] | None = None
    foreign: bool = False


class ShardSet:
    """The shards of one plan in one store."""

    def __init__(self, store: Store, plan: SamplePlan, origin: Origin) -> None:
        self.store, self.plan, self.origin = store, plan, origin
        self.labels = Labels(plan, origin.class_names)
        self.total = plan.shards or 1

    def tag(self, shard: int) -> str:
        return f"{shard:05d}-of-{self.total:05d}"

    def manifest_name(self, shard: int) -> str:
        return f"shards/{self.tag(shard)}.json"

    def data_names(self, shard: int) -> list[str]:
        """The objects of a shard, in order."""
        if self.plan.format == "png":
            start, stop = self.plan.bounds(shard)
            layout, labels = PngLayout(self.origin.class_names, self.plan.count), self.labels(start, stop)
            return [layout.name(key, 0 if labels is None else int(labels[key - start])) for key in range(start, stop)]
        suffixes = _SUFFIXES.get(self.plan.format) or (_IDX if self.origin.class_names else _IDX[:1])
        return [f"data/train-{self.tag(shard)}{suffix}" for suffix in suffixes]

    def begin(self, *, force: bool = False) -> None:
        """Open the place, or join those who work there. Raises UsageError when it holds anything else."""
        present = self.store.entries()  # before the manifest is read: others may begin at the same time
        held = read(self.store, MANIFEST)
        if force and present:
            if held is None:
                raise UsageError(f"{self.store.url} was not made by synthgen: --force will not delete it")
            parse(held, f"{self.store.url}/{MANIFEST}")
            self.store.clear()
            held = None
        elif held is None and present:
            raise UsageError(f"{self.store.url} exists already and holds no samples of ours", "give another --out")
        if held is None:
            self.store.prepare()
            self.store.write(MANIFEST, describe(self.plan, self.origin, finished=False, shards=[]))
            held = read(self.store, MANIFEST) or b""
        check_same_plan(parse(held, f"{self.store.url}/{MANIFEST}"), self.plan, self.store.url)

    def state(self, shard: int) -> ShardState:
        """Whether a shard is whole: its manifest there, of this plan, and every file as it was written."""
        try:
            record = self.record(shard)
        except SynthgenError as error:
            return ShardState(error.message, foreign=isinstance(error, OtherPlanError))
        for file in record["files"]:
            found = sha256_of(self.store, file["name"])
            if found is None:
                return ShardState(f"{file['name']} is missing", record)
            if found != (file["sha256"], file["bytes"]):
                return ShardState(f"{file['name']} is damaged", record)
        return ShardState(None, record)

    def forget(self, shard: int) -> None:
        """Take away the manifest of a damaged shard: whoever finishes the set meanwhile must not count it as there."""
        self.store.remove(self.manifest_name(shard))

    def record(self, shard: int) -> dict[str, Any]:
        """A shard's own manifest. Raises SynthgenError: "missing", or what is wrong with it."""
        data = read(self.store, self.manifest_name(shard))
        if data is None:
            raise SynthgenError(MISSING)
        start, stop = self.plan.bounds(shard)
        try:
            record = parse(data, self.manifest_name(shard), SHARD_KIND)
            if record["plan_sha256"] != self.plan.sha256:
                changes = differences(record["plan"], self.plan.to_dict()) or "its plan was altered"
                raise OtherPlanError(f"it is of another plan ({changes})")
            names = [str(file["name"]) for file in record["files"] if file["sha256"] and file["bytes"] >= 0]
            said = (record["shard"], record["start"], record["count"], names)
            if said != (shard, start, stop - start, self.data_names(shard)) or not record["pixels_sha256"]:
                raise ValueError("it says other things than the plan")
            return record
        except OtherPlanError:
            raise
        except (SynthgenError, KeyError, TypeError, ValueError, AttributeError) as error:
            raise SynthgenError(f"{self.manifest_name(shard)} is damaged") from error

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
            record = self._record(shard, made, pixels.hexdigest())
            self.store.publish(made)
            self.store.write(self.manifest_name(shard), json.dumps(record, indent=1, ensure_ascii=False).encode())
        return True

    def _named(self, shard: int, folder: Path, written: list[Path]) -> list[tuple[Path, str]]:
        names = self.data_names(shard)
        files = [folder / name for name in names] if self.plan.format == "png" else written
        return list(zip(files, names, strict=True))

    def _record(self, shard: int, made: list[tuple[Path, str]], pixels_sha256: str) -> dict[str, Any]:
        start, stop = self.plan.bounds(shard)
        files = []
        for path, name in made:
            sha256, size = sha256_of_file(path)
            files.append({"name": name, "bytes": size, "sha256": sha256})
        return {
            "kind": SHARD_KIND,
            "format_version": 1,
            "shard": shard,
            "start": start,
            "count": stop - start,
            "counts": self.labels.counts(start, stop),
            "pixels_sha256": pixels_sha256,
            "files": files,
            "plan_sha256": self.plan.sha256,
            "plan": self.plan.to_dict(),
        }

    def missing(self) -> int:
        """How many shards have no manifest yet; their files are not looked at."""
        ending = f"-of-{self.total:05d}.json"
        names = (name.removeprefix("shards/") for name in self.store.names("shards") if name.endswith(ending))
        stems = (name.removesuffix(ending) for name in names)
        there = sum(stem.isascii() and stem.isdigit() and int(stem) < self.total for stem in stems)
        return self.total - there

    def first_missing(self, most: int) -> list[int]:
        """The first of them by number."""
        present = set(self.store.names("shards"))
        return list(islice((i for i in range(self.total) if self.manifest_name(i) not in present), most))

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
        self.store.write(MANIFEST, describe(self.plan, self.origin, finished=True, **state))
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


def open_set(store: Store) -> tuple[ShardSet, dict[str, Any]]:
    """The set in a store, and its manifest. Raises UsageError when there is none, SynthgenError when damaged."""
    data = read(store, MANIFEST)
    if data is None:
        raise UsageError(f"there is no set of samples in {store.url}", f"a set has a {MANIFEST} at its top")
    document = parse(data, f"{store.url}/{MANIFEST}")
    return ShardSet(store, *plan_and_origin(document, f"{store.url}/{MANIFEST}")), document
