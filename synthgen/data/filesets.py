"""Image files, in a folder or a zip archive, decoded by a few threads in the order of their names."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

import numpy as np

from synthgen.data.contents import About, Bad, Chunk
from synthgen.data.decode import BadImageError, Probe, decode, probe, strict_pillow
from synthgen.data.geometry import Geometry, Survey
from synthgen.data.stores import Store
from synthgen.errors import StoppedError
from synthgen.reporting import NullReporter, Progress, Reporter
from synthgen.stopping import ShouldStop, never_stop

_CHUNK_BYTES = 8 * 2**20
_SURVEY_CHUNK = 1024
_WORTH_A_LINE = 5000

T = TypeVar("T")


@dataclass(frozen=True)
class FileSet:
    """Files of `store` that are to be decoded. files: relative names, as many as `about.labels` has entries."""

    store: Store
    files: tuple[str, ...]
    about: About

    def __len__(self) -> int:
        return len(self.files)

    def take(self, index: np.ndarray | None, labels: np.ndarray | None, class_names: tuple[str, ...]) -> FileSet:
        files = self.files if index is None else tuple(self.files[i] for i in index)
        return replace(self, files=files, about=replace(self.about, labels=labels, class_names=class_names))

    def without(self, names: set[str]) -> FileSet:
        """The same set less these files."""
        if not names:
            return self
        index = np.array([i for i, name in enumerate(self.files) if name not in names], np.int64)
        labels = None if self.about.labels is None else self.about.labels[index]
        return self.take(index, labels, self.about.class_names)

    def survey(self, reporter: Reporter, should_stop: ShouldStop = never_stop) -> tuple[Survey, tuple[Bad, ...]]:
        sizes = np.zeros((len(self.files), 2), np.int32)
        bad: list[Bad] = []
        grey = True
        for number, result in enumerate(self.probes(reporter, should_stop)):
            if isinstance(result, Bad):
                bad.append(result)
            else:
                sizes[number] = result.height, result.width
                grey = grey and result.grey
        return Survey(sizes[sizes.any(axis=1)], grey), tuple(bad)

    def probes(self, reporter: Reporter, should_stop: ShouldStop = never_stop) -> Iterator[Probe | Bad]:
        """What each file's header says, in order. Raises StoppedError."""
        with _pool() as pool, strict_pillow(), progress_of("reading headers", len(self), "files", reporter) as line:
            for start in range(0, len(self.files), _SURVEY_CHUNK):
                if should_stop():
                    raise StoppedError(f"stopped while reading the headers of {self.about.name}")
                names = self.files[start : start + _SURVEY_CHUNK]
                yield from pool.map(partial(self._attempt, probe), names)
                line.update(start + len(names))

    def read(self, geometry: Geometry, *, start: int = 0, should_stop: ShouldStop = never_stop) -> Iterator[Chunk]:
        step = int(np.clip(_CHUNK_BYTES // geometry.bytes_per_image, 16, 4096))
        work = partial(self._attempt, partial(decode, geometry=geometry))
        with _pool() as pool, strict_pillow():
            for first in range(start, len(self.files), step):
                if should_stop():
                    return
                results = list(pool.map(work, self.files[first : first + step]))
                good = [(i, result) for i, result in enumerate(results) if not isinstance(result, Bad)]
                images = np.empty((len(good), geometry.height, geometry.width, geometry.channels), np.uint8)
                for row, (_, pixels) in enumerate(good):
                    images[row] = pixels
                bad = tuple(result for result in results if isinstance(result, Bad))
                yield Chunk(images, first + np.array([i for i, _ in good], np.int64), bad)

    def identity(self) -> str:
        digest = hashlib.sha256(str(self.store.path.resolve()).encode())
        for name in self.files:
            try:
                stamp = self.store.stamp(name)
            except OSError:
                stamp = (-1, -1)  # it will be named as unreadable when it is read
            digest.update(repr((name, stamp)).encode())
        return digest.hexdigest()

    def bytes_on_disk(self) -> int:
        """Size of all the files together."""
        return sum(self._size(name) for name in self.files)

    def _size(self, name: str) -> int:
        try:
            return self.store.size(name)
        except OSError:  # a file that is gone: unreadable, and named as such when it is read
            return 0

    def _attempt(self, work: Callable[..., T], name: str) -> T | Bad:
        try:
            with self.store.open(name) as stream:
                return work(stream)
        except BadImageError as error:
            return Bad(name, str(error))
        except OSError as error:
            return Bad(name, error.strerror or str(error))


def progress_of(label: str, total: int, unit: str, reporter: Reporter) -> AbstractContextManager[Progress]:
    """A progress line for work that lasts long enough to be worth one."""
    shown = reporter if total >= _WORTH_A_LINE else NullReporter()
    return shown.progress(label, total, unit)


def _pool() -> ThreadPoolExecutor:
    """Decoders release the interpreter, so threads help; a few of them, as each may hold a large image."""
    return ThreadPoolExecutor(max_workers=min(8, max(2, os.cpu_count() or 1)), thread_name_prefix="decode")
