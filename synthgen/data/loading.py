"""From contents to `ImageData`: choose a shape; decode into memory, or into the user's cache what is too large."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from synthgen.data.arrays import ArraySet
from synthgen.data.contents import Bad, BadFiles, Contents
from synthgen.data.dataset import ImageData
from synthgen.data.filesets import progress_of
from synthgen.data.geometry import NATIVE_SIDE, Geometry, Survey, plan_geometry
from synthgen.data.locations import cache_root
from synthgen.data.prepared import is_prepared, open_prepared, read_meta, skipped_in
from synthgen.data.preparing import Plan, cache_key, write_prepared
from synthgen.data.subset import choose
from synthgen.errors import StoppedError, UsageError
from synthgen.reporting import Reporter
from synthgen.stopping import ShouldStop

MEMORY_BYTES = 2**30
"""Decoded images up to this size are held in memory; more are prepared once in the user's cache and mapped."""

Size = int | tuple[int, int] | None


@dataclass(frozen=True)
class Wish:
    """What the caller asked for; see `load_images`."""

    image_size: Size = None
    channels: int | None = None
    classes: Sequence[str] | None = None
    limit: int | None = None
    one_size: bool = False

    @property
    def full(self) -> bool:
        """Whether the shape is given, so that no header need be read for it."""
        return self.image_size is not None and self.channels is not None

    def choose(self, contents: Contents) -> Contents:
        """The part of `contents` that is asked for."""
        about = contents.about
        index, labels, class_names = choose(
            about.labels, about.class_names, len(contents), classes=self.classes, limit=self.limit, name=about.name
        )
        return contents.take(index, labels, class_names)

    def most_bytes(self, contents: Contents) -> float:
        """An upper bound of the decoded size, known without looking at any file."""
        if self.image_size is None and contents.about.keep:
            return math.inf  # any size that they were made at
        side = self.image_size or NATIVE_SIDE
        height, width = (side, side) if isinstance(side, int) else side
        return len(contents) * height * width * (self.channels or 3)


