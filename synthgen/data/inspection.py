"""What a data set is made of: counts, sizes, classes, damage, duplicates, and a few of its images."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from synthgen.data.captions import CaptionFacts, facts_of
from synthgen.data.contents import Bad, BadFiles, Contents
from synthgen.data.dataset import Fingerprint
from synthgen.data.filesets import FileSet, progress_of
from synthgen.data.geometry import Geometry, Survey, plan_geometry
from synthgen.data.images import open_splits
from synthgen.data.loading import Size
from synthgen.data.sources import open_source
from synthgen.errors import StoppedError, UsageError
from synthgen.rendering import grid
from synthgen.reporting import NullReporter, Progress, Reporter
from synthgen.stopping import ShouldStop, never_stop

_MOST_CLASSES_SHOWN = 20
_PER_CLASS = 8
_WITHOUT_CLASSES = 40


@dataclass(frozen=True)
class SplitFacts:
    """One split. classes: images per class, empty without labels; fingerprint: as `ImageData` has it."""

    name: str
    count: int
    classes: dict[str, int]
    fingerprint: str
    duplicates: int


@dataclass(frozen=True)
class Inspection:
    """What was found.

    sizes: ((height, width), files) by how common they are; modes: files per Pillow mode. shape: (height, width,
    channels) as loaded. bytes: of the files, or of the arrays. duplicates: images equal to an earlier one of their
    split; shared: images of the test split that are also in the training split. preview: uint8, a row per class.
    captions: of a folder that has them.
    """

    name: str
    splits: tuple[SplitFacts, ...]
    class_names: tuple[str, ...]
    sizes: tuple[tuple[tuple[int, int], int], ...]
    modes: dict[str, int]
    shape: tuple[int, int, int]
    bytes: int
    shared: int
    ignored: int
    bad: tuple[str, ...]
    licence: str
    note: str
    preview: np.ndarray
    captions: CaptionFacts | None = None

    @property
    def count(self) -> int:
        """Readable images in all splits."""
        return sum(split.count for split in self.splits)

    @property
    def duplicates(self) -> int:
        return sum(split.duplicates for split in self.splits)


@dataclass
class _Headers:
    """What the headers of all splits say together."""

    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    modes: Counter[str] = field(default_factory=Counter)
    first: Survey | None = None
    bytes: int = 0


@dataclass
class _Pass:
    """What one reading of a split collects. hashes: 64 bits per image; picks: images for the preview, by class."""

    facts: SplitFacts
    hashes: np.ndarray
    bad: tuple[Bad, ...]
    picks: dict[int, list[np.ndarray]]


def inspect_images(
    source: str | Path,
    *,
    image_size: Size = None,
    channels: int | None = None,
    reporter: Reporter | None = None,
    should_stop: ShouldStop = never_stop,
) -> Inspection:
    """Read every image of every split once, in constant memory. Arguments as for `load_images`.

    Unreadable files are listed in the result, not an error. Raises UsageError when nothing is readable, StoppedError.
    """
    reporter = reporter or NullReporter()
    parts = open_splits(source, reporter, should_stop)
    headers = _Headers()
    damaged: dict[str, tuple[Bad, ...]] = {}
    for split, contents in parts.items():
        damaged[split] = _read_headers(contents, headers, reporter, should_stop)
        parts[split] = contents.without({bad.name for bad in damaged[split]})
    if headers.first is None:
        first = next((bad for found in damaged.values() for bad in found), None)
        raise UsageError(f"{source} holds no readable image" + (f": {first}" if first else ""))
    about = next(iter(parts.values())).about
    geometry = plan_geometry(headers.first, image_size, channels, keep=about.keep)
    with progress_of("reading", sum(map(len, parts.values())), "images", reporter) as line:
        passes: list[_Pass] = []
        before = 0
        for split, contents in parts.items():
            passes.append(_read(split, contents, geometry, line, before, should_stop))
            before += len(contents)
    bad = [entry for split, one in zip(parts, passes, strict=True) for entry in (*damaged[split], *one.bad)]
    return Inspection(
        name=about.name,
        splits=tuple(one.facts for one in passes),
        class_names=about.class_names,
        sizes=tuple(headers.sizes.most_common()),
        modes=dict(headers.modes.most_common()),
        shape=(geometry.height, geometry.width, geometry.channels),
        bytes=headers.bytes,
        shared=_shared(passes),
        ignored=about.ignored,
        bad=tuple(map(str, bad)),
        licence=about.licence,
        note=geometry.note,
        preview=_preview(passes[0]),
        captions=_captions(source, should_stop),
    )


def _captions(source: str | Path, should_stop: ShouldStop) -> CaptionFacts | None:
    try:
        about = open_source(source, "all", NullReporter(), should_stop, captions=True).about
    except UsageError as error:  # the images were read: it is the captions
        return CaptionFacts(problem=error.message)
    return facts_of(about.class_names, about.labels) if about.captioned and about.labels is not None else None


def _read_headers(
    contents: Contents, headers: _Headers, reporter: Reporter, should_stop: ShouldStop
) -> tuple[Bad, ...]:
    """Add this split to `headers`; returns the files without a readable one."""
    if not isinstance(contents, FileSet):
        survey, _ = contents.survey(reporter, should_stop)
        height, width = (int(side) for side in survey.sizes[0])
        headers.sizes[height, width] += len(contents)
        headers.modes["L" if survey.grey else "RGB"] += len(contents)
        headers.bytes += len(contents) * height * width * (1 if survey.grey else 3)
        headers.first = headers.first or survey
        return ()
    bad, sizes, grey = [], [], True
    for result in contents.probes(reporter, should_stop):
        if isinstance(result, Bad):
            bad.append(result)
            continue
        sizes.append((result.height, result.width))
        headers.modes[result.mode] += 1
        grey = grey and result.grey
    headers.sizes.update(sizes)
    headers.bytes += contents.bytes_on_disk()
    if sizes and headers.first is None:
        headers.first = Survey(np.array(sizes, np.int32), grey)
    return tuple(bad)


def _read(
    split: str, contents: Contents, geometry: Geometry, line: Progress, before: int, should_stop: ShouldStop
) -> _Pass:
    about = contents.about
    digest, bad = Fingerprint(), BadFiles(about.name, len(contents))
    hashes, positions = [np.empty(0, np.uint64)], [np.empty(0, np.int64)]
    picks: dict[int, list[np.ndarray]] = {}
    done = 0  # of this split; `before` counts the splits already read
    for chunk in contents.read(geometry, should_stop=should_stop):
        digest.add(chunk.images)
        hashes.append(np.array([_hash(image) for image in chunk.images], np.uint64))
        positions.append(chunk.positions)
        bad.add(chunk.bad)
        _pick(picks, chunk.images, None if about.labels is None else about.labels[chunk.positions])
        done += len(chunk.images) + len(chunk.bad)
        line.update(before + done)
    if done < len(contents):
        raise StoppedError(f"stopped while reading {about.name}")
    found, kept = np.concatenate(hashes), np.concatenate(positions)
    labels = None if about.labels is None else about.labels[kept]
    shape = (len(kept), geometry.height, geometry.width, geometry.channels)
    facts = SplitFacts(
        name=split,
        count=len(kept),
        classes=_count(labels, about.class_names),
        fingerprint=digest.finish(shape, labels, about.class_names),
        duplicates=len(found) - len(np.unique(found)),
    )
    return _Pass(facts, found, tuple(bad.found), picks)


def _hash(image: np.ndarray) -> int:
    """64 bits of the pixels: two different images among a million agree with probability 3e-8."""
    return int.from_bytes(hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=8).digest(), "little")


def _count(labels: np.ndarray | None, class_names: tuple[str, ...]) -> dict[str, int]:
    if labels is None:
        return {}
    counts = np.bincount(labels, minlength=len(class_names)).tolist()
    return dict(zip(class_names, counts, strict=True))


def _pick(picks: dict[int, list[np.ndarray]], images: np.ndarray, labels: np.ndarray | None) -> None:
    """Keep the first few of every class."""
    most = _PER_CLASS if labels is not None else _WITHOUT_CLASSES
    for row, image in enumerate(images):
        row_picks = picks.setdefault(0 if labels is None else int(labels[row]), [])
        if len(row_picks) < most:
            row_picks.append(image)


def _shared(passes: list[_Pass]) -> int:
    if len(passes) < 2:
        return 0
    train, test = passes[0].hashes, passes[1].hashes
    return int(np.isin(test, train).sum())


def _preview(one: _Pass) -> np.ndarray:
    """A row of images per class; short rows are filled up with the background."""
    rows = [one.picks[label] for label in sorted(one.picks)[:_MOST_CLASSES_SHOWN]]
    if len(rows) == 1:
        return grid(np.stack(rows[0]), _PER_CLASS)
    blank = np.full_like(rows[0][0], 32)
    filled = [image for row in rows for image in row + [blank] * (_PER_CLASS - len(row))]
    return grid(np.stack(filled), _PER_CLASS)
