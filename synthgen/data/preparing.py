"""Decodes a source into a prepared folder: in constant memory, whole or not at all, going on after an interruption."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from synthgen.data.contents import Bad, BadFiles, Contents
from synthgen.data.dataset import Fingerprint
from synthgen.data.filesets import progress_of
from synthgen.data.geometry import Geometry
from synthgen.data.locks import exclusive
from synthgen.data.prepared import FORMAT, HEADER_BYTES, VERSION, is_prepared, npy_header
from synthgen.errors import StoppedError, SynthgenError, UsageError
from synthgen.outputs import MARKER, atomic_write, sync_folder
from synthgen.reporting import Progress, Reporter
from synthgen.stopping import ShouldStop

_SAVE_EVERY_BYTES = 64 * 2**20
_REREAD_BYTES = 8 * 2**20


def cache_key(parts: dict[str, Contents], *choice: object) -> str:
    """A hex name for what would be prepared: it changes with the files, the labels and the choice of shape."""
    digest = hashlib.sha256(repr((VERSION, choice)).encode())
    for split, contents in parts.items():
        digest.update(repr((split, contents.identity(), contents.about.class_names)).encode())
        if contents.about.labels is not None:
            digest.update(np.ascontiguousarray(contents.about.labels).data)
    return digest.hexdigest()


@dataclass(frozen=True)
class Plan:
    """What is to be prepared: contents per split, their common shape, and files already found unreadable."""

    parts: dict[str, Contents]
    geometry: Geometry
    early: dict[str, tuple[Bad, ...]] = field(default_factory=dict)


@dataclass
class _State:
    """How far a preparation has come. done: items looked at per split; dropped: positions that were unreadable."""

    key: str
    done: dict[str, int] = field(default_factory=dict)
    dropped: dict[str, list[int]] = field(default_factory=dict)
    bad: dict[str, list[dict[str, str]]] = field(default_factory=dict)

    @property
    def kept(self) -> int:
        return sum(self.done.values()) - sum(map(len, self.dropped.values()))


def write_prepared(
    plan: Plan,
    target: Path,
    bad: BadFiles,
    *,
    replace: bool,
    reporter: Reporter,
    should_stop: ShouldStop,
) -> Path:
    """Decode into `target`; takes up an interrupted preparation of the same plan.

    It is written beside its place under a hidden name, and renamed when it is whole; `replace` allows for something
    to be there. `bad` counts what is unreadable
    and refuses what is too much. Raises StoppedError, and SynthgenError when the disk has no room.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with exclusive(target.with_name(f".{target.name}.lock"), f"preparing {target}", reporter, should_stop=should_stop):
        if is_prepared(target) and not replace:  # another process finished it while this one waited
            return target
        try:
            _Preparation(plan, target, bad, reporter, should_stop).run()
        except OSError as error:
            raise SynthgenError(
                f"cannot prepare {target}: {error.strerror or error}", "Free some space or choose another place."
            ) from error
    target.with_name(f".{target.name}.lock").unlink(missing_ok=True)
    return target


