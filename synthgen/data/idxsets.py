"""Pairs of IDX files found by name: `train-images-idx3-ubyte.gz` and `train-labels-idx1-ubyte.gz`."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from synthgen.data.arrays import ArraySet, to_labels
from synthgen.data.classes import manifest_in
from synthgen.data.contents import About, check_split
from synthgen.data.idx import read_idx, read_pair
from synthgen.errors import UsageError

_IMAGES = re.compile(r"(?P<prefix>.*?)images[-.]idx[34](-ubyte)?(\.gz)?", re.IGNORECASE)
_LABELS = re.compile(r"(?P<prefix>.*?)labels[-.]idx1(-ubyte)?(\.gz)?", re.IGNORECASE)


@dataclass(frozen=True)
class Pair:
    """Images with the labels beside them, and the split that their names speak of."""

    images: Path
    labels: Path | None
    split: str


def idx_pairs(folder: Path) -> dict[str, Pair]:
    """The pairs in a folder by split: {"train", "test"}, {"all"} for files of neither, or empty.

    Raises UsageError when a split has several sets of images.
    """
    pairs: dict[str, Pair] = {}
    for path in sorted(folder.iterdir()):
        if not path.is_file() or not _IMAGES.fullmatch(path.name):
            continue
        pair = pair_of(path)
        other = pairs.setdefault(pair.split, pair)
        plain = path.name.removesuffix(".gz")
        if other is not pair and other.images.name.removesuffix(".gz") != plain:
            raise UsageError(
                f"{folder} holds several sets of IDX images: {other.images.name} and {path.name}",
                "Name the file that you mean.",
            )
    if "all" in pairs and len(pairs) > 1:
        raise UsageError(f"{folder} holds both {pairs['all'].images.name} and split IDX files", "Name one file.")
    order = [split for split in ("train", "test", "all") if split in pairs]
    return {split: pairs[split] for split in order}


def pair_of(path: Path) -> Pair:
    """The pair of an images file, whatever its name; of a labels file too, when the images lie beside it."""
    match = _LABELS.fullmatch(path.name)
    if match:
        images = _partner(path, match["prefix"], _IMAGES)
        if images is None:
            raise UsageError(f"{path} holds labels, and their images are not beside it", "Name the file of the images.")
        path = images
    match = _IMAGES.fullmatch(path.name)
    prefix = match["prefix"] if match else ""
    labels = _partner(path, prefix, _LABELS) if match else None
    words = re.split(r"[^a-z0-9]+", prefix.lower())
    split = "train" if "train" in words else "test" if {"t10k", "test", "val"} & set(words) else "all"
    return Pair(path, labels, split)


def _partner(path: Path, prefix: str, pattern: re.Pattern[str]) -> Path | None:
    for other in sorted(path.parent.iterdir()):
        match = pattern.fullmatch(other.name)
        if match and match["prefix"] == prefix and other.is_file():
            return other
    return None


def read_idx_folder(folder: Path, pairs: dict[str, Pair], split: str) -> ArraySet:
    """The images of a folder's pairs; a sample folder's manifest knows the names of the classes."""
    manifest = manifest_in(folder)
    contents = read_idx_sets(pairs, split, name=str(folder), class_names=manifest.class_names or None)
    return replace(contents, about=replace(contents.about, keep=manifest.ours))


def read_idx_sets(
    pairs: dict[str, Pair], split: str, *, name: str, class_names: tuple[str, ...] | None = None, licence: str = ""
) -> ArraySet:
    """The images of a split. Without `class_names` the labels that occur in any of the splits are the names."""
    asked = check_split(split, tuple(pairs), name)
    chosen = list(pairs) if asked == "all" else [asked]
    read = {part: read_pair(pairs[part].images, pairs[part].labels) for part in chosen}
    labels = {part: values for part, (_, values) in read.items()}
    for part, pair in pairs.items():  # the labels of the other split too: both count in the same classes
        if part not in labels:
            labels[part] = None if pair.labels is None else read_idx(pair.labels).reshape(-1).astype(np.int64)
    images = [read[part][0] for part in chosen]
    if len({part.shape[1:] for part in images}) > 1:
        raise UsageError(f"{name}: the splits differ in shape: {' and '.join(str(part.shape) for part in images)}")
    if sum(map(len, images)) == 0:
        raise UsageError(f"{name} holds no images")
    numbers, names = _number(labels, chosen, class_names, name)
    pixels = images[0] if len(images) == 1 else np.concatenate(images)
    return ArraySet(pixels, About(name, asked, numbers, names, tuple(pairs), licence))


def _number(
    labels: dict[str, np.ndarray | None], chosen: list[str], class_names: tuple[str, ...] | None, name: str
) -> tuple[np.ndarray | None, tuple[str, ...]]:
    if any(labels[part] is None for part in chosen):
        return None, ()
    known = {part: values for part, values in labels.items() if values is not None}
    joined = np.concatenate(list(known.values()))
    numbers, names = to_labels(joined, len(joined), class_names, f"the labels of {name}")
    ends = np.cumsum([len(values) for values in known.values()])[:-1]
    split = dict(zip(known, np.split(numbers, ends), strict=True))
    return np.concatenate([split[part] for part in chosen]), names
