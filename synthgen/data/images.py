"""Images from anywhere: a known name, a folder, an archive, IDX files, shards, a prepared cache."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from synthgen.data.arrays import ArraySet
from synthgen.data.contents import Bad, BadFiles, Contents
from synthgen.data.dataset import ImageData
from synthgen.data.filesets import FileSet
from synthgen.data.geometry import Geometry
from synthgen.data.loading import Loader, Size, Wish
from synthgen.data.prepared import is_prepared, open_prepared, skipped_in
from synthgen.data.preparing import Plan, write_prepared
from synthgen.data.sources import open_source
from synthgen.outputs import check_output
from synthgen.reporting import NullReporter, Reporter
from synthgen.stopping import ShouldStop, never_stop


def load_images(
    source: str | Path,
    *,
    split: str = "train",
    image_size: Size = None,
    channels: int | None = None,
    classes: Sequence[str] | None = None,
    limit: int | None = None,
    max_bad: int = 0,
    one_size: bool = False,
    captions: bool = False,
    reporter: Reporter | None = None,
    should_stop: ShouldStop = never_stop,
) -> ImageData:
    """Read a set of images.

    Args:
        source: a known name (`known_sources()`; `celeba:Smiling` names an attribute as the label), a folder of images,
            a .zip of one, .npz, .npy, IDX files, .parquet and WebDataset .tar files or folders of them, or a prepared
            folder.
        split: train, test or all. A source without splits is training data.
        image_size: pixels, a square or (height, width): images are resized to cover it and cropped at the centre. None:
            see `synthgen.data.geometry.plan_geometry`; a test split is brought to the shape of its training split.
        channels: 1 grey, 3 RGB; None: 1 if all images are grey.
        classes: only these, by name. limit: this many, the same share of every class; a smaller limit is part of a
            larger one.
        max_bad: unreadable files to leave out (named in `skipped`) before giving up.
        one_size: refuse files of different sizes instead of resizing them, where no `image_size` is given.
        captions: of a folder whose metadata has them, captions are the classes (`captioned` in the result).
    Returns: images in memory, or memory-mapped from a cache when they would take more than 1 GiB.
    Raises: UsageError when the source is not there or not what it seems; SynthgenError when a download fails or the
        disk is full; StoppedError.
    """
    reporter = reporter or NullReporter()
    chosen = (classes,) if isinstance(classes, str) else classes
    wish = Wish(image_size, channels, None if chosen is None else tuple(chosen), limit, one_size)
    contents = wish.choose(open_source(source, split, reporter, should_stop, captions=captions))
    for note in contents.about.notes:
        reporter.warn(f"{contents.about.name}: {note}")
    basis = contents
    if isinstance(contents, FileSet) and _is_second(contents) and not wish.full:
        basis = wish.choose(open_source(source, "train", reporter, should_stop, captions=captions))
    bad = BadFiles(str(source), max_bad)
    if isinstance(contents, ArraySet) and is_prepared(Path(str(source)).expanduser()):
        bad.found += skipped_in(Path(str(source)).expanduser(), split)  # allowed for when it was prepared
    before = len(bad.found)
    data = Loader(wish, bad, reporter, should_stop).load(contents, basis)
    if len(bad.found) > before:
        reporter.warn(bad.warning())
    return data


def _is_second(contents: Contents) -> bool:
    return contents.about.split == "test" and "train" in contents.about.splits


@dataclass(frozen=True)
class Preparation:
    """What `prepare` wrote. splits: images per split; skipped: unreadable files left out; size_bytes: on disk."""

    path: Path
    shape: tuple[int, int, int]
    splits: dict[str, int]
    class_names: tuple[str, ...]
    fingerprint: str
    skipped: tuple[str, ...]
    size_bytes: int


def prepare(
    source: str | Path,
    out: str | Path,
    *,
    image_size: Size = None,
    channels: int | None = None,
    max_bad: int = 0,
    force: bool = False,
    reporter: Reporter | None = None,
    should_stop: ShouldStop = never_stop,
) -> Preparation:
    """Decode every split of `source` once into the folder `out`, which `load_images` maps into memory.

    Memory stays constant in the number of images, but for about 250 bytes each for the list of files. An interrupted
    call goes on where it stopped when it is repeated. Arguments and errors as for `load_images`; an existing `out` is
    an error unless `force`.
    """
    reporter = reporter or NullReporter()
    check_output(Path(out), force=force)
    bad = BadFiles(str(source), max_bad)
    loader = Loader(Wish(image_size, channels), bad, reporter, should_stop)
    parts = open_splits(source, reporter, should_stop)
    early: dict[str, tuple[Bad, ...]] = {}
    geometry: Geometry | None = None
    for split, contents in parts.items():
        if geometry is None:  # the first is the training split: all are brought to its shape
            parts[split], geometry = loader.settle(contents, contents)
            early[split] = tuple(bad.found)
    assert geometry is not None
    write_prepared(
        Plan(parts, geometry, early), Path(out), bad, replace=force, reporter=reporter, should_stop=should_stop
    )
    if bad.found:
        reporter.warn(bad.warning())
    return summarize(Path(out))


def summarize(folder: Path) -> Preparation:
    """What a prepared folder holds."""
    whole = open_prepared(folder, "all")
    height, width, channels = whole.images.shape[1:]
    return Preparation(
        path=folder,
        shape=(height, width, channels),
        splits={name: len(open_prepared(folder, name)) for name in whole.about.splits},
        class_names=whole.about.class_names,
        fingerprint=whole.fingerprint,
        skipped=tuple(str(entry) for entry in skipped_in(folder, "all")),
        size_bytes=sum(file.stat().st_size for file in folder.iterdir()),
    )


def open_splits(source: str | Path, reporter: Reporter, should_stop: ShouldStop) -> dict[str, Contents]:
    """Every split of a source, the training split first."""
    first = open_source(source, "all", reporter, should_stop)
    for note in first.about.notes:
        reporter.warn(f"{first.about.name}: {note}")
    if first.about.splits == ("all",):
        return {"all": first}
    return {split: open_source(source, split, reporter, should_stop) for split in first.about.splits}
