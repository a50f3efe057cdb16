"""Is a set of samples what its manifest says? Every hash anew; what is missing, damaged or extra by name."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from synthgen.errors import StoppedError, SynthgenError
from synthgen.generation.manifest import MANIFEST
from synthgen.generation.plan import Labels
from synthgen.generation.reading import Piece, read_pieces
from synthgen.generation.shards import ShardSet, open_set, read_document
from synthgen.generation.shardset import MISSING, ShardedSet
from synthgen.generation.storage import Store, is_remote, open_store, without_scheme
from synthgen.generation.writers import PngLayout
from synthgen.reporting import NullReporter, Reporter
from synthgen.stopping import ShouldStop, never_stop


@dataclass
class VerifyReport:
    """kind: shards, chunks or files. missing, damaged, extra: one text each. finished: the whole is described."""

    out: str
    kind: str
    count: int
    parts: int
    finished: bool
    missing: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)
    extra: list[str] = field(default_factory=list)

    @property
    def whole(self) -> bool:
        """Everything is there, unharmed, and nothing else."""
        return not (self.missing or self.damaged or self.extra)


def verify_samples(
    out: str | Path, *, reporter: Reporter | None = None, should_stop: ShouldStop = never_stop
) -> VerifyReport:
    """Check the set at `out`, a folder, a URL, or rows or sequences in one file.

    Raises UsageError when there is no set, StoppedError on a signal.
    """
    from synthgen.generation.checking import verify_file
    from synthgen.generation.fileshards import open_file_set

    reporter = reporter or NullReporter()
    if not is_remote(out) and Path(without_scheme(out)).is_file():
        return verify_file(Path(without_scheme(out)))
    store = open_store(out)
    document = read_document(store)
    files = open_file_set(store, document)
    if files is not None:
        if files.plan.shards is None:
            return verify_file(Path(store.url))
        return _verify_shards(files, document, reporter, should_stop)
    target, _ = open_set(store)
    if target.plan.shards is None:
        return _verify_folder(target, document, reporter, should_stop)
    return _verify_shards(target, document, reporter, should_stop)


def _verify_shards(
    target: ShardedSet[Any], document: dict[str, Any], reporter: Reporter, should_stop: ShouldStop
) -> VerifyReport:
    store = target.store
    report = VerifyReport(store.url, "shards", target.plan.count, target.total, bool(document.get("finished")))
    described = {entry.get("shard"): entry for entry in document.get("shards", ()) if isinstance(entry, dict)}
    with reporter.progress("verifying", target.total, "shards") as progress:
        for shard in range(target.total):
            if should_stop():
                raise StoppedError(f"stopped after {shard:,} of {target.total:,} shards")
            problem = _problem(target, shard, described.get(shard))
            if problem == MISSING:
                report.missing.append(f"shard {shard} of {target.total}")
            elif problem is not None:
                report.damaged.append(f"shard {shard} of {target.total}: {problem}")
            progress.update(shard + 1)
    report.extra = sorted(_extra(store, target))
    return report


def _problem(target: ShardedSet[Any], shard: int, described: dict[str, Any] | None) -> str | None:
    state = target.state(shard)
    if state.problem is not None or state.record is None or described is None:
        return state.problem
    same = described.get(target.content) == state.record[target.content]
    return None if same else "it is another one than the manifest of the whole describes"


def _extra(store: Store, target: ShardedSet[Any]) -> Iterator[str]:
    """Files among the data, or among the manifests of shards, that are none of the set's."""
    manifests = {target.manifest_name(shard) for shard in range(target.total)}
    yield from (name for name in store.names("shards") if name not in manifests)
    if isinstance(target, ShardSet) and target.plan.format == "png":
        yield from _extra_pictures(store, target)
        return
    data = {name for shard in range(target.total) for name in target.data_names(shard)}
    yield from (name for name in store.names("data") if name not in data)


def _extra_pictures(store: Store, target: ShardSet) -> Iterator[str]:
    layout, period = PngLayout(target.origin.class_names, target.plan.count), target.labels
    for index, folder in enumerate(layout.folders):
        for name in store.names(folder):
            stem = name.rpartition("/")[2].removesuffix(".png")
            key = int(stem) if stem.isdigit() and stem.isascii() and len(stem) <= 18 else target.plan.count
            labels = period(key, key + 1)
            expected = 0 if labels is None else int(labels[0])
            if key >= target.plan.count or expected != index or name != layout.name(key, index):
                yield name