class _Preparation:
    def __init__(
        self,
        plan: Plan,
        target: Path,
        bad: BadFiles,
        reporter: Reporter,
        should_stop: ShouldStop,
    ) -> None:
        self.parts, self.geometry, self.early = plan.parts, plan.geometry, plan.early
        self.target, self.bad = target, bad
        self.reporter, self.should_stop = reporter, should_stop
        self.folder = target.with_name(f".{target.name}.partial")
        self.file = self.folder / "images.npy"
        shape = (self.geometry.height, self.geometry.width, self.geometry.channels)
        self.state = _State(cache_key(self.parts, shape))
        self.whole = Fingerprint()
        self.digests = {split: Fingerprint() for split in self.parts}

    def run(self) -> None:
        total = sum(map(len, self.parts.values()))
        self._take_up()
        self._check_room(total)
        with progress_of("preparing", total, "images", self.reporter) as line:
            for split in self.parts:
                self._write_split(split, line)
        if self.state.kept == 0:
            raise UsageError(f"{self.bad.name} holds no readable image")
        self._publish()

    def _take_up(self) -> None:
        """Go on from what is there, if it is of the same files and shape; else start anew."""
        path = self.folder / "state.json"
        try:
            found = _State(**json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else None
            enough = found and self.file.stat().st_size >= HEADER_BYTES + found.kept * self.geometry.bytes_per_image
        except (OSError, ValueError, TypeError):
            found, enough = None, False
        if found is None or not enough or found.key != self.state.key:
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder.mkdir(parents=True)
            self.file.write_bytes(b"\0" * HEADER_BYTES)
            return
        self.state = found
        os.truncate(self.file, HEADER_BYTES + found.kept * self.geometry.bytes_per_image)
        for split in self.parts:
            self.bad.add(tuple(Bad(**entry) for entry in found.bad.get(split, [])))
        self._hash_again()
        self.reporter.info(f"Going on with {self.target} after {found.kept:,} images.")

    def _hash_again(self) -> None:
        with self.file.open("rb") as stream:
            stream.seek(HEADER_BYTES)
            for split in self.parts:
                left = self.geometry.bytes_per_image * self._kept_of(split)
                while left:
                    block = np.frombuffer(stream.read(min(left, _REREAD_BYTES)), np.uint8)
                    self.digests[split].add(block)
                    self.whole.add(block)
                    left -= len(block)

    def _kept_of(self, split: str) -> int:
        return self.state.done.get(split, 0) - len(self.state.dropped.get(split, []))

    def _check_room(self, total: int) -> None:
        needed = (total - self.state.kept) * self.geometry.bytes_per_image + 16 * total
        free = shutil.disk_usage(self.folder).free
        if needed > free:
            raise SynthgenError(
                f"{self.target} needs {needed / 1e9:.1f} GB, its disk has {free / 1e9:.1f} GB free",
                "Free some space, choose another place, or a smaller image size.",
            )

    def _write_split(self, split: str, line: Progress) -> None:
        contents, state = self.parts[split], self.state
        done = state.done.setdefault(split, 0)
        dropped, bad = state.dropped.setdefault(split, []), state.bad.setdefault(split, [])
        unsaved = 0
        with self.file.open("ab") as out:
            for chunk in contents.read(self.geometry, start=done, should_stop=self.should_stop):
                out.write(chunk.images.data)
                self.digests[split].add(chunk.images)
                self.whole.add(chunk.images)
                size = len(chunk.images) + len(chunk.bad)
                dropped += sorted(set(range(done, done + size)) - set(chunk.positions.tolist()))
                bad += [asdict(entry) for entry in chunk.bad]
                done = state.done[split] = done + size
                unsaved += chunk.images.nbytes
                if unsaved >= _SAVE_EVERY_BYTES:
                    self._save(out.fileno(), out.flush)
                    unsaved = 0
                line.update(sum(state.done.values()))
                self.bad.add(chunk.bad)
            self._save(out.fileno(), out.flush)
        if done < len(contents):
            raise StoppedError(f"stopped after preparing {state.kept:,} images", "The same command goes on from there.")

    def _save(self, descriptor: int, flush: Callable[[], None]) -> None:
        flush()
        os.fsync(descriptor)
        atomic_write(self.folder / "state.json", json.dumps(asdict(self.state)).encode())

    def _publish(self) -> None:
        shape = (self.state.kept, self.geometry.height, self.geometry.width, self.geometry.channels)
        with self.file.open("r+b") as out:
            out.write(npy_header(shape))
            out.flush()
            os.fsync(out.fileno())
        atomic_write(self.folder / "meta.json", json.dumps(self._meta(shape), indent=1).encode())
        (self.folder / "state.json").unlink()
        sync_folder(self.folder)
        (self.folder / MARKER).touch()
        if self.target.is_dir():  # empty, or to be replaced: `check_output` has seen to that
            shutil.rmtree(self.target)
        os.replace(self.folder, self.target)
        sync_folder(self.target.parent)

    def _meta(self, shape: tuple[int, ...]) -> dict[str, Any]:
        about = next(iter(self.parts.values())).about
        labels = {split: self._labels(split) for split in self.parts}
        every = None if about.labels is None else np.concatenate([x for x in labels.values() if x is not None])
        if every is not None:
            with (self.folder / "labels.npy").open("wb") as out:
                np.save(out, every, allow_pickle=False)
                out.flush()
                os.fsync(out.fileno())
        splits, start = {}, 0
        for split, own in labels.items():
            stop = start + self._kept_of(split)
            mark = self.digests[split].finish((stop - start, *shape[1:]), own, about.class_names)
            skipped = [asdict(entry) for entry in self.early.get(split, ())] + self.state.bad[split]
            splits[split] = {"start": start, "stop": stop, "fingerprint": mark, "skipped": skipped}
            start = stop
        return {
            "format": FORMAT,
            "version": VERSION,
            "count": shape[0],
            "height": shape[1],
            "width": shape[2],
            "channels": shape[3],
            "class_names": list(about.class_names),
            "name": about.name,
            "licence": about.licence,
            "fingerprint": self.whole.finish(shape, every, about.class_names),
            "splits": splits,
        }

    def _labels(self, split: str) -> np.ndarray | None:
        labels = self.parts[split].about.labels
        return None if labels is None else np.delete(labels, self.state.dropped[split]).astype(np.int64)