@dataclass
class Loader:
    """Reads one source by one wish; `bad` counts its unreadable files."""

    wish: Wish
    bad: BadFiles
    reporter: Reporter
    should_stop: ShouldStop

    def load(self, contents: Contents, basis: Contents) -> ImageData:
        """The images of `contents` in the shape that suits `basis` (the training split, or `contents` itself)."""
        seen = self.settle(contents, basis) if self._may_fit(contents) else None
        if seen and self._fits(*seen):
            return self._decode(*seen)
        # Keyed by the wish and not by the shape: on the second call not even the headers are read.
        folder = self._cache_folder(contents, basis)
        if self._is_usable(folder):
            return self._open_cached(folder, contents)
        seen = seen or self.settle(contents, basis)
        return self._decode(*seen) if self._fits(*seen) else self._through_cache(*seen, folder)

    def _may_fit(self, contents: Contents) -> bool:
        """Whether it is worth looking at the headers before looking for a cache: for arrays they cost nothing."""
        return isinstance(contents, ArraySet) or self.wish.most_bytes(contents) <= MEMORY_BYTES

    def _fits(self, contents: Contents, geometry: Geometry) -> bool:
        as_it_is = isinstance(contents, ArraySet) and contents.index is None and contents.is_at(geometry)
        return as_it_is or len(contents) * geometry.bytes_per_image <= MEMORY_BYTES

    def _through_cache(self, contents: Contents, geometry: Geometry, folder: Path) -> ImageData:
        size = len(contents) * geometry.bytes_per_image / 1e9
        self.reporter.info(f"{self.bad.name} takes {size:.1f} GB decoded: preparing it once in {folder}.")
        plan = Plan({contents.about.split: contents}, geometry, {contents.about.split: tuple(self.bad.found)})
        damaged = is_prepared(folder)  # or it would have been used
        write_prepared(plan, folder, self.bad, replace=damaged, reporter=self.reporter, should_stop=self.should_stop)
        self.bad.found.clear()  # the cache says it all
        return self._open_cached(folder, contents)

    def settle(self, contents: Contents, basis: Contents) -> tuple[Contents, Geometry]:
        """`contents` without the files whose headers are unreadable, and the shape that the headers of `basis` ask."""
        wish = self.wish
        if wish.full:
            nothing = Survey(np.zeros((1, 2), np.int32), grey=True)
            return contents, plan_geometry(nothing, wish.image_size, wish.channels)
        survey, found = basis.survey(self.reporter, self.should_stop)
        if basis is contents:
            self.bad.add(found)
            contents = contents.without({entry.name for entry in found})
        if len(survey.sizes) == 0:
            raise self._nothing(found)
        if wish.one_size and not (survey.sizes == survey.sizes[0]).all():
            raise UsageError(
                f"{self.bad.name} holds images of different sizes, {survey.span()} pixels: what a model makes has one",
                f"Bring them to one size: synthgen data prepare {self.bad.name} --image-size N --out FOLDER",
            )
        geometry = plan_geometry(survey, wish.image_size, wish.channels, keep=basis.about.keep)
        if geometry.note:
            self.reporter.info(geometry.note)
        return contents, geometry

    def _decode(self, contents: Contents, geometry: Geometry) -> ImageData:
        if isinstance(contents, ArraySet) and contents.index is None and contents.is_at(geometry):
            return self._data(contents.images, contents.about.labels, contents, contents.fingerprint)
        images = np.empty((len(contents), geometry.height, geometry.width, geometry.channels), np.uint8)
        positions = [np.empty(0, np.int64)]
        row = done = 0
        with progress_of("decoding", len(contents), "images", self.reporter) as line:
            for chunk in contents.read(geometry, should_stop=self.should_stop):
                images[row : row + len(chunk.images)] = chunk.images
                positions.append(chunk.positions)
                row += len(chunk.images)
                done += len(chunk.images) + len(chunk.bad)
                self.bad.add(chunk.bad)
                line.update(done)
        if done < len(contents):
            raise StoppedError(f"stopped while reading {self.bad.name}")
        if row == 0:
            raise self._nothing(tuple(self.bad.found))
        labels = contents.about.labels
        return self._data(images[:row], None if labels is None else labels[np.concatenate(positions)], contents)

    def _data(
        self, images: np.ndarray, labels: np.ndarray | None, contents: Contents, fingerprint: str = ""
    ) -> ImageData:
        about = contents.about
        skipped = tuple(str(entry) for entry in self.bad.found)
        return ImageData(
            images,
            labels,
            about.class_names,
            about.name,
            about.split,
            about.licence,
            fingerprint,
            skipped,
            about.captioned,
        )

    def _nothing(self, found: tuple[Bad, ...]) -> UsageError:
        return UsageError(f"{self.bad.name} holds no readable image" + (f": {found[0]}" if found else ""))

    def _cache_folder(self, contents: Contents, basis: Contents) -> Path:
        name = re.sub(r"[^A-Za-z0-9._-]+", "_", Path(contents.about.name).name)[:40] or "images"
        parts = {contents.about.split: contents}
        if basis is not contents and not self.wish.full:
            parts["basis"] = basis
        return cache_root() / "prepared" / f"{name}-{cache_key(parts, self.wish.image_size, self.wish.channels)[:16]}"

    def _is_usable(self, folder: Path) -> bool:
        if not is_prepared(folder):
            return False
        try:
            read_meta(folder)
        except UsageError as error:
            self.reporter.warn(f"{error.message}: preparing it again")
            return False
        return True

    def _open_cached(self, folder: Path, contents: Contents) -> ImageData:
        cached = open_prepared(folder, "all")
        self.bad.add(skipped_in(folder, "all"))
        return self._data(cached.images, cached.about.labels, contents, cached.fingerprint)