def _verify_folder(
    target: ShardSet, document: dict[str, Any], reporter: Reporter, should_stop: ShouldStop
) -> VerifyReport:
    """A set made by one process: pixels against the hashes of its chunks, labels against the plan."""
    plan, store = target.plan, target.store
    chunks = _chunks(document, store)
    report = VerifyReport(store.url, "chunks", plan.count, len(chunks), bool(document.get("finished")))
    done = sum(count for _, count, _ in chunks)
    if report.finished and done != plan.count:
        report.damaged.append(f"the manifest: it says finished, and describes {done:,} of {plan.count:,} samples")
        return report
    if not report.finished:
        report.missing.append(f"samples {done:,} to {plan.count - 1:,}: the set is not finished")
        if plan.format != "png":
            return report
    if plan.format == "png":
        report.extra = sorted(_extra_pictures(store, target))
    pieces = _Pieces(folder_pieces(target, done), target.labels)
    with reporter.progress("verifying", done, "images") as progress:
        for index, (start, count, sha256) in enumerate(chunks):
            if should_stop():
                raise StoppedError(f"stopped after {index:,} of {len(chunks):,} chunks")
            stop = start + count
            where = f"chunk {index} (samples {start:,} to {stop - 1:,})"
            try:
                if pieces.sha256(start, stop) != sha256:
                    report.damaged.append(f"{where}: its pixels are not those that were written")
            except SynthgenError as error:
                report.damaged.append(f"{where}: {error.message}")
                if plan.format != "png":
                    break  # behind a hole in one file nothing can be told
                pieces = _Pieces(folder_pieces(target, done, stop), target.labels, stop)
            progress.update(stop)
    return report


def _chunks(document: dict[str, Any], store: Store) -> list[tuple[int, int, str]]:
    """(start, count, sha256) of each chunk in a manifest. Raises SynthgenError when it does not say."""
    try:
        chunks = [(int(chunk["start"]), int(chunk["count"]), str(chunk["sha256"])) for chunk in document["chunks"]]
    except (KeyError, TypeError, ValueError) as error:
        raise SynthgenError(f"{store.url}/{MANIFEST} does not describe its chunks ({error})") from error
    if any(count < 1 for _, count, _ in chunks):
        raise SynthgenError(f"{store.url}/{MANIFEST} describes chunks without samples")
    return chunks


def folder_pieces(target: ShardSet, done: int, start: int = 0) -> Iterator[Piece]:
    """Samples `start` ... `done` - 1 of a set in one folder, in pieces; start: of PNG alone."""
    plan, origin = target.plan, target.origin
    single = {"npz": ["samples.npz"], "idx": ["images-idx3-ubyte.gz", "labels-idx1-ubyte.gz"]}
    if plan.format != "png":
        yield from read_pieces(plan.format, target.store.open, single[plan.format], done, origin)
        return
    layout = PngLayout(origin.class_names, plan.count)
    for first in range(start, done, 1024):
        stop = min(first + 1024, done)
        labels = target.labels(first, stop)
        names = [layout.name(k, 0 if labels is None else int(labels[k - first])) for k in range(first, stop)]
        yield from read_pieces("png", target.store.open, names, stop - first, origin)


class _Pieces:
    """Hashes of stretches of samples that are read in pieces of other sizes; labels are compared with the plan's."""

    def __init__(self, pieces: Iterator[Piece], labels: Labels, start: int = 0) -> None:
        self.pieces, self.labels, self.position = pieces, labels, start
        self.rest = np.empty((0,), np.uint8)

    def sha256(self, start: int, stop: int) -> str:
        digest = hashlib.sha256()
        if start != self.position:
            raise SynthgenError("the chunks in the manifest have gaps")
        while self.position < stop:
            if not len(self.rest):
                self.rest = self._next()
            part, self.rest = self.rest[: stop - self.position], self.rest[stop - self.position :]
            digest.update(np.ascontiguousarray(part).tobytes())
            self.position += len(part)
        return digest.hexdigest()

    def _next(self) -> np.ndarray:
        piece = next(self.pieces, None)
        if piece is None:
            raise SynthgenError("samples are missing at the end")
        images, labels = piece
        expected = self.labels(self.position, self.position + len(images))
        if labels is not None and (expected is None or not np.array_equal(labels, expected)):
            raise SynthgenError("its labels are not those of the plan")
        return images
