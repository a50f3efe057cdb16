"""Image folders: which files belong to which split and class.

Understood are sub-folders named after classes, `metadata.csv` or `metadata.jsonl`, and images without labels in one
folder; each of them directly or below `train/` and `test/` (or `val/`). Order: training before test,
then classes, then file names.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from synthgen.data.classes import MANIFEST, Manifest, natural, read_manifest
from synthgen.data.contents import About, check_split
from synthgen.data.decode import SUFFIXES
from synthgen.data.filesets import FileSet
from synthgen.data.metadata import NAMES as METADATA
from synthgen.data.metadata import Row, read_metadata
from synthgen.data.stores import Store
from synthgen.errors import UsageError

_TRAIN = ("train", "training")
_TEST = ("test", "testing", "val", "valid", "validation")
UNLABELLED = "images"
"""A lone sub-folder of this name holds images without labels; `synthgen sample` writes it."""

_GRID = "grid.png"


_Item = tuple[str, str | None]  # a file, and its class as the folder or table spells it


@dataclass
class _Part:
    """One split, and what was left out of it. captioned: the classes are captions."""

    items: list[_Item]
    notes: list[str]
    captioned: bool = False


def scan(store: Store, split: str, *, name: str, licence: str = "", captions: bool = False) -> FileSet:
    """The images of `store` in a split ("train", "test" or "all"). Raises UsageError when there are none.

    captions: where a table has them, they are the classes: images of the same words are of one class.
    """
    files = store.names()
    images = [file for file in files if _suffix(file) in SUFFIXES]
    images = _without_grid(images, files)
    if not images:
        raise UsageError(_no_images(store, files), "Images are files such as .png, .jpg, .webp or .tif.")
    tables = [file for file in files if file.rpartition("/")[2] in METADATA]
    parts = _parts(store, images, tables, captions)
    _check_captioned(parts, name)
    asked = check_split(split, tuple(parts), name)
    chosen = list(parts.values()) if asked == "all" else [parts[asked]]
    manifest = Manifest()
    if MANIFEST in files:
        with store.open(MANIFEST) as stream:
            manifest = read_manifest(stream)
    names = _class_names(parts.values(), manifest)
    items = [item for part in chosen for item in _in_order(part.items, names)]
    _check_labelled(items, name)
    labels = None
    if items[0][1] is not None:
        position = {folder: i for i, folder in enumerate(names)}
        labels = np.array([position[str(folder)] for _, folder in items], np.int64)
    own = sum(file.rpartition("/")[2] in (*METADATA, MANIFEST, _GRID) for file in files)
    notes = tuple(note for part in chosen for note in part.notes)
    class_names = tuple(names.values()) if labels is not None else ()
    ignored = len(files) - len(images) - own
    captioned = chosen[0].captioned
    about = About(name, asked, labels, class_names, tuple(parts), licence, ignored, notes, manifest.ours, captioned)
    return FileSet(store, tuple(file for file, _ in items), about)


def _in_order(items: list[_Item], names: dict[str, str]) -> list[_Item]:
    """By class in the order of `names`, then by file name."""
    position = {folder: i for i, folder in enumerate(names)}
    return sorted(items, key=lambda item: (position.get(item[1] or "", -1), item[0]))


def _check_labelled(items: list[_Item], source: str) -> None:
    without = sum(label is None for _, label in items)
    if 0 < without < len(items):
        raise UsageError(
            f"{source} has {without:,} image(s) without a class among {len(items):,}", "Label all of them, or none."
        )


def _check_captioned(parts: dict[str, _Part], source: str) -> None:
    without = [split for split, part in parts.items() if not part.captioned]
    if 0 < len(without) < len(parts):
        raise UsageError(
            f"{source} has captions, and none in its {without[0]} split", "Caption both splits, or neither of them."
        )


def _suffix(file: str) -> str:
    base, dot, suffix = file.rpartition("/")[2].rpartition(".")
    return f".{suffix.lower()}" if dot and base else ""


def _without_grid(images: list[str], files: list[str]) -> list[str]:
    """Less the overview picture that `synthgen sample` leaves beside its manifest."""
    manifests = {file for file in files if file.endswith(MANIFEST)}
    return [
        file
        for file in images
        if not (file.rpartition("/")[2] == _GRID and f"{file[: -len(_GRID)]}{MANIFEST}" in manifests)
    ]


def _no_images(store: Store, files: list[str]) -> str:
    if not files:
        return f"{store.path} is empty"
    kinds = Counter(_suffix(file) or "without a suffix" for file in files).most_common(3)
    return f"{store.path} holds no images, only {len(files):,} other file(s) ({', '.join(kind for kind, _ in kinds)})"


def _parts(store: Store, images: list[str], tables: list[str], captions: bool) -> dict[str, _Part]:
    folders = _split_folders(images, tables)
    if not folders:
        return {"all": _read_part(store, "", images, tables, captions)}
    parts = {split: _read_part(store, folder, images, tables, captions) for split, folder in folders.items()}
    loose = sum("/" not in file for file in images)
    if loose:
        next(iter(parts.values())).notes.append(f"{loose:,} image(s) beside the split folders were left out.")
    return parts


def _split_folders(images: list[str], tables: list[str]) -> dict[str, str]:
    """{"train": "train/", "test": "val/"} when every folder at the top is a split; else empty."""
    tops = {file.split("/", 1)[0] for file in images if "/" in file}
    if not tops or not all(top.lower() in (*_TRAIN, *_TEST) for top in tops):
        return {}
    if any("/" not in table for table in tables):  # one table at the top may still sort its rows by split folders
        loose = [file for file in images if "/" not in file]
        if loose:
            return {}
    found = {top.lower(): f"{top}/" for top in sorted(tops)}
    splits = {}
    for split, names in (("train", _TRAIN), ("test", _TEST)):
        first = next((found[name] for name in names if name in found), None)
        if first:
            splits[split] = first
    return splits


def _read_part(store: Store, folder: str, images: list[str], tables: list[str], captions: bool) -> _Part:
    inside = [file for file in images if file.startswith(folder)]
    own = [table for table in tables if table.rpartition("/")[0] == folder.rstrip("/")]
    shared = [table for table in tables if "/" not in table]
    for group in (own, shared):
        if len(group) > 1:
            raise UsageError(f"{store.path} holds both {group[0]} and {group[1]}", "Keep one of them.")
        if group:
            return _from_table(store, group[0], folder, images, inside, captions)
    return _from_folders(folder, inside)


def _from_table(store: Store, table: str, folder: str, images: list[str], inside: list[str], captions: bool) -> _Part:
    read = read_metadata(store, table, set(images), captions=captions)
    rows = [row for row in read if row.name.startswith(folder)]
    if not rows:
        raise UsageError(f"{store.path}/{table} lists no image of {folder}")
    listed = {row.name for row in rows}
    unlisted = sum(file not in listed for file in inside)
    notes = [f"{unlisted:,} image(s) that {table} does not list were left out."] if unlisted else []
    if any(row.caption is not None for row in rows):
        return _Part([(row.name, _one_caption(row, store, table)) for row in rows], notes, captioned=True)
    return _Part([(row.name, row.label) for row in rows], notes)


def _one_caption(row: Row, store: Store, table: str) -> str:
    if row.caption is None:
        raise UsageError(f"{store.path}/{table}: '{row.name}' has no caption, and others have", "Caption every image.")
    return row.caption


def _from_folders(folder: str, inside: list[str]) -> _Part:
    known: dict[str, str] = {}  # one string per class, not one per file: there may be a million files
    items: list[_Item] = []
    for file in inside:
        first, slash, _ = file[len(folder) :].partition("/")
        items.append((file, known.setdefault(first, first) if slash else None))
    loose = [(file, None) for file, label in items if label is None]
    if not known or set(known) == {UNLABELLED}:
        if known and loose:
            return _Part(list(loose), [f"The images in {folder}{UNLABELLED}/ were left out."])
        return _Part([(file, None) for file, _ in items], [])
    if len(known) == 1 and loose:
        # One folder beside many images is a folder of something else, thumbnails say, not the only class.
        return _Part(list(loose), [f"The images in {folder}{next(iter(known))}/ were left out."])
    notes = [f"{len(loose):,} image(s) beside the class folders were left out."] if loose else []
    return _Part([item for item in items if item[1] is not None], notes)


def _class_names(parts: Iterable[_Part], manifest: Manifest) -> dict[str, str]:
    """Folder (or label) -> class name, in order; of all splits together, so that a label means the same in each."""
    found = natural({label for part in parts for _, label in part.items if label is not None})
    given = manifest.folders()
    return given if found and set(found) <= set(given) else {folder: folder for folder in found}
