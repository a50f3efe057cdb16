"""WebDataset: tar files in which the files of one sample share a name: `0001.png`, `0001.cls` or `0001.json`.

Members are read where they lie in the tar file; nothing is ever unpacked to disk, and links are not followed.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO

from synthgen.data.decode import SUFFIXES
from synthgen.data.filesets import FileSet
from synthgen.data.shards import MAX_IMAGE_BYTES, Label, choose_shards, describe
from synthgen.errors import UsageError

SUFFIX = ".tar"
_MAX_LABEL_BYTES = 2**20
_KEYS = ("label", "cls", "class", "class_name", "target")
"""What a .json calls the label."""


def read_webdataset(source: Path, shards: Sequence[Path], split: str) -> FileSet:
    """The images of tar shards. Raises UsageError naming the file and the sample that are wrong."""
    chosen, asked, splits = choose_shards(source, shards, split)
    store = TarStore(source, chosen)
    if not store.images:
        raise UsageError(
            f"{source} holds no images: its tar files have none among {store.members:,} member(s)",
            "A sample is made of KEY.png (or another image) and KEY.cls or KEY.json with its label.",
        )
    labels = [store.label(name) for name in store.images]
    about = describe(source, asked, splits, labels, (), ignored=store.ignored)
    return FileSet(store, tuple(store.images), about)


@dataclass(frozen=True)
class _Member:
    """A file inside a shard: where its bytes lie."""

    shard: int
    start: int
    size: int


@dataclass
class _Sample:
    """The members of one key."""

    image: str | None = None
    labels: dict[str, _Member] = field(default_factory=dict)


class TarStore:
    """The images of tar files by name. Reading is safe from several threads: each opens the file for itself."""

    def __init__(self, path: Path, shards: Sequence[Path]) -> None:
        self.path = path
        self.members = self.ignored = 0
        self._shards = list(shards)
        self._files: dict[str, _Member] = {}
        self._samples: dict[str, _Sample] = {}
        self._several = len(self._shards) > 1
        for number, shard in enumerate(self._shards):
            self._open_shard(number, shard)
        self.images = {name: key for key, sample in self._samples.items() if (name := sample.image)}

    def _open_shard(self, number: int, shard: Path) -> None:
        """Note where every member lies. Raises UsageError where the file is no tar file, or is damaged or cut off."""
        try:
            with tarfile.open(shard, "r:") as tar:
                self._index(number, shard, tar)
                end = tar.offset
            with shard.open("rb") as file:
                file.seek(end)
                if any(file.read(tarfile.BLOCKSIZE)):  # tarfile takes a broken header for the end
                    raise UsageError(f"{shard} is damaged at byte {end:,}", "Is the download complete?")
        except (OSError, tarfile.TarError) as error:
            raise UsageError(f"{shard} is not a readable tar file: {error}", "Is the download complete?") from error

    def _index(self, number: int, shard: Path, tar: tarfile.TarFile) -> None:
        length = shard.stat().st_size
        for info in tar:
            tar.members.clear()  # type: ignore[attr-defined]  # it would remember every member
            if info.offset_data + info.size > length:
                raise UsageError(f"{shard} is cut off inside {info.name}", "Is the download complete?")
            if not info.isreg() or info.issparse() or PurePosixPath(info.name).name.startswith("."):
                continue
            self.members += 1
            self._add(number, shard, info)

    def _add(self, number: int, shard: Path, info: tarfile.TarInfo) -> None:
        folder, _, base = info.name.rpartition("/")
        stem, _, extension = base.partition(".")
        prefix = f"{shard.name}/" if self._several else ""
        key, name = f"{prefix}{folder}/{stem}" if folder else f"{prefix}{stem}", f"{prefix}{info.name}"
        member = _Member(number, info.offset_data, info.size)
        sample = self._samples.setdefault(key, _Sample())
        last = extension.lower().rpartition(".")[2]
        if f".{last}" in SUFFIXES:
            if sample.image is not None:
                raise UsageError(f"{shard}: the sample {stem} has two images: {sample.image} and {name}")
            sample.image = name
            self._files[name] = member
        elif last in ("cls", "json"):
            sample.labels[last] = member
        else:
            self.ignored += 1

    def label(self, name: str) -> Label:
        """The label of an image, from KEY.cls or KEY.json; None without one."""
        labels = self._samples[self.images[name]].labels
        kind = next((kind for kind in ("cls", "json") if kind in labels), None)
        if kind is None:
            return None
        member = labels[kind]
        if member.size > _MAX_LABEL_BYTES:
            raise UsageError(f"{self.path}: the .{kind} of {name} has {member.size:,} bytes: that is no label")
        try:
            text = self._read(member).decode("utf-8").strip()
            if kind == "cls":
                return int(text) if text.lstrip("-").isdecimal() else text or None
            content = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise UsageError(f"{self.path}: the .{kind} of {name} cannot be read: {error}") from error
        found = next((content[key] for key in _KEYS if key in content), None) if isinstance(content, dict) else content
        if found is not None and (not isinstance(found, (int, str)) or isinstance(found, bool)):
            raise UsageError(f"{self.path}: the .json of {name} has the label {found!r}; a number or a text is needed")
        return found

    def _read(self, member: _Member) -> bytes:
        with self._shards[member.shard].open("rb") as file:
            file.seek(member.start)
            return file.read(member.size)

    def names(self) -> list[str]:
        return list(self.images)

    def open(self, name: str) -> IO[bytes]:
        member = self._files[name]
        if member.size > MAX_IMAGE_BYTES:
            raise OSError(f"has {member.size:,} bytes, more than {MAX_IMAGE_BYTES:,}")
        return io.BytesIO(self._read(member))

    def size(self, name: str) -> int:
        return self._files[name].size

    def stamp(self, name: str) -> tuple[int, int]:
        stat = self._shards[self._files[name].shard].stat()
        return stat.st_size, stat.st_mtime_ns
